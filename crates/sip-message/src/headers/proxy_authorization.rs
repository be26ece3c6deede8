//! `Proxy-Authorization: Digest username="bob", …`

auth_field! {
    /// Credentials for a proxy (RFC 3261 §20.28).
    ///
    /// ```text
    /// Proxy-Authorization  =  "Proxy-Authorization" HCOLON credentials
    /// ```
    ProxyAuthorization, PROXY_AUTHORIZATION
}
