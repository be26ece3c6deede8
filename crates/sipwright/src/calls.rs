//! The calls of one user agent, between their core, their media and their handles.

mod plain_audio;
mod session;

pub(crate) use session::Change;

use crate::{latch::Latch, machine::Machine, queue::Queue};
use bytes::Bytes;
use futures_channel::oneshot;
pub(crate) use session::refusal;
use session::{Changing, Leg};
use sip_io::Flow;
use sip_media::{
    AudioPreferences, Event as MediaEvent, NegotiateError, PlaybackId, SessionId, Stats,
};
use sip_message::{
    Request, Response, StatusCode, Uri,
    headers::{ContentType, Reason},
};
use sip_ua::{CallId, Cause, DialogKey, Event};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

/// What all handles of one call hold.
#[derive(Clone)]
pub(crate) struct CallHandle {
    /// How it ended; halfway there it was established
    pub(crate) ended: Latch<Ended>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub(crate) ended: sip_ua::Ended,
    stats: Option<Stats>,
}

impl Ended {
    /// Why.
    pub fn cause(&self) -> &Cause {
        &self.ended.cause
    }

    /// Whether we ended it, rather than the peer or fate.
    pub fn by_us(&self) -> bool {
        self.ended.by_us
    }

    /// How long it was established; zero when it never was.
    pub fn duration(&self) -> Duration {
        self.ended.duration.unwrap_or_default()
    }

    /// The response that ended it, if one did.
    pub fn response(&self) -> Option<&Response> {
        self.ended.response.as_deref()
    }

    /// What the peer said about why, when it gave up or hung up (RFC 3326): `SIP` with cause 200 means that somebody else
    /// has taken the call, so that nobody need be told of one that was missed.
    pub fn reasons(&self) -> &[Reason] {
        &self.ended.reasons
    }

    /// What went each way, when the media were ours.
    pub fn stats(&self) -> Option<&Stats> {
        self.stats.as_ref()
    }

    /// Whether it was established and somebody hung up, as calls should end.
    pub fn is_normal(&self) -> bool {
        self.ended.duration.is_some() && self.ended.cause == Cause::HungUp
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ended.cause {
            Cause::HungUp if self.ended.by_us => f.write_str("we hung up")?,
            Cause::HungUp => f.write_str("the peer hung up")?,
            cause => write!(f, "{cause}")?,
        }
        if let Some(response) = &self.ended.response {
            write!(f, " ({} {})", response.status().as_u16(), response.reason())?;
        }
        match self.ended.duration {
            Some(duration) => write!(f, " after {duration:.1?}"),
            None => Ok(()),
        }
    }
}

/// Something that happens in an established call; see [`Call::events`](crate::Call::events).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallEvent {
    /// The peer pressed a key
    Dtmf(char),
    /// The session has changed: who sends what
    Session {
        /// Whether we may send
        sending: bool,
        /// Whether the peer sends
        receiving: bool,
    },
}

/// What the driver's side tells an attempt at a call.
#[derive(Debug)]
pub(crate) enum Note {
    Ringing {
        dialog: Option<DialogKey>,
        response: Box<Response>,
    },
    EarlyMedia {
        dialog: DialogKey,
        response: Option<Box<Response>>,
    },
    EarlyEnded {
        dialog: DialogKey,
    },
    Established,
}

/// The table of calls.
pub(crate) struct Calls {
    slots: BTreeMap<CallId, Box<Slot>>,
    by_session: BTreeMap<SessionId, CallId>,
    playbacks: BTreeMap<PlaybackId, oneshot::Sender<()>>,
    preferences: AudioPreferences,
    /// What o= counts from
    next_session: u64,
    media_address: Option<IpAddr>,
}

struct Slot {
    handle: CallHandle,
    notes: Option<Queue<Note>>,
    last_provisional: Option<Box<Response>>,
    /// Who waits for the session of early media
    early_media: Vec<oneshot::Sender<()>>,
    changing: Option<Changing>,
    /// Who waits until the keys are sent
    pressing: Vec<oneshot::Sender<()>>,
    listeners: Vec<Queue<CallEvent>>,
    /// The keys that the peer has pressed before anybody listened: media may come before the ACK
    unheard: Option<VecDeque<char>>,
    /// Whom media of ours have to reach, as far as it is known
    towards: Option<IpAddr>,
    /// Our address on the flow that brought the call
    local: Option<IpAddr>,
    leg: Leg,
    /// What our media have come to, once they are closed
    stats: Option<Stats>,
    remote: Option<Bytes>,
}

impl Calls {
    pub(crate) fn new(session_ids: u64, media_address: Option<IpAddr>) -> Self {
        Self {
            slots: BTreeMap::new(),
            by_session: BTreeMap::new(),
            playbacks: BTreeMap::new(),
            preferences: AudioPreferences::default(),
            // RFC 8866 §5.2: numeric, and small enough for those who read 32 bits.
            next_session: session_ids % (1 << 30),
            media_address,
        }
    }

