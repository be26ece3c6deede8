//! CANCEL and the answers that it crosses (RFC 3261 §9; TRAPS 6): every order, with losses.
//!
//! A state is what every machine took in and what is on the wire; from each one every move is made: a user's wish, the
//! arrival or the loss of any message, the passing of time. States that were reached another way are not entered again,
//! which is the same as trying every interleaving, because machines that took in the same are the same. When no move
//! is left the users do what users do in the end, nothing is lost any more, and the laws are checked.

use crate::stage::{Between, Deed, Stage, Who};
use sipwright::message::StatusCode;
use std::{collections::BTreeSet, time::Duration};

/// Nobody is between: every message may be overtaken by every other, and two may be lost.
#[test]
fn a_cancel_that_crosses_anything_ends_in_one_outcome() {
    let explored = explore(
        Between::Nobody,
        Budget {
            losses: 2,
            ticks: 0,
        },
        &[],
    );
    assert!(explored.endings > 150, "{explored:?}");
    assert_all_were_seen(&explored);
}

/// RFC 3261 §16.10: a proxy is between, and CANCEL, provisional and final responses are delayed on either side of it;
/// two of them are lost.
#[test]
fn a_cancel_through_a_proxy_that_crosses_anything_ends_in_one_outcome() {
    let explored = explore(
        Between::Proxy,
        Budget {
            losses: 2,
            ticks: 0,
        },
        &PROMPT,
    );
    assert!(explored.endings > 150, "{explored:?}");
    assert_all_were_seen(&explored);
}

/// As above, and what was lost is sent again in between, where it crosses even more.
#[test]
#[ignore = "takes minutes without optimisation; `cargo model` runs it"]
fn a_cancel_that_crosses_repetitions_ends_in_one_outcome() {
    let budget = Budget {
        losses: 1,
        ticks: 1,
    };
    let direct = explore(Between::Nobody, budget, &[]);
    assert_all_were_seen(&direct);
    let budget = Budget {
        losses: 2,
        ticks: 1,
    };
    let proxied = explore(Between::Proxy, budget, &PROMPT);
    assert_all_were_seen(&proxied);
}

/// How much may go wrong in one run.
#[derive(Clone, Copy)]
struct Budget {
    losses: usize,
    ticks: usize,
}

/// What arrives at once where a proxy makes the paths too many.
const PROMPT: [&str; 4] = ["INVITE", "100 INVITE", "200 CANCEL", "ACK"];

/// What was found.
#[derive(Debug, Default)]
struct Explored {
    states: BTreeSet<u64>,
    runs: usize,
    endings: usize,
    /// Calls that both held, that were refused, and that were answered although the caller had given up
    held: usize,
    refused: usize,
    crossed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Cancel,
    Ring,
    Answer,
    Deliver(usize),
    Lose(usize),
    Tick,
    /// The users want nothing more
    Settle,
}

fn assert_all_were_seen(explored: &Explored) {
    let Explored {
        held,
        refused,
        crossed,
        ..
    } = explored;
    assert!(
        *held > 0 && *refused > 0 && *crossed > 0,
        "{held} held, {refused} refused, {crossed} answered although given up"
    );
}

fn explore(between: Between, budget: Budget, prompt: &'static [&'static str]) -> Explored {
    let mut explored = Explored::default();
    // Paths whose last move was not made yet.
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        explored.runs += 1;
        let mut run = Run::new(between, budget, prompt);
        for step in &path {
            run.make(*step);
        }
        let mut path = path;
        loop {
            if !explored.states.insert(run.fingerprint()) {
                break;
            }
            let moves = run.moves();
            let Some((first, others)) = moves.split_first() else {
                explored.endings += 1;
                run.end(&mut explored);
                break;
            };
            open.extend(others.iter().map(|other| [&path[..], &[*other]].concat()));
            run.make(*first);
            path.push(*first);
        }
    }
    explored
}

struct Run {
    stage: Stage,
    budget: Budget,
    prompt: &'static [&'static str],
    cancelled: bool,
    rung: bool,
    answered: bool,
    settled: bool,
}

