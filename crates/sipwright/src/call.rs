//! An established call.

use crate::{
    Gone,
    audio::{Audio, Pcm},
    calls::{CallEvent, CallHandle, Change, EVENTS, Ended},
    error::ReofferError,
    machine::Machine,
    queue::Queue,
    shared::Shared,
};
use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::Stream;
use sdp::Direction;
use sip_media::{AudioSink, AudioSource, DtmfError, PlaybackId, SessionId, Stats};
use sip_ua::CallId;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

/// A call that both sides have taken.
///
/// It owns the call: dropping it sends BYE, [`detach`](Self::detach) lets it live until a side ends it. All verbs take
/// `&self`, so that `Arc<Call>`, `select!` and several tasks work. After the end a verb returns [`Gone`]; the last
/// statistics are in [`Ended`].
///
/// ```no_run
/// # use sipwright::{Account, media::Wav};
/// # async fn announce(alice: Account) -> sipwright::Result<()> {
/// let call = alice.call("sip:bob@example.com").await?;
/// call.play(Wav::open("greeting.wav")?).await?;
/// call.hold().await?;
/// call.resume().await?;
/// let ended = call.hang_up().await;
/// println!("{ended}");
/// # Ok(()) }
/// ```
#[must_use = "a call that is dropped is hung up"]
pub struct Call {
    shared: Shared,
    id: CallId,
    handle: CallHandle,
    detached: bool,
}

impl Call {
    pub(crate) fn new(shared: Shared, id: CallId, handle: CallHandle) -> Self {
        Self {
            shared,
            id,
            handle,
            detached: false,
        }
    }

    /// Plays to the peer; resolves when the last sample has left, or something else is played instead. Dropping the future
    /// stops it.
    ///
    /// # Errors
    ///
    /// When the call is over, or ends before.
    pub async fn play(&self, source: impl AudioSource + 'static) -> Result<(), Gone> {
        play(&self.shared, self.id, Box::new(source)).await
    }

    /// Gives what is heard to `sink` until the call ends; whoever had it before is dropped.
    ///
    /// # Errors
    ///
    /// When the call is over or has no media of ours.
    pub async fn record(&self, sink: impl AudioSink + 'static) -> Result<(), Gone> {
        let sink = Box::new(sink);
        self.media(move |machine, session, now| machine.media.record(now, session, sink).map(drop))
            .await
    }

    /// The samples of the call in the form that the program wants. What is said by the [`Mouth`](crate::media::Mouth)
    /// takes the place of what is played, the [`Ear`](crate::media::Ear) that of what was recording. When the call is
    /// over or has no media of ours, the ear ends and the mouth says [`PushError::Gone`](crate::media::PushError::Gone).
    ///
    /// ```no_run
    /// # use futures_util::StreamExt;
    /// # use sipwright::{Call, media::Pcm};
    /// # async fn parrot(call: Call) -> sipwright::Result<()> {
    /// let (mut ear, mouth) = call.audio(Pcm::mono(16_000)).split();
    /// while let Some(frame) = ear.next().await {
    ///     if frame.is_speech() {
    ///         mouth.push(frame.samples())?;
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn audio(&self, pcm: Pcm) -> Audio {
        let (audio, sink, source) = Audio::new(pcm, self.handle.clone());
        let id = self.id;
        self.shared.post(move |machine, app, now| {
            // Dropping them ends both.
            let Some(session) = app.calls.media_session(id) else {
                return;
            };
            drop(machine.media.record(now, session, Box::new(sink)));
            machine.media.play(now, session, Box::new(source)).ok();
        });
        audio
    }

    /// Sends back what is heard, or stops it.
    ///
    /// # Errors
    ///
    /// When the call is over or has no media of ours.
    pub async fn echo(&self, on: bool) -> Result<(), Gone> {
        self.media(move |machine, session, now| machine.media.echo(now, session, on))
            .await
    }

    /// Presses keys, `0`–`9`, `*`, `#`, `A`–`D`, as telephone events (RFC 4733). Resolves when the last has been sent.
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// When the peer takes no telephone events, a character is no key, or the call is over.
    pub async fn dtmf(&self, digits: &str) -> Result<(), DtmfError> {
        let (id, digits) = (self.id, digits.to_owned());
        let (sender, sent) = oneshot::channel();
        let queued = self.shared.command(move |machine, app, now| {
            let session = app.calls.media_session(id).ok_or(DtmfError::Gone)?;
            machine.media.send_dtmf(now, session, &digits)?;
            app.calls.dtmf_started(id, sender);
            Ok(())
        });
        queued.await.unwrap_or(Err(DtmfError::Gone))?;
        sent.await.map_err(|_| DtmfError::Gone)
    }

    /// What has gone each way so far.
    ///
    /// # Errors
    ///
    /// When the call is over or has no media of ours.
    pub async fn stats(&self) -> Result<Stats, Gone> {
        self.media(move |machine, session, _| machine.media.stats(session))
            .await
    }

