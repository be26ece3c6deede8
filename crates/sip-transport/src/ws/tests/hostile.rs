//! Frames that break a rule or a limit, and bytes cut anyhow.

use super::*;

fn huge(length: u64) -> Vec<u8> {
    [&[FINAL_TEXT, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()
}

/// What a client must not send, and the code that it gets (RFC 6455 §7.4.1).
fn wrong() -> Vec<(&'static str, Vec<u8>, u16)> {
    let fragments = |count: usize| {
        let mut bytes = masked(TEXT, b"OPTIONS");
        for _ in 1..count {
            bytes.extend(masked(CONTINUED, b""));
        }
        bytes
    };
    vec![
        ("not masked", plain(FINAL_TEXT, b"x"), 1002),
        ("a close that is not masked", plain(CLOSE, b""), 1002),
        ("reserved opcode for data", masked(0x83, b"x"), 1002),
        ("reserved opcode for control", masked(0x8b, b"x"), 1002),
        ("reserved bit", masked(0xc1, b"x"), 1002),
        ("fragmented ping", masked(0x09, b"x"), 1002),
        ("long ping", masked(PING, &[b'x'; 126]), 1002),
        ("nothing to continue", masked(FINAL_CONTINUED, b"x"), 1002),
        (
            "a message within a message",
            [masked(TEXT, b"x"), masked(FINAL_TEXT, b"y")].concat(),
            1002,
        ),
        ("half a close code", masked(CLOSE, b"\x03"), 1002),
        ("text that is none", masked(FINAL_TEXT, b"h\xe9llo"), 1007),
        ("text that breaks off", masked(FINAL_TEXT, b"h\xc3"), 1007),
        (
            "text that breaks off between fragments",
            [masked(TEXT, b"h\xc3"), masked(FINAL_CONTINUED, b"x")].concat(),
            1007,
        ),
        (
            "too long",
            masked(FINAL_BINARY, &[b'x'; MESSAGE_SIZE + 1]),
            1009,
        ),
        ("a length of 2^63", huge(1 << 63), 1009),
        ("a length of 2^64 - 1", huge(u64::MAX), 1009),
        (
            "too long altogether",
            [masked(TEXT, &[b'x'; MESSAGE_SIZE]), masked(CONTINUED, b"x")].concat(),
            1009,
        ),
        (
            "too many fragments",
            [fragments(64), masked(FINAL_CONTINUED, b"x")].concat(),
            1008,
        ),
        ("endless empty fragments", fragments(10_000), 1008),
    ]
}

#[test]
fn wrong_frames_close_with_the_code_that_says_why() {
    for (what, bytes, code) in wrong() {
        let mut socket = open_server();
        let outcome = feed(&mut socket, &[&bytes]);
        assert_eq!(outcome.end, Some(CloseReason::WebSocket(code)), "{what}");
        assert_eq!(outcome.code(), Some(code), "{what}");
        assert!(outcome.frames.is_empty(), "{what}");
        socket.close();
        assert_eq!(socket.output(), None, "{what}");
    }
}

#[test]
fn a_length_alone_is_enough_to_be_refused() {
    let mut socket = open_server();
    let outcome = feed(&mut socket, &[&huge(MESSAGE_SIZE as u64 + 1)]);
    assert_eq!(outcome.code(), Some(1009));
}

#[test]
fn a_client_takes_no_masked_frame() {
    let mut socket = open_client();
    let outcome = feed(&mut socket, &[&masked(FINAL_TEXT, b"x")]);
    assert_eq!(outcome.end, Some(CloseReason::WebSocket(1002)));
}

#[test]
fn as_many_fragments_as_there_may_be_are_read() {
    let mut socket = open_server();
    let text = options("", "");
    let (first, rest) = text.split_at(7);
    let mut bytes = masked(TEXT, first.as_bytes());
    for _ in 2..64 {
        bytes.extend(masked(CONTINUED, b""));
    }
    bytes.extend(masked(FINAL_CONTINUED, rest.as_bytes()));
    let twice = bytes.repeat(2);
    assert_eq!(feed(&mut socket, &[&twice]).frames, vec![message(text); 2]);
}

/// Wherever the bytes are cut, the same messages, answers and end come of them.
#[test]
fn where_the_bytes_are_cut_makes_no_difference() {
    let mut rng = Rng::new([23; 32]);
    let text = options("", "Content-Length: 0\r\n");
    let long = options(&"x".repeat(5_000), "");
    let good = [
        REQUEST.as_bytes().to_vec(),
        masked(FINAL_TEXT, text.as_bytes()),
        masked(PING, b"1"),
        masked(TEXT, &long.as_bytes()[..4_000]),
        masked(PING, b"2"),
        masked(FINAL_CONTINUED, &long.as_bytes()[4_000..]),
        masked(FINAL_BINARY, b"\r\n\r\n"),
        masked(PONG, b""),
    ]
    .concat();
    let mut endings = vec![Vec::new(), masked(CLOSE, b"\x03\xe8")];
    let two = text.clone() + &text;
    endings.push(masked(FINAL_TEXT, two.as_bytes()));
    endings.extend(wrong().into_iter().map(|(_, bytes, _)| bytes));
    for ending in endings {
        let all = [&good[..], &ending].concat();
        let whole = feed(&mut server(WebSocketConfig::default()), &[&all]);
        assert_eq!(
            whole.frames,
            [message(text.clone()), message(long.clone()), Frame::Ping]
        );
        for turn in 0..9 {
            let mut pieces = Vec::new();
            let mut rest = &all[..];
            while !rest.is_empty() {
                let most = [5, 60, 3_000][turn % 3];
                let (piece, behind) = rest.split_at((1 + rng.below(most) as usize).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            let cut = feed(&mut server(WebSocketConfig::default()), &pieces);
            assert_eq!(cut, whole);
        }
    }
}

/// Whatever comes: no panic, what is kept is bounded, and after the end there is nothing more.
#[test]
fn random_and_mutated_frames_do_no_harm() {
    let mut rng = Rng::new([29; 32]);
    let text = options("", "");
    let seeds = [
        REQUEST.as_bytes().to_vec(),
        masked(FINAL_TEXT, text.as_bytes()),
        masked(PING, b"there?"),
        masked(TEXT, b"OPTIONS"),
        masked(FINAL_CONTINUED, b" sip:a"),
        masked(CLOSE, b"\x03\xe8"),
    ];
    let (mut ended, mut read) = (0, 0);
    for turn in 0..6_000 {
        let mut socket = match turn % 3 {
            0 => server(WebSocketConfig::default()),
            1 => open_server(),
            _ => open_client(),
        };
        for _ in 0..8 {
            let mut bytes = seeds[rng.below(6) as usize].clone();
            for _ in 0..rng.below(3) {
                let place = rng.below(bytes.len() as u64) as usize;
                match rng.below(3) {
                    0 => bytes[place] = rng.next_u32() as u8,
                    1 => bytes[place] ^= 1 << rng.below(8),
                    _ => bytes.truncate(place.max(1)),
                }
            }
            let outcome = feed(&mut socket, &[&bytes]);
            read += outcome.frames.len();
            if outcome.end.is_some() {
                ended += 1;
                assert_eq!(feed(&mut socket, &[&bytes]), Outcome::default());
                break;
            }
        }
    }
    assert!(ended > 1_000 && read > 200, "{ended} {read}");
}
