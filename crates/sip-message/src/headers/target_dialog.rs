//! `Target-Dialog: fa77as7dad8-sd98ajzz@host.example.com;local-tag=kkaz-;remote-tag=6544`

valued_field! {
    /// A dialog that authorises this request (RFC 4538 §7).
    ///
    /// ```text
    /// Target-Dialog  =  "Target-Dialog" HCOLON callid *(SEMI td-param)
    /// td-param       =  remote-param / local-param / generic-param
    /// ```
    TargetDialog, TARGET_DIALOG, Single, call_id,
    /// The Call-ID of the dialog.
    call_id
}

impl TargetDialog {
    /// The tag of the sender's end of the dialog.
    pub fn local_tag(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("local-tag").flatten()
    }

    /// The tag of the recipient's end.
    pub fn remote_tag(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("remote-tag").flatten()
    }
}
