//! Numbers and URIs in the one form that both ends arrive at.

use sip_message::Uri;

/// One end of a call, as a PASSporT names it (RFC 8225 §5.2.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A telephone number without its plus sign: claim `tn`
    Number(String),
    /// Anything else: claim `uri`
    Uri(String),
}

impl Party {
    /// The canonical form of a URI (RFC 8224 §8.3, §8.5).
    ///
    /// ```
    /// use sip_auth::identity::Party;
    ///
    /// let party = |text: &str| text.parse().map(|uri| Party::of(&uri));
    /// assert_eq!(party("tel:+1-215-555-1212")?, Party::Number("12155551212".into()));
    /// assert_eq!(party("sip:+12155551212@example.com;user=phone")?, Party::Number("12155551212".into()));
    /// assert_eq!(party("sip:Alice:pw@Example.com:5070;lr")?, Party::Uri("sip:alice@example.com".into()));
    /// # Ok::<(), sip_message::ParseError>(())
    /// ```
    pub fn of(uri: &Uri) -> Self {
        if let Some(number) = number_of(uri) {
            return Self::Number(number);
        }
        if !uri.is_sip() {
            return Self::Uri(uri.as_str().to_ascii_lowercase());
        }
        let scheme = if uri.is_sips() { "sips" } else { "sip" };
        let host = uri.host_str().to_ascii_lowercase();
        Self::Uri(match uri.user_raw() {
            Some(user) => format!("{scheme}:{}@{host}", normal(user)),
            None => format!("{scheme}:{host}"),
        })
    }
}

/// A telephone number as a string of digits, `#` and `*` (RFC 8224 §8.3); `None` if other characters than visual
/// separators are in it.
///
/// A number without country code stays without one: only its domain knows better.
pub fn canonical_number(text: &str) -> Option<String> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let mut number = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' | '#' | '*' => number.push(character),
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return None,
        }
    }
    (!number.is_empty()).then_some(number)
}

fn number_of(uri: &Uri) -> Option<String> {
    if uri.scheme_str().eq_ignore_ascii_case("tel") {
        let (_, number) = uri.as_str().split_once(':')?;
        return canonical_number(number.split(';').next()?);
    }
    if !uri.is_sip() {
        return None;
    }
    let user = uri.user()?;
    let user = user.split(';').next()?;
    let is_phone = uri
        .param("user")
        .flatten()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("phone"));
    let digits = user.bytes().filter(u8::is_ascii_digit).count();
    // RFC 8224 §8.1: the parameter says so, or it looks like one; user names of a digit or two are no numbers.
    (is_phone || user.starts_with('+') || digits >= 3)
        .then(|| canonical_number(user))
        .flatten()
}

/// Lower case, and no escapes where none are needed (RFC 3986 §6.2.2).
fn normal(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    let mut rest = user;
    while let Some(character) = rest.chars().next() {
        let escaped = rest
            .strip_prefix('%')
            .and_then(|_| u8::from_str_radix(rest.get(1..3)?, 16).ok());
        match escaped {
            Some(octet) if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) => {
                text.push(char::from(octet.to_ascii_lowercase()));
                rest = &rest[3..];
            }
            Some(octet) => {
                text.push_str(&format!("%{octet:02X}"));
                rest = &rest[3..];
            }
            None => {
                text.push(character.to_ascii_lowercase());
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(text: &str) -> Party {
        Party::of(&text.parse().expect("is a URI"))
    }

    fn uri(text: &str) -> Party {
        Party::Uri(text.into())
    }

    #[test]
    fn numbers_lose_what_only_people_need() {
        assert_eq!(
            canonical_number("+1 (215) 555-1212").as_deref(),
            Some("12155551212")
        );
        assert_eq!(canonical_number("*21#").as_deref(), Some("*21#"));
        for bad in ["", "+", "-", "alice", "12a", "1+2"] {
            assert_eq!(canonical_number(bad), None, "{bad}");
        }
        let number = Party::Number("12155551212".into());
        for text in [
            "sip:12155551212@example.com",
            "sip:+1-215-555-1212;ext=1@a.example",
            "TEL:+1(215)5551212;x=y",
        ] {
            assert_eq!(party(text), number, "{text}");
        }
        assert_eq!(party("sip:12@example.com"), uri("sip:12@example.com"));
        assert_eq!(
            party("sip:12@example.com;user=phone"),
            Party::Number("12".into())
        );
    }

    #[test]
    fn uris_keep_user_and_host_in_lower_case() {
        assert_eq!(
            party("SIPS:%41lice%2f%7Ex@HOST.example:1?a=b"),
            uri("sips:alice%2F~x@host.example")
        );
        assert_eq!(party("sip:host.example;lr"), uri("sip:host.example"));
        assert_eq!(party("urn:service:SOS"), uri("urn:service:sos"));
    }
}
