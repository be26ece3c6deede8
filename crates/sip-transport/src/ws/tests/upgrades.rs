//! Who is let in, and whom we take for a server.

use super::*;

fn refused(config: WebSocketConfig, request: &str) -> (u16, String) {
    let mut socket = server(config);
    let outcome = feed(&mut socket, &[request.as_bytes()]);
    let Some(CloseReason::Handshake(HandshakeFailure::Upgrade(status))) = outcome.end else {
        panic!("{outcome:?}");
    };
    let text = outcome.text();
    assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    assert!(text.ends_with("\r\n\r\n") && !socket.is_established());
    socket.close();
    assert_eq!(socket.output(), None);
    (status, text)
}

/// TRA-033: RFC 7118 §4.1, with the key and the answer that stand there.
#[test]
fn tra_033_a_client_that_asks_for_sip_is_granted_it() {
    for protocols in [
        "sip",
        "xmpp, sip",
        "xmpp\r\nSec-WebSocket-Protocol: msrp,sip",
    ] {
        let request = REQUEST.replace("Protocol: sip", &format!("Protocol: {protocols}"));
        let mut socket = server(WebSocketConfig::default());
        let outcome = feed(&mut socket, &[request.as_bytes()]);
        let text = outcome.text().to_lowercase();
        assert!(text.starts_with("http/1.1 101 "), "{text}");
        assert!(text.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"));
        assert!(text.contains("sec-websocket-protocol: sip\r\n"));
        assert!(!text.contains("extensions"));
        assert!(socket.is_established());
    }
}

/// TRA-033: RFC 7118 §4.1.
#[test]
fn tra_033_a_client_that_does_not_ask_for_sip_is_refused() {
    for line in [
        "",
        "Sec-WebSocket-Protocol: xmpp\r\n",
        "Sec-WebSocket-Protocol: SIP\r\n",
        "Sec-WebSocket-Protocol: sips\r\n",
    ] {
        let request = REQUEST.replace("Sec-WebSocket-Protocol: sip\r\n", line);
        assert_eq!(
            refused(WebSocketConfig::default(), &request).0,
            400,
            "{line}"
        );
    }
}

/// RFC 6455 §4.2.
#[test]
fn requests_for_something_else_are_refused_with_their_own_status() {
    for (from, to, status) in [
        ("GET /", "POST /", 400),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("GET / HTTP/1.1", "GET /", 400),
        ("Host: sip-ws.example.com\r\n", "", 400),
        ("Host: ", "Host: other.example.com\r\nHost: ", 400),
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket", "Upgrade: h2c", 426),
        ("keep-alive, Upgrade", "keep-alive", 426),
        ("Version: 13", "Version: 8", 426),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        (
            "Version: 13",
            "Version: 13\r\nSec-WebSocket-Version: 13",
            400,
        ),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j????", 400),
        ("Origin:", "Bad Name: x\r\nOrigin:", 400),
        ("Origin: ", "Origin: null\r\nOrigin: ", 400),
    ] {
        let request = REQUEST.replacen(from, to, 1);
        assert_ne!(request, REQUEST);
        let (answered, text) = refused(WebSocketConfig::default(), &request);
        assert_eq!(answered, status, "{to}");
        assert_eq!(
            text.contains("Sec-WebSocket-Version: 13\r\n"),
            status == 426
        );
        assert_eq!(text.contains("Upgrade: websocket\r\n"), status == 426);
    }
}

/// Nobody waits for the end of what cannot become a request.
#[test]
fn other_protocols_are_refused_at_their_first_bytes() {
    for bytes in [
        &b"OPTIONS sip:a@b SIP/2.0\r\n"[..],
        b"GETTING",
        b"get / http/1.1",
        b"\x16\x03\x01\x02\x00",
        b"\r\n\r\n",
        b"\0",
    ] {
        let mut socket = server(WebSocketConfig::default());
        let outcome = feed(&mut socket, &[bytes]);
        let failure = HandshakeFailure::Upgrade(400);
        assert_eq!(outcome.end, Some(CloseReason::Handshake(failure)));
    }
}

#[test]
fn path_host_and_origin_are_held_against_what_is_allowed() {
    let config = || {
        WebSocketConfig::default()
            .paths(["/sip", "/"])
            .hosts(["sip-ws.example.com", "[2001:db8::1]:8080"])
            .origins(["http://www.example.com", "https://phone.example.com"])
    };
    for (from, to) in [
        ("GET / ", "GET /sip?token=1 "),
        ("sip-ws.example.com", "SIP-ws.example.com"),
        ("sip-ws.example.com", "[2001:db8::1]:8080"),
        ("http://www.example.com", "https://phone.example.com"),
        // No browser.
        ("Origin: http://www.example.com\r\n", ""),
    ] {
        let mut socket = server(config());
        feed(&mut socket, &[REQUEST.replacen(from, to, 1).as_bytes()]);
        assert!(socket.is_established(), "{to}");
    }
    for (from, to, status) in [
        ("GET / ", "GET /SIP ", 404),
        ("GET / ", "GET /sip/ ", 404),
        ("sip-ws.example.com", "sip-ws.example.com:81", 404),
        (
            "http://www.example.com",
            "http://www.example.com.evil.net",
            403,
        ),
        ("http://www.example.com", "null", 403),
    ] {
        let request = REQUEST.replacen(from, to, 1);
        assert_eq!(refused(config(), &request).0, status, "{to}");
    }
}

/// RFC 7118 §7.
#[test]
fn whoever_admits_sees_the_request_and_says_how_it_is_refused() {
    let config = || {
        WebSocketConfig::default().admit(|upgrade| {
            assert_eq!(
                (upgrade.host(), upgrade.peer()),
                ("sip-ws.example.com", peer())
            );
            assert_eq!(upgrade.origin(), Some("http://www.example.com"));
            match (upgrade.path(), upgrade.query(), upgrade.header("cookie")) {
                ("/in", Some("token=7"), _) | (_, _, Some("session=1")) => Ok(()),
                ("/who", ..) => Err(Refusal::Unauthorized("Basic realm=\"sip\"".into())),
                ("/odd", ..) => Err(Refusal::Unauthorized("x\r\nSet-Cookie: y".into())),
                ("/bad", ..) => Err(Refusal::BadRequest),
                ("/no", ..) => Err(Refusal::Forbidden),
                _ => Err(Refusal::NotFound),
            }
        })
    };
    for request in [
        REQUEST.replace("GET / ", "GET /in?token=7 "),
        REQUEST.replace("Origin", "Cookie: session=1\r\nOrigin"),
    ] {
        let mut socket = server(config());
        feed(&mut socket, &[request.as_bytes()]);
        assert!(socket.is_established());
    }
    for (path, status) in [
        ("/who", 401),
        ("/odd", 403),
        ("/bad", 400),
        ("/no", 403),
        ("/", 404),
    ] {
        let (answered, text) = refused(
            config(),
            &REQUEST.replace("GET / ", &format!("GET {path} ")),
        );
        assert_eq!(answered, status, "{path}");
        let challenge = "WWW-Authenticate: Basic realm=\"sip\"\r\n";
        assert_eq!(text.contains(challenge), status == 401);
        assert!(!text.contains("Cookie"));
    }
}

#[test]
fn an_upgrade_may_come_byte_by_byte_and_with_the_first_frame_behind_it() {
    let text = options("", "");
    let all = [
        REQUEST.as_bytes().to_vec(),
        masked(FINAL_TEXT, text.as_bytes()),
    ]
    .concat();
    let mut socket = server(WebSocketConfig::default());
    let pieces: Vec<&[u8]> = all.chunks(1).collect();
    let slow = feed(&mut socket, &pieces);
    assert_eq!(slow.frames, [message(text)]);
    let at_once = feed(&mut server(WebSocketConfig::default()), &[&all]);
    assert_eq!(slow, at_once);
}

#[test]
fn a_head_is_as_long_as_it_may_be_and_no_longer() {
    let padded = |length: usize| {
        let padding = "x".repeat(length - REQUEST.len() - "X-Pad: \r\n".len());
        REQUEST.replace("Origin", &format!("X-Pad: {padding}\r\nOrigin"))
    };
    let mut socket = server(WebSocketConfig::default());
    feed(&mut socket, &[padded(8_192).as_bytes()]);
    assert!(socket.is_established());
    assert_eq!(refused(WebSocketConfig::default(), &padded(8_193)).0, 400);
    // It is not waited for either.
    let mut socket = server(WebSocketConfig::default());
    let endless = "GET / HTTP/1.1\r\n".to_owned() + &"X: y\r\n".repeat(100_000);
    let mut taken = 0;
    for piece in endless.as_bytes().chunks(100) {
        taken += piece.len();
        if feed(&mut socket, &[piece]).end.is_some() {
            break;
        }
    }
    assert!((8_192..8_400).contains(&taken), "{taken}");
}

#[test]
fn the_clients_address_is_believed_from_trusted_proxies_alone() {
    let address = |trusted: &[&str], field: &str| {
        let trusted: Vec<IpAddr> = trusted.iter().map(|ip| ip.parse().unwrap()).collect();
        let mut socket = server(WebSocketConfig::default().trusted_proxies(trusted));
        let request = REQUEST.replace("Origin", &format!("X-Forwarded-For: {field}\r\nOrigin"));
        feed(&mut socket, &[request.as_bytes()]);
        assert!(socket.is_established());
        socket.address().map(|address| address.to_string())
    };
    let proxy = "198.51.100.7";
    let client = Some("203.0.113.9".to_owned());
    assert_eq!(address(&[], "203.0.113.9"), None);
    assert_eq!(address(&["192.0.2.1"], "203.0.113.9"), None);
    assert_eq!(address(&[proxy], "203.0.113.9"), client);
    // Whatever a client wrote stands in front of what the proxy saw.
    assert_eq!(address(&[proxy], "10.0.0.1, 203.0.113.9"), client);
    assert_eq!(
        address(&[proxy, "192.0.2.8"], "10.0.0.1,203.0.113.9 , 192.0.2.8"),
        client
    );
    assert_eq!(
        address(&[proxy], "10.0.0.1\r\nX-Forwarded-For: 203.0.113.9"),
        client
    );
    assert_eq!(address(&[proxy], "unknown"), None);
    assert_eq!(address(&[proxy], ""), None);
}

/// RFC 6455 §4.1, RFC 7118 §4.1.
#[test]
fn a_client_asks_for_sip() {
    let asked =
        |mut socket: WebSocket| String::from_utf8(socket.output().unwrap().to_vec()).unwrap();
    let text = asked(client("sip.example.com:8080"));
    assert!(text.starts_with("GET / HTTP/1.1\r\nHost: sip.example.com:8080\r\n"));
    assert_eq!(line(&text, "Sec-WebSocket-Protocol: "), Some("sip"));
    assert_eq!(line(&text, "Sec-WebSocket-Version: "), Some("13"));
    assert_eq!(line(&text, "Sec-WebSocket-Key: ").unwrap().len(), 24);
    let again = asked(client("sip.example.com:8080"));
    assert_ne!(text, again, "each connection has its own key");
    for (path, line) in [
        ("/sip?x=1", "GET /sip?x=1 HTTP/1.1\r\n"),
        ("sip", "GET /sip HTTP/1.1\r\n"),
        ("/a b\r\nX: y", "GET /abX:y HTTP/1.1\r\n"),
    ] {
        let config = Arc::new(WebSocketConfig::default().request_path(path));
        let mut socket = WebSocket::opened(config, MESSAGE_SIZE, "h".to_owned()).unwrap();
        assert_eq!(socket.output(), None, "the connection is not open");
        socket.open();
        assert!(asked(socket).starts_with(line));
    }
    // Our own server takes it.
    let mut taken = server(WebSocketConfig::default());
    feed(&mut taken, &[text.as_bytes()]);
    assert!(taken.is_established());
}

/// RFC 7118 §7: credentials and cookies go to the host that they are for, and never into the handshake itself.
#[test]
fn a_client_says_what_else_it_is_told_to_say_to_a_host() {
    let config = WebSocketConfig::default().request_headers(|host| {
        let own = [
            ("Authorization", "Bearer token"),
            ("cookie", "session=7"),
            ("Host", "other.example"),
            ("Sec-WebSocket-Protocol", "xmpp"),
            ("Content-Length", "5"),
            ("X-Split", "a\r\nX-Other: b"),
            ("no name", "x"),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        own.into_iter()
            .filter(|_| host == "sip.example.com:8080")
            .collect()
    });
    let config = Arc::new(config);
    let asked = |host: &str| {
        let opened = WebSocket::opened(Arc::clone(&config), MESSAGE_SIZE, host.to_owned());
        let mut socket = opened.unwrap();
        socket.open();
        String::from_utf8(socket.output().unwrap().to_vec()).unwrap()
    };
    let text = asked("sip.example.com:8080");
    assert!(text.ends_with(
        "Sec-WebSocket-Version: 13\r\nAuthorization: Bearer token\r\ncookie: session=7\r\n\r\n"
    ));
    assert_eq!(text.matches("Host: ").count(), 1);
    assert_eq!(line(&text, "Sec-WebSocket-Protocol: "), Some("sip"));
    assert!(asked("sip.example.com").ends_with("Sec-WebSocket-Version: 13\r\n\r\n"));
    // A server that wants to know has what was said.
    let admit = WebSocketConfig::default().admit(|upgrade| match upgrade.header("authorization") {
        Some("Bearer token") => Ok(()),
        _ => Err(Refusal::Unauthorized("Bearer".to_owned())),
    });
    for (host, granted) in [("sip.example.com:8080", true), ("other.example", false)] {
        let mut taken = server(admit.clone());
        feed(&mut taken, &[asked(host).as_bytes()]);
        assert_eq!(taken.is_established(), granted);
    }
}

#[test]
fn what_is_no_web_socket_for_sip_is_not_taken_for_one() {
    let not = HandshakeFailure::NotWebSocket;
    for (from, to, failure) in [
        (
            "101 Switching Protocols",
            "200 OK",
            HandshakeFailure::Upgrade(200),
        ),
        (
            "101 Switching Protocols",
            "401 Unauthorized",
            HandshakeFailure::Upgrade(401),
        ),
        (
            "101 Switching Protocols",
            "302 Found",
            HandshakeFailure::Upgrade(302),
        ),
        ("HTTP/1.1 101", "SIP/2.0 101", not),
        ("Upgrade: websocket\r\n", "", not),
        ("Connection: Upgrade\r\n", "", not),
        ("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", not),
        ("Sec-WebSocket-Protocol: sip\r\n", "", not),
        (
            "Sec-WebSocket-Protocol: sip\r\n",
            "Sec-WebSocket-Protocol: xmpp\r\n",
            not,
        ),
        (
            "Upgrade:",
            "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade:",
            not,
        ),
    ] {
        let mut socket = client("h");
        let asked = String::from_utf8(socket.output().unwrap().to_vec()).unwrap();
        let right = granted(line(&asked, "Sec-WebSocket-Key: ").unwrap());
        let response = right.replacen(from, to, 1);
        assert_ne!(response, right);
        let outcome = feed(&mut socket, &[response.as_bytes()]);
        assert_eq!(outcome.end, Some(CloseReason::Handshake(failure)), "{to}");
        assert!(outcome.output.is_empty() && !socket.is_established());
    }
    let mut socket = client("h");
    socket.output();
    let outcome = feed(&mut socket, &[&[b'x'; 9_000]]);
    assert_eq!(outcome.end, Some(CloseReason::Handshake(not)));
}
