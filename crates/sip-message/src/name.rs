//! Names of header fields.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{ParseError, ParseErrorKind, scan};

/// The name of a header field: an open set, compared without regard to case; a compact form equals its long form (RFC 3261 §7.3.3).
///
/// ```
/// use sip_message::HeaderName;
///
/// assert_eq!(HeaderName::new("m")?, HeaderName::CONTACT);
/// assert_eq!(HeaderName::new("X-TENANT")?, HeaderName::from_static("X-Tenant"));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Clone)]
pub struct HeaderName(Repr);

#[derive(Clone)]
enum Repr {
    Known(u8),
    Static(&'static str),
    Owned(Arc<str>),
}

/// The id of a name that is not in the table.
pub(crate) const UNKNOWN: u8 = 127;

struct Known {
    name: &'static str,
    /// The name as a line starts with it, with the line end before it, colon and space.
    line_start: &'static str,
    compact: u8,
}

macro_rules! names {
    ($($id:literal $constant:ident $name:literal $compact:literal)*) => {
        const TABLE: &[Known] = &[$(Known { name: $name, line_start: concat!("\r\n", $name, ": "), compact: $compact }),*];

        impl HeaderName {
            $(#[doc = concat!("`", $name, "`.")] pub const $constant: Self = Self(Repr::Known($id));)*
        }
    };
}

// The ids are places in the table; a test below holds them together.
names! {
    0 VIA "Via" b'v'
    1 ROUTE "Route" 0
    2 RECORD_ROUTE "Record-Route" 0
    3 MAX_FORWARDS "Max-Forwards" 0
    4 FROM "From" b'f'
    5 TO "To" b't'
    6 CALL_ID "Call-ID" b'i'
    7 CSEQ "CSeq" 0
    8 CONTACT "Contact" b'm'
    9 CONTENT_TYPE "Content-Type" b'c'
    10 CONTENT_LENGTH "Content-Length" b'l'
    11 EXPIRES "Expires" 0
    12 ALLOW "Allow" 0
    13 SUPPORTED "Supported" b'k'
    14 REQUIRE "Require" 0
    15 USER_AGENT "User-Agent" 0
    16 SERVER "Server" 0
    17 PROXY_REQUIRE "Proxy-Require" 0
    18 UNSUPPORTED "Unsupported" 0
    19 PATH "Path" 0
    20 SERVICE_ROUTE "Service-Route" 0
    21 AUTHORIZATION "Authorization" 0
    22 PROXY_AUTHORIZATION "Proxy-Authorization" 0
    23 WWW_AUTHENTICATE "WWW-Authenticate" 0
    24 PROXY_AUTHENTICATE "Proxy-Authenticate" 0
    25 AUTHENTICATION_INFO "Authentication-Info" 0
    26 MIN_EXPIRES "Min-Expires" 0
    27 RETRY_AFTER "Retry-After" 0
    28 EVENT "Event" b'o'
    29 SUBSCRIPTION_STATE "Subscription-State" 0
    30 RSEQ "RSeq" 0
    31 RACK "RAck" 0
    32 SESSION_EXPIRES "Session-Expires" b'x'
    33 MIN_SE "Min-SE" 0
    34 REPLACES "Replaces" 0
    35 REFER_TO "Refer-To" b'r'
    36 REFERRED_BY "Referred-By" b'b'
    37 SUBJECT "Subject" b's'
    38 ACCEPT "Accept" 0
    39 ACCEPT_ENCODING "Accept-Encoding" 0
    40 ACCEPT_LANGUAGE "Accept-Language" 0
    41 ALERT_INFO "Alert-Info" 0
    42 CALL_INFO "Call-Info" 0
    43 CONTENT_DISPOSITION "Content-Disposition" 0
    44 CONTENT_ENCODING "Content-Encoding" b'e'
    45 CONTENT_LANGUAGE "Content-Language" 0
    46 DATE "Date" 0
    47 ERROR_INFO "Error-Info" 0
    48 IN_REPLY_TO "In-Reply-To" 0
    49 MIME_VERSION "MIME-Version" 0
    50 ORGANIZATION "Organization" 0
    51 PRIORITY "Priority" 0
    52 REPLY_TO "Reply-To" 0
    53 TIMESTAMP "Timestamp" 0
    54 WARNING "Warning" 0
    55 PRIVACY "Privacy" 0
    56 P_ASSERTED_IDENTITY "P-Asserted-Identity" 0
    57 P_PREFERRED_IDENTITY "P-Preferred-Identity" 0
    58 REASON "Reason" 0
    59 SECURITY_CLIENT "Security-Client" 0
    60 SECURITY_SERVER "Security-Server" 0
    61 SECURITY_VERIFY "Security-Verify" 0
    62 ACCEPT_CONTACT "Accept-Contact" b'a'
    63 REJECT_CONTACT "Reject-Contact" b'j'
    64 REQUEST_DISPOSITION "Request-Disposition" b'd'
    65 SIP_ETAG "SIP-ETag" 0
    66 SIP_IF_MATCH "SIP-If-Match" 0
    67 JOIN "Join" 0
    68 RESOURCE_PRIORITY "Resource-Priority" 0
    69 ACCEPT_RESOURCE_PRIORITY "Accept-Resource-Priority" 0
    70 REFER_SUB "Refer-Sub" 0
    71 TARGET_DIALOG "Target-Dialog" 0
    72 MAX_BREADTH "Max-Breadth" 0
    73 FLOW_TIMER "Flow-Timer" 0
    74 DIVERSION "Diversion" 0
    75 INFO_PACKAGE "Info-Package" 0
    76 RECV_INFO "Recv-Info" 0
    77 GEOLOCATION "Geolocation" 0
    78 GEOLOCATION_ROUTING "Geolocation-Routing" 0
    79 GEOLOCATION_ERROR "Geolocation-Error" 0
    80 ALLOW_EVENTS "Allow-Events" b'u'
    81 HISTORY_INFO "History-Info" 0
    82 P_ACCESS_NETWORK_INFO "P-Access-Network-Info" 0
    83 P_ASSOCIATED_URI "P-Associated-URI" 0
    84 P_CALLED_PARTY_ID "P-Called-Party-ID" 0
    85 P_CHARGING_FUNCTION_ADDRESSES "P-Charging-Function-Addresses" 0
    86 P_CHARGING_VECTOR "P-Charging-Vector" 0
    87 P_VISITED_NETWORK_ID "P-Visited-Network-ID" 0
    88 USER_TO_USER "User-to-User" 0
    89 IDENTITY "Identity" b'y'
    90 FEATURE_CAPS "Feature-Caps" 0
    91 ANSWER_MODE "Answer-Mode" 0
    92 P_EARLY_MEDIA "P-Early-Media" 0
    93 P_SERVED_USER "P-Served-User" 0
    94 PROXY_AUTHENTICATION_INFO "Proxy-Authentication-Info" 0
    95 SUPPRESS_IF_MATCH "Suppress-If-Match" 0
    96 IDENTITY_INFO "Identity-Info" b'n'
    97 P_ASSERTED_SERVICE "P-Asserted-Service" 0
    98 P_PREFERRED_SERVICE "P-Preferred-Service" 0
}

const fn eq_ignore_case(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if !a[at].eq_ignore_ascii_case(&b[at]) {
            return false;
        }
        at += 1;
    }
    true
}

/// The id of a name in any case, or [`UNKNOWN`].
pub(crate) const fn id_of(name: &[u8]) -> u8 {
    if name.len() == 1 {
        let id = COMPACT[name[0] as usize];
        return if id == 0 { UNKNOWN } else { id - 1 };
    }
    if name.is_empty() || name.len() > LONGEST {
        return UNKNOWN;
    }
    let mut candidate = BUCKETS[name.len()][name[0] as usize & 31];
    while candidate != 0 {
        let id = candidate - 1;
        if eq_ignore_case(TABLE[id as usize].name.as_bytes(), name) {
            return id;
        }
        candidate = NEXT[id as usize];
    }
    UNKNOWN
}

/// The length of the longest known name.
const LONGEST: usize = 31;

/// Customary spellings of up to 15 bytes as two words, filled up with zeros.
static WORDS: [(u64, u64); TABLE.len()] = words();

/// For each length and first byte, an id plus one to try first.
static BUCKETS: [[u8; 32]; LONGEST + 1] = buckets().0;

/// The id plus one to try next.
static NEXT: [u8; TABLE.len()] = buckets().1;

/// Ids plus one of compact forms.
static COMPACT: [u8; 256] = compact();

const fn words() -> [(u64, u64); TABLE.len()] {
    let mut words = [(0, 0); TABLE.len()];
    let mut id = 0;
    while id < TABLE.len() {
        let name = TABLE[id].name.as_bytes();
        let mut at = 0;
        while at < name.len() && name.len() < 16 {
            let byte = (name[at] as u64) << (at % 8 * 8);
            if at < 8 {
                words[id].0 |= byte;
            } else {
                words[id].1 |= byte;
            }
            at += 1;
        }
        id += 1;
    }
    words
}

const fn buckets() -> ([[u8; 32]; LONGEST + 1], [u8; TABLE.len()]) {
    let mut first = [[0; 32]; LONGEST + 1];
    let mut next = [0; TABLE.len()];
    // Backwards, so that of two names the one with the smaller id, the more common one, is tried first.
    let mut id = TABLE.len();
    while id > 0 {
        id -= 1;
        let name = TABLE[id].name.as_bytes();
        let bucket = &mut first[name.len()][name[0] as usize & 31];
        next[id] = *bucket;
        *bucket = id as u8 + 1;
    }
    (first, next)
}

const fn compact() -> [u8; 256] {
    let mut table = [0; 256];
    let mut id = 0;
    while id < TABLE.len() {
        let letter = TABLE[id].compact;
        if letter != 0 {
            table[letter as usize] = id as u8 + 1;
            table[letter.to_ascii_uppercase() as usize] = id as u8 + 1;
        }
        id += 1;
    }
    table
}

/// Length and id of the name that stands at `at`, if it is a known one in its customary spelling, right before a colon.
///
/// A name that is matched exactly needs no check of its characters.
#[inline]
pub(crate) fn read(wire: &[u8], at: usize) -> Option<(usize, u8)> {
    let chunk = wire.get(at..)?.first_chunk::<16>()?;
    let length = scan::colon(chunk)?;
    let (low, high) = chunk.split_at(8);
    let low = u64::from_le_bytes(*low.first_chunk()?);
    let high = u64::from_le_bytes(*high.first_chunk()?);
    // The colon is not the name's; a shift by 64 bits would be undefined.
    let (low, high) = match length {
        0 => return None,
        1 => {
            let id = COMPACT[usize::from(chunk[0])];
            return if id == 0 { None } else { Some((1, id - 1)) };
        }
        2..=7 => (low & ((1 << (length * 8)) - 1), 0),
        8 => (low, 0),
        _ => (low, high & ((1 << ((length - 8) * 8)) - 1)),
    };
    let mut candidate = BUCKETS[length & (LONGEST)][usize::from(chunk[0] & 31)];
    while candidate != 0 {
        let id = usize::from(candidate - 1);
        if WORDS[id] == (low, high) {
            return Some((length, candidate - 1));
        }
        candidate = NEXT[id];
    }
    None
}

/// Whether the grammar of a field that is read value by value allows a line without any.
#[inline]
pub(crate) const fn may_be_empty(id: u8) -> bool {
    const ACCEPT: u8 = HeaderName::ACCEPT.id();
    const ACCEPT_LANGUAGE: u8 = HeaderName::ACCEPT_LANGUAGE.id();
    const P_ASSOCIATED_URI: u8 = HeaderName::P_ASSOCIATED_URI.id();
    const RECV_INFO: u8 = HeaderName::RECV_INFO.id();
    // Accept and its two siblings stand beside each other.
    matches!(id, ACCEPT..=ACCEPT_LANGUAGE | P_ASSOCIATED_URI | RECV_INFO)
}

/// The rank of what comes last: Content-Length.
pub(crate) const LAST_RANK: u8 = 251;

/// Where generated messages carry a field: lower comes first.
///
/// RFC 3261 §7.3.1 asks that fields which proxies read come first; ALGs and old phones depend on this order.
pub(crate) const RANKS: [u8; UNKNOWN as usize + 1] = {
    let mut ranks = [0; UNKNOWN as usize + 1];
    let mut id = 0;
    while id < ranks.len() {
        ranks[id] = rank(id as u8);
        id += 1;
    }
    ranks
};

const fn rank(id: u8) -> u8 {
    match id {
        0..=8 => id,
        19 | 20 => 9,
        43 | 44 | 45 | 49 => 249,
        9 => 250,
        10 => LAST_RANK,
        _ => 100,
    }
}

impl HeaderName {
    /// Any token.
    ///
    /// # Errors
    /// If `name` is not a token.
    pub fn new(name: &str) -> Result<Self, ParseError> {
        if scan::is_token(name.as_bytes()) {
            Ok(Self::from_wire(name.as_bytes()))
        } else {
            Err(ParseError::part(
                ParseErrorKind::Malformed,
                "header name",
                0,
            ))
        }
    }

