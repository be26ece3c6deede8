//! Several drivers that share the work of one.

use bytes::{Buf, Bytes, BytesMut};
use sip_io::{BindToken, Flow, Parcel, Protocol, Receive, Shard, StateMachine, Transmit};
use sip_runtime::{Driver, DriverHandle, Runtime, shards::mesh};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Hands every record of four bytes to the other shard, which counts them and sends datagrams back.
struct Half {
    shard: Shard,
    other: Shard,
    unread: BytesMut,
    out: VecDeque<Transmit>,
    bound: Vec<SocketAddr>,
    datagrams: Vec<Bytes>,
    records: Vec<Bytes>,
    lost: usize,
    echoes: bool,
}

fn half(shard: usize) -> Half {
    let shard_of = |number| Shard::new(number).expect("a small number");
    Half {
        shard: shard_of(shard),
        other: shard_of(1 - shard),
        unread: BytesMut::new(),
        out: VecDeque::new(),
        bound: Vec::new(),
        datagrams: Vec::new(),
        records: Vec::new(),
        lost: 0,
        echoes: false,
    }
}

impl StateMachine for Half {
    type Event = ();

    fn handle_receive(&mut self, _now: Instant, receive: Receive) {
        match receive {
            Receive::Datagram { flow, contents } if self.echoes => {
                let contents = Bytes::from([contents.as_ref(), b" ok"].concat());
                self.out.push_back(Transmit::Datagram { flow, contents });
            }
            Receive::Datagram { flow, contents } => self.steer(flow, contents),
            Receive::Stream { flow, contents } => {
                assert_eq!(flow.stream_id().map(|id| id.shard()), Some(self.shard));
                self.unread.extend_from_slice(&contents);
                while self.unread.len() >= 4 {
                    let record = self.unread.copy_to_bytes(4);
                    self.steer(flow, record);
                }
            }
            Receive::Steered { from, parcel } => {
                let Parcel::Message { flow, contents } = *parcel else {
                    panic!("only messages are steered");
                };
                assert_eq!(from, self.other);
                match flow.is_stream() {
                    true => self.records.push(contents),
                    false => self.datagrams.push(contents),
                }
            }
            Receive::Unsteered { to, .. } => {
                assert_eq!(to, self.other);
                self.lost += 1;
            }
            Receive::Bound { result, .. } => {
                self.bound.push(result.expect("the address is free"));
            }
            _ => {}
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

impl Half {
    fn steer(&mut self, flow: Flow, contents: Bytes) {
        let to = self.other;
        let parcel = Box::new(Parcel::Message { flow, contents });
        self.out.push_back(Transmit::Steer { to, parcel });
    }
}

fn bind(number: u64, protocol: Protocol, local: SocketAddr) -> Transmit {
    Transmit::BindShared {
        token: BindToken(number),
        protocol,
        local,
    }
}

/// Two drivers with `queue` parcels between them.
fn two(runtime: &Arc<dyn Runtime>, queue: usize, echoes: bool) -> Vec<DriverHandle<Half, ()>> {
    let members = mesh(2, queue).into_iter();
    members
        .map(|member| {
            let shard = member.shard();
            let own = runtime.for_shard(shard).expect("a thread can be had");
            let runtime = own.unwrap_or_else(|| Arc::clone(runtime));
            let machine = Half {
                echoes,
                ..half(shard.index())
            };
            Driver::new(runtime, machine, ()).join(member).spawn()
        })
        .collect()
}

#[cfg(feature = "sim")]
mod simulated {
    use super::*;
    use sip_runtime::sim::Sim;
    use std::future::poll_fn;

    async fn bound(handle: &DriverHandle<Half, ()>, transmit: Transmit) {
        let binding = handle.command(move |half, (), _| half.out.push_back(transmit));
        binding.await.expect("the driver runs");
    }

    /// What came in datagrams is lost when the other shard has no room, and counted.
    #[test]
    fn a_full_queue_loses_datagrams_and_counts_them() {
        let sim = Sim::new(1);
        let (client, server) = (sim.host("client"), sim.host("server"));
        let runtime: Arc<dyn Runtime> = Arc::new(server.clone());
        let mut members = mesh(2, 4).into_iter();
        let mut driver = |number| {
            let member = members.next().expect("two were asked for");
            Driver::new(Arc::clone(&runtime), half(number), ()).join(member)
        };
        let (busy, late) = (driver(0).spawn(), driver(1));
        let local = SocketAddr::from((server.ipv4(), 5060));
        sim.run(async {
            bound(&busy, bind(0, Protocol::Udp, local)).await;
            let mut from = client.bind_udp((client.ipv4(), 0).into()).expect("is free");
            for number in 0..100_u8 {
                from.try_send(None, local, &[number]).expect("is sent");
            }
            sim.sleep(Duration::from_secs(1)).await;
            assert_eq!(busy.command(|half, (), _| half.lost).await, Ok(96));
            let late = late.spawn();
            sim.sleep(Duration::from_secs(1)).await;
            let came = late.command(|half, (), _| half.datagrams.clone()).await;
            let first: Vec<Bytes> = (0..4_u8).map(|number| Bytes::from(vec![number])).collect();
            assert_eq!(came, Ok(first));
        });
    }

    /// What came on a stream waits, the stream is not read meanwhile, and goes on when there is room.
    #[test]
    fn a_full_queue_pauses_streams_and_nothing_on_them_is_lost() {
        const RECORDS: u32 = 100_000;
        let sim = Sim::new(2);
        let (client, server) = (sim.host("client"), sim.host("server"));
        let runtime: Arc<dyn Runtime> = Arc::new(server.clone());
        let shards = two(&runtime, 4, false);
        let local = SocketAddr::from((server.ipv4(), 5060));
        sim.run(async {
            bound(&shards[0], bind(0, Protocol::Tcp, local)).await;
            let mut stream = client.connect_tcp(None, local).await.expect("is taken");
            let bytes: Vec<u8> = (0..RECORDS).flat_map(u32::to_be_bytes).collect();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let written = poll_fn(|cx| stream.poll_write(cx, rest)).await;
                rest = &rest[written.expect("is open")..];
            }
            sim.sleep(Duration::from_secs(10)).await;
            let came = shards[1].command(|half, (), _| half.records.clone()).await;
            let came = came.expect("runs");
            assert_eq!(came.len(), RECORDS as usize);
            let expected = (0..RECORDS).map(|record| Bytes::copy_from_slice(&record.to_be_bytes()));
            assert!(came.into_iter().eq(expected));
            let lost = shards[0].command(|half, (), _| half.lost).await;
            assert_eq!(lost, Ok(0));
        });
    }

    /// Each peer is served by one of the sockets at an address, always the same, and each socket has some.
    #[test]
    fn sockets_at_one_address_share_what_comes_by_its_source() {
        let sim = Sim::new(3);
        let (client, server) = (sim.host("client"), sim.host("server"));
        let runtime: Arc<dyn Runtime> = Arc::new(server.clone());
        let shards = two(&runtime, 1_000, false);
        let local = SocketAddr::from((server.ipv4(), 5060));
        sim.run(async {
            for shard in &shards {
                bound(shard, bind(0, Protocol::Udp, local)).await;
                bound(shard, bind(1, Protocol::Tcp, local)).await;
            }
            for _ in 0..40 {
                let mut from = client.bind_udp((client.ipv4(), 0).into()).expect("is free");
                for number in 0..2_u8 {
                    from.try_send(None, local, &[number]).expect("is sent");
                }
                drop(client.connect_tcp(None, local).await.expect("is taken"));
            }
            sim.sleep(Duration::from_secs(1)).await;
            let mut counts = Vec::new();
            for shard in &shards {
                let count = shard.command(|half, (), _| half.datagrams.len()).await;
                counts.push(count.expect("runs"));
            }
            assert_eq!(counts.iter().sum::<usize>(), 80);
            assert!(
                counts.iter().all(|count| *count >= 20 && count % 2 == 0),
                "{counts:?}"
            );
        });
    }

    /// Another program at the address is found out, though it would share.
    #[test]
    fn an_address_that_somebody_else_has_is_not_shared() {
        let sim = Sim::new(4);
        let server = sim.host("server");
        let local = SocketAddr::from((server.ipv4(), 5060));
        let other = server.bind_udp_shared(local).expect("is free");
        let runtime: Arc<dyn Runtime> = Arc::new(server.clone());
        let member = mesh(2, 4).swap_remove(0);
        let (told, tells) = std::sync::mpsc::channel();
        let machine = Told(told, Some(bind(0, Protocol::Udp, local)));
        let handle = Driver::new(runtime, machine, ()).join(member).spawn();
        sim.run(async { sim.sleep(Duration::from_secs(1)).await });
        let result = tells.recv().expect("an answer");
        assert_eq!(result, Err(std::io::ErrorKind::AddrInUse));
        drop((other, handle));
    }

    /// Asks for one thing and tells what came of binding.
    struct Told(
        std::sync::mpsc::Sender<Result<SocketAddr, std::io::ErrorKind>>,
        Option<Transmit>,
    );

    impl StateMachine for Told {
        type Event = ();
        fn handle_receive(&mut self, _now: Instant, receive: Receive) {
            if let Receive::Bound { result, .. } = receive {
                self.0.send(result).ok();
            }
        }
        fn handle_timeout(&mut self, _now: Instant) {}
        fn poll_transmit(&mut self) -> Option<Transmit> {
            self.1.take()
        }
        fn poll_event(&mut self) -> Option<()> {
            None
        }
        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
    }
}

/// The system's own sharing of an address.
#[cfg(all(unix, any(feature = "tokio", feature = "smol")))]
mod system {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    /// Two shards at one address.
    fn many_peers_are_answered(runtime: Arc<dyn Runtime>, block_on: impl FnOnce(BoxedTest)) {
        block_on(Box::pin(async move {
            let shards = two(&runtime, 64, true);
            let mut local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            for shard in &shards {
                let transmit = bind(0, Protocol::Udp, local);
                let binding = shard.command(move |half, (), _| half.out.push_back(transmit));
                binding.await.expect("runs");
                let bound = shard.command(|half, (), _| half.bound.clone()).await;
                local = bound.expect("runs")[0];
            }
            let clients: Vec<_> = (0..64)
                .map(|_| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("is free"))
                .collect();
            for client in &clients {
                client.send_to(b"ping", local).expect("is sent");
            }
            for client in &clients {
                let patience = Some(Duration::from_secs(20));
                client
                    .set_read_timeout(patience)
                    .expect("is longer than nothing");
                let mut answer = [0; 16];
                let (length, from) = client.recv_from(&mut answer).expect("an answer");
                assert_eq!((&answer[..length], from), (b"ping ok".as_slice(), local));
            }
            assert_eq!(local.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
            for shard in shards {
                drop(shard.stop());
            }
        }));
    }

    type BoxedTest = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    #[cfg(feature = "tokio")]
    #[test]
    fn many_peers_of_one_address_are_answered_on_tokio() {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("tokio starts");
        let runtime = Arc::new(sip_runtime::Tokio::from(tokio.handle().clone()));
        many_peers_are_answered(runtime, |test| tokio.block_on(test));
    }

    #[cfg(feature = "smol")]
    #[test]
    fn many_peers_of_one_address_are_answered_on_threads() {
        let runtime = Arc::new(sip_runtime::Thread::new("shards").expect("a thread starts"));
        many_peers_are_answered(runtime, smol::block_on);
    }
}
