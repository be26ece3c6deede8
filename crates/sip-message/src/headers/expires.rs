//! `Expires: 3600`

seconds_field! {
    /// How long something lasts (RFC 3261 §20.19).
    ///
    /// ```text
    /// Expires  =  "Expires" HCOLON delta-seconds
    /// ```
    Expires, EXPIRES
}
