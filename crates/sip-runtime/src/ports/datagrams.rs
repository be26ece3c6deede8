//! Datagram sockets.

use super::{Bound, Due, Ports, RETRY, Sharing, coalescing::Reading};
use crate::{
    ready::Source,
    runtime::{Batch, Datagram, UdpSocket, canonical},
};
use bytes::Bytes;
use sip_io::{BindToken, FailReason, Flow, Receive, Shard};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll, Waker},
    time::Instant,
};

/// One bound datagram socket.
pub(super) struct UdpPort {
    pub(super) socket: Box<dyn UdpSocket>,
    local: SocketAddr,
    pub(super) waker: Waker,
    /// What leaves at the next flush, or when the system has room again
    waiting: VecDeque<Datagram>,
    /// Whether the system had no room
    is_full: bool,
    pub(super) reading: Reading,
}

impl UdpPort {
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A datagram of this socket. The address that it leaves from is chosen where the socket has several.
    fn datagram(&self, flow: &Flow, contents: Bytes) -> Datagram {
        let local = self.local.ip().is_unspecified().then(|| flow.local().ip());
        Datagram {
            local: local.filter(|address| !address.is_unspecified()),
            remote: flow.remote(),
            contents,
        }
    }

    /// The concrete address of something that came to `local`.
    fn flow(&self, local: Option<IpAddr>, remote: SocketAddr) -> Flow {
        let local = match local {
            Some(address) if self.local.ip().is_unspecified() => {
                SocketAddr::new(address.to_canonical(), self.local.port())
            }
            _ => self.local,
        };
        Flow::udp(local, canonical(remote))
    }
}

impl Ports {
    pub(super) fn bind_udp(
        &mut self,
        token: BindToken,
        local: SocketAddr,
        sharing: Sharing,
    ) -> io::Result<SocketAddr> {
        let socket = match sharing {
            Sharing::Alone => self.runtime.bind_udp(local)?,
            Sharing::Shared => {
                if self.is_first_at(local) {
                    drop(self.runtime.bind_udp(local)?);
                }
                self.runtime.bind_udp_shared(local)?
            }
        };
        let local = canonical(socket.local_addr()?);
        if let Some(Err(error)) = self.limits.dscp.map(|dscp| socket.set_dscp(dscp)) {
            tracing::warn!(%error, %local, "datagrams go without their code point");
        }
        let entry = self.udp.vacant_entry();
        let key = entry.key();
        entry.insert(UdpPort {
            socket,
            local,
            waker: self.ready.source(Source::Udp(key)),
            waiting: VecDeque::new(),
            is_full: false,
            reading: Reading::new(self.runtime.now(), self.worked),
        });
        self.udp_at.insert(local, key);
        self.bound.insert(token, Bound::Udp(key));
        Ok(local)
    }

    /// Whether this shard is to find out that nobody else is at an address: another program that shares addresses would
    /// share ours, and get a part of what comes.
    pub(super) fn is_first_at(&self, local: SocketAddr) -> bool {
        self.shard() == Shard::default() && local.port() != 0
    }

    /// Sends a datagram at the next flush, from the socket that has the flow's local address.
    pub(super) fn send(&mut self, flow: Flow, contents: Bytes) {
        let key = self.udp_key(flow.local());
        let Some((key, port)) = key.and_then(|key| Some((key, self.udp.get_mut(key)?))) else {
            let reason = FailReason::Socket(io::ErrorKind::NotConnected);
            self.received.push_back(Receive::Failed { flow, reason });
            return;
        };
        if port.waiting.len() >= WAITING {
            // What protocols over datagrams can bear anyway.
            tracing::debug!(?flow, limit = WAITING, "no room for a datagram: dropped");
            let reason = FailReason::NoRoom;
            self.received.push_back(Receive::Failed { flow, reason });
            return;
        }
        if port.waiting.is_empty() {
            self.unsent.push(key);
        }
        port.waiting.push_back(port.datagram(&flow, contents));
        if port.waiting.len() == Batch::SIZE {
            self.flush_udp(key);
        }
    }

