//! `Reject-Contact: *;audio;require`

valued_field! {
    /// Features that the callee should not have (RFC 3841 §9.2).
    ///
    /// ```text
    /// Reject-Contact  =  ("Reject-Contact" / "j") HCOLON jc-value *(COMMA jc-value)
    /// jc-value  =  "*" *(SEMI jc-params)
    /// ```
    RejectContact, REJECT_CONTACT, List, star,
    /// Always `*`.
    target
}
