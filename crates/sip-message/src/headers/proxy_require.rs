//! `Proxy-Require: sec-agree`

token_list_field! {
    /// Extensions that proxies must support (RFC 3261 §20.29).
    ///
    /// ```text
    /// Proxy-Require  =  "Proxy-Require" HCOLON option-tag *(COMMA option-tag)
    /// ```
    ProxyRequire, PROXY_REQUIRE
}
