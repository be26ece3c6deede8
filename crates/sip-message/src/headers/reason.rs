//! `Reason: Q.850;cause=16;text="Terminated"`

valued_field! {
    /// Why a request was sent (RFC 3326 §2).
    ///
    /// ```text
    /// Reason         =  "Reason" HCOLON reason-value *(COMMA reason-value)
    /// reason-value   =  protocol *(SEMI reason-params)
    /// protocol       =  "SIP" / "Q.850" / token
    /// ```
    Reason, REASON, List, token,
    /// The protocol: `SIP`, `Q.850`, …
    protocol
}

impl Reason {
    /// A reason of the protocol SIP, with the customary text of the code.
    pub fn sip(status: crate::StatusCode) -> Self {
        let reason = Self::new("SIP").expect("is a token").with_param("cause", status.as_u16().to_string().as_str());
        match status.reason() {
            Some(text) => Self(super::quoted_param(&reason.0, "text", text)),
            None => reason,
        }
    }

    /// A reason of the protocol Q.850.
    pub fn q850(cause: u8) -> Self {
        Self::new("Q.850").expect("is a token").with_param("cause", cause.to_string().as_str())
    }

    /// The reason with a text for people, which is quoted.
    #[must_use]
    pub fn with_text(self, text: &str) -> Self {
        Self(super::quoted_param(&self.0, "text", text))
    }

    /// The cause, a number of the protocol.
    pub fn cause(&self) -> Option<u32> {
        self.0.number("cause")
    }

    /// The text for people.
    pub fn text(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("text").flatten()
    }
}
