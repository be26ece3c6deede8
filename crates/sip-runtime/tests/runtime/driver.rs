//! What a driver promises, on every runtime alike.

use crate::common::{Driven, Event, Probe, World, any_port, drive, driver, echo, soon};
use futures_util::{FutureExt, StreamExt, future::join_all};
use sip_io::{BindToken, CloseReason, FailReason, Flow, Protocol, Receive, StreamId, Transmit};
use sip_runtime::{Batch, Gone};
use std::{
    future::poll_fn,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

async fn two_echo_machines_meet(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, echo());
    let local = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let remote = bob.bind(1, Protocol::Udp, any_port(world.bob_ip)).await;
    let flow = Flow::udp(local, remote);
    for round in 0..100_u8 {
        alice
            .send(Transmit::Datagram {
                flow,
                contents: vec![round; 500].into(),
            })
            .await;
        assert_eq!(
            bob.datagram().await,
            (Flow::udp(remote, local), vec![round; 500])
        );
        assert_eq!(alice.datagram().await, (flow, vec![round; 500]));
    }
}

async fn a_wildcard_socket_tells_the_concrete_address(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, echo());
    let local = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let bound = bob
        .bind(1, Protocol::Udp, any_port(Ipv4Addr::UNSPECIFIED.into()))
        .await;
    assert!(bound.ip().is_unspecified());
    let remote = SocketAddr::new(world.bob_ip, bound.port());
    let flow = Flow::udp(local, remote);
    let contents = "ping".into();
    alice.send(Transmit::Datagram { flow, contents }).await;
    assert_eq!(bob.datagram().await.0, Flow::udp(remote, local));
    // The echo left from the address that was asked.
    assert_eq!(alice.datagram().await.0, flow);
}

async fn an_ipv6_wildcard_sees_ipv4_peers_as_such(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, echo());
    let local = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let bound = bob
        .bind(1, Protocol::Udp, any_port(Ipv6Addr::UNSPECIFIED.into()))
        .await;
    let remote = SocketAddr::new(world.bob_ip, bound.port());
    let flow = Flow::udp(local, remote);
    let contents = "ping".into();
    alice.send(Transmit::Datagram { flow, contents }).await;
    assert_eq!(bob.datagram().await.0, Flow::udp(remote, local));
    assert_eq!(alice.datagram().await.0, flow);
}

async fn large_datagrams_are_not_refused(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, echo());
    let local = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let remote = bob.bind(1, Protocol::Udp, any_port(world.bob_ip)).await;
    let flow = Flow::udp(local, remote);
    let contents: Vec<u8> = (0..60_000_u32).map(|n| n as u8).collect();
    alice
        .send(Transmit::Datagram {
            flow,
            contents: contents.clone().into(),
        })
        .await;
    assert_eq!(alice.datagram().await.1, contents);
    bob.datagram().await;
}

/// TRAPS 14: a socket's error is data, and the socket goes on.
async fn a_refused_datagram_is_told_with_its_destination(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, echo());
    let local = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let remote = bob.bind(1, Protocol::Udp, any_port(world.bob_ip)).await;
    let closed = bob.bind(2, Protocol::Udp, any_port(world.bob_ip)).await;
    let release = Transmit::Release {
        token: BindToken(2),
    };
    bob.send(release).await;
    let flow = Flow::udp(local, closed);
    let contents = "anyone?".into();
    alice.send(Transmit::Datagram { flow, contents }).await;
    match alice.received().await {
        Receive::Failed {
            flow: failed,
            reason,
        } => assert_eq!((failed, reason), (flow, FailReason::Unreachable)),
        other => panic!("{other:?}"),
    }
    let flow = Flow::udp(local, remote);
    let contents = "ping".into();
    alice.send(Transmit::Datagram { flow, contents }).await;
    assert_eq!(alice.datagram().await.0, flow);
}

