//! What the calls of one user agent describe to their peers, and what comes of it.

use super::{CallEvent, Calls, Slot};
use crate::{error::ReofferError, machine::Machine};
use bytes::Bytes;
use futures_channel::oneshot;
use sdp::Direction;
use sip_media::{
    AudioPreferences, NegotiateError, NegotiatedMedia, Negotiation, SessionConfig, SessionId,
};
use sip_message::{HeaderField, HeaderName, HeaderValue, StatusCode, headers::Warning};
use sip_ua::{CallId, ReofferFailure, SessionQuestionId};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Instant,
};

/// Where session descriptions of a call come from.
pub(super) enum Leg {
    /// Nothing was needed yet
    None,
    /// From the application
    Raw(Bytes),
    /// From media of ours
    Media(Box<MediaLeg>),
}

pub(super) struct MediaLeg {
    pub(super) session: SessionId,
    /// Known once the ports are bound
    negotiation: Option<Negotiation>,
    /// Our offer as it stood before anyone answered it: each early dialog has an answer of its own
    pub(super) offered: Option<Negotiation>,
    /// What waits for that
    question: Option<(SessionQuestionId, Option<Bytes>)>,
    /// What we agreed to by our answer, to be started when the core says that the session is ready
    agreed: Option<Option<NegotiatedMedia>>,
    /// What is agreed on of our side: hold or not
    direction: Direction,
}

/// What a re-INVITE of ours is to change.
#[derive(Clone)]
pub(crate) enum Change {
    /// Audio of ours is held, or taken back
    Direction(Direction),
    /// The application's own description
    Description(Bytes),
}

/// A change of ours that is under way.
pub(super) struct Changing {
    change: Change,
    waiting: oneshot::Sender<Result<(), ReofferError>>,
}

impl Calls {
    /// Offers a change to the peer; `waiting` hears the outcome, unless that is known now.
    pub(crate) fn reoffer(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        call: CallId,
        change: Change,
        waiting: oneshot::Sender<Result<(), ReofferError>>,
    ) -> Result<(), ReofferError> {
        let slot = self.slots.get_mut(&call).ok_or(ReofferError::Gone)?;
        if slot.changing.is_some() {
            return Err(ReofferError::Busy);
        }
        let offer = slot
            .leg
            .describe_change(&change)
            .ok_or(ReofferError::NoSession)?;
        match machine.ua(now, |ua, cx| ua.reoffer(cx, call, offer)) {
            Ok(()) => {
                slot.changing = Some(Changing { change, waiting });
                Ok(())
            }
            Err(error) => {
                slot.leg.stay();
                Err(error.into())
            }
        }
    }

