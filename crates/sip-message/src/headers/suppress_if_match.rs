//! `Suppress-If-Match: *`

token_field! {
    /// The state of which no notification is wanted (RFC 5839 §7.3); `*` stands for all.
    ///
    /// ```text
    /// Suppress-If-Match  =  "Suppress-If-Match" HCOLON ( entity-tag / "*" )
    /// ```
    SuppressIfMatch, SUPPRESS_IF_MATCH
}
