//! `Geolocation-Routing: yes`

token_field! {
    /// Whether the request may be routed by location (RFC 6442 §4.2).
    ///
    /// ```text
    /// Geolocation-Routing-header  =  "Geolocation-Routing" HCOLON ( "yes" / "no" / token )
    /// ```
    GeolocationRouting, GEOLOCATION_ROUTING
}