    pub(super) fn session_needed(
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
        if offer.is_some() {
            // While a change of ours waits for its next try, the peer's goes first.
            slot.leg.stay();
        } else if let Some(changing) = &slot.changing {
            let described = slot.leg.describe_change(&changing.change);
            machine
                .ua(now, |ua, cx| match described {
                    Some(offer) => ua.provide_session(cx, call, question, offer),
                    None => ua.refuse_session(cx, call, question, StatusCode::NOT_ACCEPTABLE_HERE),
                })
                .ok();
            return;
        }
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
                let peer = offer.as_ref().and_then(|offer| {
                    let (_, audio) = anywhere(&self.preferences).answer(offer.clone()).ok()?;
                    Some(audio?.remote()?.ip())
                });
                let local = local_address(machine, slot, peer);
                match machine.media.open(now, SessionConfig::new(local)) {
                    Ok(session) => {
                        let question = Some((question, offer));
                        let leg = MediaLeg {
                            session,
                            negotiation: None,
                            offered: None,
                            question,
                            agreed: None,
                            direction: Direction::SendRecv,
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

    pub(super) fn media_opened(
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
        }) = self.slots.get_mut(&call).map(Box::as_mut)
        else {
            return;
        };
        let shown = SocketAddr::new(
            self.media_address.unwrap_or_else(|| local.ip()),
            local.port(),
        );
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
        }) = self.slots.get_mut(&call).map(Box::as_mut)
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
                let provided = machine.ua(now, |ua, cx| {
                    ua.provide_session(cx, call, question, description)
                });
                if provided.is_err() {
                    self.forget_answer(call);
                }
            }
            Err(error) => {
                let (status, headers) = refusal(&error);
                machine
                    .ua(now, |ua, cx| {
                        ua.refuse_session_saying(cx, call, question, status, headers)
                    })
                    .ok();
            }
        }
    }

    fn forget_answer(&mut self, call: CallId) {
        if let Some(Slot {
            leg: Leg::Media(leg),
            ..
        }) = self.slots.get_mut(&call).map(Box::as_mut)
        {
            leg.agreed = None;
        }
    }

    pub(super) fn refuse_session(
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
    pub(super) fn session_ready(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        call: CallId,
        remote: Bytes,
        early: bool,
    ) {
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
                if !early {
                    leg.offered = None;
                }
                if !negotiation.is_offer_pending() {
                    // We have answered the peer's offer, which is told again with each response that carries our answer.
                    return;
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

    pub(super) fn reoffer_done(&mut self, call: CallId, result: Result<(), ReofferFailure>) {
        let Some(slot) = self.slots.get_mut(&call) else {
            return;
        };
        let Some(Changing { change, waiting }) = slot.changing.take() else {
            return;
        };
        if let (Leg::Media(leg), Change::Direction(direction), Ok(())) =
            (&mut slot.leg, change, &result)
        {
            leg.direction = direction;
        }
        slot.leg.stay();
        waiting.send(result.map_err(ReofferError::from)).ok();
    }
}

/// Where our media of a call shall be: on the flow that brought it, unless the peer's are of another family (RFC 6157).
fn local_address(machine: &Machine, slot: &Slot, peer: Option<IpAddr>) -> IpAddr {
    let endpoint = machine.stack.endpoint();
    let fits = |local: &IpAddr| peer.is_none_or(|peer| peer.is_ipv4() == local.is_ipv4());
    let by_flow = slot.local.filter(|local| !local.is_unspecified());
    by_flow
        .filter(fits)
        .or_else(|| endpoint.local_address(peer.or(slot.towards)))
        .or(by_flow)
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// A negotiation to see what becomes of an offer; the port only has to be one.
pub(super) fn anywhere(preferences: &AudioPreferences) -> Negotiation {
    Negotiation::new(0, SocketAddr::from((Ipv4Addr::LOCALHOST, 9)), preferences)
}

impl Leg {
    /// The offer that a change is made with; `None` when it is not for a session of this kind.
    fn describe_change(&mut self, change: &Change) -> Option<Bytes> {
        match (self, change) {
            (Self::Raw(_), Change::Description(description)) => Some(description.clone()),
            (Self::Media(leg), Change::Direction(direction)) => {
                let negotiation = leg.negotiation.as_mut()?;
                negotiation.abandon_offer();
                negotiation.set_direction(*direction);
                negotiation.offer().ok()
            }
            _ => None,
        }
    }

    /// Nothing of ours is offered any more: what is agreed on stays.
    fn stay(&mut self) {
        if let Self::Media(leg) = self
            && let Some(negotiation) = &mut leg.negotiation
        {
            negotiation.abandon_offer();
            negotiation.set_direction(leg.direction);
        }
    }
}

impl From<ReofferFailure> for ReofferError {
    fn from(failure: ReofferFailure) -> Self {
        match failure {
            ReofferFailure::Rejected(response) => Self::Rejected(response),
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

/// How an offer is turned down, and the Warning that says why (RFC 3261 §21.4.26, RFC 3264 §6).
pub(crate) fn refusal(error: &NegotiateError) -> (StatusCode, Vec<(HeaderName, HeaderValue)>) {
    let status = StatusCode::try_from(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
    let warning = error
        .warning()
        .and_then(|code| Warning::new(code, AGENT, &error.to_string()).ok())
        .map(|warning| (HeaderName::WARNING, warning.value()));
    (status, warning.into_iter().collect())
}

/// Who warns (RFC 3261 §20.43): a name, since which host we are is for the peer to see.
const AGENT: &str = "sipwright";

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(offer: &str) -> (u16, Option<u16>) {
        let error = anywhere(&AudioPreferences::default())
            .answer(offer.as_bytes().to_vec())
            .expect_err("cannot be answered");
        let (status, headers) = refusal(&error);
        let warning = headers.into_iter().map(|(name, value)| {
            assert_eq!(name, HeaderName::WARNING);
            Warning::parse(&value).expect("is one").code()
        });
        (status.as_u16(), warning.last())
    }

    /// RFC 3261 §21.4.26 and §21.4.1: what cannot be agreed on is not what cannot be read.
    #[test]
    fn offers_are_refused_by_what_is_wrong_with_them() {
        let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
        let video = format!("{head}m=video 4000 RTP/AVP 31\r\n");
        assert_eq!(refused(&video), (488, Some(305)));
        let lines = format!("{head}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(10_000));
        assert_eq!(refused(&lines), (488, Some(399)));
        assert_eq!(refused("nonsense").0, 400);
    }
}
