//! Certificates and trust that change while connections are up.

use super::*;

/// The certificate that the server shows on a new connection.
fn shown(pair: &mut Pair, name: &str) -> Option<Vec<u8>> {
    let flow = pair.connect(name);
    let identity = pair.client.peer_identity(&flow)?;
    let own = identity.certificates().next().map(<[u8]>::to_vec);
    pair.client.close(&flow);
    pair.run();
    own
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_old_ones_stay() {
    let authority = Authority::new("authority");
    let (old, new) = (
        authority.certify(&["example.com"]),
        authority.certify(&["example.com"]),
    );
    let mut pair = Pair::new(believing(&authority), serving(&old));
    let before = shown(&mut pair, "example.com");
    assert_eq!(shown(&mut pair, "example.com"), before);
    let flow = pair.connect("example.com");
    pair.server.set_tls(pair.now, &serving(&new), pair.clock);
    pair.request(&flow, "");
    assert!(pair.requested().is_some(), "the old connection serves on");
    pair.client.close(&flow);
    pair.run();
    let after = shown(&mut pair, "example.com");
    assert!(after.is_some() && after != before);
}

/// A session that is resumed is not verified again, so nothing of the old trust may be resumed.
#[test]
fn changed_trust_resumes_nothing() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let certified = old.certify(&["example.com"]);
    let mut pair = Pair::new(believing(&old), serving(&certified));
    assert!(shown(&mut pair, "example.com").is_some());
    let full = bytes(&mut pair);
    assert!(shown(&mut pair, "example.com").is_some());
    assert!(
        bytes(&mut pair) < full,
        "the second handshake is a resumed one"
    );
    pair.client.set_tls(pair.now, &believing(&new), pair.clock);
    pair.client_events.clear();
    pair.connect("example.com");
    let untrusted = CloseReason::Handshake(HandshakeFailure::Untrusted);
    assert_eq!(pair.client_closed(), Some(untrusted));
}

/// The same from the server's side: a client that it believed once has to prove itself anew.
#[test]
fn a_client_is_asked_again_after_a_change() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let certified = old.certify(&["example.com"]);
    let asking = |authority: &Authority| {
        let pem = authority.pem();
        serving(&certified)
            .require_client_certificates(pem.as_bytes())
            .unwrap()
    };
    let client = old.certify(&["client.example"]).shown(believing(&old));
    let mut pair = Pair::new(client, asking(&old));
    for _ in 0..2 {
        assert!(shown(&mut pair, "example.com").is_some());
    }
    pair.server.set_tls(pair.now, &asking(&new), pair.clock);
    pair.client_events.clear();
    pair.connect("example.com");
    assert_eq!(pair.client_closed(), Some(CloseReason::Alert(48)));
}

/// A resumed session knows its peer as the first one did.
#[test]
fn a_resumed_client_is_still_known() {
    let authority = Authority::new("authority");
    let server = serving(&authority.certify(&["example.com"]));
    let server = server
        .require_client_certificates(authority.pem().as_bytes())
        .unwrap();
    let client = authority
        .certify(&["client.example"])
        .shown(believing(&authority));
    let mut pair = Pair::new(client, server);
    shown(&mut pair, "example.com");
    let full = bytes(&mut pair);
    let flow = pair.connect("example.com");
    assert!(bytes(&mut pair) < full);
    pair.request(&flow, "");
    let accepted = pair.requested().unwrap();
    let identity = pair.server.peer_identity(&accepted).unwrap();
    assert_eq!(identity.domains().collect::<Vec<_>>(), ["client.example"]);
}

/// Trap 20: own identity is part of what a connection is found by.
#[test]
fn a_connection_of_an_old_identity_takes_no_new_requests() {
    let authority = Authority::new("authority");
    let mut pair = Pair::new(
        believing(&authority),
        serving(&authority.certify(&["example.com"])),
    );
    let old = pair.connect("example.com");
    let own = authority
        .certify(&["client.example"])
        .shown(believing(&authority));
    pair.client.set_tls(pair.now, &own, pair.clock);
    let new = pair.connect("example.com");
    assert_ne!(new, old);
    assert!(pair.client.is_open(&old));
    assert_eq!(pair.connect("example.com"), new);
}

