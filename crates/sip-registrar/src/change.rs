//! The rules of a registration as a pure function (RFC 3261 §10.3 steps 6 and 7).

use crate::Binding;
use sip_io::Flow;
use sip_message::{
    ParseError, Request, StatusCode, Uri,
    headers::{CallId, Contact, Expires, Path, UserAgent},
};
use std::time::{Duration, SystemTime};

/// How long bindings may be, and how many there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub(crate) default_expires: Duration,
    pub(crate) min_expires: Duration,
    pub(crate) max_expires: Duration,
    pub(crate) bindings: usize,
    pub(crate) flow_timer: Option<Duration>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            default_expires: Duration::from_secs(3_600),
            min_expires: Duration::from_secs(10),
            max_expires: Duration::from_secs(7_200),
            bindings: 16,
            flow_timer: Some(Duration::from_secs(120)),
        }
    }
}

impl Terms {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a binding is that does not say. Defaults to an hour, as RFC 3261 §10.2 has it.
    pub const fn default_expires(mut self, time: Duration) -> Self {
        self.default_expires = time;
        self
    }

    /// The shortest binding; one that asks for less, and for less than an hour, gets 423 (RFC 3261 §10.3 step 7).
    /// Defaults to ten seconds: RFC 3261 §10.3 asks to refuse only what would degrade the registrar.
    pub const fn min_expires(mut self, time: Duration) -> Self {
        self.min_expires = time;
        self
    }

    /// The longest binding; one that asks for more gets this. Defaults to two hours, so that what is forgotten does not
    /// stay.
    pub const fn max_expires(mut self, time: Duration) -> Self {
        self.max_expires = time;
        self
    }

    /// How many bindings an address-of-record may have. Defaults to 16; above it a REGISTER gets 503.
    pub const fn bindings(mut self, limit: usize) -> Self {
        self.bindings = limit;
        self
    }

    /// How often a device that manages its flows has to say something on a connection to us: what Flow-Timer tells it
    /// (RFC 5626 §5.4). One on which nothing comes for 32 s longer is closed, and its binding goes with it.
    ///
    /// Defaults to 120 s, which is what devices do anyway. `None` tells nothing and waits as long as for any connection.
    pub const fn flow_timer(mut self, time: Option<Duration>) -> Self {
        self.flow_timer = time;
        self
    }
}

/// What a REGISTER wants done to the bindings of an address-of-record.
///
/// [`apply`](Self::apply) holds every rule of RFC 3261 §10.3 and does nothing but compute, so a store of an
/// application's own only reads, applies and swaps, as often as it takes.
///
/// ```
/// use sip_message::Request;
/// use sip_registrar::{Change, Terms};
/// use std::time::SystemTime;
///
/// let register = Request::parse(
///     "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1\r\n\
///      From: <sip:bob@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 7 REGISTER\r\n\
///      Max-Forwards: 70\r\nContact: <sip:bob@192.0.2.4>;expires=600\r\n\r\n".into(),
/// )?;
/// let change = Change::from_request(&register, Terms::new(), SystemTime::UNIX_EPOCH)?;
/// let bindings = change.apply(Vec::new())?;
/// assert_eq!(bindings[0].uri().to_string(), "sip:bob@192.0.2.4");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Change {
    terms: Terms,
    at: SystemTime,
    call_id: CallId,
    cseq: u32,
    expires: Option<Duration>,
    contacts: Vec<(Contact, Option<Flow>)>,
    path: Vec<Uri>,
    /// RFC 5630 §5.2: Request-URI, every Contact and every Path are `sips`
    secure: bool,
    /// RFC 5626 §6: reg-id counts
    outbound: bool,
    user_agent: Option<String>,
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// `Contact: *` beside another Contact, or without `Expires: 0`
    #[error("Contact * needs Expires: 0 and stands alone")]
    Wildcard,
    /// The same Call-ID with a CSeq that is not higher than the last one
    #[error("CSeq {received} is not above {last}")]
    OutOfOrder {
        /// The CSeq number of the request
        received: u32,
        /// The highest seen
        last: u32,
    },
    /// A binding that is shorter than we keep any
    #[error("an expiry below {minimum:?}")]
    TooBrief {
        /// The shortest that is accepted
        minimum: Duration,
    },
    /// More bindings than an address-of-record may have
    #[error("more than {limit} bindings")]
    TooMany {
        /// The limit
        limit: usize,
    },
    /// More than one binding at once from a device that manages its flows (RFC 5626 §6)
    #[error("more than one Contact beside a reg-id")]
    SeveralFlows,
    /// A `sips` Contact that did not come by `sips` alone (RFC 5630 §5.2)
    #[error("a sips Contact needs sips in Request-URI, Path and every Contact")]
    Insecure,
}

