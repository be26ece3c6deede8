//! `Replaces: 425928@bobster.example.org;to-tag=7743;from-tag=6472`

valued_field! {
    /// The dialog that a new one takes the place of (RFC 3891 §6.1).
    ///
    /// ```text
    /// Replaces        =  "Replaces" HCOLON callid *(SEMI replaces-param)
    /// replaces-param  =  to-tag / from-tag / early-flag / generic-param
    /// ```
    Replaces, REPLACES, Single, call_id,
    /// The Call-ID of the dialog.
    call_id
}

impl Replaces {
    /// The tag of the end that receives this, in the dialog that is meant.
    pub fn to_tag(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("to-tag").flatten()
    }

    /// The tag of the other end.
    pub fn from_tag(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("from-tag").flatten()
    }
}

impl Replaces {
    /// Whether only an early dialog may be replaced.
    pub fn early_only(&self) -> bool {
        self.has_param("early-only")
    }
}
