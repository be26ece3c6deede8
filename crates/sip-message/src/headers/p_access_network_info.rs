//! `P-Access-Network-Info: 3GPP-UTRAN-TDD;utran-cell-id-3gpp=234151D0FCE11`

valued_field! {
    /// The access network of the sender (RFC 7315 §4.4).
    ///
    /// ```text
    /// P-Access-Network-Info  =  "P-Access-Network-Info" HCOLON access-net-spec *(COMMA access-net-spec)
    /// access-net-spec        =  (access-type / access-class) *(SEMI access-info)
    /// ```
    PAccessNetworkInfo, P_ACCESS_NETWORK_INFO, List, token,
    /// The type: `IEEE-802.11`, `3GPP-E-UTRAN-FDD`, …
    access_type
}
