//! `Via: SIP/2.0/UDP host:5060;branch=z9hG4bK776asdhds`

use std::{borrow::Cow, net::IpAddr};

use bytes::Bytes;

use crate::{HeaderField, HeaderName, HeaderValue, Headers, Host, ParseError, ParseErrorKind, Shape, ViewField, host, params, scan};

/// One hop that the request took, and that the response takes back (RFC 3261 §20.42).
///
/// ```text
/// Via            =  ( "Via" / "v" ) HCOLON via-parm *(COMMA via-parm)
/// via-parm       =  sent-protocol LWS sent-by *( SEMI via-params )
/// sent-protocol  =  protocol-name SLASH protocol-version SLASH transport
/// sent-by        =  host [ COLON port ]
/// ```
///
/// ```
/// use sip_message::headers::Via;
///
/// let via: Via = "SIP/2.0/UDP first.example.com : 4000;ttl=16;branch=z9hG4bKa7c6a8dlze.1".parse()?;
/// assert_eq!(via.sent_by(), "first.example.com:4000");
/// assert_eq!(via.branch(), Some("z9hG4bKa7c6a8dlze.1"));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Via<T = Bytes> {
    text: T,
    parts: Parts,
}

/// A Via that borrows from the message it stands in.
pub type ViaView<'a> = Via<&'a [u8]>;

/// Places in the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    transport: (u32, u32),
    host: (u32, u32),
    port: Option<u16>,
    /// From the end of sent-by to the end of the last parameter.
    params: (u32, u32),
    /// The values of parameters that routing reads; empty if there is none.
    branch: (u32, u32),
    received: (u32, u32),
    rport: Option<Option<u16>>,
    /// Whether there are other parameters than those, or the same once more or without a value
    others: bool,
}

impl Via {
    /// `SIP/2.0/transport host:port`.
    ///
    /// Characters of `transport` that no token has are left out.
    pub fn new(transport: &str, host: impl Into<Host>, port: Option<u16>) -> Self {
        let mut text = Vec::with_capacity(96);
        text.extend_from_slice(b"SIP/2.0/");
        params::write_token(transport, &mut text);
        text.push(b' ');
        text.extend_from_slice(host.into().to_string().as_bytes());
        if let Some(port) = port {
            text.extend_from_slice(format!(":{port}").as_bytes());
        }
        Self::composed(text)
    }

    fn composed(text: Vec<u8>) -> Self {
        Self::parse(&HeaderValue::written(text)).expect("a Via put together from its parts can be read")
    }

    /// The Via with a branch; characters that no token has are left out.
    #[must_use]
    pub fn with_branch(mut self, branch: &str) -> Self {
        self.set_branch(branch);
        self
    }

    /// Sets the branch; characters that no token has are left out.
    pub fn set_branch(&mut self, branch: &str) {
        let mut token = Vec::with_capacity(branch.len());
        params::write_token(branch, &mut token);
        self.set_param("branch", scan::ascii(&token));
    }

    /// Sets `received` (RFC 3261 §18.2.1): where the request really came from.
    pub fn set_received(&mut self, address: IpAddr) {
        // RFC 5118 §4.5: without brackets when sending.
        self.set_param("received", address.to_string().as_str());
    }

    /// Sets `rport` (RFC 3581 §4): the port that the request really came from.
    pub fn set_rport(&mut self, port: u16) {
        self.set_param("rport", port.to_string().as_str());
    }

    /// The Via with an empty `rport`, which asks for symmetric responses (RFC 3581 §3).
    #[must_use]
    pub fn with_rport(mut self) -> Self {
        self.set_param("rport", None);
        self
    }

    /// The Via with a parameter set, in its place if it is there already.
    #[must_use]
    pub fn with_param<'a>(mut self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        self.set_param(name, value);
        self
    }

    /// Sets a parameter, in its place if it is there already.
    pub fn set_param<'a>(&mut self, name: &str, value: impl Into<Option<&'a str>>) {
        *self = Self::composed(params::set(&self.text, self.region(), name, Some(value.into())));
    }

    /// Removes a parameter.
    pub fn remove_param(&mut self, name: &str) {
        if self.has_param(name) {
            *self = Self::composed(params::set(&self.text, self.region(), name, None));
        }
    }

    /// The host of sent-by.
    pub fn host(&self) -> Host {
        let (start, end) = self.parts.host;
        Host::from_checked(self.text.slice(start as usize..end as usize))
    }
}

