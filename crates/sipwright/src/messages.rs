//! Texts that come (RFC 3428).

use crate::{queue::Queue, shared::Shared};
use bytes::Bytes;
use futures_util::Stream;
use sip_endpoint::ServerTransactionId;
use sip_io::{Flow, Shard};
use sip_message::{Method, Request, StatusCode, headers};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A MESSAGE that wants an answer: [`accept`](Self::accept) or [`reject`](Self::reject). Dropping it answers 500, so
/// that nothing is lost silently.
#[must_use = "a message that is dropped is answered 500"]
pub struct IncomingMessage {
    shared: Shared,
    id: ServerTransactionId,
    request: Box<Request>,
    flow: Flow,
    answered: bool,
}

/// A message before someone takes it.
pub(crate) struct Delivered {
    /// Whose message it is
    pub(crate) shard: Shard,
    pub(crate) id: ServerTransactionId,
    pub(crate) request: Box<Request>,
    pub(crate) flow: Flow,
}

impl IncomingMessage {
    fn new(shared: &Shared, delivered: Delivered) -> Self {
        let Delivered {
            shard,
            id,
            request,
            flow,
        } = delivered;
        Self {
            shared: shared.on(shard),
            id,
            request,
            flow,
            answered: false,
        }
    }

    /// Who sent it, as From says.
    pub fn from(&self) -> String {
        self.request
            .from()
            .map(|from| from.uri().to_string())
            .unwrap_or_default()
    }

    /// The text, when it is one: `text/plain` in UTF-8.
    pub fn text(&self) -> Option<&str> {
        let plain = match self.request.headers().get::<headers::ContentType>() {
            Some(Ok(content_type)) => content_type.is("text/plain"),
            Some(Err(_)) => false,
            None => true,
        };
        if plain {
            std::str::from_utf8(self.body()).ok()
        } else {
            None
        }
    }

    /// The body, whatever it is.
    pub fn body(&self) -> &Bytes {
        self.request.body()
    }

    /// The whole request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// What it came on.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Answers 200: it was delivered.
    pub fn accept(self) {
        self.answer(StatusCode::OK);
    }

    /// Answers with another status.
    pub fn reject(self, status: StatusCode) {
        self.answer(status);
    }

    fn answer(mut self, status: StatusCode) {
        self.answered = true;
        self.respond(status);
    }

    fn respond(&self, status: StatusCode) {
        let (id, response) = (self.id, self.request.response(status));
        self.shared.post(move |machine, _, now| {
            // It came too late when the transaction is gone.
            machine
                .ua(now, |ua, cx| ua.respond(cx, id, response.build()))
                .ok();
        });
    }
}

impl Drop for IncomingMessage {
    fn drop(&mut self) {
        if !self.answered {
            self.respond(StatusCode::SERVER_INTERNAL_ERROR);
        }
    }
}

impl fmt::Debug for IncomingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingMessage")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Messages as they come; see [`UserAgent::messages`](crate::UserAgent::messages).
pub struct Messages {
    shared: Shared,
    state: State,
}

enum State {
    Asking(Pin<Box<dyn Future<Output = Option<Queue<Delivered>>> + Send>>),
    Listening(Queue<Delivered>),
    Closed,
}

impl Messages {
    pub(crate) fn new(shared: Shared) -> Self {
        let asking = shared.clone();
        let asking = async move {
            let (queue, given) = (asking.messages.clone(), asking.messages.clone());
            let asked = asking.everywhere(move |machine, app, now| {
                if app.messages.is_none() {
                    machine.ua(now, |ua, _| ua.listen_to(Method::MESSAGE));
                }
                app.messages.get_or_insert(given);
            });
            asked.await.ok().map(|_| queue)
        };
        Self {
            shared,
            state: State::Asking(Box::pin(asking)),
        }
    }
}

impl Stream for Messages {
    type Item = IncomingMessage;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<IncomingMessage>> {
        loop {
            match &mut self.state {
                State::Asking(asking) => {
                    self.state =
                        ready!(asking.as_mut().poll(cx)).map_or(State::Closed, State::Listening);
                }
                State::Listening(queue) => {
                    let delivered = ready!(queue.poll_next(cx));
                    return Poll::Ready(
                        delivered.map(|delivered| IncomingMessage::new(&self.shared, delivered)),
                    );
                }
                State::Closed => return Poll::Ready(None),
            }
        }
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Messages")
    }
}
