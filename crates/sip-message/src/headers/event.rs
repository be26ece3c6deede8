//! `Event: presence;id=7`

valued_field! {
    /// The event package of a subscription (RFC 6665 §8.2.1).
    ///
    /// ```text
    /// Event       =  ( "Event" / "o" ) HCOLON event-type *( SEMI event-param )
    /// event-type  =  event-package *( "." event-template )
    /// ```
    Event, EVENT, Single, token,
    /// The event type: `presence`, `presence.winfo`.
    package
}

impl Event {
    /// What tells apart two subscriptions to the same package in one dialog.
    pub fn id(&self) -> Option<std::borrow::Cow<'_, str>> {
        self.param("id").flatten()
    }

    /// Whether both name the same package and the same id (RFC 6665 §8.2.1).
    pub fn matches(&self, other: &Self) -> bool {
        self.package() == other.package() && self.id() == other.id()
    }
}
