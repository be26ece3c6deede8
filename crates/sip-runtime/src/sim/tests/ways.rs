//! Narrow ways, firewalls, readers that do not read, and hosts of one family.

use super::*;

fn bind(host: &Host) -> Box<dyn UdpSocket> {
    host.bind_udp((host.ipv4(), 5060).into()).expect("is free")
}

/// Sends datagrams of this length at once; when each came.
fn flood(sim: &Sim, number: usize, length: usize) -> Vec<u128> {
    let (a, b) = (sim.host("a"), sim.host("b"));
    let (mut from, mut to) = (bind(&a), bind(&b));
    sim.run(async {
        for _ in 0..number {
            let remote = (b.ipv4(), 5060).into();
            from.try_send(None, remote, &vec![0; length])
                .expect("can send");
        }
        let mut came = Vec::new();
        for _ in 0..2_000 {
            sim.sleep(ms(1)).await;
            let datagrams = receive(&mut to).now_or_never().unwrap_or_default();
            came.extend(datagrams.iter().map(|_| sim.elapsed().as_millis()));
        }
        came
    })
}

#[test]
fn what_does_not_pass_at_once_waits_its_turn_and_too_much_is_dropped() {
    let sim = Sim::new(1);
    // 125 bytes with headers: 10 ms each.
    sim.link("a", "b").bandwidth(100_000);
    assert_eq!(flood(&sim, 3, 97), [20, 30, 40]);
    let sim = Sim::new(1);
    sim.link("a", "b").bandwidth(100_000);
    let came = flood(&sim, 200, 97);
    assert_eq!(came.len(), 51, "half a second of them");
    // Another way is not taken.
    let sim = Sim::new(1);
    sim.link("a", "c").bandwidth(1);
    assert_eq!(flood(&sim, 1, 97), [10]);
}

#[test]
fn a_stream_on_a_narrow_way_takes_its_time() {
    let sim = Sim::new(1);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    sim.link("alice", "bob").bandwidth(1_000_000);
    sim.run(async {
        let (mut ours, mut theirs) = stream(&alice, &bob).await.expect("opens");
        let writing = async {
            write(&mut ours, &[7; 125_000]).await.expect("is open");
            poll_fn(|cx| ours.poll_shutdown(cx)).await.expect("is open");
        };
        let (_, came) = join(writing, read_to_end(&mut theirs)).await;
        assert_eq!(came.expect("came").len(), 125_000);
    });
    let took = sim.elapsed().as_millis();
    assert!((1_000..1_100).contains(&took), "{took} ms");
}

/// Sends a datagram that is too long: how many came, and what the sender was told.
fn too_long(sim: &Sim) -> (usize, Option<sip_io::FailReason>) {
    let (a, b) = (sim.host("a"), sim.host("b"));
    let (mut from, mut to) = (bind(&a), bind(&b));
    sim.run(async {
        from.try_send(None, (b.ipv4(), 5060).into(), &[0; 1_500])
            .expect("can send");
        sim.sleep(ms(100)).await;
        let came = receive(&mut to).now_or_never().unwrap_or_default().len();
        let mut batch = Batch::new();
        let told = poll_fn(|cx| from.poll_recv(cx, &mut batch)).now_or_never();
        assert_eq!(told.is_some(), !batch.failures.is_empty());
        (came, batch.failures.first().map(|failure| failure.reason))
    })
}

/// RFC 791 §2.3, RFC 1191 §4.
#[test]
fn a_datagram_longer_than_the_way_allows_goes_in_fragments_or_is_refused_or_swallowed() {
    for (oversize, came) in [
        (Oversize::Fragmented, (1, None)),
        (Oversize::Refused, (0, Some(sip_io::FailReason::TooLong))),
        (Oversize::Swallowed, (0, None)),
    ] {
        // With its headers it is 1,528 bytes long.
        for (mtu, came) in [(1_527, came), (1_528, (1, None))] {
            let sim = Sim::new(1);
            sim.everywhere().mtu(mtu).oversize(oversize);
            assert_eq!(too_long(&sim), came, "{oversize:?}");
        }
    }
}

#[test]
fn the_more_fragments_the_more_is_lost() {
    let long = |mtu| {
        let sim = Sim::new(1).loss(0.1);
        sim.everywhere().mtu(mtu);
        flood(&sim, 300, 4_000).len()
    };
    let (whole, cut) = (long(10_000), long(576));
    // 0.9 and 0.9^8 of 300
    assert!((255..285).contains(&whole), "{whole}");
    assert!((105..155).contains(&cut), "{cut}");
}