#[test]
fn certificates_that_end_soon_are_told_once_a_day() {
    let authority = Authority::new("authority");
    // The pair starts on 2026-01-01.
    let certified = authority.certify_for("example.com", 2025, 2027);
    let server = serving(&certified).warn_before_end(Duration::from_secs(30 * 86_400));
    let mut pair = Pair::new(believing(&authority), server);
    let ending = |pair: &mut Pair| {
        let flow = pair.connect("example.com");
        pair.client.close(&flow);
        pair.run();
        let events = std::mem::take(&mut pair.server_events);
        let told = events.into_iter().filter_map(|event| match event {
            Event::CertificateEnding { domains, not_after } => Some((domains, not_after)),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert!(ending(&mut pair).is_empty());
    pair.wait(Duration::from_secs(336 * 86_400));
    let told = ending(&mut pair);
    let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600);
    assert_eq!(told, [(vec!["example.com".to_owned()], expected)]);
    assert!(ending(&mut pair).is_empty());
    pair.wait(Duration::from_secs(86_400));
    assert_eq!(ending(&mut pair).len(), 1);
    assert_eq!(pair.server.stats().certificates_ending, 2);
}

/// Whoever starts a server with a certificate that is all but over hears of it before anybody connects.
#[test]
fn a_certificate_that_ends_soon_is_told_when_its_listener_is_bound() {
    let authority = Authority::new("authority");
    let certified = authority.certify_for("example.com", 2025, 2027);
    let server = serving(&certified).warn_before_end(Duration::from_secs(400 * 86_400));
    let mut pair = Pair::new(believing(&authority), server);
    pair.run();
    assert!(matches!(
        pair.server_events[..],
        [Event::CertificateEnding { .. }]
    ));
}

#[test]
fn what_is_no_certificate_or_no_key_of_it_is_refused() {
    let authority = Authority::new("authority");
    let (one, two) = (
        authority.certify(&["one.example"]),
        authority.certify(&["two.example"]),
    );
    let read = |certificate: &str, key: &str| {
        Tls::new()
            .identity_pem(certificate.as_bytes(), key.as_bytes())
            .map(|_| ())
    };
    assert!(read(&one.chain, &one.key).is_ok());
    assert_eq!(read("", &one.key), Err(crate::TlsError::NoCertificate));
    assert!(matches!(read(&one.chain, ""), Err(crate::TlsError::Key(_))));
    assert!(matches!(
        read(&one.chain, &two.key),
        Err(crate::TlsError::Key(_))
    ));
    assert_eq!(
        Tls::new().roots_pem(b"nothing").err(),
        Some(crate::TlsError::NoCertificate)
    );
    // What is not told: the keys.
    let text = format!("{:?}", serving(&one));
    assert!(
        text.contains("one.example") && !text.contains("BEGIN"),
        "{text}"
    );
}

/// The bytes of the last connections, forgotten.
fn bytes(pair: &mut Pair) -> usize {
    std::mem::take(&mut pair.wire).iter().map(Bytes::len).sum()
}

/// Counts what it is given.
#[derive(Debug, Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl crate::KeyLog for Count {
    fn log(&self, _label: &str, _client_random: &[u8], _secret: &[u8]) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn secrets_are_given_only_to_who_asks_for_them_dangerously() {
    let authority = Authority::new("authority");
    let log = std::sync::Arc::new(Count::default());
    let server = serving(&authority.certify(&["example.com"]));
    let logged = |log: &Count| log.0.load(std::sync::atomic::Ordering::Relaxed);
    Pair::new(believing(&authority), server.clone()).connect("example.com");
    assert_eq!(logged(&log), 0);
    let server = server.dangerous().log_keys(log.clone());
    Pair::new(believing(&authority), server).connect("example.com");
    assert!(logged(&log) > 0);
}

#[test]
fn another_provider_may_do_the_cryptography_if_it_can() {
    let ring = rustls::crypto::ring::default_provider;
    let one = crate::CryptoProvider {
        cipher_suites: vec![rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..ring()
    };
    let authority = Authority::new("authority");
    let client = Tls::with_provider(one.into()).unwrap();
    let client = client.roots_pem(authority.pem().as_bytes()).unwrap();
    let mut pair = Pair::new(client, serving(&authority.certify(&["example.com"])));
    let flow = pair.connect("example.com");
    assert!(pair.client.peer_identity(&flow).is_some());
    let none = crate::CryptoProvider {
        cipher_suites: Vec::new(),
        ..ring()
    };
    let refused = Tls::with_provider(none.into()).err();
    assert!(matches!(refused, Some(crate::TlsError::Provider(_))));
}
