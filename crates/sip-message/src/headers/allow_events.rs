//! `Allow-Events: presence, dialog`

token_list_field! {
    /// Event packages that are supported (RFC 6665 §8.2.2).
    ///
    /// ```text
    /// Allow-Events  =  ( "Allow-Events" / "u" ) HCOLON event-type *(COMMA event-type)
    /// ```
    AllowEvents, ALLOW_EVENTS
}
