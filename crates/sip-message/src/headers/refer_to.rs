//! `Refer-To: <sip:carol@example.com?Replaces=1%40h%3Bto-tag%3Da%3Bfrom-tag%3Db>`

address_field! {
    /// Whom to contact (RFC 3515 §2.1).
    ///
    /// ```text
    /// Refer-To  =  ("Refer-To" / "r") HCOLON ( name-addr / addr-spec ) * (SEMI generic-param)
    /// ```
    ReferTo, REFER_TO, Single
}
