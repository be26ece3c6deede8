//! `Subscription-State: active;expires=3600`

valued_field! {
    /// How a subscription stands (RFC 6665 §8.2.3).
    ///
    /// ```text
    /// Subscription-State   =  "Subscription-State" HCOLON substate-value *( SEMI subexp-params )
    /// substate-value       =  "active" / "pending" / "terminated" / extension-substate
    /// ```
    SubscriptionState, SUBSCRIPTION_STATE, Single, token,
    /// `active`, `pending`, `terminated`, or another token.
    state
}

impl SubscriptionState {
    /// `active` for `seconds`.
    pub fn active(seconds: u32) -> Self {
        Self::lasting("active", seconds)
    }

    /// `pending` for `seconds`.
    pub fn pending(seconds: u32) -> Self {
        Self::lasting("pending", seconds)
    }

    fn lasting(state: &str, seconds: u32) -> Self {
        let state = Self::new(state).expect("is a token");
        state.with_param("expires", seconds.to_string().as_str())
    }

    /// `terminated`, with a reason: `timeout`, `noresource`, `rejected`, …
    pub fn terminated(reason: &str) -> Self {
        Self::new("terminated").expect("is a token").with_param("reason", reason)
    }

    /// Whether it is `active`.
    pub fn is_active(&self) -> bool {
        self.state().eq_ignore_ascii_case("active")
    }

    /// Whether it is `pending`.
    pub fn is_pending(&self) -> bool {
        self.state().eq_ignore_ascii_case("pending")
    }

    /// Whether it is `terminated`.
    pub fn is_terminated(&self) -> bool {
        self.state().eq_ignore_ascii_case("terminated")
    }

    /// How many seconds are left.
    pub fn expires(&self) -> Option<u32> {
        self.0.number("expires")
    }

    /// Why it ended.
    pub fn reason(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("reason").flatten()
    }

    /// After how many seconds to subscribe again.
    pub fn retry_after(&self) -> Option<u32> {
        self.0.number("retry-after")
    }
}
