//! `P-Visited-Network-ID: "Visited network number 1"`

valued_field! {
    /// The network that a roaming user is in (RFC 7315 §4.3).
    ///
    /// ```text
    /// P-Visited-Network-ID   =  "P-Visited-Network-ID" HCOLON vnetwork-spec *(COMMA vnetwork-spec)
    /// vnetwork-spec          =  (token / quoted-string) *(SEMI vnetwork-param)
    /// ```
    PVisitedNetworkId, P_VISITED_NETWORK_ID, List, any_value,
    /// The network as written, quotes included.
    network
}
