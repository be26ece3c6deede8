//! `Path: <sip:edge.example.com;lr>`

address_field! {
    /// A proxy between registrar and user agent (RFC 3327 §4).
    ///
    /// ```text
    /// Path        =  "Path" HCOLON path-value *(COMMA path-value)
    /// path-value  =  name-addr *( SEMI rr-param )
    /// ```
    Path, PATH, List
}
