//! Everything of one user agent or server, as the one machine that its driver runs.

use crate::dispatch::DispatchSet;
use sip_endpoint::{Context, Observation, Stack, StackEvent};
use sip_io::{BindToken, Receive, StateMachine, Transmit, earliest};
use sip_media::MediaEngine;
use sip_proxy::{Dispatcher, Proxy};
use sip_registrar::Registrar;
use sip_ua::UserAgent;
use std::time::Instant;

/// The cores of one stack. A user agent takes every request that reaches it, so it stands last; a server has the other
/// two before it.
pub(crate) type Cores = (Option<Registrar>, (Option<Proxy>, (Probing, UserAgent)));

/// Who asks the destinations of sets whether they live.
pub(crate) type Probing = Option<Dispatcher<DispatchSet>>;

/// The SIP stack and the RTP sessions of its calls, side by side on one task: an event of one may command the other at
/// once, without a hop.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) stack: Stack<Cores>,
    pub(crate) media: MediaEngine,
}

/// What happened in one of the two. It is handed on at once, never kept.
#[derive(Debug)]
pub(crate) enum MachineEvent {
    Sip(StackEvent<<Cores as sip_endpoint::Core>::Event>),
    Media(sip_media::Event),
    /// A message passed, and somebody keeps them
    Seen(Observation),
}

impl Machine {
    /// Commands the user agent core.
    pub(crate) fn ua<R>(
        &mut self,
        now: Instant,
        command: impl FnOnce(&mut UserAgent, &mut Context<'_>) -> R,
    ) -> R {
        self.stack
            .command(now, |cores, cx| command(&mut cores.1.1.1, cx))
    }

    /// Commands the proxy core, if there is one.
    pub(crate) fn proxy<R>(
        &mut self,
        now: Instant,
        command: impl FnOnce(&mut Proxy, &mut Context<'_>) -> R,
    ) -> Option<R> {
        self.stack.command(now, |cores, cx| {
            cores.1.0.as_mut().map(|proxy| command(proxy, cx))
        })
    }
}

impl StateMachine for Machine {
    type Event = MachineEvent;

    fn handle_receive(&mut self, now: Instant, receive: Receive) {
        match &receive {
            Receive::Datagram { flow, .. } | Receive::Failed { flow, .. }
                if self.media.owns(flow) =>
            {
                self.media.handle_receive(now, receive);
            }
            Receive::Bound { token, .. } if is_media(*token) => {
                self.media.handle_receive(now, receive)
            }
            Receive::Network { .. } => {
                self.media.handle_receive(now, receive.clone());
                self.stack.handle_receive(now, receive);
            }
            _ => self.stack.handle_receive(now, receive),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        self.media.handle_timeout(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.stack.poll_transmit() {
            return Some(transmit);
        }
        self.media.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<MachineEvent> {
        // Not by `map`: most of the time there is nothing, which need not be moved.
        if let Some(event) = self.stack.poll_event() {
            return Some(MachineEvent::Sip(event));
        }
        if let Some(event) = self.media.poll_event() {
            return Some(MachineEvent::Media(event));
        }
        self.stack.poll_observation().map(MachineEvent::Seen)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        earliest([self.stack.poll_timeout(), self.media.poll_timeout()])
    }
}

/// The numbers of the media engine's sockets: between those of sip-transport, which count from zero, and those of the
/// endpoint's DNS client, which have the highest bit set.
pub(crate) const MEDIA_TOKENS: u64 = 1 << 62;

const fn is_media(token: BindToken) -> bool {
    token.0 & (1 << 63) == 0 && token.0 & MEDIA_TOKENS != 0
}
