//! Simulated datagrams.

use super::{
    dns, ladder,
    link::{LONGEST_QUEUE, Oversize, Settings},
    world::{Action, HostId, Shared, World},
};
use crate::runtime::{Batch, UdpSocket, canonical};
use bytes::Bytes;
use sip_io::FailReason;
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// A bound socket, as the network knows it.
pub(super) struct Socket {
    host: HostId,
    local: SocketAddr,
    /// Whether others may have the same address
    is_shared: bool,
    inbox: VecDeque<(IpAddr, SocketAddr, Bytes)>,
    /// From where and to whom a datagram could not be delivered, and why
    refused: VecDeque<(IpAddr, SocketAddr, FailReason)>,
    waker: Option<Waker>,
    watched: bool,
}

/// A datagram under way.
#[derive(Clone)]
pub(super) struct Datagram {
    from: HostId,
    /// The host or the box that it goes to
    to: HostId,
    socket: u64,
    /// Where it was sent from, as its sender knows it
    origin: SocketAddr,
    /// Where it comes from, as its receiver sees it
    source: SocketAddr,
    destination: SocketAddr,
    contents: Bytes,
    /// Its place in the ladder
    rung: Option<usize>,
}

/// How long a datagram is on its way.
#[derive(Clone, Copy)]
struct Size {
    /// With the headers of each fragment
    octets: usize,
    fragments: usize,
    /// What happens to it if it is longer than the way allows
    oversize: Oversize,
}

/// What chance does to a datagram.
#[derive(Clone, Copy)]
struct Luck {
    lost: bool,
    overtaken: bool,
    twice: bool,
}

impl Size {
    fn new(length: usize, remote: SocketAddr, way: &Settings) -> Self {
        let headers = if remote.is_ipv4() { 28 } else { 48 };
        let mtu = way.mtu.unwrap_or(usize::MAX);
        let most = mtu.saturating_sub(headers).max(8);
        let fragments = length.div_ceil(most).max(1);
        let is_long = length + headers > mtu;
        Self {
            octets: length + fragments * headers,
            fragments,
            oversize: way.oversize.filter(|_| is_long).unwrap_or_default(),
        }
    }
}

impl Socket {
    pub(super) fn host(&self) -> HostId {
        self.host
    }

    /// Whether something waits for who reads at times of its own.
    pub(super) fn is_unread(&self) -> bool {
        let is_read = self.inbox.is_empty() && self.refused.is_empty();
        !self.watched && !is_read
    }
}

impl World {
    pub(super) fn bind_udp(
        &mut self,
        host: HostId,
        local: SocketAddr,
        is_shared: bool,
    ) -> io::Result<u64> {
        let local = self.free_address(host, local, |world, address| {
            world.sockets.values().any(|socket| {
                let agreed = is_shared && socket.is_shared && socket.local == address;
                socket.host == host && overlap(socket.local, address) && !agreed
            })
        })?;
        let id = self.id();
        self.sockets.insert(
            id,
            Socket {
                host,
                local,
                is_shared,
                inbox: VecDeque::new(),
                refused: VecDeque::new(),
                waker: None,
                watched: true,
            },
        );
        Ok(id)
    }

