//! `Unsupported: foo`

token_list_field! {
    /// Extensions that were required and are not supported (RFC 3261 §20.40).
    ///
    /// ```text
    /// Unsupported  =  "Unsupported" HCOLON option-tag *(COMMA option-tag)
    /// ```
    Unsupported, UNSUPPORTED
}
