//! Placing a call.

use crate::{
    Call,
    calls::{CallHandle, Note},
    error::{CallError, RequestError},
    queue::Queue,
    shared::Shared,
};
use bytes::Bytes;
use sip_message::{HeaderField, HeaderName, HeaderValue, ParseError, Response, Uri};
use sip_ua::{CallId, CallOptions, Cause, DialogKey, Identity, Offer};
use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

/// A call to be: set more, then await it, or [`start`](Self::start) it to follow its progress.
///
/// Awaiting resolves when the call is answered and the ACK is on its way. Dropping the future before sends CANCEL
/// (after a provisional response, as RFC 3261 §9.1 asks), and a 200 that crosses it is acknowledged and hung up.
#[must_use = "a call is placed when it is awaited or started"]
pub struct Dial {
    shared: Shared,
    identity: Identity,
    uri: Result<Uri, ParseError>,
    options: CallOptions,
    session: Option<Bytes>,
}

impl Dial {
    pub(crate) fn new(shared: Shared, identity: Identity, uri: Result<Uri, ParseError>) -> Self {
        Self {
            shared,
            identity,
            uri,
            options: CallOptions::new(),
            session: None,
        }
    }

    /// A header field of the INVITE beyond those that the stack writes; each call adds one.
    pub fn header<H: HeaderField>(self, field: H) -> Self {
        self.raw_header(H::NAME, field.value())
    }

    /// A header field of the INVITE by its name; each call adds one.
    pub fn raw_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.options = self.options.header(name, value);
        self
    }

    /// How long it may ring before it is cancelled. Defaults to 5 minutes.
    pub fn ring_for(mut self, time: Duration) -> Self {
        self.options = self.options.ring_for(time);
        self
    }

    /// The application's own session description as the offer, instead of audio of ours: then no media of ours is
    /// sent, and [`Call::remote_session`] has the answer.
    pub fn session(mut self, offer: impl Into<Bytes>) -> Self {
        let offer = offer.into();
        self.options = self.options.offer(Offer::Given(offer.clone()));
        self.session = Some(offer);
        self
    }

    /// Sends the INVITE, and gives the attempt to follow.
    ///
    /// # Errors
    ///
    /// When the URI did not parse, or no call can be placed now.
    pub async fn start(self) -> Result<Calling, CallError> {
        let uri = self.uri.map_err(RequestError::from)?;
        let (identity, options, raw) = (self.identity, self.options, self.session);
        let notes = Queue::new(NOTES);
        let told = notes.clone();
        let started = self.shared.command(move |machine, app, now| {
            let id = machine.ua(now, |ua, cx| ua.call(cx, &identity, uri.clone(), options))?;
            let handle = app.calls.outgoing(id, uri, told, raw);
            Ok::<_, sip_ua::StartError>((id, handle))
        });
        match started.await {
            Ok(Ok((id, handle))) => Ok(Calling {
                shared: self.shared,
                id,
                handle,
                notes,
                over: false,
            }),
            Ok(Err(error)) => Err(RequestError::from(error).into()),
            Err(_) => Err(CallError::Gone),
        }
    }
}

impl IntoFuture for Dial {
    type Output = Result<Call, CallError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut calling = self.start().await?;
            while let Some(progress) = calling.next().await {
                match progress {
                    Progress::Answered(call) => return Ok(call),
                    Progress::Failed(error) => return Err(error),
                    _ => {}
                }
            }
            Err(CallError::Gone)
        })
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// An attempt at a call. Dropping it, or [`cancel`](Self::cancel), gives it up; after [`Progress::Answered`] the call
/// belongs to its [`Call`].
#[must_use = "an attempt that is dropped is cancelled"]
pub struct Calling {
    shared: Shared,
    id: CallId,
    handle: CallHandle,
    notes: Queue<Note>,
    over: bool,
}

/// What happens while a call is placed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress {
    /// It rings somewhere
    Ringing(EarlyDialog),
    /// Somewhere there is something to hear before the answer; the newest is heard
    EarlyMedia(EarlyDialog),
    /// One of several places gave up
    Ended(EarlyDialog),
    /// Somebody answered; this is the last
    Answered(Call),
    /// Nobody answered; this is the last
    Failed(CallError),
}

/// One of the places where a forked call rings: a name, comparable and harmless when stale.
#[derive(Clone, Debug)]
pub struct EarlyDialog {
    key: Option<DialogKey>,
    response: Option<Box<Response>>,
}

impl EarlyDialog {
    /// Who rings, as the To of its response says.
    pub fn remote(&self) -> String {
        let to = self
            .response
            .as_ref()
            .and_then(|response| response.to().ok());
        to.map(|to| to.to_string()).unwrap_or_default()
    }

    /// The last provisional response of the place, unless it has ended.
    pub fn response(&self) -> Option<&Response> {
        self.response.as_deref()
    }
}

impl PartialEq for EarlyDialog {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for EarlyDialog {}

impl Calling {
    /// What happens next; `None` after [`Progress::Answered`] or [`Progress::Failed`]. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Progress> {
        if self.over {
            return None;
        }
        let progress = match self.notes.next().await {
            Some(Note::Ringing { dialog, response }) => Progress::Ringing(EarlyDialog {
                key: dialog,
                response: Some(response),
            }),
            Some(Note::EarlyMedia { dialog, response }) => Progress::EarlyMedia(EarlyDialog {
                key: Some(dialog),
                response,
            }),
            Some(Note::EarlyEnded { dialog }) => Progress::Ended(EarlyDialog {
                key: Some(dialog),
                response: None,
            }),
            Some(Note::Established) => {
                self.over = true;
                Progress::Answered(Call::new(self.shared.clone(), self.id, self.handle.clone()))
            }
            None => {
                self.over = true;
                Progress::Failed(self.failure())
            }
        };
        Some(progress)
    }

    /// Gives the attempt up and waits until it is over.
    ///
    /// A 200 that crossed the CANCEL is acknowledged and hung up. After [`Progress::Answered`] there is nothing to give
    /// up: the [`Call`] goes on.
    pub async fn cancel(mut self) {
        if self.over {
            return;
        }
        self.give_up();
        self.handle.ended.wait().await;
    }

    fn give_up(&mut self) {
        if !self.over {
            self.over = true;
            let id = self.id;
            self.shared.post(move |machine, _, now| {
                // It may be over by itself.
                machine.ua(now, |ua, cx| ua.hang_up(cx, id)).ok();
            });
        }
    }

    fn failure(&self) -> CallError {
        let Some(ended) = self.handle.ended.get() else {
            return CallError::Gone;
        };
        match (&ended.ended.cause, &ended.ended.response) {
            (Cause::Cancelled, _) => CallError::Cancelled,
            (Cause::Expired, _) => CallError::NoAnswer,
            (Cause::NoSession, _) => CallError::NoSession,
            (Cause::Failed(failure), _) => CallError::Request(failure.clone().into()),
            (_, Some(response)) => CallError::Rejected(response.clone()),
            _ => CallError::Gone,
        }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// How many notes of an attempt are kept; further provisional ones are lost, the outcome never.
const NOTES: usize = 64;
