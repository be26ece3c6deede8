//! `Proxy-Authenticate: Digest realm="example.com", …`

auth_field! {
    /// A challenge of a proxy (RFC 3261 §20.27).
    ///
    /// ```text
    /// Proxy-Authenticate  =  "Proxy-Authenticate" HCOLON challenge
    /// ```
    ProxyAuthenticate, PROXY_AUTHENTICATE
}