/// A driver that reads in groups takes its sockets out of their reactor and puts them back.
async fn a_socket_that_is_not_watched_tells_who_asks(world: World) {
    let mut alice = world
        .alice
        .bind_udp(any_port(world.alice_ip))
        .expect("free");
    let mut bob = world.bob.bind_udp(any_port(world.bob_ip)).expect("is free");
    let remote = bob.local_addr().expect("is bound");
    let woken = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut batch = Batch::new();
    assert!(bob.poll_recv(&mut cx, &mut batch).is_pending());
    bob.set_watched(false).expect("all of these can");
    for _ in 0..3 {
        assert!(bob.poll_recv(&mut cx, &mut batch).is_pending());
        for _ in 0..40 {
            alice.try_send(None, remote, b"ping").expect("can send");
        }
        a_moment(&world).await;
        while batch.len() < 40 {
            if let Poll::Ready(result) = bob.poll_recv(&mut cx, &mut batch) {
                result.expect("can receive");
            }
        }
        assert!(bob.poll_recv(&mut cx, &mut batch).is_pending());
        // Once perhaps, as was asked before it was left.
        assert!(woken.0.load(Relaxed) <= 1);
        batch = Batch::new();
    }
    bob.set_watched(true).expect("can be watched again");
    alice.try_send(None, remote, b"ping").expect("can send");
    let received = poll_fn(|cx| bob.poll_recv(cx, &mut batch));
    soon(&world.bob, received).await.expect("can receive");
    assert_eq!(batch.len(), 1);
}

async fn an_unwatched_socket_tells_of_refusals(world: World) {
    let mut alice = world
        .alice
        .bind_udp(any_port(world.alice_ip))
        .expect("free");
    let bob = world.bob.bind_udp(any_port(world.bob_ip)).expect("is free");
    let closed = bob.local_addr().expect("is bound");
    drop(bob);
    alice.set_watched(false).expect("all of these can");
    let (mut cx, mut batch) = (Context::from_waker(Waker::noop()), Batch::new());
    // The second send may be told what became of the first.
    for _ in 0..2 {
        alice.try_send(None, closed, b"anyone?").expect("can send");
        // There and back.
        a_moment(&world).await;
        a_moment(&world).await;
    }
    while let Poll::Ready(result) = alice.poll_recv(&mut cx, &mut batch) {
        result.expect("is no error");
    }
    assert!(!batch.is_empty());
}

/// A datagram's way from one host to the other: what was sent before has come, and who is woken by it has been.
async fn a_moment(world: &World) {
    let mut from = world
        .alice
        .bind_udp(any_port(world.alice_ip))
        .expect("free");
    let mut to = world.bob.bind_udp(any_port(world.bob_ip)).expect("is free");
    let remote = to.local_addr().expect("is bound");
    from.try_send(None, remote, b"now").expect("can send");
    let mut batch = Batch::new();
    let received = poll_fn(|cx| to.poll_recv(cx, &mut batch));
    soon(&world.bob, received).await.expect("can receive");
}

/// Counts how often it was woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

async fn a_driver_that_reads_in_groups_loses_nothing(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let (groups, mut bob) = driver(&world.bob, echo());
    groups.coalesce(Duration::from_millis(1)).spawn();
    let local = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let remote = bob.bind(1, Protocol::Udp, any_port(world.bob_ip)).await;
    let flow = Flow::udp(local, remote);
    for round in 0..150_u8 {
        for part in 0..3 {
            let contents = vec![round, part].into();
            alice.send(Transmit::Datagram { flow, contents }).await;
        }
        for part in 0..3 {
            assert_eq!(bob.datagram().await.1, [round, part]);
            assert_eq!(alice.datagram().await, (flow, vec![round, part]));
        }
    }
}

