//! `Accept: application/sdp;level=1, application/x-private, text/html`

valued_field! {
    /// A media type that is accepted (RFC 3261 §20.1).
    ///
    /// ```text
    /// Accept        =  "Accept" HCOLON [ accept-range *(COMMA accept-range) ]
    /// accept-range  =  media-range *(SEMI accept-param)
    /// ```
    Accept, ACCEPT, List, media_range,
    /// The range as written: `application/sdp`, `text/*`, `*/*`.
    media_range
}

impl Accept {
    /// Whether `type/subtype` lies in the range.
    pub fn matches(&self, media_type: &str) -> bool {
        let parts = |text: &str| {
            text.split_once('/').map(|(media, sub)| (media.trim().to_ascii_lowercase(), sub.trim().to_ascii_lowercase()))
        };
        match (parts(self.media_range()), parts(media_type)) {
            (Some((range, sub_range)), Some((media, sub))) => {
                (range == "*" || range == media) && (sub_range == "*" || sub_range == sub)
            }
            _ => false,
        }
    }

    /// The preference in thousandths; 1000 if it does not say.
    pub fn q(&self) -> u16 {
        self.param("q").flatten().and_then(|q| super::number::qvalue(q.as_bytes())).unwrap_or(1000)
    }
}
