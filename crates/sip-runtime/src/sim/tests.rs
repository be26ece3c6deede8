mod nat;
mod ways;

use super::*;
use crate::{Batch, Driver, Runtime, TcpStream, UdpSocket, driver::Application};
use futures_util::{FutureExt, future::join};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use sip_io::{Receive, StateMachine, Transmit};
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    time::SystemTime,
};

const MESSAGE: &[u8] = b"MESSAGE sip:bob SIP/2.0\r\nContent-Length: 0\r\n\r\n";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn receive(socket: &mut Box<dyn UdpSocket>) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut batch = Batch::new();
    poll_fn(|cx| socket.poll_recv(cx, &mut batch))
        .await
        .expect("can receive");
    let datagrams = batch.datagrams.into_iter();
    datagrams.map(|d| (d.remote, d.contents.to_vec())).collect()
}

/// Sends 300 numbered datagrams from a to b; those that came, with the time of each.
fn three_hundred(sim: &Sim) -> Vec<(u128, u16)> {
    let (a, b) = (sim.host("a"), sim.host("b"));
    let mut from = a.bind_udp((a.ipv4(), 5060).into()).expect("is free");
    let mut to = b.bind_udp((b.ipv4(), 5060).into()).expect("is free");
    let mut came = Vec::new();
    sim.run(async {
        for number in 0..300_u16 {
            let contents = number.to_be_bytes();
            let remote = (b.ipv4(), 5060).into();
            from.try_send(None, remote, &contents).expect("can send");
            sim.sleep(ms(1)).await;
        }
        let end = sim.now() + ms(1_000);
        while sim.now() < end {
            if let Some(datagrams) = receive(&mut to).now_or_never() {
                for (_, contents) in datagrams {
                    let number = u16::from_be_bytes([contents[0], contents[1]]);
                    came.push((sim.elapsed().as_millis(), number));
                }
            }
            sim.sleep(ms(1)).await;
        }
    });
    came
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let bad = |seed| Sim::new(seed).loss(0.2).reorder(0.1).duplicate(0.1);
    let first = three_hundred(&bad(7));
    assert_eq!(three_hundred(&bad(7)), first);
    assert_ne!(three_hundred(&bad(8)), first);
    let mut entropy = [[0; 16]; 2];
    for bytes in &mut entropy {
        Sim::new(7).host("a").entropy(bytes);
    }
    assert_eq!(entropy[0], entropy[1]);
}

#[test]
fn loss_reordering_and_duplication_have_their_share() {
    assert_eq!(three_hundred(&Sim::new(1)).len(), 300);
    let lossy = three_hundred(&Sim::new(1).loss(0.2)).len();
    assert!((220..260).contains(&lossy), "{lossy}");
    let twice = three_hundred(&Sim::new(1).duplicate(0.2)).len();
    assert!((340..380).contains(&twice), "{twice}");
    let numbers: Vec<_> = three_hundred(&Sim::new(1).reorder(0.2))
        .into_iter()
        .map(|(_, number)| number)
        .collect();
    assert_eq!(numbers.len(), 300);
    assert!(!numbers.is_sorted());
}

#[test]
fn one_link_is_bad_and_the_others_are_not() {
    let sim = Sim::new(1);
    sim.one_way("a", "b").loss(1.0);
    assert!(three_hundred(&sim).is_empty());
    let sim = Sim::new(1).loss(1.0);
    sim.link("b", "a").loss(0.0);
    assert_eq!(three_hundred(&sim).len(), 300);
    let sim = Sim::new(1);
    sim.partition(&["b"]);
    assert!(three_hundred(&sim).is_empty());
    sim.partition(&[]);
    assert_eq!(three_hundred(&sim).len(), 300);
}

#[test]
fn only_sip_datagrams_are_numbered_and_shown() {
    let sim = Sim::new(1).lose(&[1]);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    let mut from = alice.bind_udp((alice.ipv4(), 5060).into()).expect("free");
    let mut to = bob.bind_udp((bob.ipv4(), 5060).into()).expect("is free");
    sim.run(async {
        let remote = (bob.ipv4(), 5060).into();
        for contents in [
            &[0x80; 12],
            MESSAGE,
            b"SIP/2.0 200 OK\r\n\r\n",
            b"\r\n\r\n",
            MESSAGE,
        ] {
            from.try_send(None, remote, contents).expect("can send");
        }
        sim.sleep(ms(10)).await;
        assert_eq!(receive(&mut to).await.len(), 4);
    });
    assert_ladder!(
        sim,
        "
           0 ms  alice -> bob  MESSAGE
           0 ms  alice -> bob  200  (lost)
           0 ms  alice -> bob  MESSAGE
        "
    );
    let shown = catch_unwind(AssertUnwindSafe(|| {
        assert_ladder!(sim, "0 ms  alice -> bob  BYE")
    }));
    assert!(shown.is_err());
}

