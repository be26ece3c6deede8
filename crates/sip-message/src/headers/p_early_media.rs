//! `P-Early-Media: sendrecv`

token_list_field! {
    /// Whether early media is authorised (RFC 5009 §8).
    ///
    /// ```text
    /// P-Early-Media  =  "P-Early-Media" HCOLON [ em-param *(COMMA em-param) ]
    /// em-param       =  "sendrecv" / "sendonly" / "recvonly" / "inactive" / "gated" / "supported" / token
    /// ```
    PEarlyMedia, P_EARLY_MEDIA
}
