//! `History-Info: <sip:bob@biloxi.example.com;p=x>;index=1.1;rc=1`

address_field! {
    /// One target that the request was sent to on its way (RFC 7044 §5).
    ///
    /// ```text
    /// History-Info  =  "History-Info" HCOLON hi-entry *(COMMA hi-entry)
    /// hi-entry      =  hi-targeted-to-uri *(SEMI hi-param)
    /// hi-param      =  hi-index / hi-target-param / hi-extension
    /// ```
    HistoryInfo, HISTORY_INFO, List
}

impl HistoryInfo {
    /// The place in the tree of targets: `1.2.1`.
    pub fn index(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("index").flatten()
    }
}