fn bind_any(host: &Host) -> Box<dyn UdpSocket> {
    host.bind_udp(([0, 0, 0, 0], 0).into()).expect("can bind")
}

fn question(name: &str, record: RecordType) -> Vec<u8> {
    let mut question = Message::new(7, MessageType::Query, OpCode::Query);
    let name = Name::from_ascii(name).expect("is a name");
    question.add_query(Query::query(name, record));
    question.to_vec().expect("can be written")
}

async fn ask(host: &Host, name: &str, record: RecordType) -> Message {
    let mut socket = bind_any(host);
    let server = host.name_service().nameservers[0];
    let question = question(name, record);
    socket.try_send(None, server, &question).expect("can send");
    let answers = receive(&mut socket).await;
    assert_eq!(answers[0].0, server);
    Message::from_vec(&answers[0].1).expect("can be read")
}

#[test]
fn the_name_server_knows_hosts_aliases_and_services() {
    let sim = Sim::new(1).lose(&[0, 1, 2]);
    let (alice, proxy) = (sim.host("alice"), sim.host("proxy"));
    sim.alias("example.com", "proxy");
    sim.srv("_sip._udp.example.com", 1, 2, 5070, "proxy");
    sim.run(async {
        let answer = ask(&alice, "Proxy.", RecordType::A).await;
        assert_eq!(answer.answers[0].data, RData::A(proxy.ipv4().into()));
        let answer = ask(&alice, "example.com.", RecordType::AAAA).await;
        assert_eq!(answer.answers[0].data, RData::AAAA(proxy.ipv6().into()));
        let answer = ask(&alice, "_sip._udp.example.com.", RecordType::SRV).await;
        assert!(matches!(&answer.answers[0].data, RData::SRV(srv) if srv.port == 5070));
        // A name that exists without the record asked for is no error.
        let answer = ask(&alice, "proxy.", RecordType::NAPTR).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
        assert!(answer.answers.is_empty());
        let answer = ask(&alice, "nobody.", RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        // Questions take no time, so ladders start at zero.
        assert_eq!(sim.elapsed(), Duration::ZERO);
        sim.link("alice", "dns").delay(ms(5));
        ask(&alice, "proxy.", RecordType::A).await;
        assert_eq!(sim.elapsed(), ms(10));
    });
    assert_ladder!(sim, "");
}

/// RFC 3263 §4.1, RFC 6116.
#[test]
fn the_name_server_knows_what_naptr_records_say() {
    let sim = Sim::new(1);
    let alice = sim.host("alice");
    sim.naptr("example.com", 10, 50, "SIP+D2T", "_sip._tcp.example.com");
    sim.naptr("example.com", 20, 50, "SIP+D2U", "_sip._udp.example.com");
    sim.enum_rule(
        "4.3.2.1.e164.arpa",
        1,
        2,
        "E2U+sip",
        "!^.*$!sip:info@example.com!",
    );
    sim.run(async {
        let answer = ask(&alice, "Example.com.", RecordType::NAPTR).await;
        let [RData::NAPTR(first), RData::NAPTR(second)] = [0, 1].map(|n| &answer.answers[n].data)
        else {
            panic!("{answer}")
        };
        assert_eq!(
            (first.order, &*first.flags, &*first.services),
            (10, &b"s"[..], &b"SIP+D2T"[..])
        );
        assert_eq!(first.replacement.to_ascii(), "_sip._tcp.example.com.");
        assert_eq!(second.order, 20);
        let answer = ask(&alice, "4.3.2.1.e164.arpa.", RecordType::NAPTR).await;
        let RData::NAPTR(rule) = &answer.answers[0].data else {
            panic!("{answer}")
        };
        assert_eq!(
            (&*rule.flags, &*rule.regexp),
            (&b"u"[..], &b"!^.*$!sip:info@example.com!"[..])
        );
    });
}

#[test]
fn the_name_server_changes_its_mind_and_has_its_troubles() {
    let sim = Sim::new(1);
    let alice = sim.host("alice");
    sim.alias("example.com", "proxy");
    sim.dns_ttl(Duration::from_secs(5));
    sim.run(async {
        let asked = || ask(&alice, "example.com.", RecordType::A);
        assert_eq!(asked().await.answers[0].ttl, 5);
        for (trouble, code) in [
            (DnsTrouble::Failure, ResponseCode::ServFail),
            (DnsTrouble::Refused, ResponseCode::Refused),
            (DnsTrouble::NoSuchName, ResponseCode::NXDomain),
            (DnsTrouble::NoRecords, ResponseCode::NoError),
        ] {
            sim.dns_trouble("example.com", trouble);
            let answer = asked().await;
            assert_eq!(answer.metadata.response_code, code);
            assert!(answer.answers.is_empty(), "{trouble:?}");
        }
        sim.dns_trouble("example.com", None);
        assert_eq!(asked().await.answers.len(), 1);
        sim.forget_name("example.com");
        let answer = asked().await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(ask(&alice, "proxy.", RecordType::A).await.answers.len(), 1);
        // One that says nothing, and one that says nonsense.
        for (trouble, length) in [(DnsTrouble::Silence, None), (DnsTrouble::Garbage, Some(7))] {
            sim.dns_trouble("example.com", trouble);
            let mut socket = bind_any(&alice);
            let question = question("example.com.", RecordType::A);
            let server = alice.name_service().nameservers[0];
            socket.try_send(None, server, &question).expect("can send");
            sim.sleep(ms(1_000)).await;
            let came = receive(&mut socket).now_or_never();
            let came = came.map(|answers| answers[0].1.len());
            assert_eq!(came, length, "{trouble:?}");
        }
    });
}

async fn stream(from: &Host, to: &Host) -> io::Result<(Box<dyn TcpStream>, Box<dyn TcpStream>)> {
    let mut listener = to.listen_tcp(([0, 0, 0, 0], 5060).into())?;
    let accept = poll_fn(|cx| listener.poll_accept(cx));
    let (opened, accepted) = join(from.connect_tcp(None, (to.ipv4(), 5060).into()), accept).await;
    Ok((opened?, accepted?.0))
}

async fn write(stream: &mut Box<dyn TcpStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

async fn read_to_end(stream: &mut Box<dyn TcpStream>) -> io::Result<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1_000]);
    loop {
        match poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await? {
            0 => return Ok(bytes),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

#[test]
fn streams_keep_order_whatever_the_way_does() {
    let sim = Sim::new(3).loss(0.3).reorder(0.3).duplicate(0.3);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    let long: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let came = sim.run(async {
        let (mut ours, mut theirs) = stream(&alice, &bob).await.expect("opens");
        let writing = async {
            for piece in long.chunks(999) {
                write(&mut ours, piece).await.expect("is open");
            }
            poll_fn(|cx| ours.poll_shutdown(cx)).await.expect("is open");
        };
        join(writing, read_to_end(&mut theirs)).await.1
    });
    assert_eq!(came.expect("came"), long);
}

#[test]
fn messages_on_streams_are_shown() {
    let sim = Sim::new(1);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    sim.run(async {
        let (mut ours, mut theirs) = stream(&alice, &bob).await?;
        write(&mut ours, &MESSAGE[..20]).await?;
        sim.sleep(ms(5)).await;
        write(&mut ours, &MESSAGE[20..]).await?;
        write(&mut theirs, b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n").await
    })
    .expect("works");
    assert_ladder!(
        sim,
        "
          25 ms  alice -> bob    MESSAGE
          25 ms  bob   -> alice  200
        "
    );
}

#[test]
fn a_stream_through_a_cut_that_heals_goes_on_and_otherwise_breaks() {
    for (cut, result) in [(ms(5_000), Ok(MESSAGE.len())), (ms(500_000), Err(()))] {
        let sim = Sim::new(1);
        let (alice, bob) = (sim.host("alice"), sim.host("bob"));
        let came = sim.run(async {
            let (mut ours, mut theirs) = stream(&alice, &bob).await.expect("opens");
            sim.partition(&["alice"]);
            write(&mut ours, MESSAGE).await.expect("is open");
            sim.sleep(cut).await;
            sim.partition(&[]);
            // Broken, the writer sees it first.
            if let Err(error) = write(&mut ours, b"\r\n").await {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                return Err(());
            }
            let mut buffer = [0; 100];
            Ok(poll_fn(|cx| theirs.poll_read(cx, &mut buffer))
                .await
                .expect("is open"))
        });
        assert_eq!(came, result);
    }
}

#[test]
fn connecting_to_nobody_is_refused_and_to_nowhere_takes_its_time() {
    let sim = Sim::new(1);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    sim.run(async {
        let refused = alice.connect_tcp(None, (bob.ipv4(), 5060).into()).await;
        assert_eq!(
            refused.err().map(|e| e.kind()),
            Some(io::ErrorKind::ConnectionRefused)
        );
        assert_eq!(sim.elapsed(), ms(20));
        let nowhere = alice.connect_tcp(None, ([192, 0, 2, 1], 5060).into()).await;
        assert_eq!(
            nowhere.err().map(|e| e.kind()),
            Some(io::ErrorKind::TimedOut)
        );
        assert!(sim.elapsed() > Duration::from_secs(60));
    });
}

#[test]
fn a_crashed_host_is_silent_and_forgets_everything() {
    let sim = Sim::new(1);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    let kept = Arc::new(());
    let held = Arc::clone(&kept);
    bob.spawn(Box::pin(async move {
        std::future::pending::<()>().await;
        drop(held);
    }));
    sim.run(async {
        let (mut ours, _theirs) = stream(&alice, &bob).await.expect("opens");
        bob.crash();
        assert_eq!(Arc::strong_count(&kept), 1);
        assert!(bob.bind_udp((bob.ipv4(), 5060).into()).is_err());
        // Nothing came, not even an end.
        sim.sleep(ms(1_000)).await;
        let mut buffer = [0; 10];
        let reading = poll_fn(|cx| ours.poll_read(cx, &mut buffer));
        assert!(reading.now_or_never().is_none());
        bob.restart();
        assert!(bob.bind_udp((bob.ipv4(), 5060).into()).is_ok());
        write(&mut ours, MESSAGE)
            .await
            .expect("nobody said anything");
        let read = read_to_end(&mut ours).await;
        assert_eq!(
            read.err().map(|e| e.kind()),
            Some(io::ErrorKind::ConnectionReset)
        );
    });
}

#[test]
fn clocks_move_with_virtual_time() {
    let sim = Sim::new(1);
    let host = sim.host("alice");
    let start = (host.now(), host.wall_clock());
    sim.run(sim.sleep(Duration::from_secs(86_400)));
    assert_eq!(host.now() - start.0, Duration::from_secs(86_400));
    assert_eq!(host.wall_clock(), start.1 + Duration::from_secs(86_400));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    host.set_wall_clock(time);
    assert_eq!(host.wall_clock(), time);
    assert_ne!(sim.host("bob").wall_clock(), time);
}

fn panic_of(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("panics");
    *panic.downcast::<String>().expect("says why")
}

#[test]
fn a_deadlock_says_what_happened_and_who_waits() {
    let sim = Sim::new(1);
    let alice = sim.host("alice");
    alice.spawn(Box::pin(std::future::pending()));
    let mut socket = alice.bind_udp((alice.ipv4(), 5060).into()).expect("free");
    let said = panic_of(|| {
        sim.run(async {
            let remote = (sim.host("bob").ipv4(), 5060).into();
            socket.try_send(None, remote, MESSAGE).expect("can send");
            std::future::pending::<()>().await;
        });
    });
    assert!(said.contains("nobody can run"), "{said}");
    assert!(said.contains("alice -> bob  MESSAGE"), "{said}");
    assert!(said.contains("1 of alice"), "{said}");
}

#[test]
fn waiting_for_ever_ends_with_patience() {
    let sim = Sim::new(1).patience(Duration::from_secs(3_600));
    let timer = sim.clone();
    sim.host("alice").spawn(Box::pin(async move {
        loop {
            timer.sleep(Duration::from_secs(30)).await;
        }
    }));
    let said = panic_of(|| sim.run(std::future::pending()));
    assert!(said.contains("out of patience"), "{said}");
}

/// Waits for a time.
struct Alarm(Option<Instant>);

impl StateMachine for Alarm {
    type Event = ();
    fn handle_receive(&mut self, _now: Instant, _receive: Receive) {}
    fn handle_timeout(&mut self, now: Instant) {
        self.0 = self.0.filter(|at| *at > now);
    }
    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }
    fn poll_event(&mut self) -> Option<()> {
        None
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.0
    }
}

#[test]
fn quiet_is_when_no_driver_waits_for_anything() {
    fn drive<A: Application<Alarm> + 'static>(sim: &Sim, after: Duration, application: A) {
        let runtime: Arc<dyn Runtime> = Arc::new(sim.host("alice"));
        let alarm = Alarm(Some(runtime.now() + after));
        Driver::new(runtime, alarm, application).spawn();
    }
    let sim = Sim::new(1);
    drive(&sim, Duration::from_secs(32), ());
    assert!(!sim.run_until_quiet(Duration::from_secs(31)));
    assert!(sim.run_until_quiet(Duration::from_secs(60)));
    assert_eq!(sim.elapsed(), Duration::from_secs(32));
    drive(&sim, Duration::from_secs(32), ());
    assert!(sim.is_quiet());
    drive(&sim, Duration::from_secs(3_600), ());
    assert!(!sim.is_quiet());
    assert_eq!(sim.left(), ["alice: a timer, 0 streams, 0 commands"]);
}

#[test]
fn a_dropped_simulation_drops_its_tasks() {
    let kept = Arc::new(());
    {
        let sim = Sim::new(1);
        let host = sim.host("alice");
        let (held, runtime) = (Arc::clone(&kept), host.clone());
        host.spawn(Box::pin(async move {
            let _socket = runtime.bind_udp(([0, 0, 0, 0], 5060).into());
            std::future::pending::<()>().await;
            drop(held);
        }));
        sim.advance(ms(1));
        assert_eq!(Arc::strong_count(&kept), 2);
    }
    assert_eq!(Arc::strong_count(&kept), 1);
}
