//! Taking a call.

use crate::{
    Call, Ended,
    calls::{CallHandle, has_offer},
    error::AnswerError,
    shared::Shared,
};
use bytes::Bytes;
use futures_channel::oneshot;
use sip_io::{Flow, Shard};
use sip_message::{
    HeaderField, HeaderName, HeaderValue, Request, StatusCode, Uri, headers::Contact,
};
use sip_ua::{CallId, Cause};
use std::fmt;

/// A call that wants an answer: [`answer`](Self::answer), [`reject`](Self::reject) or [`redirect`](Self::redirect).
/// Dropping it answers 480.
///
/// If the caller gives up, every verb returns [`AnswerError::Cancelled`] and [`cancelled`](Self::cancelled) resolves;
/// the 487 was already sent. An offer that has no acceptable answer was answered 488 before it came here.
#[must_use = "a call that is dropped is answered 480"]
pub struct IncomingCall {
    shared: Shared,
    ringing: Box<Ringing>,
    /// The application's own description
    session: Option<Bytes>,
    decided: bool,
}

/// A call before someone takes it.
pub(crate) struct Ringing {
    /// Whose call it is
    pub(crate) shard: Shard,
    pub(crate) call: CallId,
    pub(crate) request: Box<Request>,
    pub(crate) flow: Flow,
    pub(crate) handle: CallHandle,
}

impl IncomingCall {
    pub(crate) fn new(shared: &Shared, ringing: Box<Ringing>) -> Self {
        Self {
            shared: shared.on(ringing.shard),
            ringing,
            session: None,
            decided: false,
        }
    }

    /// The INVITE.
    pub fn request(&self) -> &Request {
        &self.ringing.request
    }

    /// What it came on.
    pub fn flow(&self) -> Flow {
        self.ringing.flow
    }

    /// Who calls, as From says.
    pub fn from(&self) -> String {
        let from = self.ringing.request.from();
        from.map(|from| from.uri().to_string()).unwrap_or_default()
    }

    /// Whom the caller wants, as the Request-URI says.
    pub fn uri(&self) -> &Uri {
        self.ringing.request.uri()
    }

    /// Sends 180: it rings here. It is repeated each minute for as long as the call waits.
    ///
    /// # Errors
    ///
    /// When the call is over.
    pub async fn ring(&self) -> Result<(), AnswerError> {
        let id = self.ringing.call;
        let rung = self
            .shared
            .command(move |machine, _, now| machine.ua(now, |ua, cx| ua.ring(cx, id)))
            .await;
        self.outcome(rung)
    }

    /// Sends 183 with an answer to the offer: what is played before the call is answered is heard. It is repeated each
    /// minute, and when it is asked for again. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// When the call is over, no session came about, or the INVITE brought no offer: one of ours could only go in a
    /// response that is acknowledged (RFC 3262 §5).
    pub async fn early_media(&self) -> Result<EarlyMedia, AnswerError> {
        if !has_offer(self.request()) {
            return Err(AnswerError::NoSession);
        }
        let id = self.ringing.call;
        let (sender, ready) = oneshot::channel();
        let session = self.session.clone();
        let sent = self
            .shared
            .command(move |machine, app, now| {
                app.calls.use_raw_session(id, session);
                app.calls.early_media_wanted(id, sender);
                machine.ua(now, |ua, cx| {
                    ua.progress(cx, id, StatusCode::SESSION_PROGRESS)
                })
            })
            .await;
        self.outcome(sent)?;
        match ready.await {
            Ok(()) => Ok(EarlyMedia {
                shared: self.shared.clone(),
                id,
            }),
            Err(_) => Err(self.end()),
        }
    }

    /// Takes the call; resolves when the ACK has come, so that a [`Call`] always is an established dialog.
    ///
    /// The 2xx is repeated inside. Dropping the future ends the call. Without an ACK within 64×T1 the call is ended
    /// with BYE: [`AnswerError::NoAck`].
    ///
    /// # Errors
    ///
    /// When the call is over, no session came about, or no ACK came.
    pub async fn answer(self) -> Result<Call, AnswerError> {
        self.answer_with(StatusCode::OK).await
    }

    /// [`answer`](Self::answer) with another 2xx.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer), and when `status` is no 2xx.
    pub async fn answer_with(mut self, status: StatusCode) -> Result<Call, AnswerError> {
        let id = self.ringing.call;
        let session = self.session.take();
        let answered = self
            .shared
            .command_unhurried(move |machine, app, now| {
                app.calls.use_raw_session(id, session);
                machine.ua(now, |ua, cx| ua.answer(cx, id, status, Vec::new()))
            })
            .await;
        self.outcome(answered)?;
        // From here on, dropping this future hangs up.
        let mut accepted = Accepted {
            incoming: self,
            established: false,
        };
        accepted.established = accepted.incoming.ringing.handle.ended.halfway().await;
        let incoming = &accepted.incoming;
        if !std::mem::replace(&mut accepted.established, true) {
            return Err(incoming.end());
        }
        Ok(Call::new(
            incoming.shared.clone(),
            id,
            incoming.ringing.handle.clone(),
        ))
    }

