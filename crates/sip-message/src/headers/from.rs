//! `From: Bob <sip:bob@biloxi.com>;tag=a48s`

address_field! {
    /// Who sends the request (RFC 3261 §20.20).
    ///
    /// ```text
    /// From       =  ( "From" / "f" ) HCOLON from-spec
    /// from-spec  =  ( name-addr / addr-spec ) *( SEMI from-param )
    /// ```
    From, FROM, Single
}

tagged!(From);