async fn a_wildcard_socket_tells_of_refusals_with_its_concrete_address(world: World) {
    for wildcard in [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()] {
        let mut alice = drive(&world.alice, Probe::default());
        let mut bob = drive(&world.bob, echo());
        let bound = alice.bind(1, Protocol::Udp, any_port(wildcard)).await;
        let closed = bob.bind(1, Protocol::Udp, any_port(world.bob_ip)).await;
        let token = BindToken(1);
        bob.send(Transmit::Release { token }).await;
        let flow = Flow::udp(SocketAddr::new(world.alice_ip, bound.port()), closed);
        let contents = "anyone?".into();
        alice.send(Transmit::Datagram { flow, contents }).await;
        match alice.received().await {
            Receive::Failed { flow: failed, .. } => assert_eq!(failed, flow),
            other => panic!("{other:?}"),
        }
    }
}

/// DESIGN §3: a datagram that is too long concerns its peer, not the socket.
async fn a_datagram_that_is_too_long_fails_once(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, echo());
    let local = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let remote = bob.bind(1, Protocol::Udp, any_port(world.bob_ip)).await;
    let flow = Flow::udp(local, remote);
    for contents in [vec![0; 65_508].into(), "ping".into()] {
        alice.send(Transmit::Datagram { flow, contents }).await;
    }
    let reason = FailReason::TooLong;
    assert!(matches!(alice.received().await, Receive::Failed { reason: why, .. } if why == reason));
    assert_eq!(alice.datagram().await.1, b"ping");
}

async fn a_datagram_without_a_socket_fails(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let nowhere = SocketAddr::new(world.alice_ip, 9);
    let flow = Flow::udp(nowhere, SocketAddr::new(world.bob_ip, 9));
    let contents = "lost".into();
    alice.send(Transmit::Datagram { flow, contents }).await;
    let reason = FailReason::Socket(io::ErrorKind::NotConnected);
    assert!(matches!(alice.received().await, Receive::Failed { reason: why, .. } if why == reason));
}

async fn a_socket_number_is_taken_until_released(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let bound = alice.bind(1, Protocol::Udp, any_port(world.alice_ip)).await;
    let token = BindToken(1);
    for _ in 0..2 {
        alice
            .send(Transmit::Bind {
                token,
                protocol: Protocol::Udp,
                local: bound,
            })
            .await;
        let refused = Err(io::ErrorKind::AlreadyExists);
        assert!(
            matches!(alice.received().await, Receive::Bound { result, .. } if result == refused)
        );
    }
    alice.send(Transmit::Release { token }).await;
    assert_eq!(alice.bind(1, Protocol::Udp, bound).await, bound);
    alice
        .send(Transmit::Bind {
            token: BindToken(2),
            protocol: Protocol::Udp,
            local: bound,
        })
        .await;
    let refused = Err(io::ErrorKind::AddrInUse);
    assert!(matches!(alice.received().await, Receive::Bound { result, .. } if result == refused));
}

/// A stream from alice to bob, as each of them sees it.
async fn connected(world: &World) -> (Driven, Flow, Driven, Flow) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, Probe::default());
    let remote = bob.bind(1, Protocol::Tls, any_port(world.bob_ip)).await;
    let flow = Flow::stream(
        Protocol::Tls,
        StreamId::opened(7),
        any_port(Ipv4Addr::UNSPECIFIED.into()),
        remote,
    );
    alice.send(Transmit::Open { flow }).await;
    let ours = alice.opened().await;
    let theirs = bob.opened().await;
    assert_eq!(ours, flow);
    assert_eq!(ours.local().ip(), world.alice_ip);
    assert_eq!((theirs.local(), theirs.remote()), (remote, ours.local()));
    assert_eq!(theirs.protocol(), Protocol::Tls);
    assert!(theirs.stream_id().is_some_and(StreamId::is_accepted));
    (alice, ours, bob, theirs)
}

async fn what_was_queued_is_written_before_a_stream_closes(world: World) {
    let (alice, ours, mut bob, theirs) = connected(&world).await;
    let long: Vec<u8> = (0..500_000_u32).map(|n| n as u8).collect();
    let contents = long.clone();
    alice
        .handle
        .command(move |probe, _, _| {
            for piece in contents.chunks(10_000) {
                probe.out.push_back(Transmit::Stream {
                    flow: ours,
                    contents: piece.to_vec().into(),
                });
            }
            probe.out.push_back(Transmit::Close { flow: ours });
        })
        .await
        .expect("the driver runs");
    assert_eq!(bob.bytes(long.len()).await, (theirs, long));
    let closed = bob.received().await;
    assert!(
        matches!(closed, Receive::Closed { flow, reason: CloseReason::ByPeer } if flow == theirs)
    );
}

