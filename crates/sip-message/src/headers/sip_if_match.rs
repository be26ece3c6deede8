//! `SIP-If-Match: dx200xyz`

token_field! {
    /// The publication that is refreshed, changed or removed (RFC 3903 §11.3.2).
    ///
    /// ```text
    /// SIP-If-Match  =  "SIP-If-Match" HCOLON entity-tag
    /// ```
    SipIfMatch, SIP_IF_MATCH
}
