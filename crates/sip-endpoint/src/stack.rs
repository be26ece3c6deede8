//! One endpoint and one core as a machine.

use crate::{
    Answer, Context, Core, Endpoint, EndpointConfig, Event, LookupError, Observation, Question,
    QuestionId,
};
use sip_io::{Receive, StateMachine, Transmit, earliest};
use sip_message::{
    HeaderField, HeaderValue, Method, Request, StatusCode,
    headers::{Allow, To},
};
use sip_transaction::ServerTransactionId;
use sip_transport::ListenerId;
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

/// One [`Endpoint`] and one [`Core`]: the machine that a driver runs.
///
/// What the core does not take is answered here: a method that does not exist gets 501 (RFC 3261 §8.2.1), a CANCEL that
/// matches nothing 481 (§9.2), a request inside a dialog that nobody knows 481 (§12.2.2), any other 405. An ACK is
/// dropped.
#[derive(Debug)]
pub struct Stack<C: Core> {
    endpoint: Endpoint,
    core: C,
    events: VecDeque<StackEvent<C::Event>>,
    /// When to go on with what was left for later
    resume: Option<Instant>,
    /// When something is due, as it stands since the last step: a driver asks more often than there are steps
    timeout: Option<Instant>,
}

/// What a [`Stack`] tells its owner.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StackEvent<E> {
    /// The core says something
    Core(E),
    /// A listener is open
    Listening {
        /// Which
        listener: ListenerId,
        /// Its address, with the port that the system chose
        local: SocketAddr,
    },
    /// A listener could not be opened
    ListenFailed {
        /// Which
        listener: ListenerId,
        /// Why
        reason: io::ErrorKind,
    },
    /// A certificate of ours ends soon; told once a day
    CertificateEnding {
        /// What it proves
        domains: Vec<String>,
        /// When it ends
        not_after: SystemTime,
    },
    /// A name is to be looked up and no nameserver is configured: answer with [`Stack::provide_answer`]
    LookupNeeded {
        /// The question's number
        id: QuestionId,
        /// What to ask
        question: Question,
    },
}

/// What the endpoint tells the owner past the core.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Listening {
        listener: ListenerId,
        local: SocketAddr,
    },
    ListenFailed {
        listener: ListenerId,
        reason: io::ErrorKind,
    },
    CertificateEnding {
        domains: Vec<String>,
        not_after: SystemTime,
    },
    LookupNeeded {
        id: QuestionId,
        question: Question,
    },
}

impl<C: Core> Stack<C> {
    /// A stack without listeners.
    pub fn new(config: EndpointConfig, core: C) -> Self {
        let mut stack = Self {
            endpoint: Endpoint::new(config),
            core,
            events: VecDeque::new(),
            resume: None,
            timeout: None,
        };
        stack.timeout = stack.next_timeout();
        stack
    }