    /// Sends what waits in each socket.
    pub(crate) fn flush_datagrams(&mut self) {
        let mut unsent = std::mem::take(&mut self.unsent);
        for key in unsent.drain(..) {
            self.flush_udp(key);
        }
        self.unsent = unsent;
    }

    pub(super) fn flush_udp(&mut self, key: usize) {
        let Some(port) = self.udp.get_mut(key).filter(|port| !port.is_full) else {
            return;
        };
        while !port.waiting.is_empty() {
            let waiting = port.waiting.make_contiguous();
            let batch = waiting.len().min(Batch::SIZE);
            match port.socket.try_send_batch(&waiting[..batch]) {
                Ok(sent) => drop(port.waiting.drain(..sent.min(batch))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    port.is_full = true;
                    port.waker.wake_by_ref();
                    return;
                }
                Err(error) => {
                    let reason = fail_reason(&error);
                    if let Some(datagram) = port.waiting.pop_front() {
                        let flow = port.flow(datagram.local, datagram.remote);
                        self.received.push_back(Receive::Failed { flow, reason });
                    }
                }
            }
        }
    }

    pub(super) fn poll_udp(&mut self, now: Instant, key: usize) {
        let Some(port) = self.udp.get_mut(key) else {
            return;
        };
        let waker = port.waker.clone();
        let cx = &mut Context::from_waker(&waker);
        if port.is_full {
            match port.socket.poll_writable(cx) {
                Poll::Pending => {}
                room => {
                    if let Poll::Ready(Err(error)) = room {
                        tracing::debug!(%error, "cannot wait for room");
                    }
                    port.is_full = false;
                    self.flush_udp(key);
                }
            }
        }
        let Some(port) = self.udp.get_mut(key) else {
            return;
        };
        if port.reading.is_early(now) {
            return;
        }
        for batch in 0..BATCHES {
            match port.socket.poll_recv(cx, &mut self.batch) {
                Poll::Pending => return self.choose_reading(now, key, batch > 0),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    // A socket error ends no loop: what it says concerns some peer, or passes.
                    tracing::warn!(%error, local = %port.local, "cannot receive");
                    self.timers.insert(now + RETRY, Due::Ask(Source::Udp(key)));
                    return;
                }
            }
            for failure in self.batch.failures.drain(..) {
                self.received.push_back(Receive::Failed {
                    flow: port.flow(failure.local, failure.remote),
                    reason: failure.reason,
                });
            }
            for datagram in self.batch.datagrams.drain(..) {
                self.received.push_back(Receive::Datagram {
                    flow: port.flow(datagram.local, datagram.remote),
                    contents: datagram.contents,
                });
            }
        }
        // Others shall have their turn.
        waker.wake_by_ref();
    }

    /// The socket bound to `local`: exactly, or to the wildcard of its family, or to that of both.
    fn udp_key(&self, local: SocketAddr) -> Option<usize> {
        let exact = SocketAddr::new(local.ip(), local.port());
        let any_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, local.port()));
        let any_v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, local.port()));
        let wildcards = local.is_ipv4().then_some(any_v4).into_iter();
        [exact, local]
            .into_iter()
            .chain(wildcards)
            .chain([any_v6])
            .find_map(|address| self.udp_at.get(&address).copied())
    }
}

fn fail_reason(error: &io::Error) -> FailReason {
    #[cfg(feature = "_os")]
    if quinn_udp::is_msg_size_err(error) {
        return FailReason::TooLong;
    }
    match error.kind() {
        io::ErrorKind::FileTooLarge => FailReason::TooLong,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => FailReason::Unreachable,
        kind => FailReason::Socket(kind),
    }
}

/// How many batches are read from one socket before others have their turn.
const BATCHES: usize = 8;

/// How many datagrams wait for room in a socket.
const WAITING: usize = 1_024;
