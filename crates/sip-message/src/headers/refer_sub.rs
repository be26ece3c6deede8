//! `Refer-Sub: false`

valued_field! {
    /// Whether a REFER makes a subscription (RFC 4488 §4).
    ///
    /// ```text
    /// Refer-Sub  =  "Refer-Sub" HCOLON refer-sub-value *(SEMI exten)
    /// refer-sub-value  =  "true" / "false"
    /// ```
    ReferSub, REFER_SUB, Single, token,
    /// `true` or `false`.
    as_str
}

impl ReferSub {
    /// `false`: no subscription is wanted.
    pub fn none() -> Self {
        Self::new("false").expect("is a token")
    }

    /// Whether a subscription is wanted: anything but `false`.
    pub fn is_wanted(&self) -> bool {
        !self.as_str().eq_ignore_ascii_case("false")
    }
}
