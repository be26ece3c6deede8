//! What a registration says about us, and what it changes for the requests that follow (RFC 3608, RFC 5626 §4.2, §4.3).

#![allow(clippy::unwrap_used)] // a test fails by a panic

mod harness;

use std::{cell::RefCell, rc::Rc, time::Duration};

use harness::*;
use sip_message::{
    HeaderName, HeaderValue, Method, Request, StatusCode, Tag,
    headers::{Contact, ContentType, Route},
};
use sip_ua::{CallId, CallOptions, Event, Identity, RegistrationOptions, RequestOptions};

type Seen = Rc<RefCell<Vec<Request>>>;

/// Alice, and a server that binds her and takes her calls; its n-th answer to a REGISTER has the n-th of these lines more,
/// and is a 503 where they say when to come again. What it was sent.
fn with_server(lines: &'static [&'static [(HeaderName, &'static str)]]) -> (Net, Seen) {
    let seen = Seen::default();
    let noted = seen.clone();
    let mut net = Net::new(1);
    net.agent("alice");
    let mut bound = 0;
    net.script("server", move |message, from, out| {
        let Some(request) = request(message) else {
            return;
        };
        noted.borrow_mut().push(request.clone());
        if *request.method() == Method::ACK {
            return;
        }
        let mut ok = request.response(StatusCode::OK);
        if !request.has_to_tag() {
            ok = ok.to_tag(Tag::new("b").unwrap());
        }
        let ok = match *request.method() {
            Method::REGISTER => {
                let contact = request.headers().get::<Contact>().unwrap().unwrap();
                let mut ok = ok.header(contact).build();
                let lines = lines.get(bound).copied().unwrap_or_default();
                if lines
                    .iter()
                    .any(|(name, _)| *name == HeaderName::RETRY_AFTER)
                {
                    ok.set_status(StatusCode::SERVICE_UNAVAILABLE);
                }
                for (name, value) in lines {
                    let value = HeaderValue::from_static(value);
                    ok.headers_mut().push_raw(name.clone(), value);
                }
                bound += 1;
                ok
            }
            Method::INVITE => ok
                .contact(Contact::new(uri("sip:bob@192.0.2.2")))
                .body(ContentType::APPLICATION_SDP, answer())
                .build(),
            _ => ok.build(),
        };
        out.send(from, ok.to_bytes());
    });
    (net, seen)
}

fn her() -> Identity {
    Identity::new(uri("sip:alice@192.0.2.2"))
}

fn device() -> RegistrationOptions {
    RegistrationOptions::new().outbound("urn:uuid:00000000-0000-1000-8000-000a95a0e128", 1)
}

fn registered(event: &Event) -> Option<()> {
    matches!(event, Event::Registered { .. }).then_some(())
}

fn called(net: &mut Net, identity: &Identity) -> CallId {
    let call = net
        .ua(ALICE, |ua, cx| {
            ua.call(cx, identity, bob(), CallOptions::new())
        })
        .unwrap();
    net.until(ALICE, established);
    call
}

fn hung_up(net: &mut Net, call: CallId) {
    net.ua(ALICE, |ua, cx| ua.hang_up(cx, call)).unwrap();
    net.until(ALICE, ended);
}

/// The Route of a call's INVITE.
fn route_of_a_call(net: &mut Net, seen: &Seen, identity: &Identity) -> Vec<String> {
    let before = seen.borrow().len();
    let call = called(net, identity);
    hung_up(net, call);
    let invite = seen.borrow()[before].clone();
    let routes = invite.headers().all::<Route>();
    routes
        .map(|route| route.unwrap().uri().to_string())
        .collect()
}

fn contact(request: &Request) -> String {
    let contact = request.headers().get::<Contact>().unwrap();
    contact.unwrap().to_string()
}

const NONE: [&str; 0] = [];

/// UA-087: RFC 3608 §6.1: in the registrar's order, what the latest 2xx says, and not for REGISTER itself.
#[test]
fn the_service_route_leads_requests_while_one_is_registered() {
    let (mut net, seen) = with_server(&[
        &[
            (HeaderName::SERVICE_ROUTE, "<sip:192.0.2.2;lr>"),
            (
                HeaderName::SERVICE_ROUTE,
                "<sip:orig@s1.example.com;lr>, <sip:s2.example.com;lr>",
            ),
        ],
        &[(
            HeaderName::SERVICE_ROUTE,
            "<sip:192.0.2.2;lr>, <sip:s3.example.com;lr>",
        )],
        &[],
        &[(HeaderName::SERVICE_ROUTE, "<sip:192.0.2.2;lr>")],
    ]);
    assert_eq!(route_of_a_call(&mut net, &seen, &her()), NONE);
    let registration = net
        .ua(ALICE, |ua, cx| {
            ua.register(cx, &her(), RegistrationOptions::new())
        })
        .unwrap();
    net.until(ALICE, registered);
    let first = [
        "sip:192.0.2.2;lr",
        "sip:orig@s1.example.com;lr",
        "sip:s2.example.com;lr",
    ];
    assert_eq!(route_of_a_call(&mut net, &seen, &her()), first);
    // Requests that make no dialog take it as well, and who else speaks does not.
    let before = seen.borrow().len();
    for identity in [her(), alice()] {
        net.ua(ALICE, |ua, cx| {
            ua.request(cx, &identity, Method::MESSAGE, bob(), RequestOptions::new())
        })
        .unwrap();
        net.run_for(Duration::from_millis(50));
    }
    let routes = |at: usize| seen.borrow()[at].headers().all::<Route>().count();
    assert_eq!((routes(before), routes(before + 1)), (3, 0));
    // Servers of her own stand before those of the registrar, and the one that is both stands once.
    let own = her().route([uri("sip:192.0.2.2:5060;lr")]);
    let both = ["sip:192.0.2.2:5060;lr"].into_iter().chain(first);
    assert_eq!(
        route_of_a_call(&mut net, &seen, &own),
        both.collect::<Vec<_>>()
    );
    let own = her().route([uri("sip:192.0.2.2;lr")]);
    assert_eq!(route_of_a_call(&mut net, &seen, &own), first);
    net.until(ALICE, registered);
    let second = ["sip:192.0.2.2;lr", "sip:s3.example.com;lr"];
    assert_eq!(route_of_a_call(&mut net, &seen, &her()), second);
    net.until(ALICE, registered);
    assert_eq!(route_of_a_call(&mut net, &seen, &her()), NONE);
    net.until(ALICE, registered);
    assert_eq!(
        route_of_a_call(&mut net, &seen, &her()),
        ["sip:192.0.2.2;lr"]
    );
    net.ua(ALICE, |ua, cx| ua.unregister(cx, registration))
        .unwrap();
    net.until(ALICE, |event| {
        matches!(event, Event::RegistrationEnded { .. }).then_some(())
    });
    assert_eq!(route_of_a_call(&mut net, &seen, &her()), NONE);
    for register in seen
        .borrow()
        .iter()
        .filter(|request| *request.method() == Method::REGISTER)
    {
        assert!(!register.headers().contains::<Route>());
    }
    net.assert_nothing_is_left();
}

/// UA-087: RFC 3608 §6.1: a registrar that is busy takes nothing back, but what has expired is over.
#[test]
fn the_service_route_ends_with_the_binding() {
    let (mut net, seen) = with_server(&[
        &[(HeaderName::SERVICE_ROUTE, "<sip:192.0.2.2;lr>")],
        &[(HeaderName::RETRY_AFTER, "200")],
        &[(HeaderName::RETRY_AFTER, "200")],
    ]);
    let registration = net
        .ua(ALICE, |ua, cx| {
            ua.register(cx, &her(), RegistrationOptions::new())
        })
        .unwrap();
    net.until(ALICE, registered);
    for expected in [&["sip:192.0.2.2;lr"][..], &NONE] {
        net.until(ALICE, |event| {
            matches!(event, Event::RegistrationRetrying { .. }).then_some(())
        });
        assert_eq!(route_of_a_call(&mut net, &seen, &her()), expected);
    }
    net.ua(ALICE, |ua, _| ua.leave(registration)).unwrap();
    net.assert_nothing_is_left();
}

/// UA-086: RFC 3327 §5.1: a Path between us and the registrar asks nothing of us, so we always take one.
#[test]
fn each_register_takes_a_path() {
    let (mut net, seen) = with_server(&[]);
    let registration = net
        .ua(ALICE, |ua, cx| {
            ua.register(cx, &her(), RegistrationOptions::new())
        })
        .unwrap();
    net.until(ALICE, registered);
    net.until(ALICE, registered);
    net.ua(ALICE, |ua, _| ua.leave(registration)).unwrap();
    for register in seen.borrow().iter() {
        assert_eq!(
            register.headers().raw(&HeaderName::SUPPORTED).unwrap(),
            "path"
        );
    }
    net.assert_nothing_is_left();
}

/// UA-088: RFC 5626 §4.1, §4.2.1: the same device says the same of itself, today and after it was switched off and on.
#[test]
fn a_device_is_known_by_its_instance_and_the_number_of_the_flow() {
    let of_one_life = || {
        let (mut net, seen) = with_server(&[]);
        let registration = net
            .ua(ALICE, |ua, cx| ua.register(cx, &her(), device()))
            .unwrap();
        net.until(ALICE, registered);
        net.until(ALICE, registered);
        net.ua(ALICE, |ua, _| ua.leave(registration)).unwrap();
        seen.borrow().clone()
    };
    for register in of_one_life().iter().chain(&of_one_life()) {
        let supported = register.headers().raw(&HeaderName::SUPPORTED).unwrap();
        assert_eq!(supported, "path, outbound");
        let contact = register.headers().get::<Contact>().unwrap().unwrap();
        assert_eq!(
            contact.param("+sip.instance").flatten().as_deref(),
            Some("<urn:uuid:00000000-0000-1000-8000-000a95a0e128>")
        );
        assert_eq!(contact.param("reg-id").flatten().as_deref(), Some("1"));
        // RFC 5626 §4.2.1: `ob` is for dialogs.
        assert!(!contact.uri().to_string().contains("ob"));
    }
}

/// UA-089: RFC 5626 §4.3: what makes a dialog asks for its flow; DLG-008: and the dialog goes on so.
#[test]
fn dialogs_of_a_device_ask_for_its_flow() {
    for (identity, is_device) in [(her().outbound(), true), (her(), false)] {
        let (mut net, seen) = with_server(&[]);
        let call = called(&mut net, &identity);
        net.ua(ALICE, |ua, cx| ua.reoffer(cx, call, offer()))
            .unwrap();
        net.until(ALICE, |event| {
            matches!(event, Event::ReofferDone { .. }).then_some(())
        });
        net.ua(ALICE, |ua, cx| {
            ua.request(
                cx,
                &identity,
                Method::SUBSCRIBE,
                bob(),
                RequestOptions::new(),
            )
        })
        .unwrap();
        hung_up(&mut net, call);
        let seen = seen.borrow();
        let with_contact: Vec<&Request> = seen
            .iter()
            .filter(|request| request.headers().contains::<Contact>())
            .collect();
        assert_eq!(with_contact.len(), 3);
        for request in &with_contact {
            let expected = match is_device {
                true => "<sip:alice@192.0.2.1:5060;ob>",
                false => "<sip:alice@192.0.2.1:5060>",
            };
            assert_eq!(contact(request), expected, "{}", request.method());
        }
        drop(seen);
        net.assert_nothing_is_left();
    }
}

/// UA-091: RFC 3840 §9, RFC 3841 §5: what a device can is said as it was given, and so is what a caller wants of one.
#[test]
fn features_are_shown_and_asked_for_as_they_were_given() {
    let (mut net, seen) = with_server(&[]);
    let value = "\"<urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel>\"";
    let options = RegistrationOptions::new()
        .contact_param("+sip.rendering", Some("\"yes\"".to_owned()))
        .contact_param("audio", None)
        .contact_param("+g.3gpp.icsi-ref", Some(value.trim_matches('"').to_owned()));
    let registration = net
        .ua(ALICE, |ua, cx| ua.register(cx, &her(), options))
        .unwrap();
    net.until(ALICE, registered);
    net.ua(ALICE, |ua, _| ua.leave(registration)).unwrap();
    let wanted = "*;audio;+sip.rendering=\"yes\";require";
    let options =
        CallOptions::new().header(HeaderName::ACCEPT_CONTACT, HeaderValue::from_static(wanted));
    let call = net
        .ua(ALICE, |ua, cx| ua.call(cx, &her(), bob(), options))
        .unwrap();
    net.until(ALICE, established);
    hung_up(&mut net, call);
    let seen = seen.borrow();
    let shown = contact(&seen[0]);
    for feature in [";audio;".to_owned(), format!(";+g.3gpp.icsi-ref={value}")] {
        assert!(shown.contains(&feature), "{shown}");
    }
    assert_eq!(
        seen[1].headers().raw(&HeaderName::ACCEPT_CONTACT).unwrap(),
        wanted
    );
}
