//! `To: Bob <sip:bob@biloxi.com>;tag=8321234356`

address_field! {
    /// Whom the request is for, logically (RFC 3261 §20.39).
    ///
    /// ```text
    /// To  =  ( "To" / "t" ) HCOLON ( name-addr / addr-spec ) *( SEMI to-param )
    /// ```
    To, TO, Single
}

tagged!(To);
