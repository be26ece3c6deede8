//! `Max-Breadth: 60`

number_field! {
    /// Into how many branches the request may still be forked (RFC 5393 §5.3.3).
    ///
    /// ```text
    /// Max-Breadth  =  "Max-Breadth" HCOLON 1*DIGIT
    /// ```
    MaxBreadth, MAX_BREADTH
}