impl<T: AsRef<[u8]>> Via<T> {
    fn region(&self) -> (usize, usize) {
        (self.parts.params.0 as usize, self.parts.params.1 as usize)
    }

    fn str(&self, (start, end): (u32, u32)) -> &str {
        scan::ascii(&self.text.as_ref()[start as usize..end as usize])
    }

    /// The transport as written: `UDP`, `TCP`, `TLS`, `WSS`, …
    pub fn transport(&self) -> &str {
        self.str(self.parts.transport)
    }

    /// The host of sent-by as written.
    pub fn host_str(&self) -> &str {
        self.str(self.parts.host)
    }

    /// As [`Via::host_str`], as bytes: for readers that only compare.
    pub fn host_raw(&self) -> &[u8] {
        let (start, end) = self.parts.host;
        &self.text.as_ref()[start as usize..end as usize]
    }

    /// The address of sent-by, if it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        let host = self.host_raw();
        match host::ipv4(host) {
            Some(address) => Some(IpAddr::V4(address)),
            None => {
                let v6 = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
                scan::ascii(v6).parse().ok().map(IpAddr::V6)
            }
        }
    }

    /// The port of sent-by, if it was given.
    pub const fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// `host` or `host:port`, without the white space that may stand around the colon.
    pub fn sent_by(&self) -> Cow<'_, str> {
        match self.parts.port {
            None => Cow::Borrowed(self.host_str()),
            Some(port) => Cow::Owned(format!("{}:{port}", self.host_str())),
        }
    }

    /// The branch, which names the transaction (RFC 3261 §8.1.1.7).
    pub fn branch(&self) -> Option<&str> {
        self.branch_raw().map(scan::ascii).filter(|branch| !branch.is_empty())
    }

    /// As [`Via::branch`], as bytes: for readers that only compare.
    pub fn branch_raw(&self) -> Option<&[u8]> {
        let (start, end) = self.parts.branch;
        (end > start).then(|| &self.text.as_ref()[start as usize..end as usize])
    }

    /// Where the request really came from, if the server saw something else than sent-by.
    pub fn received(&self) -> Option<IpAddr> {
        let (start, end) = self.parts.received;
        if end == start {
            return None;
        }
        if let Some(address) = host::ipv4(&self.text.as_ref()[start as usize..end as usize]) {
            return Some(IpAddr::V4(address));
        }
        let text = self.str(self.parts.received);
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        text.parse().ok()
    }

    /// `rport` (RFC 3581): `None` if it is absent, `Some(None)` if it asks, `Some(Some(port))` if it was answered.
    pub const fn rport(&self) -> Option<Option<u16>> {
        self.parts.rport
    }

    /// Where to send the response instead (RFC 3261 §18.2.2): a multicast address.
    pub fn maddr(&self) -> Option<Host> {
        Host::parse(self.param_str("maddr")?).ok()
    }

    /// The time-to-live of a multicast request.
    pub fn ttl(&self) -> Option<u8> {
        self.param_str("ttl")?.parse().ok()
    }

    fn param_str(&self, name: &str) -> Option<&str> {
        let (start, end) = self.find(name)?.value?;
        str::from_utf8(&self.text.as_ref()[start..end]).ok()
    }

    /// A parameter, unquoted: `None` if it is absent, `Some(None)` if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        if self.has_no_other(name) {
            return None;
        }
        params::get(self.text.as_ref(), self.region(), name)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has_param(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<params::Param> {
        if self.has_no_other(name) {
            return None;
        }
        params::find(self.text.as_ref(), self.region(), name)
    }

    /// Whether a parameter is known to be absent, as all are that routing reads and those that it does not.
    fn has_no_other(&self, name: &str) -> bool {
        !self.parts.others
            && match name {
                "branch" => self.parts.branch.1 == 0,
                "received" => self.parts.received.1 == 0,
                "rport" => self.parts.rport.is_none(),
                _ => !["branch", "received", "rport"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(name)),
            }
    }

    /// All parameters in order; values unquoted.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<Cow<'_, str>>)> {
        params::iter(self.text.as_ref(), self.region()).map(|param| {
            let value = param.value.map(|(start, end)| scan::lossy(scan::unquote(&self.text.as_ref()[start..end])));
            (scan::ascii(&self.text.as_ref()[param.name.0..param.name.1]), value)
        })
    }
}

