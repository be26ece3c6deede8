//! `Security-Server: tls;q=0.1`

valued_field! {
    /// A mechanism that the server supports (RFC 3329 §2.2).
    ///
    /// ```text
    /// security-server =  "Security-Server" HCOLON sec-mechanism *(COMMA sec-mechanism)
    /// sec-mechanism   =  mechanism-name *(SEMI mech-parameters)
    /// ```
    SecurityServer, SECURITY_SERVER, List, token,
    /// The mechanism: `digest`, `tls`, `ipsec-ike`, …
    mechanism
}
