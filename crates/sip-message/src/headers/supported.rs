//! `Supported: 100rel, timer`

token_list_field! {
    /// Extensions that are supported (RFC 3261 §20.37).
    ///
    /// ```text
    /// Supported  =  ( "Supported" / "k" ) HCOLON [option-tag *(COMMA option-tag)]
    /// ```
    Supported, SUPPORTED
}
