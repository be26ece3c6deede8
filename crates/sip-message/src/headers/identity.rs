//! `Identity: eyJhbGciOiJFUzI1NiJ9..sig;info=<https://cert.example.org/passport.cer>;alg=ES256;ppt=shaken`

valued_field! {
    /// A signature over who calls whom (RFC 8224 §4).
    ///
    /// ```text
    /// Identity                =  "Identity" HCOLON signed-identity-digest SEMI ident-info *( SEMI ident-info-params )
    /// signed-identity-digest  =  1*(base64-char / ".")
    /// ident-info              =  "info" EQUAL LAQUOT absoluteURI RAQUOT
    /// ```
    Identity, IDENTITY, Single, any_value,
    /// The PASSporT, whole or without header and payload.
    digest
}

impl Identity {
    /// Where the certificate is, without angle brackets.
    pub fn info(&self) -> Option<String> {
        let info = self.param("info").flatten()?;
        Some(info.trim_start_matches('<').trim_end_matches('>').to_owned())
    }
}
