//! `Min-Expires: 60`

seconds_field! {
    /// The shortest lifetime that is accepted (RFC 3261 §20.23).
    ///
    /// ```text
    /// Min-Expires  =  "Min-Expires" HCOLON delta-seconds
    /// ```
    MinExpires, MIN_EXPIRES
}
