//! `Content-Language: fr`

token_list_field! {
    /// The language of the body (RFC 3261 §20.13).
    ///
    /// ```text
    /// Content-Language  =  "Content-Language" HCOLON language-tag *(COMMA language-tag)
    /// ```
    ContentLanguage, CONTENT_LANGUAGE
}
