//! `Call-Info: <http://wwww.example.com/alice/photo.jpg>;purpose=icon`

address_field! {
    /// More about caller or callee (RFC 3261 §20.9).
    ///
    /// ```text
    /// Call-Info   =  "Call-Info" HCOLON info *(COMMA info)
    /// info        =  LAQUOT absoluteURI RAQUOT *( SEMI info-param )
    /// ```
    CallInfo, CALL_INFO, List
}