async fn a_stream_asked_to_close_while_opening_delivers_its_words(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, Probe::default());
    let remote = bob.bind(1, Protocol::Tcp, any_port(world.bob_ip)).await;
    let local = any_port(Ipv4Addr::UNSPECIFIED.into());
    let flow = Flow::stream(Protocol::Tcp, StreamId::opened(1), local, remote);
    alice
        .handle
        .command(move |probe, _, _| {
            probe.out.push_back(Transmit::Open { flow });
            let contents = "farewell".into();
            probe.out.push_back(Transmit::Stream { flow, contents });
            probe.out.push_back(Transmit::Close { flow });
        })
        .await
        .expect("the driver runs");
    bob.opened().await;
    assert_eq!(bob.bytes(8).await.1, b"farewell");
    assert!(matches!(bob.received().await, Receive::Closed { .. }));
    // The machine that closed it hears no more of it: its next news is of something else.
    alice.bind(9, Protocol::Udp, any_port(world.alice_ip)).await;
}

async fn a_stream_that_nobody_takes_is_refused(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let mut bob = drive(&world.bob, Probe::default());
    let remote = bob.bind(1, Protocol::Tcp, any_port(world.bob_ip)).await;
    let token = BindToken(1);
    bob.send(Transmit::Release { token }).await;
    let local = any_port(Ipv4Addr::UNSPECIFIED.into());
    let flow = Flow::stream(Protocol::Tcp, StreamId::opened(1), local, remote);
    alice.send(Transmit::Open { flow }).await;
    let refused = CloseReason::Refused(io::ErrorKind::ConnectionRefused);
    assert!(matches!(alice.received().await, Receive::Closed { reason, .. } if reason == refused));
}

/// DESIGN: a dead peer blocks nobody.
async fn a_peer_that_does_not_read_loses_its_stream(world: World) {
    let (mut alice, ours, bob, theirs) = connected(&world).await;
    bob.send(Transmit::Pause { flow: theirs }).await;
    // More than the default limit and what systems buffer for loopback.
    let closed = loop {
        alice
            .handle
            .command(move |probe, _, _| {
                let contents = vec![0; 600_000].into();
                probe.out.push_back(Transmit::Stream {
                    flow: ours,
                    contents,
                });
            })
            .await
            .expect("the driver runs");
        if let Ok(Event::Received(receive)) = alice.events.try_recv() {
            break receive;
        }
    };
    assert!(
        matches!(closed, Receive::Closed { flow, reason: CloseReason::PeerTooSlow } if flow == ours),
        "{closed:?}"
    );
}

async fn a_paused_stream_is_read_again_when_resumed(world: World) {
    let (alice, ours, mut bob, theirs) = connected(&world).await;
    bob.send(Transmit::Pause { flow: theirs }).await;
    let contents = "patience".into();
    alice
        .send(Transmit::Stream {
            flow: ours,
            contents,
        })
        .await;
    alice.send(Transmit::Close { flow: ours }).await;
    // Something that comes later overtakes it.
    bob.bind(2, Protocol::Udp, any_port(world.bob_ip)).await;
    bob.send(Transmit::Resume { flow: theirs }).await;
    assert_eq!(bob.bytes(8).await.1, b"patience");
}

async fn timers_fire_and_an_earlier_one_goes_first(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let start = world.alice.now();
    let late = start + Duration::from_secs(3_600);
    let early = start + Duration::from_millis(50);
    for alarm in [late, early] {
        alice
            .handle
            .command(move |probe, _, _| probe.alarm = Some(alarm))
            .await
            .expect("the driver runs");
    }
    match alice.event().await {
        Event::Fired(at) => assert!(early <= at && at < late),
        other => panic!("{other:?}"),
    }
}

