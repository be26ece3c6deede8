//! `Content-Disposition: session;handling=required`

valued_field! {
    /// What the body is for (RFC 3261 §20.11).
    ///
    /// ```text
    /// Content-Disposition  =  "Content-Disposition" HCOLON disp-type *( SEMI disp-param )
    /// disp-type            =  "render" / "session" / "icon" / "alert" / disp-extension-token
    /// ```
    ContentDisposition, CONTENT_DISPOSITION, Single, token,
    /// The type: `session`, `render`, `early-session`, …
    kind
}

impl ContentDisposition {
    /// Whether a body that is not understood may be ignored; by default it may not.
    pub fn is_optional(&self) -> bool {
        self.param("handling").flatten().is_some_and(|handling| handling.eq_ignore_ascii_case("optional"))
    }
}
