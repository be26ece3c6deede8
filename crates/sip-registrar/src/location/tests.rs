use super::*;
use crate::Terms;
use sip_io::{Protocol, StreamId};
use sip_message::Request;
use std::time::SystemTime;

struct Fixture {
    start: Instant,
    location: MemoryLocation,
    cseq: u32,
}

impl Fixture {
    fn new() -> Self {
        let start = Instant::now();
        let clock = WallClock {
            at: start,
            is: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000),
        };
        Self {
            start,
            location: MemoryLocation::new([1; 32], clock).limit(3),
            cseq: 0,
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.start + Duration::from_secs(second)
    }

    fn update(
        &mut self,
        second: u64,
        user: &str,
        contact: &str,
        flow: Option<Flow>,
    ) -> Result<Vec<Binding>, UpdateError> {
        self.cseq += 1;
        let text = format!(
            "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.4;branch=z9hG4bK1\r\nFrom: <sip:{user}@h>;tag=1\r\n\
             To: <sip:{user}@h>\r\nCall-ID: 1\r\nCSeq: {} REGISTER\r\nContact: {contact}\r\n\r\n",
            self.cseq
        );
        let request = Request::parse(text.into()).unwrap();
        let at = self.location.clock.at(self.at(second));
        let change = Change::from_request(&request, Terms::new(), at)
            .unwrap()
            .outbound(true)
            .reached_by(|_| flow);
        self.location.update(self.at(second), &aor(user), &change)
    }

    fn lookup(&self, second: u64, user: &str) -> Vec<String> {
        let bindings = self.location.lookup(self.at(second), &aor(user));
        bindings
            .iter()
            .map(|binding| binding.uri().to_string())
            .collect()
    }
}

fn aor(user: &str) -> Aor {
    Aor::parse(&format!("sip:{user}@h")).unwrap()
}

fn stream(number: u64) -> Flow {
    let (local, remote) = (
        "192.0.2.1:5060".parse().unwrap(),
        "192.0.2.4:40000".parse().unwrap(),
    );
    Flow::stream(Protocol::Tcp, StreamId::accepted(number), local, remote)
}

#[test]
fn bindings_are_found_by_preference_until_they_end() {
    let mut fixture = Fixture::new();
    fixture
        .update(
            0,
            "bob",
            "<sip:a@h>;q=0.1;expires=60, <sip:b@h>;q=0.9;expires=30",
            None,
        )
        .unwrap();
    assert_eq!(fixture.lookup(0, "bob"), ["sip:b@h", "sip:a@h"]);
    assert_eq!(fixture.lookup(30, "bob"), ["sip:a@h"]);
    assert!(fixture.lookup(60, "bob").is_empty());
    assert!(fixture.lookup(0, "carol").is_empty());
}

#[test]
fn what_ends_is_forgotten_and_no_timer_is_left() {
    let mut fixture = Fixture::new();
    fixture
        .update(
            0,
            "bob",
            "<sip:a@h>;expires=60, <sip:b@h>;expires=30",
            Some(stream(1)),
        )
        .unwrap();
    let mut changes = Vec::new();
    while let Some(at) = fixture.location.poll_timeout() {
        let changed = fixture.location.handle_timeout(at);
        if !changed.is_empty() {
            changes.push((
                at.duration_since(fixture.start).as_secs(),
                fixture.location.len(),
            ));
        }
    }
    assert_eq!(changes, [(30, 1), (60, 0)]);
    assert!(fixture.location.records.is_empty() && fixture.location.by_flow.is_empty());
}

#[test]
fn a_refresh_moves_the_end() {
    let mut fixture = Fixture::new();
    fixture
        .update(0, "bob", "<sip:a@h>;expires=60", None)
        .unwrap();
    fixture
        .update(50, "bob", "<sip:a@h>;expires=60", None)
        .unwrap();
    let at = fixture.at(61);
    assert!(fixture.location.handle_timeout(at).is_empty());
    assert_eq!(fixture.lookup(61, "bob"), ["sip:a@h"]);
}

#[test]
fn addresses_of_record_are_bounded() {
    let mut fixture = Fixture::new();
    for user in ["a", "b", "c"] {
        fixture.update(0, user, "<sip:x@h>", None).unwrap();
    }
    let refused = fixture.update(0, "d", "<sip:x@h>", None).unwrap_err();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    fixture.update(0, "a", "<sip:x@h>;expires=0", None).unwrap();
    assert!(fixture.update(0, "d", "<sip:x@h>", None).is_ok());
    assert_eq!(fixture.location.len(), 3);
}

/// RFC 5626 §7: the flow of such a binding is the only way to it; any other Contact is located when the flow is gone.
#[test]
fn a_closed_stream_takes_its_bindings_along_unless_they_can_be_located() {
    let mut fixture = Fixture::new();
    let outbound = "<sip:a@h>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"";
    fixture.update(0, "bob", outbound, Some(stream(1))).unwrap();
    fixture
        .update(0, "carol", "<sip:c@h>", Some(stream(1)))
        .unwrap();
    fixture
        .update(0, "dave", "<sip:d@h>", Some(stream(2)))
        .unwrap();
    fixture.location.flow_closed(&stream(1));
    assert!(fixture.lookup(0, "bob").is_empty());
    assert_eq!(
        fixture.location.lookup(fixture.start, &aor("carol"))[0].flow,
        None
    );
    assert_eq!(
        fixture.location.lookup(fixture.start, &aor("dave"))[0].flow,
        Some(stream(2))
    );
    fixture.location.flow_closed(&stream(1));
}

#[test]
fn a_query_changes_nothing() {
    let mut fixture = Fixture::new();
    fixture
        .update(0, "bob", "<sip:a@h>;expires=60", None)
        .unwrap();
    let text = "REGISTER sip:h SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.4;branch=z9hG4bK1\r\nFrom: <sip:bob@h>;tag=1\r\n\
                To: <sip:bob@h>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\r\n";
    let at = fixture.location.clock.at(fixture.start);
    let query =
        Change::from_request(&Request::parse(text.into()).unwrap(), Terms::new(), at).unwrap();
    let found = fixture
        .location
        .update(fixture.start, &aor("bob"), &query)
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(fixture.lookup(0, "bob"), ["sip:a@h"]);
}