impl Run {
    fn new(between: Between, budget: Budget, prompt: &'static [&'static str]) -> Self {
        let mut stage = Stage::new(between);
        stage.deliver_all(prompt);
        Self {
            stage,
            budget,
            prompt,
            cancelled: false,
            rung: false,
            answered: false,
            settled: false,
        }
    }

    fn fingerprint(&self) -> u64 {
        // What was lost shows in what is on the wire and what arrived, but not what may yet be lost.
        let Budget { losses, ticks } = self.budget;
        self.stage.fingerprint()
            ^ (losses as u64) << 8
            ^ (ticks as u64) << 16
            ^ u64::from(self.settled)
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        if self.settled {
            return moves;
        }
        let distinct = self.stage.distinct();
        moves.extend(distinct.iter().map(|index| Move::Deliver(*index)));
        let (alice, bob) = (&self.stage.at_alice, &self.stage.at_bob);
        let is_ringing = bob.call.is_some() && bob.ended.is_empty() && !self.answered;
        if is_ringing {
            moves.extend((!self.rung).then_some(Move::Ring));
            moves.push(Move::Answer);
        }
        if !self.cancelled && alice.answered == 0 && alice.ended.is_empty() {
            moves.push(Move::Cancel);
        }
        if self.budget.losses > 0 {
            moves.extend(distinct.iter().map(|index| Move::Lose(*index)));
        }
        // Nothing is under way for as long as T1, so time passes when nothing is under way.
        if self.stage.wire.is_empty() {
            moves.extend((self.budget.ticks > 0).then_some(Move::Tick));
            moves.push(Move::Settle);
        }
        moves
    }

    fn make(&mut self, step: Move) {
        match step {
            Move::Cancel => {
                self.cancelled = true;
                self.stage.command(Who::Alice, "cancel", |ua, cx, call| {
                    ua.hang_up(cx, call).expect("the call is not over");
                });
            }
            Move::Ring => {
                self.rung = true;
                self.stage.command(Who::Bob, "ring", |ua, cx, call| {
                    ua.ring(cx, call).expect("the call is not over");
                });
            }
            Move::Answer => {
                self.answered = true;
                self.stage.command(Who::Bob, "answer", |ua, cx, call| {
                    ua.answer(cx, call, StatusCode::OK, Vec::new())
                        .expect("the call is not over");
                });
            }
            Move::Deliver(index) => self.stage.deliver(index),
            Move::Lose(index) => {
                self.budget.losses -= 1;
                self.stage.lose(index);
            }
            Move::Tick => {
                self.budget.ticks -= 1;
                self.stage.pass(TICK);
            }
            Move::Settle => self.settled = true,
        }
        self.stage.deliver_all(self.prompt);
    }

    /// Nothing is lost any more and users answer: checks what must be true then.
    fn end(mut self, explored: &mut Explored) {
        self.stage.run(SETTLED);
        if self.stage.at_bob.call.is_some() && !self.answered && self.stage.at_bob.ended.is_empty()
        {
            self.stage.command(Who::Bob, "reject", |ua, cx, call| {
                ua.reject(cx, call, StatusCode::BUSY_HERE, Vec::new())
                    .expect("the call is not over");
            });
            self.stage.run(SETTLED);
        }
        self.assert_agreement(explored);
        if self.stage.calls() == [1, 1] {
            explored.held += 1;
            self.stage.command(Who::Alice, "hang up", |ua, cx, call| {
                ua.hang_up(cx, call).expect("she holds it");
            });
            self.stage.run(SETTLED);
        }
        self.check(self.stage.left().is_empty(), "something is left");
        for story in [&self.stage.at_alice, &self.stage.at_bob] {
            let ends = usize::from(story.call.is_some());
            self.check(story.ended.len() == ends, "a call has one end");
            self.check(story.answered <= 1 && story.established <= 1, "one answer");
        }
        self.assert_traffic();
    }

    fn assert_agreement(&self, explored: &mut Explored) {
        let Stage {
            at_alice, at_bob, ..
        } = &self.stage;
        let [alice, bob] = self.stage.calls();
        self.check(alice == bob, "one of them holds the call alone");
        if at_alice.answered > 0 {
            self.check(self.answered, "nobody answered");
        }
        if alice == 1 {
            self.check(
                at_alice.established == 1 && at_bob.established == 1,
                "a call that is held is established",
            );
            self.check(!self.cancelled, "who has given up holds nothing");
        }
        if self.answered && self.cancelled && at_bob.established > 0 && alice == 0 {
            explored.crossed += 1;
        }
        if !self.answered {
            explored.refused += 1;
            let status = at_alice.ended[0].response.as_ref().map(|r| r.status());
            let told = at_bob.call.is_none()
                || status == Some(StatusCode::BUSY_HERE)
                || status == Some(StatusCode::REQUEST_TERMINATED);
            self.check(told, "the caller was told something else than was said");
        }
    }

    /// What was said on the wire was right, whatever came of it.
    fn assert_traffic(&self) {
        let stage = &self.stage;
        let finals = ["200", "408", "486", "487", "503"];
        for who in [Who::Alice, Who::Proxy, Who::Bob] {
            // RFC 3261 §17.1.1.2 and §13.2.2.4: each final response to an INVITE that arrives is acknowledged; a proxy
            // acknowledges refusals and forwards the rest.
            let refusals: usize = finals[1..]
                .iter()
                .map(|code| stage.arrived(who, &format!("{code} INVITE")))
                .sum();
            let accepted = stage.arrived(who, "200 INVITE");
            let acks = stage.sent(who, "ACK");
            match who {
                Who::Alice => self.check(acks == refusals + accepted, "each final has its ACK"),
                Who::Proxy => self.check(acks >= refusals, "each refusal has its ACK"),
                Who::Bob => self.check(acks == 0, "the callee acknowledges nothing"),
            }
            // One outcome goes one way.
            let said: BTreeSet<_> = finals
                .iter()
                .filter(|code| stage.sent(who, &format!("{code} INVITE")) > 0)
                .collect();
            self.check(said.len() <= 1, "two outcomes were sent");
            // RFC 3261 §9.2: each CANCEL is answered, and known unless the INVITE never came.
            let cancels = stage.arrived(who, "CANCEL");
            let answers = stage.sent(who, "200 CANCEL") + stage.sent(who, "481 CANCEL");
            self.check(cancels == answers, "each CANCEL has its answer");
            if stage.arrived(who, "INVITE") > 0 && stage.sent(who, "481 CANCEL") > 0 {
                let position = |deed| stage.deeds.iter().position(|known| *known == deed);
                let invite = position(Deed::Arrived(who, "INVITE".to_owned()));
                let unknown = position(Deed::Sent(who, "481 CANCEL".to_owned()));
                self.check(unknown < invite, "a CANCEL of a known INVITE is known");
            }
            // RFC 3261 §9.1: not before a provisional response, not after a final one.
            let (mut rang, mut over, mut cancelled) = (false, false, false);
            for deed in &stage.deeds {
                match deed {
                    Deed::Arrived(at, what) if *at == who && what.ends_with(" INVITE") => {
                        let is_provisional = what.starts_with('1');
                        rang |= is_provisional;
                        over |= !is_provisional;
                    }
                    Deed::Sent(at, what) if *at == who && what == "CANCEL" && !cancelled => {
                        self.check(rang && !over, "CANCEL is sent between 1xx and final");
                        cancelled = true;
                    }
                    _ => {}
                }
            }
        }
        // TRAPS 6: a 2xx that crossed the CANCEL is acknowledged and hung up.
        if stage.arrived(Who::Alice, "200 INVITE") > 0 {
            let byes = stage.sent(Who::Alice, "BYE") + stage.sent(Who::Bob, "BYE");
            self.check(byes > 0, "what was answered is hung up");
        }
    }

    #[track_caller]
    fn check(&self, is_right: bool, law: &str) {
        assert!(
            is_right,
            "{law}\n{:?}\n{}",
            self.stage.left(),
            self.stage.ladder()
        );
    }
}

/// A little more than T1: everything that was not answered is sent once more.
const TICK: Duration = Duration::from_millis(600);

/// 2×64×T1 + T4.
const SETTLED: Duration = Duration::from_secs(69);
