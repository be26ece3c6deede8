//! `MIME-Version: 1.0`

token_field! {
    /// The version of MIME that the body follows (RFC 3261 §20.24).
    ///
    /// ```text
    /// MIME-Version  =  "MIME-Version" HCOLON 1*DIGIT "." 1*DIGIT
    /// ```
    MimeVersion, MIME_VERSION
}
