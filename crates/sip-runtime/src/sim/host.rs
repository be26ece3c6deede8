//! A host of the network: a runtime of its own.

use super::{
    Sleep,
    connect::{SimConnect, SimListener},
    dns,
    udp::SimUdp,
    world::{HostId, Shared},
};
use crate::{
    activity::Activity,
    names::NameService,
    runtime::{BoxFuture, Runtime, TcpListener, TcpStream, Timer, UdpSocket},
};
use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// A host of a simulated network, with an IPv4 and an IPv6 address, a name, entropy and a clock of its own.
///
/// Clones are the same host. The first host asked for has 10.0.0.1, the second 10.0.0.2, and so on.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    id: HostId,
}

impl Host {
    pub(super) fn new(shared: Arc<Shared>, id: HostId) -> Self {
        Self { shared, id }
    }

    /// The name that the network knows it by.
    pub fn name(&self) -> String {
        self.state(|host| host.name.clone())
    }

    /// Its IPv4 address; that of a host behind a [box](super::NatBox) is private.
    pub fn ipv4(&self) -> Ipv4Addr {
        self.state(|host| host.ipv4)
    }

    /// Its IPv6 address.
    pub fn ipv6(&self) -> Ipv6Addr {
        self.state(|host| host.ipv6)
    }

    /// Takes its IPv6 address away, also in the simulated DNS: a host as there are many.
    pub fn without_ipv6(self) -> Self {
        self.state(|host| host.has_ipv6 = false);
        self
    }

    /// Takes its IPv4 address away, also in the simulated DNS: a phone in a network of today.
    pub fn without_ipv4(self) -> Self {
        self.state(|host| host.has_ipv4 = false);
        self
    }

    /// Takes the power away: every task and socket is gone, no peer is told. What asks the host for something
    /// afterwards is refused.
    pub fn crash(&self) {
        let tasks = self.shared.with(|world| world.crash(self.id));
        // They give back what they hold of the network, so it must be free.
        drop(tasks);
    }

    /// Switches it on again, with nothing running.
    pub fn restart(&self) {
        self.state(|host| host.up = true);
    }

    /// Sets its clock: the time of day that it has now. Defaults to New Year 2026 when the simulation starts.
    pub fn set_wall_clock(&self, time: SystemTime) {
        let now = self.shared.with(|world| world.now);
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.state(|host| host.wall_clock = since.saturating_sub(now));
    }

    fn state<R>(&self, with: impl FnOnce(&mut super::world::HostState) -> R) -> R {
        self.shared.with(|world| {
            let host = world.hosts.get_mut(&self.id);
            with(host.expect("hosts are never removed"))
        })
    }
}

impl Runtime for Host {
    fn now(&self) -> Instant {
        self.shared.now()
    }

    fn wall_clock(&self) -> SystemTime {
        let now: Duration = self.shared.with(|world| world.now);
        SystemTime::UNIX_EPOCH + self.state(|host| host.wall_clock) + now
    }

    fn entropy(&self, bytes: &mut [u8]) {
        self.state(|host| host.rng.fill(bytes));
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.shared.spawn(self.id, task);
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(Sleep::new(Arc::clone(&self.shared), at))
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        let socket = SimUdp::bind(&self.shared, self.id, local, false)?;
        Ok(Box::new(socket))
    }

    fn bind_udp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        let socket = SimUdp::bind(&self.shared, self.id, local, true)?;
        Ok(Box::new(socket))
    }

    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let listener = SimListener::bind(&self.shared, self.id, local, false)?;
        Ok(Box::new(listener))
    }

    fn listen_tcp_shared(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let listener = SimListener::bind(&self.shared, self.id, local, true)?;
        Ok(Box::new(listener))
    }

    fn connect_tcp(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> BoxFuture<io::Result<Box<dyn TcpStream>>> {
        Box::pin(SimConnect::new(&self.shared, self.id, local, remote))
    }

    fn name_service(&self) -> NameService {
        let server = if self.state(|host| host.has_ipv4) {
            dns::ADDRESS.into()
        } else {
            IpAddr::from(dns::ADDRESS_6)
        };
        NameService {
            nameservers: vec![SocketAddr::from((server, dns::PORT))],
            hosts: vec![
                ("localhost".to_owned(), Ipv4Addr::LOCALHOST.into()),
                ("localhost".to_owned(), Ipv6Addr::LOCALHOST.into()),
            ],
        }
    }

    fn interfaces_may_change(&self) -> bool {
        false
    }

    fn interfaces(&self) -> Vec<IpAddr> {
        let own = self.state(|host| {
            let ipv4 = host.has_ipv4.then_some(IpAddr::from(host.ipv4));
            [ipv4, host.has_ipv6.then_some(host.ipv6.into())]
        });
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        own.into_iter().flatten().chain(loopback).collect()
    }

    fn watch(&self, activity: Arc<Activity>) {
        self.state(|host| host.activities.push(activity));
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({} {})", self.name(), self.ipv4())
    }
}
