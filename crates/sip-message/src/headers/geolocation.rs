//! `Geolocation: <cid:target123@atlanta.example.com>`

address_field! {
    /// Where the location of the caller is described (RFC 6442 §4.1).
    ///
    /// ```text
    /// Geolocation-header  =  "Geolocation" HCOLON Geolocation-value
    /// Geolocation-value   =  ( locationValue [ COMMA locationValue ] )
    /// locationValue       =  LAQUOT locationURI RAQUOT *(SEMI geoloc-param)
    /// ```
    Geolocation, GEOLOCATION, List
}
