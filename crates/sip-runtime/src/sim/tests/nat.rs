//! Boxes that translate addresses.

use super::*;

const KINDS: [Nat; 4] = [
    Nat::FullCone,
    Nat::Restricted,
    Nat::PortRestricted,
    Nat::Symmetric,
];

fn bind(host: &Host, port: u16) -> Box<dyn UdpSocket> {
    host.bind_udp((host.ipv4(), port).into()).expect("is free")
}

async fn send(sim: &Sim, from: &mut Box<dyn UdpSocket>, to: SocketAddr) {
    from.try_send(None, to, MESSAGE).expect("can send");
    sim.sleep(ms(20)).await;
}

/// Who sent what has come.
fn senders(socket: &mut Box<dyn UdpSocket>) -> Vec<SocketAddr> {
    let datagrams = receive(socket).now_or_never().unwrap_or_default();
    datagrams.into_iter().map(|(remote, _)| remote).collect()
}

/// RFC 3489 §5: who may answer to a port that was opened by a datagram to somebody.
#[test]
fn each_kind_lets_in_whom_its_name_says() {
    for (kind, other_port, other_host) in [
        (Nat::FullCone, true, true),
        (Nat::Restricted, true, false),
        (Nat::PortRestricted, false, false),
        (Nat::Symmetric, false, false),
    ] {
        let sim = Sim::new(1);
        let (server, stranger) = (sim.host("server"), sim.host("stranger"));
        let home = sim.nat("home", kind);
        let phone = home.host("phone");
        let mut asks = bind(&phone, 5060);
        let mut answers = bind(&server, 5060);
        let (mut another, mut strange) = (bind(&server, 6060), bind(&stranger, 5060));
        sim.run(async {
            // Nobody gets in before somebody was spoken to.
            send(&sim, &mut answers, (home.ipv4(), 49_152).into()).await;
            assert_eq!(senders(&mut asks), []);
            send(&sim, &mut asks, (server.ipv4(), 5060).into()).await;
            let seen = senders(&mut answers);
            assert_eq!(seen, [(home.ipv4(), 49_152).into()], "{kind:?}");
            for (socket, passes) in [
                (&mut answers, true),
                (&mut another, other_port),
                (&mut strange, other_host),
            ] {
                send(&sim, socket, seen[0]).await;
                assert_eq!(senders(&mut asks).len(), usize::from(passes), "{kind:?}");
            }
        });
        let ladder = sim.ladder();
        let lost = ladder.rungs().iter().filter(|rung| rung.lost).count();
        assert_eq!(
            lost,
            1 + usize::from(!other_port) + usize::from(!other_host)
        );
        assert_eq!(ladder.rungs()[2].to, "phone", "what passes goes to a host");
    }
}

/// RFC 4787 §4.1.
#[test]
fn only_a_symmetric_box_shows_everybody_another_port() {
    for kind in KINDS {
        let sim = Sim::new(1);
        let hosts = [sim.host("one"), sim.host("other")];
        let home = sim.nat("home", kind);
        let mut asks = bind(&home.host("phone"), 5060);
        let mut sockets = hosts.each_ref().map(|host| bind(host, 5060));
        sim.run(async {
            for host in &hosts {
                send(&sim, &mut asks, (host.ipv4(), 5060).into()).await;
            }
        });
        let seen: Vec<_> = sockets.iter_mut().flat_map(senders).collect();
        assert_eq!(seen[0] != seen[1], kind == Nat::Symmetric, "{kind:?}");
        assert_eq!(home.mappings(), if kind == Nat::Symmetric { 2 } else { 1 });
    }
}

/// RFC 4787 §4.3: what comes keeps no port open.
#[test]
fn a_port_closes_unless_something_leaves_through_it() {
    let sim = Sim::new(1);
    let server = sim.host("server");
    let home = sim.nat("home", Nat::FullCone);
    home.timeout(Duration::from_secs(30));
    let mut asks = bind(&home.host("phone"), 5060);
    let mut answers = bind(&server, 5060);
    sim.run(async {
        send(&sim, &mut asks, (server.ipv4(), 5060).into()).await;
        let seen = senders(&mut answers)[0];
        for (wait, passes) in [(29, 1), (2, 0)] {
            sim.sleep(Duration::from_secs(wait)).await;
            send(&sim, &mut answers, seen).await;
            assert_eq!(senders(&mut asks).len(), passes);
        }
        send(&sim, &mut asks, (server.ipv4(), 5060).into()).await;
        let anew = senders(&mut answers)[0];
        assert_ne!(anew, seen);
        home.restart();
        send(&sim, &mut answers, anew).await;
        assert_eq!(senders(&mut asks), []);
        assert_eq!(home.mappings(), 0);
    });
}