    /// A name that is known when the program is compiled.
    ///
    /// # Panics
    /// If it is not a token; in a constant that is an error of compilation.
    pub const fn from_static(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty(), "a header name is not empty");
        let mut at = 0;
        while at < bytes.len() {
            assert!(scan::is(bytes[at], scan::TOKEN), "a header name is a token");
            at += 1;
        }
        match id_of(bytes) {
            UNKNOWN => Self(Repr::Static(name)),
            id => Self(Repr::Known(id)),
        }
    }

    /// A name that the message parser has checked.
    pub(crate) fn from_wire(name: &[u8]) -> Self {
        match id_of(name) {
            UNKNOWN => Self(Repr::Owned(Arc::from(scan::ascii(name)))),
            id => Self(Repr::Known(id)),
        }
    }

    pub(crate) const fn from_id(id: u8) -> Self {
        Self(Repr::Known(id))
    }

    pub(crate) const fn id(&self) -> u8 {
        match self.0 {
            Repr::Known(id) => id,
            _ => UNKNOWN,
        }
    }

    /// Every name that has a constant.
    pub fn known() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(|id| Self::from_id(id as u8))
    }

    /// The name in its customary spelling, in long form.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(id) => TABLE[usize::from(*id)].name,
            Repr::Static(name) => name,
            Repr::Owned(name) => name,
        }
    }

    /// What a line of a known field starts with: the line end before it, name, colon, space.
    pub(crate) const fn line_start(&self) -> Option<&'static str> {
        match self.0 {
            Repr::Known(id) => Some(TABLE[id as usize].line_start),
            _ => None,
        }
    }

    /// The compact form (RFC 3261 §7.3.3), if there is one.
    pub fn compact(&self) -> Option<char> {
        match self.0 {
            Repr::Known(id) => Some(TABLE[usize::from(id)].compact)
                .filter(|&c| c != 0)
                .map(char::from),
            _ => None,
        }
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Known(a), Repr::Known(b)) => a == b,
            (Repr::Known(_), _) | (_, Repr::Known(_)) => false,
            _ => self.as_str().eq_ignore_ascii_case(other.as_str()),
        }
    }
}

impl Eq for HeaderName {}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.as_str().bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl PartialEq<str> for HeaderName {
    fn eq(&self, other: &str) -> bool {
        Self::new(other).is_ok_and(|other| *self == other)
    }
}

impl PartialEq<&str> for HeaderName {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for HeaderName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl std::str::FromStr for HeaderName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_names_its_own_row() {
        for (id, known) in TABLE.iter().enumerate() {
            assert_eq!(
                usize::from(id_of(known.name.as_bytes())),
                id,
                "{}",
                known.name
            );
            assert_eq!(HeaderName::from_id(id as u8).as_str(), known.name);
        }
        assert_eq!(
            HeaderName::P_PREFERRED_SERVICE.as_str(),
            "P-Preferred-Service"
        );
        assert_eq!(
            HeaderName::P_PREFERRED_SERVICE.id() as usize,
            TABLE.len() - 1
        );
    }
}
