//! `RSeq: 988789`

number_field! {
    /// The number of a reliable provisional response (RFC 3262 §7.1).
    ///
    /// ```text
    /// RSeq  =  "RSeq" HCOLON response-num
    /// ```
    RSeq, RSEQ
}
