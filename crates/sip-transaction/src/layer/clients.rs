//! What a client's figure wants done, done.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Due, TransactionLayer};
use crate::{
    cancel,
    client::{self, Client},
    client_non_invite,
    event::{ClientTransactionId, Event, Owner, Send},
    key::Key,
    pending::Link,
    table::Id,
    timers::{Timer, Timers},
};
use sip_io::Flow;
use sip_message::{Request, Response};

impl TransactionLayer {
    pub(super) fn start(
        &mut self,
        now: Instant,
        key: Key,
        machine: client::Machine,
        flow: Flow,
        own_timers: Option<Box<Timers>>,
        contents: Bytes,
    ) -> Id {
        let timers = *own_timers.as_deref().unwrap_or(&self.config.timers);
        let (again, give_up) = match machine {
            client::Machine::Invite(..) => (Timer::A, Timer::B),
            _ => (Timer::E, Timer::F),
        };
        let id = self.clients.insert(
            key,
            Client {
                machine,
                way: flow.into(),
                is_forwarded: false,
                link: Link::ALONE,
                own_timers,
                contents: contents.clone(),
                repeat: None,
                end: None,
            },
        );
        let client = self.clients.get_mut(id).expect("inserted above");
        if !flow.is_stream() {
            let due = Due::Client(id, again);
            client.repeat = Some(self.timers.insert_after(now, timers.t1, due));
        }
        let due = Due::Client(id, give_up);
        client.end = Some(self.timers.insert_after(now, timers.timeout(), due));
        let hash = self.keys.hash(flow);
        self.pending.join(&mut self.clients, hash, id);
        self.stats.client_transactions += 1;
        self.transmits.push_back(Send {
            flow,
            contents,
            owner: Owner::Client(ClientTransactionId(id)),
        });
        id
    }

