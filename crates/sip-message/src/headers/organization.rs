//! `Organization: Boxes by Bob`

text_field! {
    /// The organisation of the sender (RFC 3261 §20.25).
    ///
    /// ```text
    /// Organization  =  "Organization" HCOLON [TEXT-UTF8-TRIM]
    /// ```
    Organization, ORGANIZATION
}
