//! Requests outside dialogs.

use crate::{
    app::Answered,
    error::{MessageError, RequestError},
    shared::Shared,
};
use bytes::Bytes;
use futures_channel::oneshot;
use sip_io::Flow;
use sip_message::{
    HeaderField, HeaderName, HeaderValue, Method, ParseError, Response, StatusCode, Uri,
    headers::ContentType,
};
use sip_ua::{Identity, RequestOptions};
use std::{
    fmt,
    future::{Future, IntoFuture},
    net::SocketAddr,
    pin::Pin,
    time::{Duration, Instant},
};

/// A request outside dialogs: set more, then await its final response.
///
/// Any final response is an answer, also one of 300 and above; challenges are answered with the account's credentials
/// before. Dropping the future forgets the result: a request other than INVITE cannot be taken back (RFC 4320), its
/// transaction ends by its timers.
#[must_use = "a request is sent when it is awaited"]
pub struct Outgoing {
    shared: Shared,
    identity: Identity,
    method: Method,
    uri: Result<Uri, ParseError>,
    options: RequestOptions,
}

impl Outgoing {
    pub(crate) fn new(
        shared: Shared,
        identity: Option<Identity>,
        method: Method,
        uri: Result<Uri, ParseError>,
    ) -> Self {
        Self {
            shared,
            identity: identity.unwrap_or_else(nobody),
            method,
            uri,
            options: RequestOptions::new().deadline(TIMER_F),
        }
    }

    /// A header field beyond those that the stack writes; each call adds one.
    pub fn header<H: HeaderField>(self, field: H) -> Self {
        self.raw_header(H::NAME, field.value())
    }

    /// A header field by its name; each call adds one.
    pub fn raw_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.options = self.options.header(name, value);
        self
    }

    /// The body and its type. Defaults to none.
    pub fn body(mut self, content_type: ContentType, body: impl Into<Bytes>) -> Self {
        self.options = self.options.body(content_type, body.into());
        self
    }

    /// The longest that all attempts together may take. Defaults to 32 s, one Timer F.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.deadline(timeout);
        self
    }

    async fn send(self) -> Result<(Response, Flow), RequestError> {
        let uri = self.uri?;
        let (identity, method, options) = (self.identity, self.method, self.options);
        let (sender, receiver) = oneshot::channel::<Answered>();
        let sent = self.shared.command(move |machine, app, now| {
            let request = machine.ua(now, |ua, cx| {
                ua.request(cx, &identity, method, uri, options)
            })?;
            app.requests.insert(request, sender);
            Ok::<_, sip_ua::StartError>(())
        });
        match sent.await {
            Ok(Ok(())) => {
                let (response, flow) = receiver.await.unwrap_or(Err(RequestError::Gone))?;
                Ok((*response, flow))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(RequestError::Gone),
        }
    }
}

impl IntoFuture for Outgoing {
    type Output = Result<Response, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.send().await.map(|(response, _)| response) })
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

/// A text for somebody (RFC 3428): set more, then await that it was taken. See
/// [`Account::message`](crate::Account::message).
///
/// Dropping the future forgets the result, as with [`Outgoing`].
#[derive(Debug)]
#[must_use = "a message is sent when it is awaited"]
pub struct OutgoingMessage(Outgoing);

impl OutgoingMessage {
    pub(crate) fn new(request: Outgoing) -> Self {
        Self(request)
    }

    /// A header field beyond those that the stack writes; each call adds one.
    pub fn header<H: HeaderField>(self, field: H) -> Self {
        Self(self.0.header(field))
    }

    /// A header field by its name; each call adds one.
    pub fn raw_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self(self.0.raw_header(name, value))
    }

    /// Something else than the text.
    pub fn body(self, content_type: ContentType, body: impl Into<Bytes>) -> Self {
        Self(self.0.body(content_type, body))
    }

    /// The longest that all attempts together may take. Defaults to 32 s, one Timer F.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.timeout(timeout))
    }
}

impl IntoFuture for OutgoingMessage {
    type Output = Result<Response, MessageError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (response, _) = self.0.send().await?;
            if response.status().is_success() {
                Ok(response)
            } else {
                Err(MessageError::Rejected(Box::new(response)))
            }
        })
    }
}

/// An OPTIONS request: a ping. See [`UserAgent::options`](crate::UserAgent::options).
#[derive(Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct Options(Outgoing);

impl Options {
    pub(crate) fn new(shared: Shared, uri: Result<Uri, ParseError>) -> Self {
        Self(Outgoing::new(shared, None, Method::OPTIONS, uri))
    }

    /// A header field beyond those that the stack writes; each call adds one.
    pub fn header<H: HeaderField>(self, field: H) -> Self {
        Self(self.0.header(field))
    }

    /// The longest that all attempts together may take. Defaults to 32 s, one Timer F.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.timeout(timeout))
    }
}

impl IntoFuture for Options {
    type Output = Result<Pong, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let runtime = self.0.shared.runtime.clone();
            let start = runtime.now();
            let (response, flow) = self.0.send().await?;
            Ok(Pong {
                response,
                flow,
                round_trip: elapsed(start, runtime.now()),
            })
        })
    }
}

fn elapsed(start: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(start)
}

/// Somebody answered: whoever answers lives, also with 404.
#[derive(Clone, Debug)]
pub struct Pong {
    response: Response,
    flow: Flow,
    round_trip: Duration,
}

impl Pong {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Who answered.
    pub fn remote(&self) -> SocketAddr {
        self.flow.remote()
    }

    /// From the wish to send to the final response: looking up the name and connecting included.
    pub fn round_trip(&self) -> Duration {
        self.round_trip
    }

    /// The whole answer.
    pub fn response(&self) -> &Response {
        &self.response
    }
}

/// Who asks when no account does (RFC 3261 §8.1.1.3).
fn nobody() -> Identity {
    Identity::new(Uri::sip("anonymous", "anonymous.invalid").expect("a user and a host are a URI"))
}

/// 64×T1: what a request other than INVITE has.
const TIMER_F: Duration = Duration::from_secs(32);