    pub(super) fn step_client(
        &mut self,
        now: Instant,
        id: Id,
        input: client::Input,
        arrived: Option<(Flow, Box<Response>)>,
    ) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let was_pending = client.is_pending();
        let action = client.step(input, &self.config.timers);
        if was_pending && !client.is_pending() {
            let flow = client.way.flow();
            let hash = || self.keys.hash(flow);
            self.pending.leave(&mut self.clients, hash, id);
        }
        self.perform_client(now, id, action, arrived);
    }

    fn perform_client(
        &mut self,
        now: Instant,
        id: Id,
        action: client::Action,
        arrived: Option<(Flow, Box<Response>)>,
    ) {
        use client::Action::*;
        match action {
            Absorb => self.stats.responses_repeated += u64::from(arrived.is_some()),
            PassUp => self.pass_up(id, arrived),
            PassUpAndDisarm => {
                self.disarm_client(id);
                self.pass_up(id, arrived);
                self.send_cancel(now, id);
            }
            PassUpAndArm(timer, after) => {
                self.pass_up(id, arrived);
                self.linger_client(now, id, timer, after, Bytes::new());
            }
            AcknowledgeAndPassUp(timer, after) => {
                let ack = self.acknowledge(id, arrived.as_ref());
                self.pass_up(id, arrived);
                self.transmit_client(id, ack.clone());
                self.linger_client(now, id, timer, after, ack);
            }
            Acknowledge => {
                self.stats.responses_repeated += 1;
                self.transmit_contents(id);
            }
            RetransmitAndArm(timer, after) => {
                self.stats.requests_retransmitted += 1;
                self.transmit_contents(id);
                if let Some(client) = self.clients.get_mut(id) {
                    client.repeat =
                        Some(self.timers.insert_after(now, after, Due::Client(id, timer)));
                }
            }
            TimedOut => {
                self.stats.timed_out += 1;
                self.tell_client(id, |id| Event::TimedOut { id });
            }
            Failed => {
                self.stats.failed += 1;
                self.tell_client(id, |id| Event::Failed { id });
            }
            End => {}
        }
        if self.clients.get(id).is_some_and(Client::is_terminated) {
            self.end_client(id);
        }
    }

    /// Leaves a state for the last one, which ends with `timer`; `contents` is what may be sent again there.
    fn linger_client(
        &mut self,
        now: Instant,
        id: Id,
        timer: Timer,
        after: Duration,
        contents: Bytes,
    ) {
        self.disarm_client(id);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        client.contents = contents;
        if after.is_zero() {
            client.step(client::Input::Timer(timer), &self.config.timers);
        } else {
            client.end = Some(self.timers.insert_after(now, after, Due::Client(id, timer)));
        }
    }

    /// Sends the CANCEL that was wished for, in a transaction of its own.
    pub(super) fn send_cancel(&mut self, now: Instant, id: Id) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let client::Machine::Invite(_, wish) = &mut client.machine else {
            return;
        };
        let Some((key, cancel)) = wish.take_wish().map(|wish| *wish) else {
            return;
        };
        // §9.1: without a final response within 64×T1 the INVITE counts as cancelled.
        let timers = client.own_timers.as_deref().unwrap_or(&self.config.timers);
        let due = Due::Client(id, Timer::Cancel);
        client.end = Some(self.timers.insert_after(now, timers.lifetime(), due));
        self.start_cancel(now, id, key, cancel);
    }

    /// Begins the transaction of a CANCEL beside that of its INVITE, unless it is there already.
    pub(super) fn start_cancel(&mut self, now: Instant, invite: Id, key: Key, cancel: Bytes) {
        let Some(client) = self.clients.get(invite) else {
            return;
        };
        if self.clients.find(&key).is_none() {
            let (flow, own_timers) = (client.way.flow(), client.own_timers.clone());
            let timers = own_timers.as_deref().unwrap_or(&self.config.timers);
            let machine = client::Machine::Cancel(client_non_invite::State::new(timers));
            self.start(now, key, machine, flow, own_timers, cancel);
        }
    }

    fn acknowledge(&self, id: Id, arrived: Option<&(Flow, Box<Response>)>) -> Bytes {
        let ack = self
            .clients
            .get(id)
            .zip(arrived)
            .and_then(|(client, (_, response))| {
                let invite = Request::parse(client.contents.clone()).ok()?;
                cancel::acknowledge(&invite, response, &self.config.carried).ok()
            });
        // A response without To is not acknowledged; its sender could not match the ACK.
        ack.map_or_else(Bytes::new, |ack| ack.to_bytes())
    }

    fn pass_up(&mut self, id: Id, arrived: Option<(Flow, Box<Response>)>) {
        if let Some((flow, response)) = arrived {
            self.tell_client(id, |id| Event::Response { id, flow, response });
        }
    }

    fn tell_client(&mut self, id: Id, event: impl FnOnce(ClientTransactionId) -> Event) {
        if self.clients.get(id).is_some_and(Client::is_users) {
            self.events.push_back(event(ClientTransactionId(id)));
        }
    }

    fn transmit_contents(&mut self, id: Id) {
        let contents = self.clients.get(id).map(|client| client.contents.clone());
        self.transmit_client(id, contents.unwrap_or_default());
    }

    fn transmit_client(&mut self, id: Id, contents: Bytes) {
        if let Some(client) = self.clients.get(id)
            && !contents.is_empty()
        {
            self.transmits.push_back(Send {
                flow: client.way.flow(),
                contents,
                owner: Owner::Client(ClientTransactionId(id)),
            });
        }
    }

    fn disarm_client(&mut self, id: Id) {
        if let Some(client) = self.clients.get_mut(id) {
            for timer in [client.repeat.take(), client.end.take()]
                .into_iter()
                .flatten()
            {
                self.timers.cancel(timer);
            }
        }
    }

    fn end_client(&mut self, id: Id) {
        self.disarm_client(id);
        self.tell_client(id, |id| Event::Ended { id });
        self.clients.remove(id);
    }
}
