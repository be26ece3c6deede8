//! `Route: <sip:p1.example.com;lr>`

address_field! {
    /// A proxy that the request must pass (RFC 3261 §20.34).
    ///
    /// ```text
    /// Route        =  "Route" HCOLON route-param *(COMMA route-param)
    /// route-param  =  name-addr *( SEMI rr-param )
    /// ```
    Route, ROUTE, List
}