impl HeaderField for Via {
    const NAME: HeaderName = HeaderName::VIA;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &HeaderValue) -> Result<Self, ParseError> {
        Self::take(value.clone())
    }

    fn take(value: HeaderValue) -> Result<Self, ParseError> {
        let (parts, end) = read(value.as_bytes())?;
        params::whole(value.as_bytes(), end)?;
        Ok(Self { parts, text: value.into_bytes() })
    }

    fn first_of(line: HeaderValue) -> Result<Self, ParseError> {
        let (parts, end) = read(line.as_bytes())?;
        Ok(Self { parts, text: line.truncated(end).into_bytes() })
    }

    fn value(&self) -> HeaderValue {
        HeaderValue::from_wire(self.text.clone())
    }

    fn into_value(self) -> HeaderValue {
        HeaderValue::from_wire(self.text)
    }
}

impl ViewField for Via {
    type View<'a> = ViaView<'a>;

    #[inline]
    fn view(line: &[u8]) -> Result<(ViaView<'_>, usize), ParseError> {
        read(line).map(|(parts, end)| (Via { text: line, parts }, end))
    }

    #[inline]
    fn view_first<'h>(headers: &'h Headers, line: &'h [u8]) -> Result<(ViaView<'h>, usize), ParseError> {
        let parts = match headers.top_via().get() {
            Some(parts) => *parts,
            None => {
                let (parts, _) = read(line)?;
                *headers.top_via().get_or_init(|| parts)
            }
        };
        Ok((Via { text: line, parts }, parts.params.1 as usize))
    }
}

display_as_value!(Via);

/// The Via that `text` starts with, and its end: behind it there is nothing or a comma.
///
/// One copy for all who call it: a copy is 25 lines of code that must be fetched.
#[inline(never)]
fn read(text: &[u8]) -> Result<(Parts, usize), ParseError> {
    match common(text) {
        Some(read) => Ok(read),
        None => any(text),
    }
}

/// What nearly every Via looks like: one space alone, a name or an IPv4 address. Answers nothing for all others, and for those
/// that are wrong.
#[inline(always)]
fn common(text: &[u8]) -> Option<(Parts, usize)> {
    if text.len() > u32::MAX as usize || text.first_chunk() != Some(b"SIP/2.0/") {
        return None;
    }
    let transport = scan::run(text, 8, scan::TOKEN);
    let host = transport + 1;
    if transport == 8 || scan::byte(text, transport) != b' ' {
        return None;
    }
    let host_end = host::name_end(text, host)?;
    let mut end = host_end;
    let mut port = None;
    if scan::byte(text, end) == b':' {
        let (value, after) = host::common_port(text, end + 1)?;
        port = Some(value);
        end = after;
    }
    let params = end;
    let (mut branch, mut received, mut rport) = ((0, 0), (0, 0), None);
    let mut others = false;
    while scan::byte(text, end) == b';' {
        let at = end + 1;
        if branch.1 == 0 && is_branch(text, at) {
            end = params::common_value(text, at + 7)?;
            branch = (at + 7, end);
            continue;
        }
        let (name, param_end) = params::common_one(text, at)?;
        end = param_end;
        let value = (name + usize::from(end > name), end);
        match &text[at..name] {
            known if rport.is_none() && known.eq_ignore_ascii_case(b"rport") => {
                rport = Some(number(&text[value.0..value.1]));
            }
            known
                if received == (0, 0)
                    && end > name
                    && known.eq_ignore_ascii_case(b"received") =>
            {
                received = value;
            }
            // As it is there once more, or without a value.
            known if known.eq_ignore_ascii_case(b"branch") => return None,
            _ => others = true,
        }
    }
    if end < text.len() && text[end] != b',' {
        return None;
    }
    let span = |(start, end): (usize, usize)| (start as u32, end as u32);
    let parts = Parts {
        transport: (8, transport as u32),
        host: span((host, host_end)),
        port,
        params: span((params, end)),
        branch: span(branch),
        received: span(received),
        rport,
        others,
    };
    Some((parts, end))
}

/// Whether `branch=` stands at `at`.
#[inline(always)]
fn is_branch(text: &[u8], at: usize) -> bool {
    let word = text.get(at..).and_then(<[u8]>::first_chunk::<8>);
    // Letters of both cases differ in one bit; the last byte is the first of the value.
    let lower = |word: u64| (word | 0x2020_2020_2020) << 8;
    word.is_some_and(|word| lower(u64::from_le_bytes(*word)) == lower(u64::from_le_bytes(*b"branch= ")))
}