    /// Why there is no answer to the INVITE's offer, if so; an INVITE without one is fine.
    pub(crate) fn refusal_of_offer(&self, invite: &Request) -> Option<NegotiateError> {
        if !has_offer(invite) {
            return None;
        }
        if plain_audio::is_plain_audio(invite.body()) {
            return None;
        }
        session::anywhere(&self.preferences)
            .answer(invite.body().clone())
            .err()
    }

    pub(crate) fn incoming(&mut self, call: CallId, flow: Flow) -> CallHandle {
        let slot = Slot {
            local: Some(flow.local().ip()),
            ..Slot::new(Some(flow.remote().ip()), Leg::None)
        };
        let handle = slot.handle.clone();
        self.slots.insert(call, Box::new(slot));
        handle
    }

    pub(crate) fn outgoing(
        &mut self,
        call: CallId,
        uri: Uri,
        notes: Queue<Note>,
        raw: Option<Bytes>,
    ) -> CallHandle {
        let leg = raw.map_or(Leg::None, Leg::Raw);
        let slot = Slot {
            notes: Some(notes),
            ..Slot::new(uri.host().as_ip(), leg)
        };
        let handle = slot.handle.clone();
        self.slots.insert(call, Box::new(slot));
        handle
    }

    pub(crate) fn early_media_wanted(&mut self, call: CallId, waiting: oneshot::Sender<()>) {
        if let Some(slot) = self.slots.get_mut(&call) {
            slot.early_media.push(waiting);
        }
    }

    pub(crate) fn use_raw_session(&mut self, call: CallId, description: Option<Bytes>) {
        if let Some(description) = description
            && let Some(slot) = self.slots.get_mut(&call)
            && matches!(slot.leg, Leg::None)
        {
            slot.leg = Leg::Raw(description);
        }
    }

    pub(crate) fn listen(&mut self, call: CallId, queue: Queue<CallEvent>) {
        match self.slots.get_mut(&call) {
            Some(slot) => {
                slot.listeners.retain(|listener| !listener.is_abandoned());
                for key in slot.unheard.take().into_iter().flatten() {
                    queue.push_newest(CallEvent::Dtmf(key));
                }
                slot.listeners.push(queue);
            }
            None => queue.close(),
        }
    }

    pub(crate) fn media_session(&self, call: CallId) -> Option<SessionId> {
        match &self.slots.get(&call)?.leg {
            Leg::Media(leg) => Some(leg.session),
            Leg::None | Leg::Raw(_) => None,
        }
    }

    pub(crate) fn remote_session(&self, call: CallId) -> Option<Bytes> {
        self.slots.get(&call)?.remote.clone()
    }

    pub(crate) fn playback_started(&mut self, playback: PlaybackId, waiting: oneshot::Sender<()>) {
        self.playbacks.insert(playback, waiting);
    }

    pub(crate) fn dtmf_started(&mut self, call: CallId, waiting: oneshot::Sender<()>) {
        if let Some(slot) = self.slots.get_mut(&call) {
            slot.pressing.push(waiting);
        }
    }

    pub(crate) fn playback_dropped(&mut self, playback: PlaybackId) {
        self.playbacks.remove(&playback);
    }

    pub(crate) fn handle_event(&mut self, machine: &mut Machine, now: Instant, event: Event) {
        match event {
            Event::SessionNeeded {
                call,
                question,
                offer,
            } => self.session_needed(machine, now, call, question, offer),
            Event::SessionReady {
                call,
                dialog,
                remote,
                early,
                ..
            } => {
                self.session_ready(machine, now, call, remote, early);
                self.tell_early_media(call, dialog, early);
            }
            Event::Progress {
                call,
                dialog,
                response,
            } => {
                if let Some(slot) = self.slots.get_mut(&call) {
                    slot.last_provisional = Some(response.clone());
                    slot.note(Note::Ringing { dialog, response });
                }
            }
            Event::EarlyEnded { call, dialog } => {
                if let Some(slot) = self.slots.get(&call) {
                    slot.note(Note::EarlyEnded { dialog });
                }
            }
            Event::Established { call } => {
                let Some(slot) = self.slots.get_mut(&call) else {
                    return;
                };
                slot.handle.ended.pass_halfway();
                if let Leg::Media(leg) = &mut slot.leg {
                    leg.offered = None;
                }
                slot.note_last(Note::Established);
                slot.notes = None;
            }
            Event::ReofferDone { call, result } => self.reoffer_done(call, result),
            Event::Parting { call } => self.parting(machine, now, call),
            Event::Ended { call, ended } => self.call_ended(machine, now, call, ended),
            _ => {}
        }
    }

