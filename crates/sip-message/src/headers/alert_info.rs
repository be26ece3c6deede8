//! `Alert-Info: <http://www.example.com/sounds/moo.wav>`

address_field! {
    /// What to ring with (RFC 3261 §20.4).
    ///
    /// ```text
    /// Alert-Info   =  "Alert-Info" HCOLON alert-param *(COMMA alert-param)
    /// alert-param  =  LAQUOT absoluteURI RAQUOT *( SEMI generic-param )
    /// ```
    AlertInfo, ALERT_INFO, List
}
