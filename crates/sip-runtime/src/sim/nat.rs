//! Boxes that translate addresses, and the private networks behind them.

use super::{
    host::Host,
    world::{HostId, Shared, World},
};
use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// What a box that translates addresses lets in, by the names of RFC 3489 §5; in brackets those of RFC 4787 §4 and §5.
///
/// All but the last use one outside port for each inside address and port, whoever is spoken to, so that what STUN tells
/// is true for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nat {
    /// Anyone may send to an outside port that is in use (endpoint-independent filtering)
    FullCone,
    /// Only hosts that were sent to before (address-dependent filtering)
    Restricted,
    /// Only addresses and ports that were sent to before (address and port-dependent filtering)
    PortRestricted,
    /// As before, and each address and port that is sent to sees another outside port (address and port-dependent
    /// mapping)
    Symmetric,
}

/// A box that translates the addresses of the hosts behind it; made by [`Sim::nat`](super::Sim::nat).
///
/// It has one public IPv4 address, a name like a host, and no sockets: what comes to a port that leads nowhere, or from
/// whom the box does not let in, is dropped without a word. In ladders what comes to a port that is in use goes to the
/// host behind it, and is marked as lost when it is not let in.
///
/// The hosts behind it have private IPv4 addresses and no IPv6; among each other they speak directly. Streams pass from
/// the inside to the outside only, and nobody outside can open one.
///
/// ```
/// # use sip_runtime::{Runtime, sim::{Nat, Sim}};
/// let sim = Sim::new(1);
/// let home = sim.nat("home", Nat::PortRestricted);
/// let phone = home.host("phone");
/// assert_eq!(phone.ipv4().octets()[..2], [192, 168]);
/// ```
#[derive(Clone)]
pub struct NatBox {
    shared: Arc<Shared>,
    id: HostId,
}

/// A box, as the network knows it.
pub(super) struct NatState {
    kind: Nat,
    /// The third octet of the addresses behind it
    network: u8,
    hosts: u8,
    timeout: Duration,
    pub(super) stream_timeout: Duration,
    pub(super) hairpin: bool,
    /// By the outside port
    mappings: BTreeMap<u16, Mapping>,
}

struct Mapping {
    inside: SocketAddr,
    /// Whom it is for alone
    remote: Option<SocketAddr>,
    /// Who was sent to, and when for the last time
    sent: BTreeMap<SocketAddr, Duration>,
}

impl NatBox {
    pub(super) fn new(shared: Arc<Shared>, id: HostId) -> Self {
        Self { shared, id }
    }

    /// The host with this name behind the box, made when it is asked for the first time.
    ///
    /// # Panics
    ///
    /// When the host exists and is elsewhere, or 254 hosts are behind the box.
    pub fn host(&self, name: &str) -> Host {
        let id = self.shared.with(|world| world.host_behind(self.id, name));
        Host::new(Arc::clone(&self.shared), id)
    }

    /// Its public address.
    pub fn ipv4(&self) -> Ipv4Addr {
        let address = |world: &mut World| world.hosts.get(&self.id).map(|host| host.ipv4);
        self.shared.with(address).expect("hosts are never removed")
    }

    /// For how long a port stays open to whom nothing was sent. Only what leaves keeps it open (RFC 4787 §4.3). Defaults
    /// to 2 minutes, the least that RFC 4787 allows; boxes of today are content with 30 s.
    pub fn timeout(&self, timeout: Duration) -> &Self {
        self.set(|nat| nat.timeout = timeout)
    }

    /// How long nothing may pass on a stream until the box forgets it; what is written then never arrives. Defaults to
    /// 2 hours and 4 minutes, the least that RFC 5382 §5 allows.
    pub fn stream_timeout(&self, timeout: Duration) -> &Self {
        self.set(|nat| nat.stream_timeout = timeout)
    }

    /// Whether hosts behind the box reach each other by its public address (RFC 4787 §6). Defaults to no, as with many
    /// boxes, although the RFC asks for it.
    pub fn hairpin(&self, hairpin: bool) -> &Self {
        self.set(|nat| nat.hairpin = hairpin)
    }

    /// Switches it off and on: every mapping is forgotten, and streams through it lead nowhere.
    pub fn restart(&self) {
        self.shared.with(|world| {
            world.cut_streams_behind(self.id);
            if let Some(nat) = world.nats.get_mut(&self.id) {
                nat.mappings.clear();
            }
        });
    }

    /// How many outside ports are in use for datagrams.
    pub fn mappings(&self) -> usize {
        self.shared.with(|world| {
            let now = world.now;
            let nat = world.nats.get(&self.id);
            nat.map_or(0, |nat| {
                let in_use = |mapping: &&Mapping| mapping.is_in_use(now, nat.timeout);
                nat.mappings.values().filter(in_use).count()
            })
        })
    }

    fn set(&self, set: impl FnOnce(&mut NatState)) -> &Self {
        self.shared.with(|world| {
            if let Some(nat) = world.nats.get_mut(&self.id) {
                set(nat);
            }
        });
        self
    }
}

