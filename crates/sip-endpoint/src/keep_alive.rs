//! Signs of life on the flows that a user agent is reached by (RFC 5626 §4.4), and answers to those of others.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{Endpoint, Event, endpoint::Due};
use sip_io::{Flow, TimerId};
use sip_nat::stun::{self, Question};

/// How a flow is kept alive.
///
/// On a connection it is a double CRLF every 95 to 120 s, which is answered within 10 s; over datagrams it is a STUN
/// binding request every 24 to 29 s, which the same socket of the peer answers with the address that it sees us at.
///
/// ```
/// # use sip_endpoint::KeepAlive;
/// # use std::time::Duration;
/// let told_by_the_registrar = KeepAlive::agreed().at_most(Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    agreed: bool,
    at_most: Option<Duration>,
}

impl KeepAlive {
    /// For a peer that has agreed: by `ob` in Path or `Require: outbound` (RFC 5626), by `keep` (RFC 6223), or by
    /// configuration. One that does not answer is gone.
    pub const fn agreed() -> Self {
        Self {
            agreed: true,
            at_most: None,
        }
    }

    /// For a peer that has not said anything: the line ends on a connection keep address translators awake and harm
    /// nobody. A peer that has answered once is held to it; datagrams are left alone.
    pub const fn unasked() -> Self {
        Self {
            agreed: false,
            at_most: None,
        }
    }

    /// The longest time between two of them: a registrar's Flow-Timer (RFC 5626 §4.4), or the value of `keep`
    /// (RFC 6223 §4.3). They come after 80 to 100 % of it. Defaults to 120 s on connections and 29 s over datagrams.
    pub const fn at_most(mut self, time: Duration) -> Self {
        self.at_most = Some(time);
        self
    }

    /// The shortest and the longest time between two of them.
    fn range(&self, flow: &Flow) -> (Duration, Duration) {
        match self.at_most {
            Some(most) => (most.mul_f64(0.8), most),
            None if flow.is_stream() => (Duration::from_secs(95), Duration::from_secs(120)),
            None => (Duration::from_secs(24), Duration::from_secs(29)),
        }
    }

    /// How long nothing may be said.
    fn longest(&self, flow: &Flow) -> Duration {
        let (_, most) = self.range(flow);
        most.max(SHORTEST) + PONG
    }

    /// When the next one is due; `chance` is between 0 and 1.
    fn interval(&self, flow: &Flow, chance: f64) -> Duration {
        let (least, most) = self.range(flow);
        let interval = least + (most - least).mul_f64(chance);
        interval.max(SHORTEST)
    }
}

/// A flow that is kept alive.
///
/// ```text
///             .---- answered, or nobody promised to answer ----.
///             V                                                |
///   keep -> Resting ---- interval, ask ----> Pinged or Questioned ---- silence ----> failed
/// ```
#[derive(Debug)]
pub(crate) struct Kept {
    keep: KeepAlive,
    /// How many want it kept
    users: usize,
    state: State,
    timer: TimerId,
    /// When the next sign of life is asked for, while it rests
    due: Instant,
    /// What a STUN server said about us
    mapped: Option<std::net::SocketAddr>,
}

#[derive(Debug)]
enum State {
    Resting,
    Pinged,
    Questioned(Question),
}

impl Endpoint {
    /// Keeps a flow alive until [`stop_keep_alive`](Self::stop_keep_alive), which each call needs one of. A flow that
    /// turns out dead is closed and told as [`Event::FlowClosed`], one of datagrams too. Of several who want it kept the
    /// shortest time counts.
    ///
    /// Whether it is kept, so that `stop_keep_alive` is due: datagrams to a peer that has not agreed are not, nor is a flow
    /// that is gone or one too many, nor from here a connection of another shard.
    pub fn keep_alive(&mut self, now: Instant, flow: Flow, keep: KeepAlive) -> bool {
        if !flow.is_stream() && !keep.agreed {
            // RFC 5626 §4.4.2: who has not agreed may take STUN for a broken message.
            return false;
        }
        let chance = self.rng.fraction();
        if let Some(kept) = self.kept.get_mut(&flow) {
            kept.users += 1;
            kept.keep.agreed |= keep.agreed;
            let at_most = [kept.keep.at_most, keep.at_most].into_iter().flatten();
            kept.keep.at_most = at_most.min();
            let due = now + kept.keep.interval(&flow, chance);
            self.transport.bear_silence(&flow, kept.keep.longest(&flow));
            if matches!(kept.state, State::Resting) && due < kept.due {
                self.timers.cancel(kept.timer);
                kept.timer = self.timers.insert(due, Due::KeepAlive(flow));
                kept.due = due;
            }
            return true;
        }
        if self.transport.owner_elsewhere(&flow).is_some() {
            return false;
        }
        if !self.transport.is_open(&flow) || self.kept.len() >= self.request_limit {
            return false;
        }
        let due = now + keep.interval(&flow, chance);
        let timer = self.timers.insert(due, Due::KeepAlive(flow));
        self.transport.bear_silence(&flow, keep.longest(&flow));
        self.kept.insert(
            flow,
            Kept {
                keep,
                users: 1,
                state: State::Resting,
                timer,
                due,
                mapped: None,
            },
        );
        true
    }