impl ChangeError {
    /// The status of the response: 400, 423, 500 or 503.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::TooBrief { .. } => StatusCode::INTERVAL_TOO_BRIEF,
            Self::TooMany { .. } => StatusCode::SERVICE_UNAVAILABLE,
            // RFC 3261 §10.3 step 7: an update that fails makes the request fail with 500.
            Self::OutOfOrder { .. } => StatusCode::SERVER_INTERNAL_ERROR,
            Self::Wildcard | Self::SeveralFlows | Self::Insecure => StatusCode::BAD_REQUEST,
        }
    }
}

impl Change {
    /// Reads what a REGISTER wants, at the date `at`.
    ///
    /// # Errors
    ///
    /// When a header field that counts cannot be read.
    pub fn from_request(
        request: &Request,
        terms: Terms,
        at: SystemTime,
    ) -> Result<Self, ParseError> {
        let headers = request.headers();
        // What is kept for hours does not keep the message that it came in.
        let own = |uri: &Uri| Uri::parse(uri.as_bytes());
        let contacts: Vec<(Contact, Option<Flow>)> = headers
            .all::<Contact>()
            .map(|contact| contact.and_then(|contact| Ok((contact.to_string().parse()?, None))))
            .collect::<Result<_, _>>()?;
        let path: Vec<Uri> = headers
            .all::<Path>()
            .map(|path| path.and_then(|path| own(path.uri())))
            .collect::<Result<_, _>>()?;
        let mut ways = contacts
            .iter()
            .map(|(contact, _)| contact.uri())
            .chain(&path);
        Ok(Self {
            secure: request.uri().is_sips() && ways.all(Uri::is_sips),
            terms,
            at,
            call_id: request.call_id()?.as_str().parse()?,
            cseq: request.cseq()?.number(),
            // RFC 3261 §10.2.1.1: what cannot be read says nothing.
            expires: headers
                .get::<Expires>()
                .and_then(Result::ok)
                .map(Expires::duration),
            contacts,
            path,
            outbound: false,
            user_agent: headers
                .get::<UserAgent>()
                .and_then(Result::ok)
                .map(|agent| agent.text().into_owned()),
        })
    }

    /// The flow on which each Contact is reached, where it does not lead there by itself. Defaults to none.
    #[must_use]
    pub fn reached_by(mut self, flow: impl Fn(&Contact) -> Option<Flow>) -> Self {
        for (contact, reached_by) in &mut self.contacts {
            *reached_by = flow(contact);
        }
        self
    }

    /// Whether `reg-id` counts: the user agent supports RFC 5626, and so does the first hop.
    #[must_use]
    pub const fn outbound(mut self, outbound: bool) -> Self {
        self.outbound = outbound;
        self
    }

    /// Whether nothing is to be changed: a REGISTER without Contact asks for the bindings (RFC 3261 §10.2.3).
    pub fn is_query(&self) -> bool {
        self.contacts.is_empty()
    }

    /// Whether some of it made a binding under RFC 5626, so that the response says `Require: outbound`.
    pub fn is_outbound(&self) -> bool {
        self.outbound
            && self
                .contacts
                .iter()
                .any(|(contact, _)| is_flow_of_device(contact))
    }

    /// The flow of the device that made a binding under RFC 5626, if it leads to us directly.
    pub(crate) fn flow_of_device(&self) -> Option<Flow> {
        let mut contacts = self.contacts.iter().filter(|_| self.outbound);
        let (_, flow) = contacts.find(|(contact, _)| is_flow_of_device(contact))?;
        *flow
    }

