//! `User-to-User: 56a390f3d2b7310023a;encoding=hex;purpose=isdn-uui`

valued_field! {
    /// Opaque data from one user agent to the other (RFC 7433 §4).
    ///
    /// ```text
    /// UUI         =  "User-to-User" HCOLON uui-value *(COMMA uui-value)
    /// uui-value   =  uui-data *(SEMI uui-param)
    /// uui-data    =  token / quoted-string
    /// ```
    UserToUser, USER_TO_USER, List, any_value,
    /// The data as written, quotes included.
    data
}
