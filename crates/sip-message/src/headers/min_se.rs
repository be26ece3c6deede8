//! `Min-SE: 90`

numbered_field! {
    /// The shortest session interval that is accepted (RFC 4028 §5).
    ///
    /// ```text
    /// Min-SE  =  "Min-SE" HCOLON delta-seconds *(SEMI generic-param)
    /// ```
    MinSe, MIN_SE,
    /// The interval in seconds.
    seconds
}