    /// Stops sending to and hearing the peer: offers `sendonly` (RFC 3264 §8.4). Resolves when the peer has answered.
    ///
    /// # Errors
    ///
    /// When the peer refuses, which leaves the session as it was, or the call is over.
    pub async fn hold(&self) -> Result<(), ReofferError> {
        self.change(Change::Direction(Direction::SendOnly)).await
    }

    /// Takes the call back from hold. Resolves when the peer has answered.
    ///
    /// # Errors
    ///
    /// When the peer refuses, which leaves the session as it was, or the call is over.
    pub async fn resume(&self) -> Result<(), ReofferError> {
        self.change(Change::Direction(Direction::SendRecv)).await
    }

    /// Offers a session description of the application's own; see [`Dial::session`](crate::Dial::session).
    ///
    /// # Errors
    ///
    /// When the peer refuses, which leaves the session as it was, or the call is over.
    pub async fn reoffer(&self, description: impl Into<Bytes>) -> Result<(), ReofferError> {
        self.change(Change::Description(description.into())).await
    }

    /// The peer's last session description.
    pub async fn remote_session(&self) -> Option<Bytes> {
        let id = self.id;
        self.shared
            .command(move |_, app, _| app.calls.remote_session(id))
            .await
            .ok()?
    }

    /// What happens in the call from now on; who asks first also gets the keys that the peer has pressed until then. May be
    /// called often; a stream that is not read loses the oldest of 64.
    ///
    /// ```no_run
    /// # use futures_util::StreamExt;
    /// # use sipwright::{Call, CallEvent};
    /// # async fn menu(call: Call) {
    /// let mut events = call.events();
    /// while let Some(event) = events.next().await {
    ///     if let CallEvent::Dtmf('#') = event {
    ///         call.hang_up().await;
    ///     }
    /// }
    /// # }
    /// ```
    pub fn events(&self) -> CallEvents {
        let queue = Queue::new(EVENTS);
        let (id, given) = (self.id, queue.clone());
        self.shared
            .post(move |_, app, _| app.calls.listen(id, given));
        CallEvents(queue)
    }

    /// Ends the call and waits until that is done. Twice is fine. Dropping the future changes nothing: the call ends.
    pub async fn hang_up(&self) -> Ended {
        self.post_hang_up();
        self.handle.ended.wait().await
    }

    /// Resolves when the call is over, whoever ended it. Dropping the future changes nothing.
    pub async fn ended(&self) -> Ended {
        self.handle.ended.wait().await
    }

    /// Lets the call live without this handle, until a side ends it.
    pub fn detach(mut self) {
        self.detached = true;
    }

    fn post_hang_up(&self) {
        let id = self.id;
        self.shared.post(move |machine, _, now| {
            // It may be over by itself.
            machine.ua(now, |ua, cx| ua.hang_up(cx, id)).ok();
        });
    }

    async fn change(&self, change: Change) -> Result<(), ReofferError> {
        let id = self.id;
        let (sender, done) = oneshot::channel();
        let offered = self
            .shared
            .command(move |machine, app, now| app.calls.reoffer(machine, now, id, change, sender));
        offered.await.unwrap_or(Err(ReofferError::Gone))?;
        done.await.unwrap_or(Err(ReofferError::Gone))
    }

    async fn media<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Machine, SessionId, Instant) -> Result<R, sip_media::Gone>
        + Send
        + 'static,
    ) -> Result<R, Gone> {
        let id = self.id;
        let done = self.shared.command(move |machine, app, now| {
            let session = app.calls.media_session(id).ok_or(Gone)?;
            command(machine, session, now).map_err(|_| Gone)
        });
        done.await.unwrap_or(Err(Gone))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.detached && self.handle.ended.get().is_none() {
            self.post_hang_up();
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What happens in a call; see [`Call::events`].
#[derive(Debug)]
pub struct CallEvents(Queue<CallEvent>);

impl Stream for CallEvents {
    type Item = CallEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<CallEvent>> {
        self.0.poll_next(cx)
    }
}

/// Plays a source in a call until it ends or the future is dropped.
pub(crate) async fn play(
    shared: &Shared,
    id: CallId,
    source: Box<dyn AudioSource>,
) -> Result<(), Gone> {
    let (sender, done) = oneshot::channel();
    let started = shared
        .command(move |machine, app, now| {
            let session = app.calls.media_session(id)?;
            let playback = machine.media.play(now, session, source).ok()?;
            app.calls.playback_started(playback, sender);
            Some((session, playback))
        })
        .await;
    let playback = started.ok().flatten().ok_or(Gone)?;
    let mut playing = Playing {
        shared,
        playback: Some(playback),
    };
    let outcome = done.await.map_err(|_| Gone);
    playing.playback = None;
    outcome
}

/// Stops a playback that is not waited for any more.
struct Playing<'a> {
    shared: &'a Shared,
    playback: Option<(SessionId, PlaybackId)>,
}

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        if let Some((session, playback)) = self.playback {
            self.shared.post(move |machine, app, _| {
                app.calls.playback_dropped(playback);
                // It may have ended by itself.
                machine.media.stop_playing(session, Some(playback)).ok();
            });
        }
    }
}
