//! `Security-Client: tls;q=0.1`

valued_field! {
    /// A mechanism that the client supports (RFC 3329 §2.2).
    ///
    /// ```text
    /// security-client =  "Security-Client" HCOLON sec-mechanism *(COMMA sec-mechanism)
    /// sec-mechanism   =  mechanism-name *(SEMI mech-parameters)
    /// ```
    SecurityClient, SECURITY_CLIENT, List, token,
    /// The mechanism: `digest`, `tls`, `ipsec-ike`, …
    mechanism
}
