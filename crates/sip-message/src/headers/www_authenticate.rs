//! `WWW-Authenticate: Digest realm="example.com", …`

auth_field! {
    /// A challenge of a user agent or registrar (RFC 3261 §20.44).
    ///
    /// ```text
    /// WWW-Authenticate  =  "WWW-Authenticate" HCOLON challenge
    /// ```
    WwwAuthenticate, WWW_AUTHENTICATE
}
