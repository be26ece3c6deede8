//! `Request-Disposition: proxy, recurse`

token_list_field! {
    /// How servers shall treat the request (RFC 3841 §9.1).
    ///
    /// ```text
    /// Request-Disposition  =  ( "Request-Disposition" / "d" ) HCOLON directive *(COMMA directive)
    /// ```
    RequestDisposition, REQUEST_DISPOSITION
}