impl fmt::Debug for NatBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NatBox").field(&self.id).finish()
    }
}

impl Mapping {
    fn is_in_use(&self, now: Duration, timeout: Duration) -> bool {
        self.sent.values().any(|last| now - *last <= timeout)
    }
}

impl NatState {
    fn lets_in(&self, now: Duration, mapping: &Mapping, source: SocketAddr) -> bool {
        let mut open = mapping.sent.iter().filter_map(|(remote, last)| {
            let is_open = now - *last <= self.timeout;
            is_open.then_some(remote)
        });
        match self.kind {
            Nat::FullCone => open.next().is_some(),
            Nat::Restricted => open.any(|remote| remote.ip() == source.ip()),
            Nat::PortRestricted | Nat::Symmetric => open.any(|remote| *remote == source),
        }
    }
}

impl World {
    /// Makes a box of this kind, or of another kind what was one.
    pub(super) fn nat(&mut self, name: &str, kind: Nat) -> HostId {
        let id = self.host(name);
        let network = self.nats.len() as u8;
        let nat = self.nats.entry(id).or_insert_with(|| NatState {
            kind,
            network,
            hosts: 0,
            timeout: Duration::from_secs(120),
            stream_timeout: Duration::from_secs(7_440),
            hairpin: false,
            mappings: BTreeMap::new(),
        });
        nat.kind = kind;
        if let Some(host) = self.hosts.get_mut(&id) {
            host.has_ipv6 = false;
        }
        id
    }

    fn host_behind(&mut self, nat: HostId, name: &str) -> HostId {
        let is_new = !self.names.contains_key(&super::dns::key(name));
        let id = self.host(name);
        let (Some(state), Some(host)) = (self.nats.get_mut(&nat), self.hosts.get_mut(&id)) else {
            return id;
        };
        if host.behind == Some(nat) {
            return id;
        }
        assert!(is_new, "{name} is a host elsewhere");
        state.hosts += 1;
        assert!(state.hosts < 255, "there is no address left for {name}");
        host.behind = Some(nat);
        host.has_ipv6 = false;
        host.ipv4 = Ipv4Addr::new(192, 168, state.network, state.hosts);
        id
    }

    /// The box that something from one host to another passes on its way out.
    pub(super) fn passes(&self, from: HostId, to: Option<HostId>) -> Option<HostId> {
        let behind = |host: HostId| self.hosts.get(&host).and_then(|host| host.behind);
        let nat = behind(from)?;
        let is_inside = |to: HostId| behind(to) == Some(nat) || self.is_name_server(to);
        (!to.is_some_and(is_inside)).then_some(nat)
    }

    /// A datagram leaves: the address that it leaves from.
    pub(super) fn translate_out(
        &mut self,
        nat: HostId,
        inside: SocketAddr,
        remote: SocketAddr,
    ) -> SocketAddr {
        let now = self.now;
        let outside = self.hosts.get(&nat).map(|host| host.ipv4);
        let outside = outside.unwrap_or(Ipv4Addr::UNSPECIFIED).into();
        let Some(state) = self.nats.get_mut(&nat) else {
            return inside;
        };
        let (kind, timeout) = (state.kind, state.timeout);
        let mappings = &mut state.mappings;
        mappings.retain(|_, mapping| mapping.is_in_use(now, timeout));
        let wanted = (kind == Nat::Symmetric).then_some(remote);
        let is_it = |mapping: &Mapping| mapping.inside == inside && mapping.remote == wanted;
        if let Some((port, mapping)) = mappings.iter_mut().find(|(_, mapping)| is_it(mapping)) {
            mapping.sent.insert(remote, now);
            return SocketAddr::new(outside, *port);
        }
        let port = self.next_port(nat);
        let mapping = Mapping {
            inside,
            remote: wanted,
            sent: BTreeMap::from([(remote, now)]),
        };
        if let Some(state) = self.nats.get_mut(&nat) {
            state.mappings.insert(port, mapping);
        }
        SocketAddr::new(outside, port)
    }

    /// A datagram comes to a port of a box: the host behind and its address, if it is let in.
    pub(super) fn translate_in(
        &self,
        nat: HostId,
        port: u16,
        source: SocketAddr,
    ) -> Option<(HostId, SocketAddr)> {
        let state = self.nats.get(&nat)?;
        let mapping = state.mappings.get(&port)?;
        let passes = state.lets_in(self.now, mapping, source);
        let inside = mapping.inside;
        passes.then_some((self.behind(nat, inside)?, inside))
    }

    /// Who is behind a port of a box, let in or not.
    pub(super) fn owner_of(&self, nat: HostId, port: u16) -> Option<HostId> {
        let mapping = self.nats.get(&nat)?.mappings.get(&port)?;
        self.behind(nat, mapping.inside)
    }

    fn behind(&self, nat: HostId, inside: SocketAddr) -> Option<HostId> {
        let is_it = |(_, host): &(&HostId, &super::world::HostState)| {
            host.behind == Some(nat) && inside.ip() == host.ipv4
        };
        self.hosts.iter().find(is_it).map(|(id, _)| *id)
    }
}
