//! The calls of one user agent, between their core, their media and their handles.

use crate::{error::ReofferError, latch::Latch, machine::Machine, queue::Queue};
use bytes::Bytes;
use futures_channel::oneshot;
use sdp::Direction;
use sip_io::Flow;
use sip_media::{
    AudioPreferences, Event as MediaEvent, Negotiation, PlaybackId, SessionConfig, SessionId, Stats,
};
use sip_message::{Request, Response, StatusCode, Uri, headers::ContentType};
use sip_ua::{CallId, Cause, DialogKey, Event, ReofferFailure, SessionQuestionId};
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// What all handles of one call hold.
#[derive(Clone)]
pub(crate) struct CallHandle {
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
        self.ended.response.as_ref()
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
        response: Response,
    },
    EarlyMedia {
        dialog: DialogKey,
        response: Option<Response>,
    },
    EarlyEnded {
        dialog: DialogKey,
    },
    Established,
}

/// The table of calls.
pub(crate) struct Calls {
    slots: BTreeMap<CallId, Slot>,
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
    last_provisional: Option<Response>,
    early_media: Option<oneshot::Sender<()>>,
    answered: Option<oneshot::Sender<()>>,
    reoffered: Option<oneshot::Sender<Result<(), ReofferError>>>,
    /// Who waits until the keys are sent
    pressing: Vec<oneshot::Sender<()>>,
    listeners: Vec<Queue<CallEvent>>,
    /// Whom media of ours have to reach, as far as it is known
    towards: Option<IpAddr>,
    /// Our address on the flow that brought the call
    local: Option<IpAddr>,
    leg: Leg,
    remote: Option<Bytes>,
}

/// Where session descriptions of a call come from.
enum Leg {
    /// Nothing was needed yet
    None,
    /// From the application
    Raw(Bytes),
    /// From media of ours
    Media(Box<MediaLeg>),
}

struct MediaLeg {
    session: SessionId,
    /// Known once the ports are bound
    negotiation: Option<Negotiation>,
    /// Our offer as it stood before anyone answered it: each early dialog has an answer of its own
    offered: Option<Negotiation>,
    /// What waits for that
    question: Option<(SessionQuestionId, Option<Bytes>)>,
    /// What we agreed to by our answer, to be started when the core says that the session is ready
    agreed: Option<Option<sip_media::NegotiatedMedia>>,
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

    /// Whether there is an answer to the INVITE's offer; an INVITE without one is fine.
    pub(crate) fn offer_is_acceptable(&self, invite: &Request) -> bool {
        let is_sdp = matches!(
            invite.headers().get::<ContentType>(),
            Some(Ok(content_type)) if content_type.is("application/sdp")
        );
        if !is_sdp || invite.body().is_empty() {
            return true;
        }
        // The port only has to be one.
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        Negotiation::new(0, nowhere, &self.preferences)
            .answer(invite.body().clone())
            .is_ok()
    }

    pub(crate) fn incoming(&mut self, call: CallId, flow: Flow) -> CallHandle {
        let slot = Slot {
            local: Some(flow.local().ip()),
            ..Slot::new(Some(flow.remote().ip()), Leg::None)
        };
        let handle = slot.handle.clone();
        self.slots.insert(call, slot);
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
        self.slots.insert(call, slot);
        handle
    }

    pub(crate) fn early_media_wanted(&mut self, call: CallId, waiting: oneshot::Sender<()>) {
        if let Some(slot) = self.slots.get_mut(&call) {
            slot.early_media = Some(waiting);
        }
    }

    pub(crate) fn answer_wanted(&mut self, call: CallId, waiting: oneshot::Sender<()>) {
        if let Some(slot) = self.slots.get_mut(&call) {
            slot.answered = Some(waiting);
        }
    }

    pub(crate) fn use_raw_session(&mut self, call: CallId, description: Bytes) {
        if let Some(slot) = self.slots.get_mut(&call)
            && matches!(slot.leg, Leg::None)
        {
            slot.leg = Leg::Raw(description);
        }
    }