    /// The date at which it was asked for.
    pub const fn at(&self) -> SystemTime {
        self.at
    }

    /// The bindings after the change, without those that have ended; all of it or, on error, nothing.
    ///
    /// # Errors
    ///
    /// When the request breaks a rule of RFC 3261 §10.3 or RFC 5626 §6, or a limit.
    pub fn apply(&self, mut bindings: Vec<Binding>) -> Result<Vec<Binding>, ChangeError> {
        bindings.retain(|binding| !binding.is_expired(self.at));
        if self.contacts.iter().any(|(contact, _)| contact.is_star()) {
            return self.remove_all(bindings);
        }
        self.check_flows()?;
        for (contact, flow) in &self.contacts {
            let new = self.binding(contact, *flow, self.lifetime(contact)?);
            if contact.uri().is_sips() && !self.secure && !new.is_expired(self.at) {
                return Err(ChangeError::Insecure);
            }
            match bindings.iter().position(|old| new.replaces(old)) {
                Some(place) => {
                    self.check_order(&bindings[place])?;
                    if new.is_expired(self.at) {
                        bindings.remove(place);
                    } else {
                        bindings[place] = new;
                    }
                }
                None if new.is_expired(self.at) => {}
                None => bindings.push(new),
            }
        }
        if bindings.len() > self.terms.bindings && !self.is_query() {
            return Err(ChangeError::TooMany {
                limit: self.terms.bindings,
            });
        }
        Ok(bindings)
    }

    /// RFC 3261 §10.3 step 6.
    fn remove_all(&self, bindings: Vec<Binding>) -> Result<Vec<Binding>, ChangeError> {
        if self.contacts.len() > 1 || self.expires != Some(Duration::ZERO) {
            return Err(ChangeError::Wildcard);
        }
        bindings
            .iter()
            .try_for_each(|binding| self.check_order(binding))?;
        Ok(Vec::new())
    }

    fn check_order(&self, binding: &Binding) -> Result<(), ChangeError> {
        if binding.call_id == self.call_id && binding.cseq >= self.cseq {
            return Err(ChangeError::OutOfOrder {
                received: self.cseq,
                last: binding.cseq,
            });
        }
        Ok(())
    }

    /// RFC 5626 §6: one flow, one registration.
    fn check_flows(&self) -> Result<(), ChangeError> {
        let contacts = || self.contacts.iter().map(|(contact, _)| contact);
        let kept = || contacts().filter(|contact| self.requested(contact) > Duration::ZERO);
        if self.outbound && kept().count() > 1 && kept().any(is_flow_of_device) {
            return Err(ChangeError::SeveralFlows);
        }
        Ok(())
    }

    fn requested(&self, contact: &Contact) -> Duration {
        contact
            .expires()
            .or(self.expires)
            .unwrap_or(self.terms.default_expires)
    }

    fn lifetime(&self, contact: &Contact) -> Result<Duration, ChangeError> {
        let requested = self.requested(contact);
        let minimum = self.terms.min_expires;
        // RFC 3261 §10.3 step 7: only what is less than an hour may be refused.
        if requested > Duration::ZERO
            && requested < minimum
            && requested < Duration::from_secs(3_600)
        {
            return Err(ChangeError::TooBrief { minimum });
        }
        Ok(requested.min(self.terms.max_expires))
    }

    fn binding(&self, contact: &Contact, flow: Option<Flow>, lifetime: Duration) -> Binding {
        // The parameter would be stale the second after; each response brings a fresh one.
        let mut bare = contact.clone();
        bare.remove_param("expires");
        let counts = self.outbound && is_flow_of_device(contact);
        Binding {
            path: self.path.clone(),
            flow,
            instance: contact.instance(),
            reg_id: contact.reg_id().filter(|_| counts),
            user_agent: self.user_agent.clone(),
            ..Binding::new(bare, self.at + lifetime, self.call_id.clone(), self.cseq)
        }
    }
}

/// RFC 5626 §6: a reg-id without an instance is no reg-id.
pub(crate) fn is_flow_of_device(contact: &Contact) -> bool {
    contact.reg_id().is_some() && contact.instance().is_some()
}

#[cfg(test)]
mod tests;
