//! Registrations whose flow is kept alive, and made again when it is dead (RFC 5626 §4.4, §4.5).

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test fails by a panic and needs an instant to start from

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use sip_endpoint::{EndpointConfig, Listener, Stack, StackEvent, Zone};
use sip_io::{Flow, Receive, StateMachine, Transmit, WallClock};
use sip_message::{
    HeaderName, HeaderValue, Method, Request, StatusCode, Tag, Uri,
    headers::{Contact, Supported},
};
use sip_ua::{
    CallOptions, Event, Identity, KeepAlivePolicy, Offer, RegistrationOptions, RequestOptions,
    UaConfig, UserAgent,
};

const SECOND: Duration = Duration::from_secs(1);

/// One user agent at 192.0.2.1, its registrar at 192.0.2.2 played by hand.
struct Rig {
    now: Instant,
    stack: Stack<UserAgent>,
    out: Vec<Transmit>,
    events: Vec<Event>,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A registrar of two servers, of which either will do.
fn zone() -> Zone {
    let service = "_sip._udp.registrar.example";
    Zone::new()
        .service(service, 1, 1, 5060, "one.example")
        .service(service, 1, 1, 5060, "other.example")
        .address("one.example", [192, 0, 2, 2])
        .address("other.example", [192, 0, 2, 3])
}

impl Rig {
    fn new() -> Self {
        let now = Instant::now();
        let clock = WallClock {
            at: now,
            is: SystemTime::UNIX_EPOCH,
        };
        let core = UserAgent::new(UaConfig::new([1; 32], clock).extension("replaces"));
        let mut rig = Self {
            now,
            stack: Stack::new(EndpointConfig::new([7; 32], clock).zone(zone()), core),
            out: Vec::new(),
            events: Vec::new(),
        };
        rig.network("192.0.2.1");
        let here = at("0.0.0.0:5060");
        for listener in [Listener::udp(here), Listener::tcp(here)] {
            rig.stack.command(now, |_, cx| cx.listen(listener));
            let Some(Transmit::Bind { token, local, .. }) = rig.stack.poll_transmit() else {
                panic!("asks for a socket")
            };
            let result = Ok(local);
            rig.receive(Receive::Bound { token, result });
        }
        rig
    }

    fn network(&mut self, address: &str) {
        let addresses: Vec<IpAddr> = vec![address.parse().unwrap()];
        self.receive(Receive::Network { addresses });
    }

    fn receive(&mut self, receive: Receive) {
        self.stack.handle_receive(self.now, receive);
        self.collect();
    }

