//! `Security-Verify: tls;q=0.1`

valued_field! {
    /// A mechanism as the server offered it, sent back (RFC 3329 §2.2).
    ///
    /// ```text
    /// security-verify =  "Security-Verify" HCOLON sec-mechanism *(COMMA sec-mechanism)
    /// sec-mechanism   =  mechanism-name *(SEMI mech-parameters)
    /// ```
    SecurityVerify, SECURITY_VERIFY, List, token,
    /// The mechanism: `digest`, `tls`, `ipsec-ike`, …
    mechanism
}
