//! `P-Associated-URI: <sip:bob@example.com>`

address_field! {
    /// Further addresses of whoever registered (RFC 7315 §4.1).
    ///
    /// ```text
    /// P-Associated-URI  =  "P-Associated-URI" HCOLON [p-aso-uri-spec] *(COMMA p-aso-uri-spec)
    /// p-aso-uri-spec    =  name-addr *(SEMI ai-param)
    /// ```
    PAssociatedUri, P_ASSOCIATED_URI, List
}
