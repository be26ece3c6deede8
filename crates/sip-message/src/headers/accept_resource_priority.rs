//! `Accept-Resource-Priority: dsn.flash, wps.3`

token_list_field! {
    /// The precedences that are understood (RFC 4412 §3.2).
    ///
    /// ```text
    /// Accept-Resource-Priority  =  "Accept-Resource-Priority" HCOLON [r-value *(COMMA r-value)]
    /// ```
    AcceptResourcePriority, ACCEPT_RESOURCE_PRIORITY
}