    /// Gives commands to the core or the endpoint.
    pub fn command<R>(
        &mut self,
        now: Instant,
        command: impl FnOnce(&mut C, &mut Context<'_>) -> R,
    ) -> R {
        let result = command(
            &mut self.core,
            &mut Context {
                now,
                endpoint: &mut self.endpoint,
            },
        );
        self.settle(now);
        result
    }

    /// Gives the answer to [`StackEvent::LookupNeeded`].
    pub fn provide_answer(
        &mut self,
        now: Instant,
        id: QuestionId,
        answer: Result<Answer, LookupError>,
    ) {
        self.endpoint.provide_answer(now, id, answer);
        self.settle(now);
    }

    /// Refuses new work from now on and ends what is held; [`is_idle`](Self::is_idle) says when that is done.
    pub fn shutdown(&mut self, now: Instant) {
        self.core.shutdown(&mut Context {
            now,
            endpoint: &mut self.endpoint,
        });
        self.endpoint.probes.stop();
        self.settle(now);
    }

    /// The next observed message; see [`EndpointConfig::observe`].
    pub fn poll_observation(&mut self) -> Option<Observation> {
        self.endpoint.poll_observation()
    }

    /// The core.
    pub fn core(&self) -> &C {
        &self.core
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether nothing is owed: every request has an outcome, every call and registration has ended.
    pub fn is_idle(&self) -> bool {
        self.core.is_idle() && self.endpoint.is_idle()
    }

    /// Lets endpoint and core hand to each other until neither has anything for the other.
    fn settle(&mut self, now: Instant) {
        self.resume = None;
        self.endpoint.settle(now);
        for _ in 0..EVENTS_AT_ONCE {
            let Some(event) = self.endpoint.events.pop_front() else {
                break;
            };
            if self.endpoint.probes.take(&event) {
                continue;
            }
            let cx = &mut Context {
                now,
                endpoint: &mut self.endpoint,
            };
            match self.core.handle_event(cx, event) {
                Some(Event::Request { id, request, .. }) => self.refuse(now, id, &request),
                Some(Event::Ack { .. }) => self.endpoint.lost.unclaimed += 1,
                _ => {}
            }
            self.endpoint.settle(now);
        }
        let behind = !self.endpoint.events.is_empty();
        if behind {
            self.resume = Some(now + PAUSE);
        }
        // Who asks over a connection waits until there is time; a datagram may be lost.
        self.endpoint.transport.hold(behind);
        while let Some(notice) = self.endpoint.notices.pop_front() {
            self.events.push_back(match notice {
                Notice::Listening { listener, local } => StackEvent::Listening { listener, local },
                Notice::ListenFailed { listener, reason } => {
                    StackEvent::ListenFailed { listener, reason }
                }
                Notice::CertificateEnding { domains, not_after } => {
                    StackEvent::CertificateEnding { domains, not_after }
                }
                Notice::LookupNeeded { id, question } => StackEvent::LookupNeeded { id, question },
            });
        }
        self.timeout = self.next_timeout();
    }

    fn next_timeout(&self) -> Option<Instant> {
        earliest([
            self.endpoint.poll_timeout(),
            self.core.poll_timeout(),
            self.resume,
        ])
    }

    /// The answer to a request that no core took.
    fn refuse(&mut self, now: Instant, id: ServerTransactionId, request: &Request) {
        let method = request.method();
        let in_dialog = matches!(request.headers().get::<To>(), Some(Ok(to)) if to.tag().is_some());
        let status = if !method.is_known() {
            StatusCode::NOT_IMPLEMENTED
        } else if *method == Method::CANCEL || in_dialog {
            StatusCode::CALL_DOES_NOT_EXIST
        } else {
            StatusCode::METHOD_NOT_ALLOWED
        };
        let mut response = request.response(status).to_tag(self.endpoint.tag_for(id));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            // RFC 3261 §20.5: an Allow without a method says that none is served.
            response = response.raw_header(Allow::NAME, HeaderValue::from_static(""));
        }
        if let Err(error) = self.endpoint.respond(now, id, response.build()) {
            tracing::debug!(%error, "a request that nobody took was not answered");
        }
    }
}

impl<C: Core> StateMachine for Stack<C> {
    type Event = StackEvent<C::Event>;

    fn handle_receive(&mut self, now: Instant, receive: Receive) {
        self.endpoint.handle_receive(now, receive);
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.core.handle_timeout(&mut Context {
            now,
            endpoint: &mut self.endpoint,
        });
        self.settle(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        // The core's queue is as good as one here, and an event is not moved twice.
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let event = self.core.poll_event()?;
        Some(StackEvent::Core(event))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timeout
    }
}

/// How many events a core gets in one call. A flood, or a core that answers each failure by another request that fails
/// at once, is spread over time instead of holding up the driver.
const EVENTS_AT_ONCE: usize = 4_096;

/// How long what is left waits.
const PAUSE: Duration = Duration::from_millis(1);
