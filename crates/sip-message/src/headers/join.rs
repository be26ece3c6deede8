//! `Join: 12adf2f34456gs5;to-tag=12345;from-tag=54321`

valued_field! {
    /// The dialog that a new one joins (RFC 3911 §7.1).
    ///
    /// ```text
    /// Join        =  "Join" HCOLON callid *(SEMI join-param)
    /// join-param  =  to-tag / from-tag / generic-param
    /// ```
    Join, JOIN, Single, call_id,
    /// The Call-ID of the dialog.
    call_id
}

impl Join {
    /// The tag of the end that receives this, in the dialog that is meant.
    pub fn to_tag(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("to-tag").flatten()
    }

    /// The tag of the other end.
    pub fn from_tag(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("from-tag").flatten()
    }
}
