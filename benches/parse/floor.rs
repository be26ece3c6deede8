//! The floor: a scanner that looks at each byte of the head once or twice and validates nothing.
//!
//! It finds the same values as the routing level, by the first bytes of names and by delimiters. Bytes that are wrong give
//! wrong places; no message is ever refused.

type Span = (u32, u32);

/// Places of the values that routing reads.
#[derive(Default)]
#[expect(dead_code)] // that they are found is what is measured
pub struct Found {
    method: Span,
    uri: Uri,
    branch: Span,
    received: Span,
    rport: Span,
    sent_by: Span,
    from: Uri,
    from_tag: Span,
    to: Uri,
    to_tag: Span,
    call_id: Span,
    cseq: (u32, Span),
    contact: Uri,
    contact_params: Span,
    max_forwards: u32,
    content_length: u32,
    content_type: Span,
    routes: u32,
    last_route: Uri,
    body: u32,
}

#[derive(Default, Clone, Copy)]
#[expect(dead_code)] // as above
struct Uri {
    user: Span,
    host: Span,
    port: u32,
    params: Span,
}

/// One header line: where it starts, where its value starts, where it ends.
pub type Line = (u16, u16, u16);

/// Start line, header lines and the start of the body.
pub fn structure(wire: &[u8], lines: &mut [Line; 64]) -> (usize, usize) {
    let mut at = find(wire, 0, b'\r') + 2;
    let mut count = 0;
    while byte(wire, at) != b'\r' {
        let colon = find(wire, at, b':');
        let value = colon + 1 + usize::from(byte(wire, colon + 1) == b' ');
        let mut end = find(wire, value, b'\r');
        while byte(wire, end + 2) == b' ' {
            end = find(wire, end + 1, b'\r');
        }
        lines[count & 63] = (at as u16, value as u16, end as u16);
        count += 1;
        at = end + 2;
    }
    (count, at + 2)
}

/// As [`structure`], and the values.
pub fn routing(wire: &[u8]) -> Found {
    let mut lines = [(0, 0, 0); 64];
    let (count, body) = structure(wire, &mut lines);
    let mut found = Found {
        body: body as u32,
        ..Found::default()
    };
    if byte(wire, 7) != b' ' || byte(wire, 3) != b'/' {
        let end = find(wire, 0, b' ');
        found.method = span(0, end);
        found.uri = uri(wire, end + 1).0;
    }
    let mut via = false;
    let mut contact = false;
    for &(start, value, end) in lines.iter().take(count) {
        let (start, at, end) = (usize::from(start), usize::from(value), usize::from(end));
        let length = at - start;
        match (byte(wire, start), byte(wire, start + 1)) {
            (b'V' | b'v', b'i' | b':') if !via => {
                via = true;
                self::via(wire, at, end, &mut found);
            }
            (b'F' | b'f', b'r' | b':') => (found.from, found.from_tag) = address(wire, at, end),
            (b'T' | b't', b'o' | b':') => (found.to, found.to_tag) = address(wire, at, end),
            (b'C', b'a') if length == 9 => found.call_id = span(at, end),
            (b'i', b':') => found.call_id = span(at, end),
            (b'C', b'S') => {
                let (number, stop) = number(wire, at);
                found.cseq = (number, span(stop + 1, end));
            }
            (b'C', b'o') if length == 9 && !contact => {
                contact = true;
                (found.contact, found.contact_params) = address(wire, at, end);
            }
            (b'C', b'o') if length == 16 => found.content_length = number(wire, at).0,
            (b'l', b':') => found.content_length = number(wire, at).0,
            (b'C', b'o') if length == 14 => found.content_type = span(at, end),
            (b'M', b'a') if length == 14 => found.max_forwards = number(wire, at).0,
            (b'R', b'o' | b'e') if length == 7 || length == 14 => {
                let mut at = at;
                while at < end {
                    let (route, stop) = uri(wire, find(wire, at, b'<') + 1);
                    found.last_route = route;
                    found.routes += 1;
                    at = find_before(wire, stop, end, b',') + 1;
                }
            }
            _ => {}
        }
    }
    found
}

fn via(wire: &[u8], at: usize, end: usize, found: &mut Found) {
    let sent_by = find(wire, at, b' ') + 1;
    let mut param = find_before(wire, sent_by, end, b';');
    found.sent_by = span(sent_by, param);
    while param < end {
        let stop = find_before(wire, param + 1, end, b';');
        match byte(wire, param + 3) {
            b'a' => found.branch = span(param + 8, stop),
            b'c' => found.received = span(param + 10, stop),
            b'o' => found.rport = span(param + 6, stop),
            _ => {}
        }
        param = stop;
    }
}

/// A name-addr: its URI, and its tag or else its last parameter.
fn address(wire: &[u8], at: usize, end: usize) -> (Uri, Span) {
    let open = find_before(wire, at, end, b'<');
    let (uri, stop) = uri(wire, if open < end { open + 1 } else { at });
    let mut param = find_before(wire, stop, end, b';');
    let mut last = (0, 0);
    while param < end {
        let stop = find_before(wire, param + 1, end, b';');
        last = span(param + 1, stop);
        param = stop;
    }
    (uri, last)
}

/// A URI up to the byte that ends it.
fn uri(wire: &[u8], at: usize) -> (Uri, usize) {
    let scheme = find(wire, at, b':') + 1;
    let (mut user, mut host, mut host_end, mut port, mut params) = ((0, 0), scheme, 0, 0, 0);
    let mut at = scheme;
    loop {
        match byte(wire, at) {
            b'@' => {
                user = span(host, at);
                (host, host_end, port, params) = (at + 1, 0, 0, 0);
            }
            b':' if host_end == 0 => {
                host_end = at;
                port = number(wire, at + 1).0;
            }
            b';' if params == 0 => {
                params = at;
                if host_end == 0 {
                    host_end = at;
                }
            }
            b'>' | b' ' | b'\r' | 0 => break,
            _ => {}
        }
        at += 1;
    }
    let host_end = if host_end == 0 { at } else { host_end };
    let params = if params == 0 { at } else { params };
    let uri = Uri {
        user,
        host: span(host, host_end),
        port,
        params: span(params, at),
    };
    (uri, at)
}

fn number(wire: &[u8], at: usize) -> (u32, usize) {
    let mut at = at;
    let mut value = 0_u32;
    while byte(wire, at).is_ascii_digit() {
        value = value
            .wrapping_mul(10)
            .wrapping_add(u32::from(byte(wire, at) - b'0'));
        at += 1;
    }
    (value, at)
}

const fn span(start: usize, end: usize) -> Span {
    (start as u32, end as u32)
}

#[inline]
fn byte(wire: &[u8], at: usize) -> u8 {
    wire.get(at).copied().unwrap_or(b'\r')
}

#[inline]
fn find(wire: &[u8], at: usize, wanted: u8) -> usize {
    let mut at = at;
    while at < wire.len() && wire[at] != wanted {
        at += 1;
    }
    at
}

#[inline]
fn find_before(wire: &[u8], at: usize, end: usize, wanted: u8) -> usize {
    let end = end.min(wire.len());
    let mut at = at;
    while at < end && wire[at] != wanted {
        at += 1;
    }
    at
}
