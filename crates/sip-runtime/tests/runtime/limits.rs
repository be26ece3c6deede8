//! What a driver does when the system has no more to give.

use crate::common::{Driven, Event, Probe, any_port, drive, driver, echo};
use futures_util::{FutureExt, StreamExt};
use sip_io::{CloseReason, FailReason, Flow, Protocol, Receive, StreamId, Transmit};
use sip_runtime::{
    Batch, BoxFuture, Runtime, TcpListener, TcpStream, Timer, UdpSocket,
    sim::{Host, Sim},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

/// A host whose sockets fail as told.
#[derive(Clone)]
struct Poor {
    host: Host,
    trouble: Arc<Mutex<Trouble>>,
}

#[derive(Default)]
struct Trouble {
    /// Errors that the next calls get
    accept: Vec<io::ErrorKind>,
    receive: Vec<io::ErrorKind>,
    /// Whether nothing can be sent now
    full: bool,
    writer: Option<Waker>,
    /// When somebody asked for a stream or a datagram and got an error
    failed: Vec<Instant>,
    /// Until when the next timers were set
    timers: Vec<Instant>,
    /// Addresses beside those that the host has; `Some` when they may change
    more: Option<Vec<IpAddr>>,
    /// Whether no socket begins or ends to be watched
    settled: bool,
    /// By how much the clock goes ahead of the network's
    ahead: Duration,
}

impl Poor {
    fn new(host: Host) -> (Self, Arc<Mutex<Trouble>>) {
        let trouble = Arc::<Mutex<Trouble>>::default();
        let poor = Self {
            host,
            trouble: Arc::clone(&trouble),
        };
        (poor, trouble)
    }
}

impl Runtime for Poor {
    fn now(&self) -> Instant {
        self.host.now() + self.trouble.lock().expect("not poisoned").ahead
    }
    fn wall_clock(&self) -> SystemTime {
        self.host.wall_clock()
    }
    fn entropy(&self, bytes: &mut [u8]) {
        self.host.entropy(bytes);
    }
    fn spawn(&self, task: BoxFuture<()>) {
        self.host.spawn(task);
    }
    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        self.trouble.lock().expect("not poisoned").timers.push(at);
        Box::pin(Counted(self.host.timer(at), Arc::clone(&self.trouble)))
    }
    fn bind_udp(&self, local: SocketAddr) -> io::Result<Box<dyn UdpSocket>> {
        Ok(Box::new(PoorSocket(
            self.host.bind_udp(local)?,
            self.clone(),
        )))
    }
    fn listen_tcp(&self, local: SocketAddr) -> io::Result<Box<dyn TcpListener>> {
        let listener = self.host.listen_tcp(local)?;
        Ok(Box::new(PoorListener(listener, self.clone())))
    }
    fn connect_tcp(
        &self,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> BoxFuture<io::Result<Box<dyn TcpStream>>> {
        self.host.connect_tcp(local, remote)
    }
    fn interfaces(&self) -> Vec<IpAddr> {
        let more = self.trouble.lock().expect("not poisoned").more.clone();
        let own = self.host.interfaces().into_iter();
        own.chain(more.into_iter().flatten()).collect()
    }
    fn interfaces_may_change(&self) -> bool {
        self.trouble.lock().expect("not poisoned").more.is_some()
    }
}

struct Counted(Pin<Box<dyn Timer>>, Arc<Mutex<Trouble>>);

impl Future for Counted {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Timer for Counted {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.1.lock().expect("not poisoned").timers.push(at);
        self.0.as_mut().reset(at);
    }
}

struct PoorSocket(Box<dyn UdpSocket>, Poor);

impl UdpSocket for PoorSocket {
    fn poll_recv(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<()>> {
        let mut trouble = self.1.trouble.lock().expect("not poisoned");
        if let Some(kind) = trouble.receive.pop() {
            trouble.failed.push(self.1.host.now());
            return Poll::Ready(Err(kind.into()));
        }
        self.0.poll_recv(cx, batch)
    }
    fn try_send(
        &mut self,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()> {
        if self.1.trouble.lock().expect("not poisoned").full {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.try_send(source, remote, contents)
    }
    fn set_watched(&mut self, watched: bool) -> io::Result<()> {
        if self.1.trouble.lock().expect("not poisoned").settled {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.0.set_watched(watched)
    }
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut trouble = self.1.trouble.lock().expect("not poisoned");
        if trouble.full {
            trouble.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct PoorListener(Box<dyn TcpListener>, Poor);

impl TcpListener for PoorListener {
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn TcpStream>, SocketAddr)>> {
        let mut trouble = self.1.trouble.lock().expect("not poisoned");
        if let Some(kind) = trouble.accept.pop() {
            trouble.failed.push(self.1.host.now());
            return Poll::Ready(Err(kind.into()));
        }
        self.0.poll_accept(cx)
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn open(number: u64, remote: SocketAddr) -> (Flow, Transmit) {
    let local = any_port(Ipv4Addr::UNSPECIFIED.into());
    let flow = Flow::stream(Protocol::Tcp, StreamId::opened(number), local, remote);
    (flow, Transmit::Open { flow })
}

/// TRAPS 14: EMFILE from accept pauses accepting.
#[test]
fn without_file_descriptors_accepting_pauses() {
    let sim = Sim::new(1);
    let (poor, trouble) = Poor::new(sim.host("bob"));
    let (alice, bob): (Arc<dyn Runtime>, Arc<dyn Runtime>) =
        (Arc::new(sim.host("alice")), Arc::new(poor.clone()));
    sim.run(async {
        // Taken from the back: a peer that went away, then no file descriptor, twice.
        let none = io::ErrorKind::Other;
        trouble.lock().expect("not poisoned").accept =
            vec![none, none, io::ErrorKind::ConnectionAborted];
        let mut bob = drive(&bob, Probe::default());
        let remote = bob
            .bind(1, Protocol::Tcp, any_port(poor.host.ipv4().into()))
            .await;
        let mut alice = drive(&alice, Probe::default());
        alice.send(open(1, remote).1).await;
        bob.opened().await;
        alice.opened().await;
    });
    let failed = trouble.lock().expect("not poisoned").failed.clone();
    // Asked again at once after the first, and after a pause each time after the others.
    assert_eq!(failed.len(), 3);
    assert_eq!(failed[1], failed[0]);
    assert!(failed[2] - failed[1] >= Duration::from_millis(500));
    assert!(sim.elapsed() >= Duration::from_millis(1_000));
}

/// TRAPS 14: a socket's error does not end the loop.
#[test]
fn a_socket_that_cannot_receive_is_asked_again_later() {
    let sim = Sim::new(1);
    let (poor, trouble) = Poor::new(sim.host("bob"));
    let (alice, bob): (Arc<dyn Runtime>, Arc<dyn Runtime>) =
        (Arc::new(sim.host("alice")), Arc::new(poor.clone()));
    sim.run(async {
        trouble.lock().expect("not poisoned").receive = vec![io::ErrorKind::Other; 3];
        let mut bob = drive(&bob, Probe::default());
        let ip = poor.host.ipv4().into();
        let remote = bob.bind(1, Protocol::Udp, any_port(ip)).await;
        let mut alice = drive(&alice, Probe::default());
        let ip = sim.host("alice").ipv4().into();
        let local = alice.bind(1, Protocol::Udp, any_port(ip)).await;
        let flow = Flow::udp(local, remote);
        let contents = "patience".into();
        alice.send(Transmit::Datagram { flow, contents }).await;
        assert_eq!(bob.datagram().await.1, b"patience");
    });
    assert_eq!(trouble.lock().expect("not poisoned").failed.len(), 3);
    assert!(sim.elapsed() >= Duration::from_millis(1_500));
}

/// A descriptor more is needed for a moment, and there may be none.
#[test]
fn datagrams_are_taken_also_from_a_socket_that_cannot_be_read_otherwise() {
    let sim = Sim::new(1).delay(Duration::ZERO);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    let local = any_port(bob.ipv4().into());
    let (poor, trouble) = Poor::new(bob);
    let runtime: Arc<dyn Runtime> = Arc::new(poor);
    let (bob, mut driven) = driver(&runtime, Probe::default());
    bob.coalesce(Duration::from_millis(1)).spawn();
    let remote = sim.run(driven.bind(1, Protocol::Udp, local));
    let peer = alice.bind_udp(any_port(alice.ipv4().into()));
    let mut peer = peer.expect("is free");
    let gap = Duration::from_micros(300);
    // How many of 100 datagrams were taken when they came.
    let mut at_once = || {
        let mut taken = 0;
        for _ in 0..100 {
            peer.try_send(None, remote, b"ping").expect("can send");
            sim.advance(gap);
            let mut news = 0;
            while let Some(Some(_)) = driven.events.next().now_or_never() {
                news += 1;
            }
            taken += usize::from(news == 1);
        }
        taken
    };
    let settle = |settled| trouble.lock().expect("not poisoned").settled = settled;
    settle(true);
    assert_eq!(at_once(), 100);
    settle(false);
    at_once();
    let grouped = at_once();
    assert!(grouped < 50, "{grouped}");
    settle(true);
    sim.advance(Duration::from_secs(1));
    let grouped = at_once();
    assert!(grouped < 50, "{grouped}");
    settle(false);
    sim.advance(Duration::from_secs(1));
    assert!(at_once() > 30);
}

#[test]
fn datagrams_wait_for_room_in_a_full_socket_up_to_a_limit() {
    let sim = Sim::new(1);
    let (poor, trouble) = Poor::new(sim.host("alice"));
    let (alice, bob): (Arc<dyn Runtime>, Arc<dyn Runtime>) =
        (Arc::new(poor.clone()), Arc::new(sim.host("bob")));
    sim.run(async {
        let mut bob = drive(&bob, Probe::default());
        let remote = bob
            .bind(1, Protocol::Udp, any_port(sim.host("bob").ipv4().into()))
            .await;
        let mut alice = drive(&alice, Probe::default());
        let local = alice
            .bind(1, Protocol::Udp, any_port(poor.host.ipv4().into()))
            .await;
        trouble.lock().expect("not poisoned").full = true;
        let flow = Flow::udp(local, remote);
        alice
            .handle
            .command(move |probe, _, _| {
                for number in 0..2_000_u16 {
                    let contents = number.to_be_bytes().to_vec().into();
                    probe.out.push_back(Transmit::Datagram { flow, contents });
                }
            })
            .await
            .expect("the driver runs");
        sim.sleep(Duration::from_secs(1)).await;
        assert!(bob.events.try_recv().is_err());
        let writer = {
            let mut trouble = trouble.lock().expect("not poisoned");
            trouble.full = false;
            trouble.writer.take()
        };
        writer.expect("the driver waits for room").wake();
        for _ in 1_024..2_000 {
            let told = alice.received().await;
            assert!(matches!(
                told,
                Receive::Failed { flow: lost, reason: FailReason::NoRoom } if lost == flow
            ));
        }
        for number in 0..1_024_u16 {
            assert_eq!(bob.datagram().await.1, number.to_be_bytes());
        }
        sim.sleep(Duration::from_secs(1)).await;
        assert!(bob.events.try_recv().is_err());
    });
}

#[test]
fn at_the_limit_streams_wait_until_one_ends() {
    let sim = Sim::new(1);
    let (alice, bob): (Arc<dyn Runtime>, Arc<dyn Runtime>) =
        (Arc::new(sim.host("alice")), Arc::new(sim.host("bob")));
    sim.run(async {
        let (driver, mut bob) = driver(&bob, Probe::default());
        driver.accepted_streams(2).spawn();
        let remote = bob
            .bind(1, Protocol::Tcp, any_port(sim.host("bob").ipv4().into()))
            .await;
        let alice = drive(&alice, Probe::default());
        for number in 0..3 {
            alice.send(open(number, remote).1).await;
        }
        let first = bob.opened().await;
        bob.opened().await;
        sim.sleep(Duration::from_secs(60)).await;
        assert!(bob.events.try_recv().is_err());
        bob.send(Transmit::Close { flow: first }).await;
        bob.opened().await;
    });
}

#[test]
fn a_peer_that_never_reads_cannot_keep_a_closing_stream() {
    let sim = Sim::new(1);
    let (alice, bob): (Arc<dyn Runtime>, Arc<dyn Runtime>) =
        (Arc::new(sim.host("alice")), Arc::new(sim.host("bob")));
    sim.run(async {
        let mut bob = drive(&bob, Probe::default());
        let remote = bob
            .bind(1, Protocol::Tcp, any_port(sim.host("bob").ipv4().into()))
            .await;
        let (driver, mut alice) = driver(&alice, Probe::default());
        let handle = driver.linger(Duration::from_secs(3)).spawn();
        let (flow, transmit) = open(1, remote);
        alice.send(transmit).await;
        let theirs = bob.opened().await;
        bob.send(Transmit::Pause { flow: theirs }).await;
        alice.opened().await;
        let contents = vec![0; 1_000_000].into();
        alice.send(Transmit::Stream { flow, contents }).await;
        alice.send(Transmit::Close { flow }).await;
        sim.sleep(Duration::from_millis(2_900)).await;
        assert_eq!(handle.activity().streams(), 1);
        sim.sleep(Duration::from_millis(200)).await;
        assert_eq!(handle.activity().streams(), 0);
    });
}

/// Who keeps the thread is told of, and nobody else.
#[test]
fn a_turn_that_takes_too_long_is_told() {
    let sim = Sim::new(1);
    let (poor, trouble) = Poor::new(sim.host("alice"));
    let told = Arc::<Mutex<Vec<Duration>>>::default();
    let seen = Arc::clone(&told);
    sim.run(async {
        let runtime: Arc<dyn Runtime> = Arc::new(poor);
        let (driver, _events) = driver(&runtime, Probe::default());
        let driver = driver.watchdog(Duration::from_millis(5), move |took| {
            seen.lock().expect("not poisoned").push(took);
        });
        let handle = driver.spawn();
        for ms in [0, 4, 7, 0] {
            let trouble = Arc::clone(&trouble);
            let work = move |_: &mut _, _: &mut _, _: Instant| {
                trouble.lock().expect("not poisoned").ahead += Duration::from_millis(ms);
            };
            handle.command(work).await.expect("the driver runs");
            sim.sleep(Duration::from_secs(1)).await;
        }
    });
    assert_eq!(
        *told.lock().expect("not poisoned"),
        [Duration::from_millis(7)]
    );
}

#[test]
fn the_timer_is_set_only_for_an_earlier_time() {
    let sim = Sim::new(1);
    let (poor, trouble) = Poor::new(sim.host("alice"));
    let start = poor.now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let alice: Arc<dyn Runtime> = Arc::new(poor);
    sim.run(async {
        let alice = drive(&alice, Probe::default());
        for seconds in [50, 60, 70, 40, 45] {
            let alarm = Some(at(seconds));
            alice
                .handle
                .command(move |probe, _, _| probe.alarm = alarm)
                .await
                .expect("the driver runs");
        }
        sim.sleep(Duration::from_secs(100)).await;
    });
    // 40 s fired early for 45 s, which is then set; nothing else was.
    assert_eq!(
        trouble.lock().expect("not poisoned").timers,
        [at(50), at(40), at(45)]
    );
}

#[test]
fn new_addresses_are_noticed_and_told_once() {
    let sim = Sim::new(1);
    let (poor, trouble) = Poor::new(sim.host("alice"));
    let alice: Arc<dyn Runtime> = Arc::new(poor);
    sim.run(async {
        trouble.lock().expect("not poisoned").more = Some(Vec::new());
        let mut alice = drive(&alice, Probe::default());
        let told = |event| match event {
            Event::Received(Receive::Network { addresses }) => addresses,
            other => panic!("{other:?}"),
        };
        let before = told(alice.events.next().await.expect("the driver runs"));
        sim.sleep(Duration::from_secs(60)).await;
        assert!(alice.events.try_recv().is_err());
        let new = IpAddr::from([192, 0, 2, 77]);
        trouble.lock().expect("not poisoned").more = Some(vec![new]);
        sim.sleep(Duration::from_secs(16)).await;
        let after = told(alice.events.try_recv().expect("is told"));
        assert_eq!(after, [&before[..], &[new]].concat());
        sim.sleep(Duration::from_secs(60)).await;
        assert!(alice.events.try_recv().is_err());
    });
}

/// A stream that alice opened to bob and that she does not read.
async fn unread(sim: &Sim, bobs: Probe) -> (Driven, Driven, Flow, Flow) {
    let (alice, bob): (Arc<dyn Runtime>, Arc<dyn Runtime>) =
        (Arc::new(sim.host("alice")), Arc::new(sim.host("bob")));
    let (driver, mut bob) = driver(&bob, bobs);
    driver.stall(Duration::from_secs(32)).spawn();
    let ip = sim.host("bob").ipv4().into();
    let remote = bob.bind(1, Protocol::Tcp, any_port(ip)).await;
    let mut alice = drive(&alice, Probe::default());
    let (flow, transmit) = open(1, remote);
    alice.send(transmit).await;
    let theirs = bob.opened().await;
    alice.opened().await;
    alice.send(Transmit::Pause { flow }).await;
    (alice, bob, flow, theirs)
}

#[test]
fn who_does_not_listen_to_answers_is_not_read_until_it_does() {
    let sim = Sim::new(1);
    sim.run(async {
        let (mut alice, mut bob, flow, _) = unread(&sim, echo()).await;
        // 50 kB are asked at a time. The answers fill what lies between the two, then half of bob's queue; then he reads
        // no more.
        let mut stood_still = 0;
        while stood_still < 4 {
            let contents = vec![7; 50_000].into();
            alice.send(Transmit::Stream { flow, contents }).await;
            sim.sleep(Duration::from_millis(50)).await;
            stood_still += 1;
            while let Ok(Event::Received(receive)) = bob.events.try_recv() {
                assert!(matches!(receive, Receive::Stream { .. }), "{receive:?}");
                stood_still = 0;
            }
        }
        alice.send(Transmit::Resume { flow }).await;
        // Everything that was asked is answered, so nobody lost the stream.
        let contents = vec![8; 1].into();
        alice.send(Transmit::Stream { flow, contents }).await;
        loop {
            match alice.events.next().await {
                Some(Event::Received(Receive::Stream { contents, .. })) => {
                    if contents.ends_with(&[8]) {
                        break;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_peer_that_reads_nothing_for_too_long_loses_its_stream() {
    let sim = Sim::new(1);
    sim.run(async {
        let (_alice, mut bob, _, theirs) = unread(&sim, Probe::default()).await;
        let contents = vec![0; 500_000].into();
        let flow = theirs;
        bob.send(Transmit::Stream { flow, contents }).await;
        sim.sleep(Duration::from_secs(31)).await;
        assert!(bob.events.try_recv().is_err());
        sim.sleep(Duration::from_secs(2)).await;
        match bob.received().await {
            Receive::Closed { flow, reason } => {
                assert_eq!((flow, reason), (theirs, CloseReason::PeerTooSlow));
            }
            other => panic!("{other:?}"),
        }
    });
}

/// A stream that is refused without a word holds no descriptor while it lingers.
#[test]
fn a_stream_to_which_nothing_was_said_is_gone_at_once() {
    let sim = Sim::new(1);
    sim.run(async {
        let (_alice, bob, _, theirs) = unread(&sim, Probe::default()).await;
        assert_eq!(bob.handle.activity().streams(), 1);
        bob.send(Transmit::Close { flow: theirs }).await;
        bob.handle
            .command(|_, _, _| ())
            .await
            .expect("the driver runs");
        assert_eq!(bob.handle.activity().streams(), 0);
    });
}
