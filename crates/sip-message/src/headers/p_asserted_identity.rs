//! `P-Asserted-Identity: "Cullen Jennings" <sip:fluffy@cisco.com>`

address_field! {
    /// Who the caller is, by the word of a trusted network (RFC 3325 §9.1).
    ///
    /// ```text
    /// PAssertedID        =  "P-Asserted-Identity" HCOLON PAssertedID-value *(COMMA PAssertedID-value)
    /// PAssertedID-value  =  name-addr / addr-spec
    /// ```
    PAssertedIdentity, P_ASSERTED_IDENTITY, List
}