async fn a_full_command_queue_makes_commands_wait(world: World) {
    let (driver, alice) = driver(&world.alice, Probe::default());
    let driver = driver.command_queue(2);
    let mut commands: Vec<_> = (0..5)
        .map(|n| Box::pin(alice.handle.command(move |_, _, _| n)))
        .collect();
    for command in &mut commands {
        assert!(command.now_or_never().is_none());
    }
    // Two of five found room; a post is never refused.
    assert_eq!(alice.handle.activity().commands(), 2);
    alice.handle.post(|_, teller, _| teller.polled += 1_000);
    assert_eq!(alice.handle.activity().commands(), 3);
    driver.spawn();
    let results = soon(&world.alice, join_all(commands)).await;
    assert_eq!(results, [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4)]);
    let polled = alice.handle.command(|_, teller, _| teller.polled).await;
    assert!(polled.is_ok_and(|polled| polled >= 1_000));
}

async fn commands_of_an_ended_driver_are_gone(world: World) {
    let (driver, alice) = driver(&world.alice, Probe::default());
    let mut waiting = Box::pin(alice.handle.command(|_, _, _| ()));
    assert!((&mut waiting).now_or_never().is_none());
    drop(driver);
    assert_eq!(waiting.await, Err(Gone));
    assert_eq!(alice.handle.command(|_, _, _| ()).await, Err(Gone));
    alice.handle.post(|_, _, _| ());
    alice.handle.ended().await;
    assert!(alice.handle.activity().is_quiet());
}

async fn a_driver_told_to_finish_waits_until_it_is_idle(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    let alarm = world.alice.now() + Duration::from_millis(50);
    alice
        .handle
        .command(move |probe, _, _| probe.alarm = Some(alarm))
        .await
        .expect("the driver runs");
    let ended = alice.handle.finish(Duration::from_secs(32));
    assert!(!alice.handle.has_ended());
    assert!(matches!(alice.event().await, Event::Fired(_)));
    soon(&world.alice, ended).await;
}

async fn a_driver_that_is_never_idle_ends_at_the_deadline(world: World) {
    let alice = drive(&world.alice, Probe::default());
    alice
        .handle
        .command(|_, teller, _| teller.busy = true)
        .await
        .expect("the driver runs");
    let start = world.alice.now();
    let within = Duration::from_millis(50);
    soon(&world.alice, alice.handle.finish(within)).await;
    assert!(world.alice.now() >= start + within);
}

async fn a_driver_lingers_when_it_is_idle_but_not_past_the_deadline(world: World) {
    for (within, stays) in [
        (Duration::from_secs(32), 50),
        (Duration::from_millis(20), 20),
    ] {
        let alice = drive(&world.alice, Probe::default());
        alice
            .handle
            .command(|_, teller, _| teller.linger = Duration::from_millis(50))
            .await
            .expect("the driver runs");
        let start = world.alice.now();
        soon(&world.alice, alice.handle.finish(within)).await;
        let stayed = world.alice.now() - start;
        assert!(stayed >= Duration::from_millis(stays), "{stayed:?}");
    }
}

async fn a_driver_told_to_stop_stops(world: World) {
    let alice = drive(&world.alice, Probe::default());
    alice
        .handle
        .command(|_, teller, _| teller.busy = true)
        .await
        .expect("the driver runs");
    soon(&world.alice, alice.handle.stop()).await;
    assert_eq!(alice.handle.command(|_, _, _| ()).await, Err(Gone));
}

async fn parked_futures_are_polled_when_woken(world: World) {
    let alice = drive(&world.alice, Probe::default());
    let (answer, question) = futures_channel::oneshot::channel::<()>();
    alice
        .handle
        .command(move |_, teller, _| {
            teller.busy = true;
            teller.parked = Some(Box::pin(async { question.await.expect("is answered") }));
        })
        .await
        .expect("the driver runs");
    let ended = alice.handle.finish(Duration::from_secs(3_600));
    answer.send(()).expect("is awaited");
    soon(&world.alice, ended).await;
}

