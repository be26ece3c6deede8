//! `P-Called-Party-ID: <sip:user1-business@example.com>`

address_field! {
    /// The address that was called before the contact took its place (RFC 7315 §4.2).
    ///
    /// ```text
    /// P-Called-Party-ID     =  "P-Called-Party-ID" HCOLON called-pty-id-spec
    /// called-pty-id-spec    =  name-addr *(SEMI cpid-param)
    /// ```
    PCalledPartyId, P_CALLED_PARTY_ID, Single
}
