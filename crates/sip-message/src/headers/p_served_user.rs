//! `P-Served-User: <sip:user@example.com>;sescase=orig;regstate=reg`

address_field! {
    /// The user that an application server acts for (RFC 5502 §6).
    ///
    /// ```text
    /// PServedUser        =  "P-Served-User" HCOLON PServedUser-value
    /// PServedUser-value  =  name-addr *(SEMI served-user-param)
    /// ```
    PServedUser, P_SERVED_USER, Single
}
