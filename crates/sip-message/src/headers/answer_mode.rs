//! `Answer-Mode: Auto`

valued_field! {
    /// Whether the callee shall answer by itself (RFC 5373 §4).
    ///
    /// ```text
    /// Answer-Mode        =  "Answer-Mode" HCOLON answer-mode-value *(SEMI answer-mode-param)
    /// answer-mode-value  =  "Manual" / "Auto" / token
    /// ```
    AnswerMode, ANSWER_MODE, Single, token,
    /// `Manual`, `Auto`, or another token.
    mode
}
