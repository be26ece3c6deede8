//! `Record-Route: <sip:p1.example.com;lr>`

address_field! {
    /// A proxy that stays in the path of the dialog (RFC 3261 §20.30).
    ///
    /// ```text
    /// Record-Route  =  "Record-Route" HCOLON rec-route *(COMMA rec-route)
    /// rec-route     =  name-addr *( SEMI rr-param )
    /// ```
    RecordRoute, RECORD_ROUTE, List
}