    pub(crate) fn listen(&mut self, call: CallId, queue: Queue<CallEvent>) {
        match self.slots.get_mut(&call) {
            Some(slot) => {
                slot.listeners.retain(|listener| !listener.is_abandoned());
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

    /// An offer of our media in another direction.
    pub(crate) fn offer(&mut self, call: CallId, direction: Direction) -> Option<Bytes> {
        let Leg::Media(leg) = &mut self.slots.get_mut(&call)?.leg else {
            return None;
        };
        let negotiation = leg.negotiation.as_mut()?;
        negotiation.set_direction(direction);
        negotiation.offer().ok()
    }

    /// The core refused an offer that was made by [`offer`](Self::offer).
    pub(crate) fn offer_refused(&mut self, call: CallId) {
        if let Some(Slot {
            leg: Leg::Media(leg),
            ..
        }) = self.slots.get_mut(&call)
            && let Some(negotiation) = &mut leg.negotiation
        {
            negotiation.abandon_offer();
        }
    }

    pub(crate) fn reoffer_started(
        &mut self,
        call: CallId,
        waiting: oneshot::Sender<Result<(), ReofferError>>,
    ) {
        if let Some(slot) = self.slots.get_mut(&call) {
            slot.reoffered = Some(waiting);
        }
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
                self.session_ready(machine, now, call, remote);
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
                if let Some(answered) = slot.answered.take() {
                    answered.send(()).ok();
                }
                if let Leg::Media(leg) = &mut slot.leg {
                    leg.offered = None;
                }
                slot.note_last(Note::Established);
                slot.notes = None;
            }
            Event::ReofferDone { call, result } => self.reoffer_done(call, result),
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
            MediaEvent::PlaybackDone { playback, .. } => {
                if let Some(waiting) = self.playbacks.remove(&playback) {
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

    fn session_needed(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        call: CallId,
        question: SessionQuestionId,
        offer: Option<Bytes>,
    ) {
        let Some(slot) = self.slots.get_mut(&call) else {
            let refused = StatusCode::NOT_ACCEPTABLE_HERE;
            machine
                .ua(now, |ua, cx| ua.refuse_session(cx, call, question, refused))
                .ok();
            return;
        };
        match &mut slot.leg {
            Leg::Raw(description) => {
                let description = description.clone();
                machine
                    .ua(now, |ua, cx| {
                        ua.provide_session(cx, call, question, description)
                    })
                    .ok();
            }
            Leg::Media(leg) => {
                leg.question = Some((question, offer));
                if leg.negotiation.is_some() {
                    self.describe(machine, now, call);
                }
            }
            Leg::None => {
                let local = slot.local.filter(|local| !local.is_unspecified());
                let local = local.or_else(|| machine.stack.endpoint().local_address(slot.towards));
                let local = local.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                match machine.media.open(now, SessionConfig::new(local)) {
                    Ok(session) => {
                        let question = Some((question, offer));
                        let leg = MediaLeg {
                            session,
                            negotiation: None,
                            offered: None,
                            question,
                            agreed: None,
                        };
                        slot.leg = Leg::Media(Box::new(leg));
                        self.by_session.insert(session, call);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a call has no media");
                        let refused = StatusCode::SERVICE_UNAVAILABLE;
                        machine
                            .ua(now, |ua, cx| ua.refuse_session(cx, call, question, refused))
                            .ok();
                    }
                }
            }
        }
    }

    fn media_opened(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        session: SessionId,
        local: SocketAddr,
    ) {
        let Some(&call) = self.by_session.get(&session) else {
            return;
        };
        let Some(Slot {
            leg: Leg::Media(leg),
            ..
        }) = self.slots.get_mut(&call)
        else {
            return;
        };
        let shown = SocketAddr::new(self.media_address.unwrap_or(local.ip()), local.port());
        leg.negotiation = Some(Negotiation::new(
            self.next_session,
            shown,
            &self.preferences,
        ));
        self.next_session += 1;
        self.describe(machine, now, call);
    }

    /// Answers the question that waits with a description of our media.
    fn describe(&mut self, machine: &mut Machine, now: Instant, call: CallId) {
        let Some(Slot {
            leg: Leg::Media(leg),
            ..
        }) = self.slots.get_mut(&call)
        else {
            return;
        };
        let Some(negotiation) = &mut leg.negotiation else {
            return;
        };
        let Some((question, offer)) = leg.question.take() else {
            return;
        };
        let described = match offer {
            None => negotiation
                .offer()
                .inspect(|_| leg.offered = Some(negotiation.clone())),
            Some(offer) => negotiation.answer(offer).map(|(answer, audio)| {
                leg.agreed = Some(audio);
                answer
            }),
        };
        // The core says that the question is no longer open when the call has moved on.
        match described {
            Ok(description) => {
                machine
                    .ua(now, |ua, cx| {
                        ua.provide_session(cx, call, question, description)
                    })
                    .ok();
            }
            Err(error) => {
                let status =
                    StatusCode::try_from(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
                machine
                    .ua(now, |ua, cx| ua.refuse_session(cx, call, question, status))
                    .ok();
            }
        }
    }

    fn refuse_session(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        call: CallId,
        status: StatusCode,
    ) {
        let Some(slot) = self.slots.get_mut(&call) else {
            return;
        };
        let Leg::Media(leg) = std::mem::replace(&mut slot.leg, Leg::None) else {
            return;
        };
        if let Some((question, _)) = leg.question {
            machine
                .ua(now, |ua, cx| ua.refuse_session(cx, call, question, status))
                .ok();
        }
    }

    /// Both descriptions are known: media flow as they say.
    fn session_ready(&mut self, machine: &mut Machine, now: Instant, call: CallId, remote: Bytes) {
        let Some(slot) = self.slots.get_mut(&call) else {
            return;
        };
        slot.remote = Some(remote.clone());
        let Leg::Media(leg) = &mut slot.leg else {
            return;
        };
        let audio = match leg.agreed.take() {
            Some(audio) => audio,
            None => {
                let Some(negotiation) = &mut leg.negotiation else {
                    return;
                };
                if let Some(offered) = &leg.offered {
                    negotiation.clone_from(offered);
                }
                match negotiation.apply_answer(remote) {
                    Ok(audio) => audio,
                    Err(error) => {
                        tracing::debug!(%error, "an answer cannot be used");
                        machine.ua(now, |ua, cx| ua.hang_up(cx, call)).ok();
                        return;
                    }
                }
            }
        };
        let session = leg.session;
        match audio {
            Some(audio) => {
                let direction = audio.direction();
                if let Err(error) = machine.media.start(now, session, &audio) {
                    tracing::debug!(%error, "media cannot be started");
                }
                slot.tell(&CallEvent::Session {
                    sending: direction.sends(),
                    receiving: direction.receives(),
                });
            }
            None => {
                // It is gone when the call ended in between.
                machine.media.suspend(now, session).ok();
                slot.tell(&CallEvent::Session {
                    sending: false,
                    receiving: false,
                });
            }
        }
    }

    fn tell_early_media(&mut self, call: CallId, dialog: DialogKey, early: bool) {
        let Some(slot) = self.slots.get_mut(&call) else {
            return;
        };
        if let Some(waiting) = slot.early_media.take() {
            waiting.send(()).ok();
        }
        if early {
            slot.note(Note::EarlyMedia {
                dialog,
                response: slot.last_provisional.clone(),
            });
        }
    }

    fn reoffer_done(&mut self, call: CallId, result: Result<(), ReofferFailure>) {
        if result.is_err() {
            self.offer_refused(call);
        }
        let Some(slot) = self.slots.get_mut(&call) else {
            return;
        };
        if let Some(waiting) = slot.reoffered.take() {
            waiting.send(result.map_err(ReofferError::from)).ok();
        }
    }

    fn call_ended(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        call: CallId,
        ended: sip_ua::Ended,
    ) {
        let Some(slot) = self.slots.remove(&call) else {
            return;
        };
        let stats = match &slot.leg {
            Leg::Media(leg) => {
                self.by_session.remove(&leg.session);
                machine.media.close(now, leg.session).ok()
            }
            Leg::None | Leg::Raw(_) => None,
        };
        slot.handle.ended.set(Ended { ended, stats });
        if let Some(notes) = &slot.notes {
            notes.close();
        }
        slot.listeners.iter().for_each(Queue::close);
    }
}

impl Slot {
    fn new(towards: Option<IpAddr>, leg: Leg) -> Self {
        Self {
            handle: CallHandle {
                ended: Latch::new(),
            },
            notes: None,
            last_provisional: None,
            early_media: None,
            answered: None,
            reoffered: None,
            pressing: Vec::new(),
            listeners: Vec::new(),
            towards,
            local: None,
            leg,
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
        self.listeners.retain(|listener| !listener.is_abandoned());
        for listener in &self.listeners {
            listener.push_newest(event.clone());
        }
    }
}

impl From<ReofferFailure> for ReofferError {
    fn from(failure: ReofferFailure) -> Self {
        match failure {
            ReofferFailure::Rejected(response) => Self::Rejected(Box::new(response)),
            ReofferFailure::Glare => Self::Busy,
            ReofferFailure::NoAnswer => Self::NoAnswer,
            _ => Self::Gone,
        }
    }
}

impl From<sip_ua::ReofferError> for ReofferError {
    fn from(error: sip_ua::ReofferError) -> Self {
        match error {
            sip_ua::ReofferError::Busy | sip_ua::ReofferError::NotEstablished => Self::Busy,
            _ => Self::Gone,
        }
    }
}
