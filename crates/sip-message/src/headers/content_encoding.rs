//! `Content-Encoding: gzip`

token_list_field! {
    /// How the body is encoded (RFC 3261 §20.12).
    ///
    /// ```text
    /// Content-Encoding  =  ( "Content-Encoding" / "e" ) HCOLON content-coding *(COMMA content-coding)
    /// ```
    ContentEncoding, CONTENT_ENCODING
}