    /// The address to be bound, with a port; an error if the host does not have it, or somebody else does.
    pub(super) fn free_address(
        &mut self,
        host: HostId,
        local: SocketAddr,
        taken: impl Fn(&Self, SocketAddr) -> bool,
    ) -> io::Result<SocketAddr> {
        let local = canonical(local);
        let state = self.hosts.get(&host).filter(|host| host.up);
        let state = state.ok_or(io::ErrorKind::NetworkDown)?;
        let ip = local.ip();
        if !(ip.is_unspecified() || ip.is_loopback() || state.has(ip)) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        if local.port() != 0 {
            return if taken(self, local) {
                Err(io::ErrorKind::AddrInUse.into())
            } else {
                Ok(local)
            };
        }
        for _ in 0..u16::MAX {
            let local = SocketAddr::new(ip, self.next_port(host));
            if !taken(self, local) {
                return Ok(local);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    /// The address that something to `remote` leaves from.
    pub(super) fn source(&self, host: HostId, remote: IpAddr) -> Option<IpAddr> {
        let host = self.hosts.get(&host)?;
        Some(match remote {
            IpAddr::V4(v4) if v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(_) => host.has_ipv4.then_some(host.ipv4)?.into(),
            IpAddr::V6(v6) if v6.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(_) => host.has_ipv6.then_some(host.ipv6)?.into(),
        })
    }

    fn send(
        &mut self,
        id: u64,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()> {
        let socket = self.sockets.get(&id).ok_or(io::ErrorKind::NetworkDown)?;
        let (from, local) = (socket.host, socket.local);
        let remote = canonical(remote);
        if local.is_ipv4() && remote.is_ipv6() {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        if contents.len() > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let source = match local.ip() {
            ip if !ip.is_unspecified() => ip,
            _ => source
                .or_else(|| self.source(from, remote.ip()))
                .ok_or(io::ErrorKind::NetworkUnreachable)?,
        };
        let origin = SocketAddr::new(source, local.port());
        let to = self.host_at(from, remote.ip());
        let nat = self.passes(from, to);
        let source = nat.map_or(origin, |nat| self.translate_out(nat, origin, remote));
        // Behind a box the way is that to the host.
        let end = to.map(|to| self.owner_of(to, remote.port()).unwrap_or(to));
        let way = self.way(from, end.unwrap_or(from));
        let size = Size::new(contents.len(), remote, &way);
        let luck = self.luck(&way, size.fragments);
        let mut lost = luck.lost || size.oversize != Oversize::Fragmented;
        lost |= !way.passes_datagrams() || !to.is_some_and(|to| self.is_up(to));
        lost |= nat.is_some_and(|nat| {
            let turns = to == Some(nat);
            turns && !self.nats.get(&nat).is_some_and(|nat| nat.hairpin)
        });
        lost |= self.queued((from, end.unwrap_or(from))) > LONGEST_QUEUE;
        let mut rung = None;
        if let Some(what) = ladder::summary(contents).filter(|_| !self.asks(to)) {
            lost |= self.lost.remove(&self.sip_datagrams);
            self.sip_datagrams += 1;
            rung = Some(self.observe(from, end.ok_or_else(|| remote.ip()), what, lost));
        }
        let Some((to, end)) = to.zip(end) else {
            return Ok(());
        };
        let mut datagram = Datagram {
            from,
            to,
            socket: id,
            origin,
            source,
            destination: remote,
            contents: Bytes::new(),
            rung,
        };
        if size.oversize == Oversize::Refused && way.passes_datagrams() {
            let back = self.now + way.delay.unwrap_or_default() * 2;
            self.schedule(back, Action::Refused(datagram, FailReason::TooLong));
        } else if !lost {
            datagram.contents = Bytes::copy_from_slice(contents);
            self.launch(datagram, end, &way, size, luck);
        }
        Ok(())
    }

    /// What chance has in store for a datagram. Everything is asked, whatever came out before.
    fn luck(&mut self, way: &Settings, fragments: usize) -> Luck {
        Luck {
            lost: (0..fragments).fold(false, |lost, _| self.chance(way.loss) || lost),
            overtaken: self.chance(way.reorder),
            twice: self.chance(way.duplicate),
        }
    }

    /// Sends what is not lost on its way to `end`.
    fn launch(&mut self, datagram: Datagram, end: HostId, way: &Settings, size: Size, luck: Luck) {
        let delay = way.delay.unwrap_or_default();
        for late in [false, true] {
            if late && !luck.twice {
                break;
            }
            let mut at = self.departure((datagram.from, end), way, size.octets) + delay;
            if late || luck.overtaken {
                // One to three times as long as the others.
                let usual = delay.max(Duration::from_millis(1));
                at += usual.mul_f64(1.0 + 2.0 * self.rng.fraction());
            }
            self.schedule(at, Action::Datagram(datagram.clone()));
        }
    }

    fn asks(&self, to: Option<HostId>) -> bool {
        to.is_some_and(|to| self.is_name_server(to))
    }

    /// A datagram arrives.
    pub(super) fn deliver(&mut self, datagram: Datagram) {
        let Datagram {
            mut to,
            mut destination,
            ..
        } = datagram;
        if !self.is_up(to) {
            return;
        }
        if self.nats.contains_key(&to) {
            let Some(inside) = self.translate_in(to, destination.port(), datagram.source) else {
                self.ladder.lose(datagram.rung);
                return;
            };
            (to, destination) = inside;
            if !self.is_up(to) {
                return;
            }
        }
        let back = self.now + self.way(to, datagram.from).delay.unwrap_or_default();
        if self.is_name_server(to) && destination.port() == dns::PORT {
            if let Some(answer) = self.answer(&datagram.contents) {
                let answer = Datagram {
                    from: to,
                    to: datagram.from,
                    socket: 0,
                    origin: destination,
                    source: destination,
                    destination: datagram.origin,
                    contents: answer.into(),
                    rung: None,
                };
                let way = self.way(to, datagram.from);
                if way.passes_datagrams() && !self.chance(way.loss) {
                    self.schedule(back, Action::Datagram(answer));
                }
            }
            return;
        }
        let fits = |socket: &Socket, exactly: bool| {
            socket.host == to
                && socket.local.port() == destination.port()
                && if exactly {
                    socket.local.ip() == destination.ip()
                } else {
                    socket.local.ip().is_unspecified()
                        && (socket.local.is_ipv6() || destination.is_ipv4())
                }
        };
        let found = [true, false].into_iter().find_map(|exactly| {
            let fitting = self.sockets.iter().filter(|(_, s)| fits(s, exactly));
            one_of(fitting.map(|(id, _)| *id), datagram.source)
        });
        let Some(id) = found else {
            if self.way(to, datagram.from).passes_datagrams() {
                self.schedule(back, Action::Refused(datagram, FailReason::Unreachable));
            }
            return;
        };
        let waker = self.sockets.get_mut(&id).and_then(|socket| {
            if socket.inbox.len() < INBOX {
                let Datagram {
                    source, contents, ..
                } = datagram;
                socket.inbox.push_back((destination.ip(), source, contents));
            }
            socket.waker.take()
        });
        self.wake(waker);
    }

    /// The news arrives that a datagram was not delivered.
    pub(super) fn refuse(&mut self, datagram: &Datagram, reason: FailReason) {
        let waker = self.sockets.get_mut(&datagram.socket).and_then(|socket| {
            if socket.refused.len() < INBOX {
                socket
                    .refused
                    .push_back((datagram.origin.ip(), datagram.destination, reason));
            }
            socket.waker.take()
        });
        self.wake(waker);
    }
}

/// The socket that gets what `source` sends, of those that share an address: always the same one.
pub(super) fn one_of(
    sharing: impl Iterator<Item = u64> + Clone,
    source: SocketAddr,
) -> Option<u64> {
    let number = source.to_string().bytes().fold(0_u64, |number, byte| {
        let number = (number ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        number ^ number >> 32
    });
    let count = sharing.clone().count().max(1);
    sharing.into_iter().nth(number as usize % count)
}

/// Whether nobody could tell which of two sockets is meant.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: SocketAddr, narrow: SocketAddr| {
        wide.ip().is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4())
    };
    one.port() == other.port()
        && (one.ip() == other.ip() || covers(one, other) || covers(other, one))
}

/// A bound socket, as its owner knows it.
pub(super) struct SimUdp {
    shared: Arc<Shared>,
    id: u64,
    local: SocketAddr,
}

impl SimUdp {
    pub(super) fn bind(
        shared: &Arc<Shared>,
        host: HostId,
        local: SocketAddr,
        is_shared: bool,
    ) -> io::Result<Self> {
        let (id, local) = shared.with(|world| {
            let id = world.bind_udp(host, local, is_shared)?;
            let local = world.sockets.get(&id).map_or(local, |socket| socket.local);
            io::Result::Ok((id, local))
        })?;
        Ok(Self {
            shared: Arc::clone(shared),
            id,
            local,
        })
    }
}

impl UdpSocket for SimUdp {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        self.shared.with(|world| {
            let Some(socket) = world.sockets.get_mut(&self.id) else {
                return Poll::Pending;
            };
            if socket.inbox.is_empty() && socket.refused.is_empty() {
                socket.waker = socket.watched.then(|| cx.waker().clone());
                return Poll::Pending;
            }
            for (source, remote, reason) in socket.refused.drain(..) {
                batch.fail(Some(source), remote, reason);
            }
            for _ in 0..Batch::SIZE {
                let Some((local, remote, contents)) = socket.inbox.pop_front() else {
                    break;
                };
                batch.push(Some(local), remote, contents);
            }
            Poll::Ready(Ok(()))
        })
    }

    fn try_send(
        &mut self,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()> {
        self.shared
            .with(|world| world.send(self.id, source, remote, contents))
    }

    fn poll_writable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn set_watched(&mut self, watched: bool) -> io::Result<()> {
        self.shared.with(|world| {
            if let Some(socket) = world.sockets.get_mut(&self.id) {
                socket.watched = watched;
                socket.waker = None;
            }
        });
        Ok(())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl Drop for SimUdp {
    fn drop(&mut self) {
        let socket = self.shared.with(|world| world.sockets.remove(&self.id));
        drop(socket);
    }
}

/// How many datagrams wait in a socket; more are lost, as with any system.
const INBOX: usize = 4_096;

/// The longest payload of a datagram over IPv4.
const LONGEST: usize = 65_507;
