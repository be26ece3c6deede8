//! `P-Preferred-Identity: "Cullen Jennings" <sip:fluffy@cisco.com>`

address_field! {
    /// Which of its identities a user agent wants asserted (RFC 3325 §9.2).
    ///
    /// ```text
    /// PPreferredID        =  "P-Preferred-Identity" HCOLON PPreferredID-value *(COMMA PPreferredID-value)
    /// PPreferredID-value  =  name-addr / addr-spec
    /// ```
    PPreferredIdentity, P_PREFERRED_IDENTITY, List
}