/// A port, if it is one.
#[inline]
fn number(text: &[u8]) -> Option<u16> {
    host::common_port(text, 0).filter(|(_, end)| *end == text.len()).map(|(port, _)| port)
}

/// A Via of any form.
#[inline(never)]
fn any(text: &[u8]) -> Result<(Parts, usize), ParseError> {
    if u32::try_from(text.len()).is_err() {
        return Err(ParseError::new(ParseErrorKind::OutOfRange, 0));
    }
    let transport = match text {
        [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', ..] => 8,
        _ => protocol(text)?,
    };
    let transport_end = scan::run(text, transport, scan::TOKEN);
    if transport_end == transport {
        return Err(ParseError::new(ParseErrorKind::Malformed, transport));
    }
    let host = scan::skip_lws(text, transport_end);
    if host == transport_end {
        return Err(ParseError::new(ParseErrorKind::Malformed, host));
    }
    let host_end = host::host_end(text, host)?;
    let mut end = host_end;
    let mut port = None;
    let colon = scan::skip_lws(text, host_end);
    if scan::byte(text, colon) == b':' {
        let (value, after) = host::port(text, scan::skip_lws(text, colon + 1))?;
        port = Some(value);
        end = after;
    }
    let span = |start: usize, end: usize| (start as u32, end as u32);
    let mut parts = Parts {
        transport: span(transport, transport_end),
        host: span(host, host_end),
        port,
        params: (0, 0),
        branch: (0, 0),
        received: (0, 0),
        rport: None,
        others: false,
    };
    let params_end = params::check_item(text, end, |param| note(text, param, &mut parts))?;
    parts.params = span(end, params_end);
    Ok((parts, params_end))
}

/// Remembers the first of each parameter that routing reads.
#[inline]
fn note(text: &[u8], param: &params::Param, parts: &mut Parts) {
    let name = &text[param.name.0..param.name.1];
    let span = || param.value.map_or((0, 0), |(start, end)| (start as u32, end as u32));
    let is_noted = match name.len() {
        5 if parts.rport.is_none() && name.eq_ignore_ascii_case(b"rport") => {
            parts.rport = Some(param.value.and_then(|(start, end)| number(&text[start..end])));
            true
        }
        6 if parts.branch == (0, 0) && name.eq_ignore_ascii_case(b"branch") => {
            parts.branch = span();
            param.value.is_some()
        }
        8 if parts.received == (0, 0) && name.eq_ignore_ascii_case(b"received") => {
            parts.received = span();
            param.value.is_some()
        }
        _ => false,
    };
    parts.others |= !is_noted;
}

/// `protocol-name SLASH protocol-version SLASH` with white space around the slashes.
#[cold]
fn protocol(text: &[u8]) -> Result<usize, ParseError> {
    let mut at = scan::skip_lws(text, 0);
    for _ in 0..2 {
        let end = scan::run(text, at, scan::TOKEN);
        let slash = scan::skip_lws(text, end);
        if end == at || scan::byte(text, slash) != b'/' {
            let kind = if text.is_empty() { ParseErrorKind::Empty } else { ParseErrorKind::Malformed };
            return Err(ParseError::new(kind, slash.min(text.len())));
        }
        at = scan::skip_lws(text, slash + 1);
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    const PIECES: &[&str] = &[
        ";branch=", ";BRANCH=", ";branch", ";rport", ";rport=", ";received=", ";ttl=", ";maddr=", "1", "99999", "z9hG4bK", "192.0.2.1", "\"q;,\"", "=", ",",
        " ", ":", "[::1]", ";",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(3261), failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn the_common_form_says_what_the_grammar_says(sent_by in select(&["h", "a.b:5060", "192.0.2.1", "a..b", "h:", "h:123456", "[::1]"][..]), pieces in vec(select(PIECES), 0..9)) {
            let text = format!("SIP/2.0/UDP {sent_by}{}", pieces.concat());
            if let Some(read) = common(text.as_bytes()) {
                prop_assert_eq!(super::any(text.as_bytes()), Ok(read));
            }
        }
    }

    #[test]
    fn the_common_form_covers_what_phones_send() {
        for text in [
            "SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK74bf9;rport",
            "SIP/2.0/TCP 192.0.2.1;received=192.0.2.101;rport=5060;branch=z9hG4bK74bf9, SIP/2.0/UDP h",
        ] {
            assert!(common(text.as_bytes()).is_some(), "{text}");
        }
    }
}
