//! `SIP-ETag: dx200xyz`

token_field! {
    /// The name of a publication (RFC 3903 §11.3.1); compared with regard to case.
    ///
    /// ```text
    /// SIP-ETag  =  "SIP-ETag" HCOLON entity-tag
    /// ```
    SipETag, SIP_ETAG
}