    pub(crate) fn handle_media(&mut self, machine: &mut Machine, now: Instant, event: MediaEvent) {
        match event {
            MediaEvent::Opened { session, local } => {
                self.media_opened(machine, now, session, local)
            }
            MediaEvent::OpenFailed { session } => {
                if let Some(call) = self.by_session.remove(&session) {
                    self.refuse_session(machine, now, call, StatusCode::SERVER_INTERNAL_ERROR);
                }
            }
            MediaEvent::PlaybackDone {
                session,
                playback,
                completed,
            } => {
                let waiting = self.playbacks.remove(&playback);
                // Who was interrupted by the end of the call is told so by the sender that is dropped.
                let replaced = self.by_session.contains_key(&session);
                if let Some(waiting) = waiting.filter(|_| completed || replaced) {
                    waiting.send(()).ok();
                }
            }
            MediaEvent::DtmfSent { session } => {
                let call = self.by_session.get(&session);
                if let Some(slot) = call.and_then(|call| self.slots.get_mut(call)) {
                    for waiting in slot.pressing.drain(..) {
                        waiting.send(()).ok();
                    }
                }
            }
            MediaEvent::Dtmf { session, digit } => {
                let call = self.by_session.get(&session);
                if let Some(slot) = call.and_then(|call| self.slots.get_mut(call)) {
                    slot.tell(&CallEvent::Dtmf(digit));
                }
            }
            _ => {}
        }
    }

    fn tell_early_media(&mut self, call: CallId, dialog: DialogKey, early: bool) {
        let Some(slot) = self.slots.get_mut(&call) else {
            return;
        };
        for waiting in slot.early_media.drain(..) {
            waiting.send(()).ok();
        }
        if early {
            slot.note(Note::EarlyMedia {
                dialog,
                response: slot.last_provisional.clone(),
            });
        }
    }

    /// RFC 3261 §15.1.1: with the BYE the session is over, whatever becomes of the BYE.
    fn parting(&mut self, machine: &mut Machine, now: Instant, call: CallId) {
        let Some(slot) = self.slots.get_mut(&call) else {
            return;
        };
        if let Leg::Media(leg) = std::mem::replace(&mut slot.leg, Leg::None) {
            self.by_session.remove(&leg.session);
            slot.stats = machine.media.close(now, leg.session).ok();
            // Keys that were not sent will not be.
            slot.pressing.clear();
        }
    }

    fn call_ended(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        call: CallId,
        ended: sip_ua::Ended,
    ) {
        self.parting(machine, now, call);
        if let Some(mut slot) = self.slots.remove(&call) {
            let stats = slot.stats.take();
            slot.over(Ended { ended, stats });
        }
    }
}

impl Drop for Calls {
    /// The driver has ended: who holds a call must not wait for it.
    fn drop(&mut self) {
        for slot in std::mem::take(&mut self.slots).into_values() {
            slot.over(Ended {
                ended: sip_ua::Ended::new(true, Cause::Closed),
                stats: None,
            });
        }
    }
}

impl Slot {
    /// Tells everyone who holds the call that it is over.
    fn over(self, ended: Ended) {
        self.handle.ended.set(ended);
        if let Some(notes) = &self.notes {
            notes.close();
        }
        self.listeners.iter().for_each(Queue::close);
    }

    fn new(towards: Option<IpAddr>, leg: Leg) -> Self {
        Self {
            handle: CallHandle {
                ended: Latch::new(),
            },
            notes: None,
            last_provisional: None,
            early_media: Vec::new(),
            changing: None,
            pressing: Vec::new(),
            listeners: Vec::new(),
            unheard: Some(VecDeque::new()),
            towards,
            local: None,
            leg,
            stats: None,
            remote: None,
        }
    }

    fn note(&self, note: Note) {
        if let Some(notes) = &self.notes {
            // A queue that is full of provisional responses needs no more of them.
            notes.push(note).ok();
        }
    }

    fn note_last(&self, note: Note) {
        if let Some(notes) = &self.notes {
            notes.push_newest(note);
        }
    }

    fn tell(&mut self, event: &CallEvent) {
        if let (Some(unheard), &CallEvent::Dtmf(key)) = (&mut self.unheard, event) {
            if unheard.len() == EVENTS {
                unheard.pop_front();
            }
            unheard.push_back(key);
        }
        self.listeners.retain(|listener| !listener.is_abandoned());
        for listener in &self.listeners {
            listener.push_newest(event.clone());
        }
    }
}

/// Whether an INVITE brings an offer.
pub(crate) fn has_offer(invite: &Request) -> bool {
    let is_sdp = matches!(
        invite.headers().view::<ContentType>(),
        Some(Ok(content_type)) if content_type.is("application/sdp")
    );
    is_sdp && !invite.body().is_empty()
}

/// How many events wait for whoever listens
pub(crate) const EVENTS: usize = 64;