async fn the_machine_hears_of_the_network_first(world: World) {
    let mut alice = drive(&world.alice, Probe::default());
    for _ in 0..2 {
        match alice.events.next().await {
            Some(Event::Received(Receive::Network { addresses })) => {
                assert!(addresses.contains(&world.alice_ip), "{addresses:?}");
            }
            other => panic!("{other:?}"),
        }
        alice.handle.refresh_network();
    }
}

macro_rules! on_every_runtime {
    ($($test:ident)*) => {
        #[cfg(feature = "sim")]
        mod on_sim {
            use super::*;
            $(
                #[test]
                fn $test() {
                    let sim = sip_runtime::sim::Sim::new(1);
                    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
                    sim.run(super::$test(World {
                        alice_ip: alice.ipv4().into(),
                        bob_ip: bob.ipv4().into(),
                        alice: Arc::new(alice),
                        bob: Arc::new(bob),
                    }));
                }
            )*
        }

        #[cfg(feature = "smol")]
        mod on_smol {
            use super::*;
            $(
                #[test]
                fn $test() {
                    smol::block_on(super::$test(loopback(Arc::new(sip_runtime::Smol::new()))));
                }
            )*
        }

        #[cfg(feature = "smol")]
        mod on_a_thread {
            use super::*;
            $(
                #[test]
                fn $test() {
                    let thread = sip_runtime::Thread::new("test").expect("starts");
                    smol::block_on(super::$test(loopback(Arc::new(thread))));
                }
            )*
        }

        #[cfg(feature = "tokio")]
        mod on_tokio {
            use super::*;
            $(
                #[test]
                fn $test() {
                    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
                    tokio.block_on(async {
                        super::$test(loopback(Arc::new(sip_runtime::Tokio::current().expect("runs")))).await;
                    });
                }
            )*

            #[test]
            fn drivers_run_beside_each_other_on_many_threads() {
                let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts");
                let runtime = sip_runtime::Tokio::from(tokio.handle().clone());
                tokio.block_on(super::two_echo_machines_meet(loopback(Arc::new(runtime))));
            }
        }
    };
}

#[cfg(any(feature = "tokio", feature = "smol"))]
fn loopback(runtime: Arc<dyn sip_runtime::Runtime>) -> World {
    World {
        alice: Arc::clone(&runtime),
        bob: runtime,
        alice_ip: Ipv4Addr::LOCALHOST.into(),
        bob_ip: Ipv4Addr::LOCALHOST.into(),
    }
}

on_every_runtime! {
    two_echo_machines_meet
    a_wildcard_socket_tells_the_concrete_address
    an_ipv6_wildcard_sees_ipv4_peers_as_such
    large_datagrams_are_not_refused
    a_refused_datagram_is_told_with_its_destination
    a_socket_that_is_not_watched_tells_who_asks
    an_unwatched_socket_tells_of_refusals
    a_driver_that_reads_in_groups_loses_nothing
    a_wildcard_socket_tells_of_refusals_with_its_concrete_address
    a_datagram_that_is_too_long_fails_once
    a_datagram_without_a_socket_fails
    a_socket_number_is_taken_until_released
    what_was_queued_is_written_before_a_stream_closes
    a_stream_asked_to_close_while_opening_delivers_its_words
    a_stream_that_nobody_takes_is_refused
    a_peer_that_does_not_read_loses_its_stream
    a_paused_stream_is_read_again_when_resumed
    timers_fire_and_an_earlier_one_goes_first
    a_full_command_queue_makes_commands_wait
    commands_of_an_ended_driver_are_gone
    a_driver_told_to_finish_waits_until_it_is_idle
    a_driver_that_is_never_idle_ends_at_the_deadline
    a_driver_lingers_when_it_is_idle_but_not_past_the_deadline
    a_driver_told_to_stop_stops
    parked_futures_are_polled_when_woken
    the_machine_hears_of_the_network_first
}
