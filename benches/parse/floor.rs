//! The floor: a scanner that looks at each byte of the head once or twice and validates nothing.
//!
//! It finds the same values as the routing level, by the first bytes of names and by delimiters. Bytes that are wrong give
//! wrong places; no message is ever refused.

use std::fmt::Write;

use crate::contenders::Values;

type Span = (u32, u32);

/// Places of the values that routing reads.
#[derive(Default)]
pub struct Found {
    /// Method, or status code.
    start: Span,
    uri: Uri,
    transport: Span,
    host: Span,
    port: u32,
    branch: Span,
    received: Span,
    rport: u32,
    from: Address,
    to: Address,
    call_id: Span,
    cseq: (u32, Span),
    contact: Address,
    max_forwards: u32,
    content_length: u32,
    content_type: Span,
    body: u32,
}

#[derive(Default, Clone, Copy)]
struct Uri {
    user: Span,
    host: Span,
    port: u32,
    params: Span,
}

/// A URI, the parameters behind it, and the tag among them.
#[derive(Default, Clone, Copy)]
pub struct Address {
    uri: Uri,
    params: Span,
    tag: Span,
}

/// One header line: where it starts, where its value starts, where it ends.
pub type Line = (u16, u16, u16);

/// Room for Route and Record-Route, with how much of it is used.
pub type Routes = ([Address; 16], usize);

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
pub fn routing(wire: &[u8], routes: &mut Routes) -> Found {
    let mut lines = [(0, 0, 0); 64];
    let (count, body) = structure(wire, &mut lines);
    let mut found = Found {
        body: body as u32,
        ..Found::default()
    };
    if byte(wire, 7) != b' ' || byte(wire, 3) != b'/' {
        let end = find(wire, 0, b' ');
        found.start = span(0, end);
        found.uri = uri(wire, end + 1).0;
    } else {
        found.start = span(8, 11);
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
            (b'F' | b'f', b'r' | b':') => found.from = address(wire, at, end).0,
            (b'T' | b't', b'o' | b':') => found.to = address(wire, at, end).0,
            (b'C', b'a') if length == 9 => found.call_id = span(at, end),
            (b'i', b':') => found.call_id = span(at, end),
            (b'C', b'S') => {
                let (number, stop) = number(wire, at);
                found.cseq = (number, span(stop + 1, end));
            }
            (b'C', b'o') if length == 9 && !contact => {
                contact = true;
                found.contact = address(wire, at, end).0;
            }
            (b'C', b'o') if length == 16 => found.content_length = number(wire, at).0,
            (b'l', b':') => found.content_length = number(wire, at).0,
            (b'C', b'o') if length == 14 => found.content_type = span(at, end),
            (b'M', b'a') if length == 14 => found.max_forwards = number(wire, at).0,
            (b'R', b'o' | b'e') if length == 7 || length == 14 => {
                let mut at = at;
                while at < end {
                    let (route, stop) = address(wire, at, end);
                    routes.0[routes.1 & 15] = route;
                    routes.1 += 1;
                    at = stop + 1;
                }
            }
            _ => {}
        }
    }
    found
}

fn via(wire: &[u8], at: usize, end: usize, found: &mut Found) {
    let space = find(wire, at, b' ');
    found.transport = span(at + 8, space);
    let host = space + 1;
    let mut param = find_before(wire, host, end, b';');
    let host_end = find_before(wire, host, param, b':');
    found.host = span(host, host_end);
    if host_end < param {
        found.port = number(wire, host_end + 1).0;
    }
    while param < end {
        let stop = find_before(wire, param + 1, end, b';');
        match byte(wire, param + 3) {
            b'a' => found.branch = span(param + 8, stop),
            b'c' => found.received = span(param + 10, stop),
            b'o' => found.rport = number(wire, param + 7).0,
            _ => {}
        }
        param = stop;
    }
}

/// A name-addr up to a comma or its end.
fn address(wire: &[u8], at: usize, end: usize) -> (Address, usize) {
    let open = find_before(wire, at, end, b'<');
    let (uri, stop) = uri(wire, if open < end { open + 1 } else { at });
    let params = stop + usize::from(byte(wire, stop) == b'>');
    let mut tag = (0, 0);
    let mut at = params;
    while at < end && byte(wire, at) != b',' {
        let param = at + 1;
        at = param;
        while at < end && !matches!(byte(wire, at), b';' | b',') {
            at += 1;
        }
        if byte(wire, param) == b't' && byte(wire, param + 3) == b'=' {
            tag = span(param + 4, at);
        }
    }
    let address = Address {
        uri,
        params: span(params, at),
        tag,
    };
    (address, at)
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

/// What was found, to be compared with what others find.
pub fn values(wire: &[u8]) -> Values {
    let mut routes = ([Address::default(); 16], 0);
    let found = routing(wire, &mut routes);
    let text = |(start, end): Span| {
        String::from_utf8_lossy(&wire[start as usize..end as usize]).into_owned()
    };
    let uri = |uri: &Uri| {
        format!(
            "{} {} {} {}",
            text(uri.user),
            text(uri.host),
            uri.port,
            text(uri.params)
        )
    };
    let address = |address: &Address| {
        format!(
            "{} {} {}",
            uri(&address.uri),
            text(address.params),
            text(address.tag)
        )
    };
    let mut values = Values::new();
    let mut add = |name, value| values.push((name, value));
    add("start", text(found.start));
    add("uri", uri(&found.uri));
    add(
        "via",
        format!(
            "{} {} {}",
            text(found.transport),
            text(found.host),
            found.port
        ),
    );
    add("branch", text(found.branch));
    add("received", text(found.received));
    add("rport", found.rport.to_string());
    add("from", address(&found.from));
    add("to", address(&found.to));
    add("call-id", text(found.call_id));
    add("cseq", format!("{} {}", found.cseq.0, text(found.cseq.1)));
    add("contact", address(&found.contact));
    add("max-forwards", found.max_forwards.to_string());
    add("content-length", found.content_length.to_string());
    add("content-type", text(found.content_type));
    let mut all = String::new();
    for route in routes.0.iter().take(routes.1) {
        let _ = writeln!(all, "{}", address(route));
    }
    add("routes", all);
    add("body", (wire.len() as u32 - found.body).to_string());
    values
}