    /// The application's own session description as the answer (or, when the INVITE has no offer, as the offer),
    /// instead of audio of ours: then no media of ours is sent.
    pub fn session(mut self, description: impl Into<Bytes>) -> Self {
        self.session = Some(description.into());
        self
    }

    /// Refuses with a status of 300 to 699.
    ///
    /// # Errors
    ///
    /// When the call is over, or the status is not of that class.
    pub async fn reject(self, status: StatusCode) -> Result<(), AnswerError> {
        self.refuse(status, Vec::new()).await
    }

    /// Sends the caller elsewhere: 302 with Contacts. Where it has come already it is not sent again; when that leaves
    /// nowhere to go, it hears 404 (RFC 3261 §8.3).
    ///
    /// # Errors
    ///
    /// When the call is over.
    pub async fn redirect(self, targets: impl IntoIterator<Item = Uri>) -> Result<(), AnswerError> {
        let here = self.request().uri();
        let contacts: Vec<_> = targets
            .into_iter()
            .filter(|target| !target.equivalent(here))
            .map(|uri| (Contact::NAME, Contact::new(uri).value()))
            .collect();
        let status = match contacts.is_empty() {
            true => StatusCode::NOT_FOUND,
            false => StatusCode::MOVED_TEMPORARILY,
        };
        self.refuse(status, contacts).await
    }

    /// Resolves when the call is over without having been answered: the caller gave up, or it rang too long. Dropping
    /// the future changes nothing.
    pub async fn cancelled(&self) -> Ended {
        self.ringing.handle.ended.wait().await
    }

    async fn refuse(
        mut self,
        status: StatusCode,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), AnswerError> {
        self.decided = true;
        let id = self.ringing.call;
        let refused = self
            .shared
            .command(move |machine, _, now| {
                machine.ua(now, |ua, cx| ua.reject(cx, id, status, headers))
            })
            .await;
        let outcome = self.outcome(refused);
        // What was not said is still owed: dropping the call says it.
        self.decided = outcome != Err(AnswerError::WrongClass);
        outcome
    }

    fn outcome(
        &self,
        result: Result<Result<(), sip_ua::AnswerError>, sip_runtime::Gone>,
    ) -> Result<(), AnswerError> {
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(sip_ua::AnswerError::WrongClass)) => Err(AnswerError::WrongClass),
            _ => Err(self.end()),
        }
    }

    /// Why there is no call any more.
    fn end(&self) -> AnswerError {
        match self
            .ringing
            .handle
            .ended
            .get()
            .map(|ended| ended.ended.cause)
        {
            Some(Cause::Cancelled) => AnswerError::Cancelled,
            Some(Cause::NoAck) => AnswerError::NoAck,
            Some(Cause::NoSession) => AnswerError::NoSession,
            _ => AnswerError::Gone,
        }
    }
}

impl Drop for IncomingCall {
    fn drop(&mut self) {
        if !self.decided {
            let id = self.ringing.call;
            self.shared.post(move |machine, _, now| {
                let status = StatusCode::TEMPORARILY_UNAVAILABLE;
                // It may be over, or answered.
                machine
                    .ua(now, |ua, cx| ua.reject(cx, id, status, Vec::new()))
                    .ok();
            });
        }
    }
}

impl fmt::Debug for IncomingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingCall")
            .field("id", &self.ringing.call)
            .finish_non_exhaustive()
    }
}

/// A 2xx that waits for its ACK.
struct Accepted {
    incoming: IncomingCall,
    established: bool,
}

impl Drop for Accepted {
    fn drop(&mut self) {
        self.incoming.decided = true;
        if !self.established {
            let id = self.incoming.ringing.call;
            self.incoming.shared.post(move |machine, _, now| {
                machine.ua(now, |ua, cx| ua.hang_up(cx, id)).ok();
            });
        }
    }
}

/// Something to hear before the answer; see [`IncomingCall::early_media`].
#[derive(Debug)]
pub struct EarlyMedia {
    shared: Shared,
    id: CallId,
}

impl EarlyMedia {
    /// Plays to the caller; resolves when the last sample has left, or something else is played instead. Dropping the
    /// future stops it.
    ///
    /// # Errors
    ///
    /// When the call is over, or ends before.
    pub async fn play(
        &self,
        source: impl sip_media::AudioSource + 'static,
    ) -> Result<(), crate::Gone> {
        crate::call::play(&self.shared, self.id, Box::new(source)).await
    }
}
