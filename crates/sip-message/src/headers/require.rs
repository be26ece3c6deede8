//! `Require: 100rel`

token_list_field! {
    /// Extensions that the recipient must support (RFC 3261 §20.32).
    ///
    /// ```text
    /// Require  =  "Require" HCOLON option-tag *(COMMA option-tag)
    /// ```
    Require, REQUIRE
}
