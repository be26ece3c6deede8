//! `Authorization: Digest username="bob", …`

auth_field! {
    /// Credentials for a user agent or registrar (RFC 3261 §20.7).
    ///
    /// ```text
    /// Authorization       =  "Authorization" HCOLON credentials
    /// credentials         =  ("Digest" LWS digest-response) / other-response
    /// ```
    Authorization, AUTHORIZATION
}
