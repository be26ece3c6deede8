//! `Service-Route: <sip:orig@home.example.com;lr>`

address_field! {
    /// The route that requests of a registered user agent take (RFC 3608 §5).
    ///
    /// ```text
    /// Service-Route  =  "Service-Route" HCOLON sr-value *(COMMA sr-value)
    /// sr-value       =  name-addr *( SEMI rr-param )
    /// ```
    ServiceRoute, SERVICE_ROUTE, List
}
