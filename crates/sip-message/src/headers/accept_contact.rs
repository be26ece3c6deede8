//! `Accept-Contact: *;audio;require`

valued_field! {
    /// Features that the callee should have (RFC 3841 §9.2).
    ///
    /// ```text
    /// Accept-Contact  =  ("Accept-Contact" / "a") HCOLON ac-value *(COMMA ac-value)
    /// ac-value  =  "*" *(SEMI ac-params)
    /// ```
    AcceptContact, ACCEPT_CONTACT, List, star,
    /// Always `*`.
    target
}
