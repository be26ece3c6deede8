//! The HTTP part of a connection: one request, one response (RFC 6455 §4, RFC 7118 §4.1).

use std::net::{IpAddr, SocketAddr};

use tungstenite::{
    Error,
    error::ProtocolError,
    handshake::{
        client::{Response, generate_key},
        derive_accept_key,
        machine::TryParse,
        server::{Request, create_response, write_response},
    },
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            CONNECTION, CONTENT_LENGTH, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT,
            SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
            SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
        },
    },
};

use super::config::{Refusal, WebSocketConfig};
use crate::event::HandshakeFailure;

/// What a client asks for before its first frame: the HTTP request that becomes a WebSocket.
///
/// [`WebSocketConfig::admit`] decides by it who is let in.
#[derive(Debug)]
pub struct Upgrade {
    request: Request,
    host: String,
    peer: SocketAddr,
}

impl Upgrade {
    /// The path, without its query.
    pub fn path(&self) -> &str {
        self.request.uri().path()
    }

    /// What stands behind the `?`, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.request.uri().query()
    }

    /// The host that the client wants, with the port if it wrote one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The origin of the page whose script connects; browsers always name it, others need not.
    pub fn origin(&self) -> Option<&str> {
        self.header(ORIGIN.as_str())
    }

    /// The first value of a header field, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// Who is connected: an HTTP proxy, where there is one between.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }
}

/// Bytes of a connection up to the end of its HTTP head.
///
/// The head is read when it is complete, and not before: what a peer takes many packets for is no attack as such, and
/// how long it takes and how long it may be is limited here and by the handshake's deadline.
#[derive(Debug, Default)]
pub(super) struct Head {
    bytes: Vec<u8>,
}

/// A head, and what came behind it.
pub(super) type Whole = (Vec<u8>, Vec<u8>);

impl Head {
    /// Adds what was read: the head once it is complete, an error as soon as it is too long.
    pub(super) fn push(&mut self, bytes: &[u8], limit: usize) -> Result<Option<Whole>, TooLong> {
        let seen = self.bytes.len().saturating_sub(END.len() - 1);
        self.bytes.extend_from_slice(bytes);
        let fresh = self.bytes.get(seen..).unwrap_or_default();
        let end = fresh.windows(END.len()).position(|four| four == END);
        let end = end.map(|at| seen + at + END.len());
        if end.unwrap_or(self.bytes.len()) > limit {
            return Err(TooLong);
        }
        Ok(end.map(|end| {
            let mut head = std::mem::take(&mut self.bytes);
            let rest = head.split_off(end);
            (head, rest)
        }))
    }

    /// Whether there is any of it.
    pub(super) const fn has_begun(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Whether it begins like a request for a WebSocket, as far as it is here.
    pub(super) fn may_be_get(&self) -> bool {
        GET.iter().zip(&self.bytes).all(|(want, have)| want == have)
    }
}

/// A head is longer than it may be.
#[derive(Debug)]
pub(super) struct TooLong;

/// A client that is let in.
pub(super) struct Admitted {
    pub(super) response: Vec<u8>,
    /// Its address, where a trusted proxy says so
    pub(super) address: Option<IpAddr>,
}

/// A client that is not.
pub(super) struct Refused {
    pub(super) response: Vec<u8>,
    pub(super) failure: HandshakeFailure,
}

/// Answers a client's request.
pub(super) fn answer(
    head: &[u8],
    peer: SocketAddr,
    config: &WebSocketConfig,
) -> Result<Admitted, Refused> {
    let Ok(Some((_, request))) = Request::try_parse(head) else {
        return Err(refuse(StatusCode::BAD_REQUEST, ""));
    };
    let headers = request.headers();
    let single = |name: HeaderName| only(headers, name).is_ok();
    // RFC 6455 §4.2.1, §11.3: these stand there once, if at all.
    let Ok(Some(host)) = only(headers, HOST) else {
        return Err(refuse(StatusCode::BAD_REQUEST, ""));
    };
    if !(single(SEC_WEBSOCKET_KEY) && single(SEC_WEBSOCKET_VERSION) && single(ORIGIN)) {
        return Err(refuse(StatusCode::BAD_REQUEST, ""));
    }
    let upgrade = Upgrade {
        host: host.to_owned(),
        request,
        peer,
    };
    let one_of = |allowed: &[String], wanted: &str| {
        allowed.is_empty()
            || allowed
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(wanted))
    };
    let path = upgrade.path();
    if !(config.paths.is_empty() || config.paths.iter().any(|allowed| allowed == path))
        || !one_of(&config.hosts, upgrade.host())
    {
        return Err(refuse(StatusCode::NOT_FOUND, ""));
    }
    let mut response = create_response(&upgrade.request).map_err(|error| refuse_for(&error))?;
    // RFC 7118 §4.1: the sub-protocol is asked for and granted.
    let protocols = upgrade.request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    if !protocols.iter().any(|value| has_token(value, SIP)) {
        return Err(refuse(StatusCode::BAD_REQUEST, ""));
    }
    if let Some(origin) = upgrade.origin()
        && !one_of(&config.origins, origin)
    {
        return Err(refuse(StatusCode::FORBIDDEN, ""));
    }
    if let Some(admit) = &config.admit {
        admit(&upgrade).map_err(turn_away)?;
    }
    let granted = HeaderValue::from_static(SIP);
    response
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, granted);
    let mut text = Vec::new();
    if write_response(&mut text, &response).is_err() {
        return Err(refuse(StatusCode::BAD_REQUEST, ""));
    }
    Ok(Admitted {
        response: text,
        address: forwarded_for(&upgrade, config),
    })
}

