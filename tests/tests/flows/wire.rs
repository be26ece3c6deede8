//! A peer that says what no stack of ours would.

use bytes::Bytes;
use sipwright::{
    io::{BindToken, Flow, Protocol, Receive, StateMachine, Transmit},
    message::{Request, Response},
    runtime::{Driver, DriverHandle},
    sim::Sim,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A peer whose messages are written by hand.
pub(crate) struct Wire {
    sim: Sim,
    driver: DriverHandle<Datagrams, ()>,
    local: SocketAddr,
}

#[derive(Default)]
struct Datagrams {
    out: VecDeque<Transmit>,
    came: VecDeque<Bytes>,
}

impl Wire {
    pub(crate) async fn open(sim: &Sim, name: &str) -> Self {
        let host = sim.host(name);
        let local = SocketAddr::from((host.ipv4(), 5060));
        let driver = Driver::new(Arc::new(host), Datagrams::default(), ()).spawn();
        let (token, protocol) = (BindToken(0), Protocol::Udp);
        let bind = Transmit::Bind {
            token,
            protocol,
            local,
        };
        let bound = driver.command(|datagrams, (), _| datagrams.out.push_back(bind));
        bound.await.unwrap();
        let sim = sim.clone();
        Self { sim, driver, local }
    }

    /// Sends a request, and gives its response.
    pub(crate) async fn ask(&self, host: &str, request: &Request) -> Response {
        self.tell(host, request).await;
        let came = self
            .driver
            .command(|datagrams, (), _| datagrams.came.pop_front());
        Response::parse(came.await.unwrap().unwrap()).unwrap()
    }

    /// Sends a request, and gives it time to arrive.
    pub(crate) async fn tell(&self, host: &str, request: &Request) {
        let remote = SocketAddr::from((self.sim.host(host).ipv4(), 5060));
        let (flow, contents) = (Flow::udp(self.local, remote), request.to_bytes());
        let datagram = Transmit::Datagram { flow, contents };
        let sent = self
            .driver
            .command(|datagrams, (), _| datagrams.out.push_back(datagram));
        sent.await.unwrap();
        self.sim.sleep(Duration::from_millis(100)).await;
    }
}

impl StateMachine for Datagrams {
    type Event = ();

    fn handle_receive(&mut self, _now: Instant, receive: Receive) {
        if let Receive::Datagram { contents, .. } = receive {
            self.came.push_back(contents);
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
