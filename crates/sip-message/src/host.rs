//! Hosts: names and addresses.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Deref,
};

use bytes::Bytes;

use crate::{ParseError, ParseErrorKind, scan};

/// `host` (RFC 3261 §25.1, RFC 5118): a name, an IPv4 address, or an IPv6 address, which is written in brackets.
///
/// ```
/// use sip_message::Host;
///
/// assert_eq!(Host::parse("[2001:db8::10]")?.to_string(), "[2001:db8::10]");
/// assert_eq!(Host::parse("Example.COM")?, Host::parse("example.com")?);
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name, to be looked up.
    Name(HostName),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

/// A domain name, compared without regard to case.
#[derive(Clone)]
pub struct HostName(Bytes);

impl HostName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        scan::ascii(&self.0)
    }
}

impl Deref for HostName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for HostName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for HostName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HostName {}

impl Hash for HostName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in &self.0 {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Host {
    /// A name, an IPv4 address, or an IPv6 address with or without brackets.
    ///
    /// # Errors
    /// If it is none of them.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self::V6(address));
        }
        if host_end(&bytes, 0)? != bytes.len() {
            return Err(ParseError::new(ParseErrorKind::Host, 0));
        }
        Ok(Self::from_checked(bytes))
    }

    /// Text that [`host_end`] has checked.
    pub(crate) fn from_checked(text: Bytes) -> Self {
        if text.first() == Some(&b'[') {
            return ipv6(&text).map_or_else(|| Self::Name(HostName(text)), Self::V6);
        }
        match ipv4(&text) {
            Some(address) => Self::V4(address),
            None => Self::Name(HostName(text)),
        }
    }

    /// The address, if it is one.
    pub const fn as_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// The name, if it is one.
    pub fn as_name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name.as_str()),
            _ => None,
        }
    }

    /// Whether it is an address.
    pub const fn is_ip(&self) -> bool {
        !matches!(self, Self::Name(_))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl From<Ipv4Addr> for Host {
    fn from(address: Ipv4Addr) -> Self {
        Self::V4(address)
    }
}

impl From<Ipv6Addr> for Host {
    fn from(address: Ipv6Addr) -> Self {
        Self::V6(address)
    }
}

impl From<&Self> for Host {
    fn from(host: &Self) -> Self {
        host.clone()
    }
}

impl std::str::FromStr for Host {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl PartialEq<str> for Host {
    fn eq(&self, other: &str) -> bool {
        Self::parse(other).is_ok_and(|other| *self == other)
    }
}

impl PartialEq<&str> for Host {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// The end of the host that starts at `at`.
#[inline]
pub(crate) fn host_end(text: &[u8], at: usize) -> Result<usize, ParseError> {
    match name_end(text, at) {
        Some(end) => Ok(end),
        None if scan::byte(text, at) == b'[' => reference_end(text, at),
        None => Err(ParseError::new(ParseErrorKind::Host, at)),
    }
}

/// The end of the name or IPv4 address that starts at `at`.
#[inline]
pub(crate) fn name_end(text: &[u8], at: usize) -> Option<usize> {
    let (end, is_name) = name(text, at);
    is_name.then_some(end)
}

/// As [`name_end`], and where it stopped if it is no name: labels that are not empty, with dots between them. A name may end in
/// a dot (RFC 3261 §25.1).
#[inline(never)]
pub(crate) fn name(text: &[u8], at: usize) -> (usize, bool) {
    let (mut end, mut label) = (at, at);
    while let Some(&byte) = text.get(end) {
        if !scan::is(byte, scan::LABEL) {
            if byte != b'.' {
                break;
            }
            if end == label {
                return (end, false);
            }
            label = end + 1;
        }
        end += 1;
    }
    (end, end > at && text[at] != b'-')
}

#[cold]
fn reference_end(text: &[u8], at: usize) -> Result<usize, ParseError> {
    // The longest IPv6 reference has 47 bytes; an interface name is not part of it.
    let end = text[at..]
        .iter()
        .take(64)
        .position(|&b| b == b']')
        .map(|length| at + length + 1);
    match end {
        Some(end) if ipv6(&text[at..end]).is_some() => Ok(end),
        _ => Err(ParseError::new(ParseErrorKind::Host, at)),
    }
}

/// The address between brackets.
pub(crate) fn ipv6(reference: &[u8]) -> Option<Ipv6Addr> {
    let inner = scan::ascii(reference.strip_prefix(b"[")?.strip_suffix(b"]")?);
    // RFC 5118 §4.10: the grammar of RFC 3261 allowed a third colon before an embedded IPv4 address.
    inner
        .parse()
        .ok()
        .or_else(|| inner.replacen(":::", "::", 1).parse().ok())
}

/// The port that starts at `at` and its end.
pub(crate) fn port(text: &[u8], at: usize) -> Result<(u16, usize), ParseError> {
    let mut end = at;
    let mut value = 0_u32;
    while let Some(digit) = text.get(end).filter(|b| b.is_ascii_digit()) {
        value = value * 10 + u32::from(digit - b'0');
        if value > 65_535 {
            return Err(ParseError::new(ParseErrorKind::OutOfRange, at));
        }
        end += 1;
    }
    match u16::try_from(value) {
        Ok(port) if end > at => Ok((port, end)),
        _ => Err(ParseError::new(ParseErrorKind::Malformed, at)),
    }
}

/// As [`port`], if it has one to five digits.
#[inline(always)]
pub(crate) fn common_port(text: &[u8], at: usize) -> Option<(u16, usize)> {
    let mut end = at;
    let mut value = 0_u32;
    for byte in text.get(at..)?.iter().take(6) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value * 10 + u32::from(digit);
        end += 1;
    }
    match u16::try_from(value) {
        Ok(port) if (at + 1..=at + 5).contains(&end) => Some((port, end)),
        _ => None,
    }
}

/// An IPv4 address that is all of `text`.
pub(crate) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let (mut place, mut is_empty) = (0, true);
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            // A leading zero would be read as octal by some.
            if !is_empty && octets[place] == 0 {
                return None;
            }
            octets[place] = octets[place].checked_mul(10)?.checked_add(digit)?;
            is_empty = false;
        } else if byte == b'.' && !is_empty && place < 3 {
            (place, is_empty) = (place + 1, true);
        } else {
            return None;
        }
    }
    (place == 3 && !is_empty).then(|| Ipv4Addr::from(octets))
}
