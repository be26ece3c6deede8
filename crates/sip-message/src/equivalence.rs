//! Comparing URIs (RFC 3261 §19.1.4).

use std::borrow::Cow;

use crate::{Scheme, Uri, scan};

pub(crate) fn equivalent(left: &Uri, right: &Uri) -> bool {
    if left.scheme() != right.scheme() {
        return false;
    }
    match left.scheme() {
        Scheme::Sip | Scheme::Sips => sip(left, right),
        Scheme::Tel => tel(left, right),
        Scheme::Other => {
            let rest = |uri: &Uri| {
                uri.as_str()
                    .get(uri.scheme_str().len()..)
                    .unwrap_or("")
                    .to_owned()
            };
            left.scheme_str().eq_ignore_ascii_case(right.scheme_str()) && rest(left) == rest(right)
        }
    }
}

fn sip(left: &Uri, right: &Uri) -> bool {
    let user = |uri: &Uri| uri.user_raw().map(|user| normalize(user).into_owned());
    let password = |uri: &Uri| {
        uri.password()
            .map(|password| normalize(password).into_owned())
    };
    user(left) == user(right)
        && password(left) == password(right)
        && left.host() == right.host()
        && left.port() == right.port()
        && params_match(left, right, |name| {
            matches!(name, "user" | "ttl" | "method" | "maddr" | "transport")
        })
        && headers(left) == headers(right)
}

/// RFC 3966 §4: visual separators do not count; every parameter does.
fn tel(left: &Uri, right: &Uri) -> bool {
    let number = |uri: &Uri| {
        let raw = uri.user_raw().unwrap_or("");
        raw.chars()
            .filter(|c| !"-.()".contains(*c))
            .map(|c| c.to_ascii_lowercase())
            .collect::<String>()
    };
    number(left) == number(right) && params_match(left, right, |_| true)
}

/// Parameters that both have must match; of those that only one has, the ones that `counts` names make a difference.
fn params_match(left: &Uri, right: &Uri, counts: impl Fn(&str) -> bool) -> bool {
    let (left, right) = (params(left), params(right));
    let mut left = left.iter().peekable();
    let mut right = right.iter().peekable();
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return true,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(l), Some(r)) => l.0.cmp(&r.0),
        };
        let alone = match order {
            std::cmp::Ordering::Less => left.next(),
            std::cmp::Ordering::Greater => right.next(),
            std::cmp::Ordering::Equal => {
                if left.next() != right.next() {
                    return false;
                }
                None
            }
        };
        if alone.is_some_and(|(name, _)| counts(name)) {
            return false;
        }
    }
}

/// Names and values without regard to case, sorted.
fn params(uri: &Uri) -> Vec<(String, Option<String>)> {
    let mut params: Vec<_> = uri
        .params()
        .map(|(name, value)| (fold(name), value.map(fold)))
        .collect();
    params.sort();
    params
}

fn headers(uri: &Uri) -> Vec<(String, String)> {
    let mut headers: Vec<_> = uri
        .headers()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_ascii_lowercase()))
        .collect();
    headers.sort();
    headers
}

fn fold(text: &str) -> String {
    normalize(text).to_ascii_lowercase()
}

/// Escapes of characters that need none are resolved; those of reserved characters stay, because they mean something else.
pub(crate) fn normalize(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = if byte == b'%' {
            scan::hex_pair(bytes, at + 1)
        } else {
            None
        };
        match escape {
            Some(value) if value.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&value) => {
                out.push(char::from(value));
                at += 3;
            }
            Some(value) => {
                out.push_str(&format!("%{value:02X}"));
                at += 3;
            }
            None => {
                out.push(char::from(byte));
                at += 1;
            }
        }
    }
    Cow::Owned(out)
}
