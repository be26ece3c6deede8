//! `Accept-Encoding: gzip`

valued_field! {
    /// An encoding that is accepted (RFC 3261 §20.2).
    ///
    /// ```text
    /// Accept-Encoding  =  "Accept-Encoding" HCOLON [ encoding *(COMMA encoding) ]
    /// encoding         =  codings *(SEMI accept-param)
    /// ```
    AcceptEncoding, ACCEPT_ENCODING, List, token,
    /// The coding: `gzip`, `identity`, `*`.
    coding
}

impl AcceptEncoding {
    /// The preference in thousandths; 1000 if it does not say.
    pub fn q(&self) -> u16 {
        self.param("q").flatten().and_then(|q| super::number::qvalue(q.as_bytes())).unwrap_or(1000)
    }
}
