//! `Allow: INVITE, ACK, BYE`

token_list_field! {
    /// Methods that are supported (RFC 3261 §20.5).
    ///
    /// ```text
    /// Allow  =  "Allow" HCOLON [Method *(COMMA Method)]
    /// ```
    Allow, ALLOW
}
