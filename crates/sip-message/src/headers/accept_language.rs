//! `Accept-Language: da, en-gb;q=0.8, en;q=0.7`

valued_field! {
    /// A language that is accepted (RFC 3261 §20.3).
    ///
    /// ```text
    /// Accept-Language  =  "Accept-Language" HCOLON [ language *(COMMA language) ]
    /// language         =  language-range *(SEMI accept-param)
    /// ```
    AcceptLanguage, ACCEPT_LANGUAGE, List, token,
    /// The language: `en-gb`, `*`.
    language
}

impl AcceptLanguage {
    /// The preference in thousandths; 1000 if it does not say.
    pub fn q(&self) -> u16 {
        self.param("q").flatten().and_then(|q| super::number::qvalue(q.as_bytes())).unwrap_or(1000)
    }
}
