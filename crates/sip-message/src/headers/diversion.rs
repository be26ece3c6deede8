//! `Diversion: <sip:bob@example.com>;reason=user-busy;counter=1`

address_field! {
    /// From where, and why, a call was diverted (RFC 5806 §3).
    ///
    /// ```text
    /// Diversion         =  "Diversion" HCOLON diversion-params *(COMMA diversion-params)
    /// diversion-params  =  name-addr *(SEMI (diversion-reason / diversion-counter / diversion-limit / … ))
    /// ```
    Diversion, DIVERSION, List
}

impl Diversion {
    /// Why: `user-busy`, `no-answer`, `unconditional`, …
    pub fn reason(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("reason").flatten()
    }

    /// How many diversions this entry stands for; 1 if it does not say.
    pub fn counter(&self) -> u32 {
        let counter = self.param("counter").flatten();
        counter.and_then(|counter| super::number::saturating(counter.as_bytes()).ok()).unwrap_or(1)
    }
}
