//! `Priority: emergency`

token_field! {
    /// How urgent the request is to people (RFC 3261 §20.26).
    ///
    /// ```text
    /// Priority        =  "Priority" HCOLON priority-value
    /// priority-value  =  "emergency" / "urgent" / "normal" / "non-urgent" / token
    /// ```
    Priority, PRIORITY
}
