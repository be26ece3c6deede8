//! `Referred-By: <sip:referrer@example.com>;cid="20398823.2UWQFN309shb3@example.com"`

address_field! {
    /// Who asked for the request (RFC 3892 §3).
    ///
    /// ```text
    /// Referred-By  =  ("Referred-By" / "b") HCOLON referrer-uri *( SEMI (referredby-id-param / generic-param) )
    /// ```
    ReferredBy, REFERRED_BY, Single
}