/// The request of a client of ours, and the key in it.
pub(super) fn request(host: &str, config: &WebSocketConfig) -> (String, String) {
    let key = generate_key();
    let path = &config.request_path;
    let headers = config.request_headers.as_deref();
    let further: String = headers
        .map_or_else(Vec::new, |headers| headers(host))
        .iter()
        .filter_map(|(name, value)| further_line(name, value))
        .collect();
    let text = format!(
        "GET {path} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Protocol: {SIP}\r\n\
         Sec-WebSocket-Version: 13\r\n{further}\r\n"
    );
    (text, key)
}

/// A line of a request beside those that the handshake is made of (RFC 6455 §4.1), which nobody else writes.
fn further_line(name: &str, value: &str) -> Option<String> {
    let read = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = HeaderValue::from_str(value).ok()?;
    let is_of_handshake = [HOST, UPGRADE, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING]
        .contains(&read)
        || read.as_str().starts_with("sec-websocket-");
    let value = value.to_str().ok()?;
    (!is_of_handshake).then(|| format!("{name}: {value}\r\n"))
}

/// Whether a server's response to a request with this key makes the connection a WebSocket (RFC 6455 §4.1).
pub(super) fn verify(head: &[u8], key: &str) -> Result<(), HandshakeFailure> {
    let Ok(Some((_, response))) = Response::try_parse(head) else {
        return Err(HandshakeFailure::NotWebSocket);
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(HandshakeFailure::Upgrade(response.status().as_u16()));
    }
    let headers = response.headers();
    let value = |name| only(headers, name).ok().flatten();
    let upgraded =
        value(UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    let mut options = headers.get_all(CONNECTION).iter();
    let connected = options.any(|value| has_token_in_any_case(value, "upgrade"));
    let accepted = value(SEC_WEBSOCKET_ACCEPT) == Some(&derive_accept_key(key.as_bytes()));
    // RFC 7118 §4.1: the 101 must contain "sip". No extension was asked for.
    let is_sip = value(SEC_WEBSOCKET_PROTOCOL) == Some(SIP);
    let plain = !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS);
    if upgraded && connected && accepted && is_sip && plain {
        Ok(())
    } else {
        Err(HandshakeFailure::NotWebSocket)
    }
}

/// What is told to a client whose bytes are no request at all.
pub(super) fn bad_request() -> Refused {
    refuse(StatusCode::BAD_REQUEST, "")
}

/// What is told to a client whose request is not complete in time (RFC 9110 §15.5.9).
pub(super) fn request_timeout() -> Refused {
    refuse(StatusCode::REQUEST_TIMEOUT, "")
}

fn turn_away(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::BadRequest => refuse(StatusCode::BAD_REQUEST, ""),
        Refusal::Forbidden => refuse(StatusCode::FORBIDDEN, ""),
        Refusal::NotFound => refuse(StatusCode::NOT_FOUND, ""),
        Refusal::Unauthorized(challenge) => match HeaderValue::from_str(&challenge) {
            Ok(_) => refuse(
                StatusCode::UNAUTHORIZED,
                &format!("WWW-Authenticate: {challenge}\r\n"),
            ),
            // What cannot be written into a header field challenges nobody.
            Err(_) => refuse(StatusCode::FORBIDDEN, ""),
        },
    }
}

/// What is wrong with the request itself.
fn refuse_for(error: &Error) -> Refused {
    match error {
        // RFC 9110 §15.5.22, RFC 6455 §4.2.2
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader,
        ) => refuse(
            StatusCode::UPGRADE_REQUIRED,
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        ),
        _ => refuse(StatusCode::BAD_REQUEST, ""),
    }
}

fn refuse(status: StatusCode, lines: &str) -> Refused {
    let options = if status == StatusCode::UPGRADE_REQUIRED {
        "Upgrade, close"
    } else {
        "close"
    };
    let text =
        format!("HTTP/1.1 {status}\r\n{lines}Connection: {options}\r\nContent-Length: 0\r\n\r\n");
    Refused {
        response: text.into_bytes(),
        failure: HandshakeFailure::Upgrade(status.as_u16()),
    }
}

/// The value of a field that may be there once; an error if it is there twice, or is no text.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(());
    }
    first.map(|value| value.to_str().map_err(drop)).transpose()
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim)
}

fn has_token(value: &HeaderValue, wanted: &str) -> bool {
    tokens(value).any(|token| token == wanted)
}

fn has_token_in_any_case(value: &HeaderValue, wanted: &str) -> bool {
    tokens(value).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// Who is behind the proxies that are trusted, read from the nearest to the farthest.
fn forwarded_for(upgrade: &Upgrade, config: &WebSocketConfig) -> Option<IpAddr> {
    let trusted = |address: &IpAddr| config.trusted_proxies.contains(address);
    if !trusted(&upgrade.peer.ip().to_canonical()) {
        return None;
    }
    let values = upgrade.request.headers().get_all("x-forwarded-for");
    let hops: Vec<&str> = values.iter().flat_map(tokens).collect();
    let mut nearest = None;
    for hop in hops.into_iter().rev() {
        // What is behind something unreadable cannot be trusted either.
        let Ok(address) = hop.parse::<IpAddr>() else {
            break;
        };
        nearest = Some(address);
        if !trusted(&address) {
            break;
        }
    }
    nearest
}

/// The sub-protocol (RFC 7118 §10.1).
const SIP: &str = "sip";

const GET: &[u8] = b"GET ";

const END: &[u8] = b"\r\n\r\n";