    /// Keeps a flow alive no more.
    pub fn stop_keep_alive(&mut self, flow: &Flow) {
        if let Some(kept) = self.kept.get_mut(flow) {
            kept.users -= 1;
            if kept.users == 0 {
                self.forget_kept(flow);
            }
        }
    }

    /// Asks that the peer of a connection keeps it alive, as one does that was told a Flow-Timer (RFC 5626 §5.4): one
    /// that says nothing for so long is closed and told as [`Event::FlowClosed`]. `None` asks for it no more.
    pub fn expect_keep_alives(&mut self, now: Instant, flow: &Flow, within: Option<Duration>) {
        self.transport.expect_keep_alives(now, flow, within);
    }

    /// Whether peers may keep flows of datagrams alive here ([`answer_stun`](crate::EndpointConfig::answer_stun)).
    pub const fn answers_stun(&self) -> bool {
        self.answers_stun
    }

    /// The address that the peer of a kept datagram flow sees us at, once it has said so.
    pub fn mapped_address(&self, flow: &Flow) -> Option<std::net::SocketAddr> {
        self.kept.get(flow)?.mapped
    }

    pub(crate) fn forget_kept(&mut self, flow: &Flow) {
        if let Some(kept) = self.kept.remove(flow) {
            self.transport.bear_silence(flow, Duration::ZERO);
            self.timers.cancel(kept.timer);
        }
    }

    /// The time of a kept flow's state is over.
    pub(crate) fn keep_alive_due(&mut self, now: Instant, flow: Flow) {
        let Some(kept) = self.kept.get_mut(&flow) else {
            return;
        };
        match &mut kept.state {
            State::Resting if flow.is_stream() => {
                kept.state = State::Pinged;
                kept.timer = self.timers.insert(now + PONG, Due::KeepAlive(flow));
                if self.transport.ping(now, &flow).is_err() {
                    self.flow_is_dead(flow);
                }
            }
            State::Resting => {
                let question = Question::new(&mut self.rng);
                let question = match &self.sharding {
                    Some(sharding) => question.marked(sharding.me().index() as u8),
                    None => question,
                };
                let (contents, wait) = (question.to_bytes(), question.wait());
                kept.state = State::Questioned(question);
                kept.timer = self.timers.insert(now + wait, Due::KeepAlive(flow));
                self.send_stun(now, flow, contents);
            }
            State::Pinged if kept.keep.agreed => self.flow_is_dead(flow),
            State::Pinged => self.rest(now, flow),
            State::Questioned(question) => {
                if question.again() {
                    let (contents, wait) = (question.to_bytes(), question.wait());
                    kept.timer = self.timers.insert(now + wait, Due::KeepAlive(flow));
                    self.send_stun(now, flow, contents);
                } else {
                    self.flow_is_dead(flow);
                }
            }
        }
    }

    pub(crate) fn pong_received(&mut self, now: Instant, flow: Flow) {
        if let Some(kept) = self.kept.get_mut(&flow)
            && matches!(kept.state, State::Pinged)
        {
            kept.keep.agreed = true;
            self.timers.cancel(kept.timer);
            self.rest(now, flow);
        }
    }

    /// STUN on the SIP port: a question is answered (RFC 5626 §8.1), an answer says that the flow lives.
    pub(crate) fn stun_received(&mut self, now: Instant, flow: Flow, contents: &Bytes) {
        if self.answers_stun
            && let Some(answer) = stun::answer(flow.remote(), contents)
        {
            self.send_stun(now, flow, answer);
            return;
        }
        let Some(kept) = self.kept.get_mut(&flow) else {
            return;
        };
        let State::Questioned(question) = &kept.state else {
            return;
        };
        let Some(answer) = question.read(contents) else {
            return;
        };
        let timer = kept.timer;
        let before = kept.mapped;
        kept.mapped = answer.ok().or(before);
        if before.is_some() && kept.mapped != before {
            // RFC 5626 §4.4.2: a binding that has changed leads nobody to us who has the old one.
            return self.flow_is_dead(flow);
        }
        self.timers.cancel(timer);
        self.rest(now, flow);
    }

    fn rest(&mut self, now: Instant, flow: Flow) {
        let chance = self.rng.fraction();
        if let Some(kept) = self.kept.get_mut(&flow) {
            kept.state = State::Resting;
            kept.due = now + kept.keep.interval(&flow, chance);
            kept.timer = self.timers.insert(kept.due, Due::KeepAlive(flow));
        }
    }

    fn flow_is_dead(&mut self, flow: Flow) {
        tracing::debug!(?flow, "a flow gives no sign of life");
        self.flows_failed += 1;
        self.forget_kept(&flow);
        if flow.is_stream() {
            // Its end comes as that of any other connection.
            self.transport.give_up(&flow);
        } else {
            self.events.push_back(Event::FlowClosed { flow });
        }
    }

    fn send_stun(&mut self, now: Instant, flow: Flow, contents: Bytes) {
        if let Err(error) = self.transport.send(now, &flow, contents) {
            tracing::debug!(%error, "a STUN message was not sent");
        }
    }
}

/// RFC 5626 §4.4.1: how long the answer to a double CRLF may take.
const PONG: Duration = Duration::from_secs(10);

/// What nobody wants more often, whatever a registrar says.
const SHORTEST: Duration = Duration::from_secs(5);
