//! `Subject: lunch`

text_field! {
    /// What the call is about (RFC 3261 §20.36).
    ///
    /// ```text
    /// Subject  =  ( "Subject" / "s" ) HCOLON [TEXT-UTF8-TRIM]
    /// ```
    Subject, SUBJECT
}
