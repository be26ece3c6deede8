//! `Reply-To: Bob <sip:bob@biloxi.com>`

address_field! {
    /// Where to call back (RFC 3261 §20.31).
    ///
    /// ```text
    /// Reply-To  =  "Reply-To" HCOLON rplyto-spec
    /// rplyto-spec  =  ( name-addr / addr-spec ) *( SEMI rplyto-param )
    /// ```
    ReplyTo, REPLY_TO, Single
}
