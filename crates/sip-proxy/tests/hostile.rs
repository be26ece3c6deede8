//! Whatever comes in, nothing panics, nothing grows, and the next honest request is served.
#![allow(clippy::unwrap_used)] // in a test a panic is the answer

mod harness;

use harness::*;
use sip_io::Rng;
use sip_proxy::Plan;

fn seeds(world: &mut World) -> Vec<String> {
    let register = world
        .message("bob", "REGISTER", "sip:example.com")
        .to("sip:bob@example.com");
    let invite = world.message("alice", "INVITE", "sip:bob@example.com");
    let foreign = world.message(
        "alice",
        "MESSAGE",
        "sip:x@foreign.example;transport=tcp;maddr=10.0.0.1",
    );
    let mut bye = world.message("alice", "BYE", "sip:bob@10.0.0.3");
    bye.to.push_str(";tag=b");
    vec![
        register
            .clone()
            .line("Contact: \"B, <b>\" <sip:bob@10.0.0.3;x=y>;expires=60;q=0.7;+sip.instance=\"<urn:uuid:1>\";reg-id=1")
            .line("Supported: outbound, path")
            .line("Path: <sip:10.0.0.8;lr;ob>")
            .text(),
        register.line("Contact: *").line("Expires: 0").text(),
        invite
            .clone()
            .line("Contact: <sip:alice@10.0.0.2>")
            .line("Route: <sip:AABb6Ahl3fd2BgWW@10.0.0.1:5060;lr>, <sip:10.0.0.9>")
            .line("Record-Route: <sip:10.0.0.7;lr>")
            .line("Max-Breadth: 2")
            .text(),
        Draft { method: "ACK".to_owned(), ..invite.clone() }.text(),
        Draft { method: "CANCEL".to_owned(), ..invite.clone() }.text(),
        invite.line("Proxy-Require: a").line("Proxy-Authorization: Digest username=\"a\", realm=\"b\"").text(),
        foreign.line("Route: <sip:[::1]:5060;lr>").text(),
        bye.line("Route: <sip:10.0.0.1;lr>").text(),
    ]
}

fn mutate(rng: &mut Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=rng.below(4) {
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(6) {
            0 => bytes[at] = rng.below(256) as u8,
            1 => bytes.truncate(at.max(1)),
            2 => {
                bytes.remove(at);
            }
            3 => bytes.insert(at, b"\r\n;,<>@:=\"%\0 "[rng.below(13) as usize]),
            4 => {
                let end = (at + rng.below(40) as usize).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let digits = format!("{}", rng.next_u64());
                bytes.splice(at..at, digits.bytes());
            }
        }
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    bytes
}

/// PRX-028: RFC 4475 §3.3.10: nobody has us answer to many, or to ourselves, by a Via.
#[test]
fn no_via_makes_us_answer_to_many() {
    let mut world = World::new();
    world.host("alice", "10.0.0.2:5060");
    let many = ["255.255.255.255", "224.0.1.75", "127.0.0.1"];
    for address in many {
        let stray = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n\
             Via: SIP/2.0/UDP {address};branch=z9hG4bK2\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
             Call-ID: many\r\nCSeq: 8 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        world.udp("alice", stray);
    }
    for (number, address) in many.iter().enumerate() {
        let mut draft = world.message("alice", "OPTIONS", "sip:10.0.0.1");
        draft.via = match number {
            2 => format!("SIP/2.0/UDP {address};branch=z9hG4bK{number}"),
            _ => format!("SIP/2.0/UDP {address};maddr={address};branch=z9hG4bK{number}"),
        };
        world.udp("alice", draft.text());
        world.response_at("alice", 200);
        world.nothing_at(&format!("{address}:5060"));
    }
    world.finish();
}

#[test]
fn mutated_requests_are_survived_and_leave_nothing() {
    for seed in 0..20 {
        let mut rng = Rng::new([seed; 32]);
        let mut world = if seed % 2 == 0 {
            World::new()
        } else {
            World::authenticating()
        };
        world.host("alice", "10.0.0.2:5060");
        world.host("bob", "10.0.0.3:5060");
        if seed % 3 == 0 {
            world.route = Box::new(|request| {
                let uri = request.uri().clone();
                Decision::Plan(Plan::at_once([uri.clone(), uri]).hold_failure(true))
            });
        }
        let stream = world.connect("alice");
        let mut stream = Some(stream);
        for _ in 0..400 {
            let seeds = seeds(&mut world);
            let text = &seeds[rng.below(seeds.len() as u64) as usize];
            let bytes = mutate(&mut rng, text);
            match stream {
                Some(flow) if rng.below(8) == 0 && world.is_open(flow) => world.tcp(flow, &bytes),
                Some(flow) if !world.is_open(flow) => stream = None,
                _ => world.udp("alice", &bytes),
            }
            world.discard("alice");
            world.discard("bob");
            if rng.below(10) == 0 {
                world.wait(ms(rng.below(5_000)));
            }
        }
        world.wait(seconds(700));
        for name in ["alice", "bob"] {
            world.discard(name);
        }
        let ping = world.message("alice", "OPTIONS", "sip:10.0.0.1");
        world.udp("alice", ping.text());
        world.response_at("alice", 200);
        world.finish();
    }
}
