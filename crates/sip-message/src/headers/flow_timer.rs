//! `Flow-Timer: 126`

seconds_field! {
    /// How long the server holds a flow that is silent (RFC 5626 §11.2).
    ///
    /// ```text
    /// Flow-Timer  =  "Flow-Timer" HCOLON 1*DIGIT
    /// ```
    FlowTimer, FLOW_TIMER
}