    fn collect(&mut self) {
        self.out
            .extend(std::iter::from_fn(|| self.stack.poll_transmit()));
        while let Some(event) = self.stack.poll_event() {
            if let StackEvent::Core(event) = event {
                self.events.push(event);
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.stack.poll_timeout().filter(|due| *due <= end) {
            self.now = due;
            self.stack.handle_timeout(due);
            self.collect();
        }
        self.now = end;
    }

    fn register(&mut self, transport: &str, options: RegistrationOptions) {
        self.register_at(&format!("sip:192.0.2.2;transport={transport}"), options);
    }

    fn register_at(&mut self, registrar: &str, options: RegistrationOptions) {
        let identity = Identity::new("sip:alice@192.0.2.2".parse().unwrap());
        let options = options.registrar(registrar.parse().unwrap());
        let started = self
            .stack
            .command(self.now, |ua, cx| ua.register(cx, &identity, options));
        started.unwrap();
        self.collect();
    }

    /// Opens what is asked to be opened, and answers the REGISTER with these lines more, its Via as the registrar wants.
    fn accept(&mut self, lines: &[(&'static str, &str)], keep: Option<&str>) -> (Flow, Request) {
        let out = std::mem::take(&mut self.out);
        if let [Transmit::Open { flow }] = out[..] {
            let flow = flow.with_local(at("192.0.2.1:40000"));
            self.receive(Receive::Opened { flow });
        } else {
            self.out = out;
        }
        let (flow, contents) = self.sent();
        let request = Request::parse(contents).unwrap();
        let mut response = request
            .response(StatusCode::OK)
            .to_tag(Tag::new("r").unwrap())
            .header(request.headers().get::<Contact>().unwrap().unwrap())
            .build();
        for (name, value) in lines {
            let name = HeaderName::new(name).unwrap();
            let value = HeaderValue::new(value).unwrap();
            response.headers_mut().push_raw(name, value);
        }
        if let Some(keep) = keep {
            let mut via = response.via().unwrap();
            via.set_param("keep", keep);
            response.headers_mut().replace_front(via);
        }
        response.ensure_content_length();
        self.bytes(flow, response.to_bytes());
        let registered = |event: &Event| matches!(event, Event::Registered { .. });
        assert!(self.events.iter().any(registered), "{:?}", self.events);
        self.events.clear();
        (flow, request)
    }

    fn bytes(&mut self, flow: Flow, contents: impl Into<Bytes>) {
        let contents = contents.into();
        self.receive(if flow.is_stream() {
            Receive::Stream { flow, contents }
        } else {
            Receive::Datagram { flow, contents }
        });
    }

    #[track_caller]
    fn sent(&mut self) -> (Flow, Bytes) {
        match &std::mem::take(&mut self.out)[..] {
            [Transmit::Datagram { flow, contents } | Transmit::Stream { flow, contents }] => {
                (*flow, contents.clone())
            }
            other => panic!("sends one thing: {other:?}"),
        }
    }
}

/// Waits for the next thing that is sent, and how long that took.
fn next(rig: &mut Rig) -> (Duration, Flow, Bytes) {
    let since = rig.now;
    while rig.out.is_empty() {
        rig.wait(SECOND / 10);
        assert!(rig.now < since + 700 * SECOND, "nothing is sent");
    }
    let (flow, contents) = rig.sent();
    (rig.now - since, flow, contents)
}

/// TRA-032: RFC 5626 §4.4.1: a server that stops answering pings: registration on a new flow begins.
#[test]
fn tra_032_a_registration_moves_to_a_new_flow_when_its_own_is_silent() {
    let mut rig = Rig::new();
    let options = RegistrationOptions::new().outbound("urn:uuid:0", 1);
    rig.register("tcp", options);
    let (flow, request) = rig.accept(&[("Require", "outbound"), ("Flow-Timer", "60")], None);
    let text = String::from_utf8(request.to_bytes().to_vec()).unwrap();
    assert!(text.contains("Supported: path, outbound\r\n"), "{text}");
    assert!(text.contains("+sip.instance=\"<urn:uuid:0>\""), "{text}");
    assert!(text.contains("reg-id=1"), "{text}");
    for _ in 0..2 {
        let (after, asked, contents) = next(&mut rig);
        // Flow-Timer wins over the 95 to 120 s that are usual.
        assert!((48 * SECOND..=61 * SECOND).contains(&after), "{after:?}");
        assert_eq!((asked, &contents[..]), (flow, &b"\r\n\r\n"[..]));
        rig.bytes(flow, "\r\n");
    }
    next(&mut rig);
    // Silence: closed after 10 s, and a moment later another connection is opened.
    rig.wait(13 * SECOND);
    match &rig.out[..] {
        [
            Transmit::Close { flow: closed },
            Transmit::Open { flow: opened },
        ] => {
            assert_eq!(*closed, flow);
            assert_ne!(*opened, flow);
            rig.out.remove(0);
        }
        other => panic!("closes and opens: {other:?}"),
    }
    rig.accept(&[("Require", "outbound")], None);
}

/// How long it is until a connection is asked for.
#[track_caller]
fn opened_after(rig: &mut Rig) -> Duration {
    let since = rig.now;
    let is_open = |out: &Transmit| matches!(out, Transmit::Open { .. });
    while !rig.out.iter().any(is_open) {
        rig.out.clear();
        rig.wait(SECOND / 10);
        assert!(
            rig.now < since + 2_000 * SECOND,
            "no connection is asked for"
        );
    }
    rig.now - since
}

fn closed_by_peer(rig: &mut Rig, flow: Flow) {
    let reason = sip_io::CloseReason::ByPeer;
    rig.receive(Receive::Closed { flow, reason });
}

fn device(flow: u32) -> RegistrationOptions {
    RegistrationOptions::new().outbound("urn:uuid:0", flow)
}

/// RFC 5626 §4.5: a flow that is lost before a keep-alive was answered counts as a failure, and the wait doubles.
#[test]
fn a_registrar_that_takes_and_closes_is_met_ever_less_often() {
    let outbound = [("Require", "outbound")];
    let mut rig = Rig::new();
    rig.register("tcp", device(1));
    for longest in [60, 120, 240] {
        let (flow, _) = rig.accept(&outbound, None);
        closed_by_peer(&mut rig, flow);
        let told = rig.events.iter().find_map(|event| match event {
            Event::RegistrationRetrying { after, .. } => Some(*after),
            _ => None,
        });
        let after = opened_after(&mut rig);
        let range = SECOND * longest / 2..=SECOND * (longest + 1);
        assert!(range.contains(&after), "{after:?}");
        assert!(told.is_some_and(|told| told <= after && after < told + SECOND));
    }
    // One that lasts is replaced soon, and the count begins anew.
    let (flow, _) = rig.accept(&outbound, None);
    let (_, _, ping) = next(&mut rig);
    assert_eq!(&ping[..], b"\r\n\r\n");
    rig.bytes(flow, "\r\n");
    rig.wait(65 * SECOND);
    closed_by_peer(&mut rig, flow);
    assert!(opened_after(&mut rig) < 3 * SECOND);
    let (flow, _) = rig.accept(&outbound, None);
    closed_by_peer(&mut rig, flow);
    assert!((30 * SECOND..61 * SECOND).contains(&opened_after(&mut rig)));
}

/// One that does not manage its flows is back soon, once.
#[test]
fn a_connection_that_breaks_at_once_twice_is_not_made_again_at_once() {
    let mut rig = Rig::new();
    rig.register("tcp", RegistrationOptions::new());
    let (flow, _) = rig.accept(&[], None);
    closed_by_peer(&mut rig, flow);
    assert!(opened_after(&mut rig) < 3 * SECOND);
    let (flow, _) = rig.accept(&[], None);
    closed_by_peer(&mut rig, flow);
    assert!(opened_after(&mut rig) > 30 * SECOND);
    let (flow, _) = rig.accept(&[], None);
    rig.wait(31 * SECOND);
    closed_by_peer(&mut rig, flow);
    assert!(opened_after(&mut rig) < 3 * SECOND);
}

/// UA-090: RFC 5626 §4.5: while another flow leads to the user, the base time is 90 s.
#[test]
fn a_flow_beside_another_one_has_time() {
    let outbound = [("Require", "outbound")];
    let mut rig = Rig::new();
    rig.register("udp", device(1));
    rig.accept(&outbound, None);
    rig.register("tcp", device(2));
    let (flow, _) = rig.accept(&outbound, None);
    closed_by_peer(&mut rig, flow);
    let told = rig.events.iter().find_map(|event| match event {
        Event::RegistrationRetrying { after, .. } => Some(*after),
        _ => None,
    });
    assert!(told.is_some_and(|after| (90 * SECOND..=180 * SECOND).contains(&after)));
}

/// RFC 5626 §4.4.2, §4.5: a flow of datagrams whose questions nobody answers is given up, and made again less often when
/// it never was any better.
#[test]
fn a_flow_of_datagrams_that_is_silent_from_the_start_is_a_failure() {
    let mut rig = Rig::new();
    rig.register("udp", device(1));
    rig.accept(&[("Require", "outbound")], None);
    let mut waits = Vec::new();
    let until = rig.now + 1_000 * SECOND;
    while waits.len() < 3 && rig.now < until {
        rig.wait(SECOND / 10);
        rig.out.retain(|out| match out {
            Transmit::Datagram { contents, .. } => contents.starts_with(b"REGISTER"),
            _ => true,
        });
        waits.extend(rig.events.drain(..).filter_map(|event| match event {
            Event::RegistrationRetrying { after, .. } => Some(after),
            _ => None,
        }));
        if !rig.out.is_empty() {
            rig.accept(&[("Require", "outbound")], None);
        }
    }
    assert_eq!(waits.len(), 3);
    for (wait, longest) in waits.into_iter().zip([60, 120, 240]) {
        let range = SECOND * longest / 2..=SECOND * longest;
        assert!(range.contains(&wait), "{wait:?}");
    }
}

/// RFC 5626 §4.4.2, RFC 6223: over datagrams nothing is sent to a registrar that has not agreed.
#[test]
fn datagrams_are_kept_alive_when_the_registrar_agrees() {
    for (lines, keep, policy, asks) in [
        (&[][..], None, KeepAlivePolicy::WhenAgreed, None),
        (&[], Some("40"), KeepAlivePolicy::WhenAgreed, Some(32..=40)),
        (
            &[("Require", "outbound")],
            None,
            KeepAlivePolicy::WhenAgreed,
            Some(24..=29),
        ),
        (
            &[("Flow-Timer", "50")],
            Some("40"),
            KeepAlivePolicy::WhenAgreed,
            Some(40..=50),
        ),
        (&[], None, KeepAlivePolicy::Always, Some(24..=29)),
        (
            &[("Require", "outbound")],
            Some("40"),
            KeepAlivePolicy::Never,
            None,
        ),
    ] {
        let mut rig = Rig::new();
        rig.register("udp", RegistrationOptions::new().keep_alive(policy));
        let (_, request) = rig.accept(lines, keep);
        let asked = request.via().unwrap().param("keep").is_some();
        assert_eq!(asked, policy == KeepAlivePolicy::WhenAgreed);
        let (after, _, contents) = next(&mut rig);
        match asks {
            Some(range) => {
                assert_eq!(contents.first(), Some(&0), "is STUN");
                let range = *range.start() * SECOND..=(*range.end() + 1) * SECOND;
                assert!(range.contains(&after), "{after:?}");
            }
            None => assert!(contents.starts_with(b"REGISTER"), "only the refresh"),
        }
    }
}

/// A flow whose registration is over is left alone.
#[test]
fn what_is_unregistered_is_not_kept_alive() {
    let mut rig = Rig::new();
    rig.register(
        "tcp",
        RegistrationOptions::new().keep_alive(KeepAlivePolicy::Always),
    );
    rig.accept(&[], None);
    let shutdown = rig.now;
    rig.stack.shutdown(shutdown);
    rig.collect();
    let (flow, contents) = rig.sent();
    let request = Request::parse(contents).unwrap();
    let mut response = request.response(StatusCode::OK).build();
    response.ensure_content_length();
    rig.bytes(flow, response.to_bytes());
    rig.wait(300 * SECOND);
    assert!(rig.out.is_empty(), "{:?}", rig.out);
}

/// A host that moves to another network binds its new address, and does not wait for the old binding to end.
#[test]
fn a_new_address_is_registered_soon() {
    let mut rig = Rig::new();
    rig.register("tcp", RegistrationOptions::new());
    rig.accept(&[], None);
    rig.network("192.0.2.1");
    rig.wait(5 * SECOND);
    assert!(rig.out.is_empty(), "nothing has changed");
    rig.network("198.51.100.1");
    rig.wait(5 * SECOND);
    assert!(!rig.out.is_empty(), "binds anew");
}

/// UA-089: RFC 5626 §4.3: what belongs to a dialog that a device begins is to come over the flow on which it began.
#[test]
fn a_device_says_that_its_dialogs_belong_to_their_flow() {
    for managed in [false, true] {
        let mut rig = Rig::new();
        let identity = Identity::new("sip:alice@192.0.2.2".parse().unwrap());
        let identity = match managed {
            true => identity.outbound(),
            false => identity,
        };
        let target: Uri = "sip:bob@192.0.2.2".parse().unwrap();
        let options = CallOptions::new().offer(Offer::Late);
        rig.stack.command(rig.now, |ua, cx| {
            ua.call(cx, &identity, target.clone(), options).unwrap();
            let options = RequestOptions::new();
            ua.request(cx, &identity, Method::MESSAGE, target, options)
                .unwrap();
        });
        rig.collect();
        let sent: Vec<Request> = std::mem::take(&mut rig.out)
            .into_iter()
            .map(|transmit| match transmit {
                Transmit::Datagram { contents, .. } => Request::parse(contents).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        let [invite, message] = &sent[..] else {
            panic!("not both: {sent:?}")
        };
        for request in [invite, message] {
            let supported = request.headers().get::<Supported>();
            let says = supported.is_some_and(|tags| tags.unwrap().contains("outbound"));
            assert_eq!(says, managed, "{request:?}");
        }
        let supported = invite.headers().get::<Supported>().unwrap().unwrap();
        assert!(
            supported.contains("replaces"),
            "what else is supported stays"
        );
        let contact = invite.headers().get::<Contact>().unwrap().unwrap();
        assert_eq!(contact.uri().has_param("ob"), managed);
    }
}

/// RFC 5626 §4.2.2: of several servers the one that has the flow is asked to refresh it.
#[test]
fn a_managed_binding_is_refreshed_over_its_flow() {
    let mut rig = Rig::new();
    let options = device(1).keep_alive(KeepAlivePolicy::Never);
    rig.register_at("sip:registrar.example;transport=udp", options);
    let (bound, _) = rig.accept(&[("Require", "outbound")], None);
    for _ in 0..8 {
        let until = rig.now + 541 * SECOND;
        while rig.out.is_empty() && rig.now < until {
            rig.wait(SECOND / 10);
        }
        let (flow, _) = rig.accept(&[("Require", "outbound")], None);
        assert_eq!(flow, bound);
    }
}

/// RFC 5626 §4.2.1: behind an edge that knows nothing of flows a device is registered all the same.
#[test]
fn a_device_whose_first_hop_lacks_outbound_support_is_registered_without() {
    let mut rig = Rig::new();
    rig.register("udp", device(1));
    let (flow, contents) = rig.sent();
    let request = Request::parse(contents).unwrap();
    let lacks = StatusCode::FIRST_HOP_LACKS_OUTBOUND_SUPPORT;
    let mut refused = request.response(lacks).build();
    refused.ensure_content_length();
    rig.bytes(flow, refused.to_bytes());
    let (_, again) = rig.accept(&[], None);
    let contact = again.headers().get::<Contact>().unwrap().unwrap();
    assert_eq!(contact.reg_id(), None);
    assert_eq!(contact.instance().as_deref(), Some("urn:uuid:0"));
    let supported = again.headers().get::<Supported>();
    assert!(supported.is_none_or(|tags| !tags.unwrap().contains("outbound")));
    assert!(again.cseq().unwrap().number() > request.cseq().unwrap().number());
}