#[test]
fn a_firewall_passes_datagrams_or_streams() {
    let sim = Sim::new(1);
    sim.link("a", "b").datagrams(false);
    assert!(flood(&sim, 1, 10).is_empty());
    let (a, b) = (sim.host("a"), sim.host("b"));
    sim.run(async { stream(&a, &b).await.map(drop) })
        .expect("streams pass");
    let sim = Sim::new(1);
    sim.link("a", "b").streams(false);
    assert_eq!(flood(&sim, 1, 10).len(), 1);
    let (a, b) = (sim.host("a"), sim.host("b"));
    let _listener = b.listen_tcp((b.ipv4(), 5060).into()).expect("is free");
    let swallowed = sim.run(a.connect_tcp(None, (b.ipv4(), 5060).into()));
    assert_eq!(
        swallowed.err().map(|error| error.kind()),
        Some(io::ErrorKind::TimedOut)
    );
}

#[test]
fn a_reset_is_read_at_both_ends() {
    let sim = Sim::new(1);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    sim.run(async {
        let (mut ours, mut theirs) = stream(&alice, &bob).await.expect("opens");
        sim.link("carol", "bob").reset_streams();
        write(&mut ours, MESSAGE).await.expect("it was another way");
        sim.link("bob", "alice").reset_streams();
        for end in [&mut ours, &mut theirs] {
            let error = read_to_end(end).await.expect_err("it is broken");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        }
    });
}

/// RFC 9293 §3.6: who has ended its direction is still written to.
#[test]
fn a_stream_is_ended_one_direction_at_a_time() {
    let sim = Sim::new(1);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    sim.run(async {
        let (mut ours, mut theirs) = stream(&alice, &bob).await.expect("opens");
        poll_fn(|cx| ours.poll_shutdown(cx)).await.expect("open");
        assert_eq!(read_to_end(&mut theirs).await.expect("an end"), b"");
        let error = write(&mut ours, MESSAGE).await.expect_err("it is ended");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        write(&mut theirs, MESSAGE).await.expect("open");
        drop(theirs);
        assert_eq!(read_to_end(&mut ours).await.expect("an end"), MESSAGE);
    });
}

#[test]
fn who_writes_to_a_slow_reader_waits() {
    let sim = Sim::new(1);
    let (alice, bob) = (sim.host("alice"), sim.host("bob"));
    sim.link("alice", "bob").window(100);
    sim.run(async {
        let (mut ours, mut theirs) = stream(&alice, &bob).await.expect("opens");
        write(&mut ours, &[0; 100]).await.expect("fits");
        sim.sleep(ms(100)).await;
        assert!(write(&mut ours, &[0]).now_or_never().is_none());
        let mut buffer = [0; 30];
        let read = poll_fn(|cx| theirs.poll_read(cx, &mut buffer)).await;
        assert_eq!(read.expect("open"), 30);
        write(&mut ours, &[0; 30]).await.expect("there is room now");
        assert!(write(&mut ours, &[0]).now_or_never().is_none());
    });
}

#[test]
fn a_host_of_one_family_has_no_address_of_the_other() {
    let sim = Sim::new(1);
    let (old, new) = (
        sim.host("old").without_ipv6(),
        sim.host("new").without_ipv4(),
    );
    let both = sim.host("both");
    assert_eq!(old.interfaces()[0], IpAddr::from(old.ipv4()));
    assert_eq!(new.interfaces()[0], IpAddr::from(new.ipv6()));
    assert!(new.bind_udp((new.ipv4(), 5060).into()).is_err());
    let mut socket = new.bind_udp((new.ipv6(), 5060).into()).expect("is free");
    let mut answers = both.bind_udp((both.ipv6(), 5060).into()).expect("is free");
    sim.run(async {
        assert!(ask(&both, "new.", RecordType::A).await.answers.is_empty());
        assert_eq!(ask(&both, "new.", RecordType::AAAA).await.answers.len(), 1);
        assert!(
            ask(&both, "old.", RecordType::AAAA)
                .await
                .answers
                .is_empty()
        );
        socket
            .try_send(None, (both.ipv6(), 5060).into(), MESSAGE)
            .expect("can send");
        assert_eq!(receive(&mut answers).await.len(), 1);
        let refused = old.connect_tcp(None, (both.ipv6(), 5060).into()).await;
        assert_eq!(
            refused.err().map(|error| error.kind()),
            Some(io::ErrorKind::NetworkUnreachable)
        );
    });
}

#[test]
fn a_stored_ladder_is_compared_without_its_notes() {
    let sim = Sim::new(1);
    let (a, b) = (sim.host("a"), sim.host("b"));
    let mut from = bind(&a);
    sim.run(async {
        from.try_send(None, (b.ipv4(), 5060).into(), MESSAGE)
            .expect("can send");
    });
    assert_ladder_snapshot!(sim, "one_message");
    sim.advance(ms(1));
    from.try_send(None, (b.ipv4(), 5060).into(), MESSAGE)
        .expect("can send");
    let differs = catch_unwind(AssertUnwindSafe(|| {
        assert_ladder_snapshot!(sim, "one_message")
    }));
    assert!(differs.is_err());
    let missing = catch_unwind(AssertUnwindSafe(|| {
        assert_ladder_snapshot!(sim, "another_message")
    }));
    assert!(missing.is_err());
}
