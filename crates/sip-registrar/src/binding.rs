//! What an address-of-record is bound to.

use sip_io::Flow;
use sip_message::{
    Uri,
    headers::{CallId, Contact},
};
use std::time::{Duration, SystemTime};

/// One way to reach the user of an address-of-record (RFC 3261 §10.2.1).
///
/// Its fields are plain, so that a store of an application's own can write and read them; times are dates, so that they
/// mean the same after a restart.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Binding {
    /// The Contact with all its parameters, as the user agent wrote it
    pub contact: Contact,
    /// When it ends
    pub expires_at: SystemTime,
    /// The Call-ID of the REGISTER that made or refreshed it
    pub call_id: CallId,
    /// The CSeq number of that REGISTER
    pub cseq: u32,
    /// The Path of that REGISTER: the Routes of requests to the user agent (RFC 3327 §5.3), the next hop first
    pub path: Vec<Uri>,
    /// The flow on which the user agent itself is reached, when its Contact alone does not lead there; `None` for a
    /// Contact that is located like any URI, and after the flow was closed
    pub flow: Option<Flow>,
    /// The device, if it said which (RFC 5626 §4.1)
    pub instance: Option<String>,
    /// Which of the device's flows this is, when it manages them (RFC 5626 §4.2): then the flow is the only way, and
    /// the binding goes with it
    pub reg_id: Option<u32>,
    /// The User-Agent of the REGISTER
    pub user_agent: Option<String>,
}

impl Binding {
    /// A binding to `contact` alone: no Path, flow or instance.
    pub const fn new(contact: Contact, expires_at: SystemTime, call_id: CallId, cseq: u32) -> Self {
        Self {
            contact,
            expires_at,
            call_id,
            cseq,
            path: Vec::new(),
            flow: None,
            instance: None,
            reg_id: None,
            user_agent: None,
        }
    }

    /// The Contact's URI: the Request-URI of requests to the user agent.
    pub const fn uri(&self) -> &Uri {
        self.contact.uri()
    }

    /// How much it is preferred, in thousandths; 1,000 when the user agent did not say (RFC 3261 §20.10).
    pub fn q(&self) -> u16 {
        self.contact.q().unwrap_or(1_000).min(1_000)
    }

    /// How long it still is at `at`, zero once it has ended.
    pub fn remaining(&self, at: SystemTime) -> Duration {
        self.expires_at.duration_since(at).unwrap_or(Duration::ZERO)
    }

    /// Whether it has ended.
    pub fn is_expired(&self, at: SystemTime) -> bool {
        self.expires_at <= at
    }

    /// Whether the user agent manages its flows (RFC 5626): the flow is then the only way to it.
    pub const fn is_outbound(&self) -> bool {
        self.reg_id.is_some() && self.instance.is_some()
    }

    /// Whether `other` binds the same thing: the same flow of the same device (RFC 5626 §6), else an equivalent Contact
    /// (RFC 3261 §19.1.4).
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        if self.is_outbound() || other.is_outbound() {
            return self.instance == other.instance && self.reg_id == other.reg_id;
        }
        self.uri().equivalent(other.uri())
    }

    /// The Contact of a response: with the time that remains (RFC 3261 §10.3 step 8).
    pub(crate) fn contact_at(&self, at: SystemTime) -> Contact {
        // Rounded up, so that a refresh in good time is never told zero.
        let remaining = self.remaining(at) + Duration::from_millis(999);
        self.contact.clone().with_expires(remaining)
    }
}
