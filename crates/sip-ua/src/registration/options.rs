//! What may be asked of a registration.

use std::time::Duration;

use sip_message::Uri;

/// What may be said about a registration beyond whose it is.
///
/// ```
/// # use sip_ua::RegistrationOptions;
/// # use std::time::Duration;
/// let options = RegistrationOptions::new().expires(Duration::from_secs(3_600));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct RegistrationOptions {
    pub(super) registrar: Option<Uri>,
    pub(super) expires: Duration,
    pub(super) params: Vec<(String, Option<String>)>,
    pub(super) keep_alive: KeepAlivePolicy,
    pub(super) outbound: bool,
}

/// When the flow that a binding was made on is kept alive, so that requests find us behind address translators
/// (RFC 5626 §4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeepAlivePolicy {
    /// Never
    Never,
    /// Over datagrams when the registrar agrees, by `Require: outbound` (RFC 5626) or `keep` in the Via (RFC 6223), for
    /// which it is asked; on connections always, because line ends harm nobody, and silence counts as failure when it
    /// has agreed or once it has answered
    #[default]
    WhenAgreed,
    /// Always, because it is known that the registrar answers
    Always,
}

impl Default for RegistrationOptions {
    fn default() -> Self {
        Self {
            registrar: None,
            expires: Duration::from_secs(600),
            params: Vec::new(),
            keep_alive: KeepAlivePolicy::default(),
            outbound: false,
        }
    }
}

impl RegistrationOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registrar.
    ///
    /// Defaults to the domain of the address-of-record (RFC 3261 §10.2.6).
    #[must_use]
    pub fn registrar(mut self, registrar: Uri) -> Self {
        self.registrar = Some(registrar);
        self
    }

    /// How long a binding is asked for; the registrar may grant less, or insist on more (423).
    ///
    /// Defaults to 600 s, short enough that a lost binding is soon made again and long enough to cost nothing.
    #[must_use]
    pub const fn expires(mut self, expires: Duration) -> Self {
        self.expires = expires;
        self
    }

    /// When the flow of the binding is kept alive.
    ///
    /// Defaults to [`KeepAlivePolicy::WhenAgreed`].
    #[must_use]
    pub const fn keep_alive(mut self, policy: KeepAlivePolicy) -> Self {
        self.keep_alive = policy;
        self
    }

    /// Registers the flow itself (RFC 5626): requests to us come over it and no other. `instance` is a URN that stays the
    /// same for this device for ever, such as `urn:uuid:…`; `flow` numbers its flows from 1. Where the first hop cannot do
    /// its part (439), the Contact alone is registered.
    ///
    /// Defaults to no: the Contact alone says where we are.
    #[must_use]
    pub fn outbound(mut self, instance: &str, flow: u32) -> Self {
        let instance = ("+sip.instance".to_owned(), Some(format!("<{instance}>")));
        self.params.push(instance);
        self.params
            .push((REG_ID.to_owned(), Some(flow.to_string())));
        self.outbound = true;
        self
    }

    /// A parameter of the Contact that is registered; each call adds one.
    ///
    /// Defaults to none.
    #[must_use]
    pub fn contact_param(mut self, name: impl Into<String>, value: Option<String>) -> Self {
        self.params.push((name.into(), value));
        self
    }
}

/// The parameter that says which flow of the device it is (RFC 5626 §4.2.1).
pub(super) const REG_ID: &str = "reg-id";