/// RFC 4787 §6.
#[test]
fn hosts_behind_one_box_speak_directly_and_by_its_address_only_where_it_turns_them_back() {
    for hairpin in [false, true] {
        let sim = Sim::new(1);
        let server = sim.host("server");
        let home = sim.nat("home", Nat::FullCone);
        home.hairpin(hairpin);
        let (phone, tablet) = (home.host("phone"), home.host("tablet"));
        let (mut one, mut other) = (bind(&phone, 5060), bind(&tablet, 5060));
        let mut answers = bind(&server, 5060);
        sim.run(async {
            send(&sim, &mut one, (tablet.ipv4(), 5060).into()).await;
            assert_eq!(senders(&mut other), [(phone.ipv4(), 5060).into()]);
            send(&sim, &mut other, (server.ipv4(), 5060).into()).await;
            let outside = senders(&mut answers)[0];
            send(&sim, &mut one, outside).await;
            let came = senders(&mut other);
            let expected = hairpin.then(|| home.ipv4().into());
            assert_eq!(came.first().map(SocketAddr::ip), expected);
        });
    }
}

/// RFC 1918: the addresses behind a box mean nothing elsewhere.
#[test]
fn nobody_outside_reaches_a_private_address() {
    let sim = Sim::new(1);
    let phone = sim.nat("home", Nat::FullCone).host("phone");
    let (mut from, mut to) = (bind(&sim.host("bob"), 5060), bind(&phone, 5060));
    sim.run(send(&sim, &mut from, (phone.ipv4(), 5060).into()));
    assert_eq!(senders(&mut to), []);
    assert_eq!(phone.interfaces().len(), 3, "IPv4 and loopback");
}

#[test]
fn streams_leave_a_box_and_none_comes_in() {
    let sim = Sim::new(1).patience(Duration::from_secs(600));
    let server = sim.host("server");
    let home = sim.nat("home", Nat::FullCone);
    let phone = home.host("phone");
    let _listener = phone.listen_tcp((phone.ipv4(), 5060).into()).expect("free");
    sim.run(async {
        let (mut ours, mut theirs) = stream(&phone, &server).await.expect("opens");
        assert_eq!(ours.local_addr().expect("open").ip(), phone.ipv4());
        let seen = theirs.peer_addr().expect("open");
        assert_eq!(seen.ip(), home.ipv4());
        write(&mut theirs, MESSAGE).await.expect("open");
        let mut buffer = [0; 100];
        let read = poll_fn(|cx| ours.poll_read(cx, &mut buffer)).await;
        assert_eq!(read.expect("open"), MESSAGE.len());
        let refused = server.connect_tcp(None, seen).await.err();
        assert_eq!(refused.map(|e| e.kind()), Some(io::ErrorKind::TimedOut));
    });
    assert_ladder!(sim, "20 ms  server -> phone  MESSAGE");
}

/// RFC 5382 §5: a box that forgot a stream says nothing, and the writer finds out by itself.
#[test]
fn a_stream_that_was_not_used_is_forgotten() {
    let sim = Sim::new(1);
    let server = sim.host("server");
    let home = sim.nat("home", Nat::FullCone);
    home.stream_timeout(Duration::from_secs(300));
    let phone = home.host("phone");
    sim.run(async {
        let (mut ours, mut theirs) = stream(&phone, &server).await.expect("opens");
        for (wait, arrives) in [(299, true), (301, false)] {
            sim.sleep(Duration::from_secs(wait)).await;
            write(&mut theirs, MESSAGE)
                .await
                .expect("nobody said anything");
            sim.sleep(ms(20)).await;
            let mut buffer = [0; 100];
            let read = poll_fn(|cx| ours.poll_read(cx, &mut buffer)).now_or_never();
            assert_eq!(read.is_some(), arrives);
        }
        sim.sleep(Duration::from_secs(200)).await;
        let error = write(&mut theirs, MESSAGE).await.expect_err("it is broken");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}
