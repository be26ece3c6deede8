//! Telephone numbers as URIs (ENUM, RFC 6116).

use crate::{Naptr, Record, name};
use regex_lite::{Captures, Regex, RegexBuilder};
use sip_message::Uri;

/// The name under which a number's records are looked for: its digits backwards, one a label (RFC 6116 §2.4).
///
/// `None` when the text is no number that begins with `+`, has up to 15 digits and perhaps visual separators, or when the
/// suffix is no domain name.
///
/// ```
/// let name = sip_resolver::enum_domain("+44-20-7946-0148", "e164.arpa");
/// assert_eq!(name.as_deref(), Some("8.4.1.0.6.4.9.7.0.2.4.4.e164.arpa"));
/// ```
pub fn enum_domain(number: &str, suffix: &str) -> Option<String> {
    let number = e164(number)?;
    let labels = number.bytes().skip(1).rev();
    let mut domain = String::with_capacity(2 * number.len() + suffix.len());
    for digit in labels {
        domain.push(char::from(digit));
        domain.push('.');
    }
    domain.push_str(&name::normalize(suffix)?);
    name::normalize(&domain)
}

/// The number as `+` and digits (RFC 3966 §5.1.1: separators mean nothing).
pub(crate) fn e164(number: &str) -> Option<String> {
    let digits = number.split(';').next()?.strip_prefix('+')?;
    let mut plain = String::from("+");
    for character in digits.chars() {
        match character {
            '0'..='9' => plain.push(character),
            '-' | '.' | '(' | ')' => {}
            _ => return None,
        }
    }
    (2..=16).contains(&plain.len()).then_some(plain)
}

/// The first `sip` or `sips` URI that the records make of a number (RFC 6116 §3.4, RFC 3764).
///
/// Records of other services, rules that do not match and rules that cannot be read are passed over.
pub(crate) fn rewrite<'a>(
    number: &str,
    records: impl IntoIterator<Item = &'a Record>,
) -> Option<(Uri, &'a Record)> {
    let mut rules: Vec<(&Naptr, &Record)> = records
        .into_iter()
        .filter_map(|record| match record {
            Record::Naptr(naptr) if is_sip(naptr) => Some((naptr, record)),
            _ => None,
        })
        .collect();
    rules.sort_by_key(|(naptr, _)| (naptr.order, naptr.preference));
    rules
        .into_iter()
        .take(MOST_RULES)
        .find_map(|(naptr, record)| {
            let uri = Uri::parse(substitute(number, &naptr.regexp)?.as_str()).ok()?;
            uri.is_sip().then_some((uri, record))
        })
}

/// RFC 6116 §3.4.3: `E2U` and then one or more services, each with its own subtypes.
fn is_sip(naptr: &Naptr) -> bool {
    let mut services = naptr.services.split('+');
    naptr.flags.eq_ignore_ascii_case("u")
        && services
            .next()
            .is_some_and(|first| first.eq_ignore_ascii_case("E2U"))
        && services.any(|service| {
            let service = service.split(':').next().unwrap_or_default();
            service.eq_ignore_ascii_case("sip")
        })
}

/// RFC 3402 §3.2: delimiter, expression, delimiter, replacement, delimiter, flags.
///
/// The expression runs on an engine whose time is bounded by the product of both lengths, and both lengths and the
/// compiled size are bounded here. It finds the leftmost match as POSIX does, but not always the longest.
fn substitute(number: &str, rule: &str) -> Option<String> {
    if rule.len() > LONGEST_RULE {
        return None;
    }
    let delimiter = rule.chars().next()?;
    if delimiter.is_ascii_digit() || delimiter == '\\' || delimiter == 'i' {
        return None;
    }
    let (expression, rest) = until(&rule[delimiter.len_utf8()..], delimiter)?;
    let (replacement, flags) = until(rest, delimiter)?;
    if !(flags.is_empty() || flags.eq_ignore_ascii_case("i")) {
        return None;
    }
    let expression = RegexBuilder::new(&expression)
        .case_insensitive(!flags.is_empty())
        .size_limit(LARGEST_PROGRAM)
        .nest_limit(16)
        .build()
        .ok()?;
    expand(&expression, number, &replacement)
}

/// What stands before the next bare delimiter, escaped ones made plain, and what stands behind it.
fn until(text: &str, delimiter: char) -> Option<(String, &str)> {
    let mut taken = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == delimiter {
            return Some((taken, &text[at + delimiter.len_utf8()..]));
        }
        taken.push(character);
        if character == '\\' {
            let (_, escaped) = characters.next()?;
            if escaped == delimiter {
                taken.pop();
            }
            taken.push(escaped);
        }
    }
    None
}

/// Only `\1` to `\9` mean something in a replacement; the engine's own `$1` does not.
fn expand(expression: &Regex, number: &str, replacement: &str) -> Option<String> {
    let captures: Captures<'_> = expression.captures(number)?;
    let mut uri = String::new();
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next()? {
                digit @ '1'..='9' => {
                    let group = digit.to_digit(10)? as usize;
                    uri.push_str(captures.get(group).map_or("", |group| group.as_str()));
                }
                '0' => return None,
                escaped => uri.push(escaped),
            },
            plain => uri.push(plain),
        }
        if uri.len() > LONGEST_URI {
            return None;
        }
    }
    Some(uri)
}

/// As long as a character-string of the DNS can be (RFC 1035 §3.3).
const LONGEST_RULE: usize = 255;

const LONGEST_URI: usize = 1_024;

const MOST_RULES: usize = 16;

/// Bytes of compiled program.
const LARGEST_PROGRAM: usize = 64 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(order: u16, services: &str, regexp: &str) -> Record {
        Record::Naptr(Naptr {
            order,
            preference: 10,
            flags: "u".to_owned(),
            services: services.to_owned(),
            regexp: regexp.to_owned(),
            replacement: ".".to_owned(),
        })
    }

    fn uri(records: &[Record]) -> Option<String> {
        rewrite("+442079460148", records).map(|(uri, _)| uri.to_string())
    }

    /// RFC 6116 §2.4.
    #[test]
    fn a_number_becomes_a_domain_backwards() {
        let own = enum_domain("+1(555)123.4", "Tel.Example.");
        assert_eq!(own.as_deref(), Some("4.3.2.1.5.5.5.1.tel.example"));
        for number in ["", "+", "5551234", "+12a4", "+1234567890123456", "tel:+1"] {
            assert_eq!(enum_domain(number, "e164.arpa"), None, "{number}");
        }
        assert_eq!(enum_domain("+1555", "no domain"), None);
        assert_eq!(
            enum_domain("+1555;phone-context=x", "a").as_deref(),
            Some("5.5.5.1.a")
        );
    }

    /// The records of RFC 6116 §3.6 and RFC 3764 §6.
    #[test]
    fn the_first_rule_for_sip_makes_the_uri() {
        let records = [
            rule(100, "E2U+email:mailto", "!^.*$!mailto:info@example.com!"),
            rule(102, "E2U+sip", "!^.*$!sip:late@example.com!"),
            rule(
                101,
                "E2U+email:mailto+sip",
                "!^\\+44(.*)$!sip:\\1@gw.example.com;user=phone!",
            ),
        ];
        let first = "sip:2079460148@gw.example.com;user=phone";
        assert_eq!(uri(&records).as_deref(), Some(first));
    }

    #[test]
    fn odd_rules_are_passed_over() {
        for odd in [
            "",
            "!",
            "!^.*$!",
            "!^.*$!sip:a@b",
            "!^.*$!sip:a@b!x",
            "!(!sip:a@b!",
            "!^44!sip:a@b!",
            "!^.*$!tel:+1!",
            "!^.*$!sip:\\0@b!",
            "!^.*$!no uri!",
            "1^.*$1sip:a@b1",
            &format!("!^.*$!sip:{}@b!", "a".repeat(255)),
        ] {
            assert_eq!(uri(&[rule(1, "E2U+sip", odd)]), None, "{odd}");
        }
        for services in ["sip+E2U", "E2U+h323", "E2U", "SIP+D2U"] {
            let record = rule(1, services, "!^.*$!sip:a@b!");
            assert_eq!(uri(&[record]), None, "{services}");
        }
        let escaped = rule(1, "e2u+SIP", "!^.*$!sip:a\\!$1@b!i");
        assert_eq!(uri(&[escaped]).as_deref(), Some("sip:a!$1@b"));
    }

    #[test]
    fn hostile_rules_end_at_once() {
        let nested = format!("!{}a{}!sip:a@b!", "(".repeat(100), ")".repeat(100));
        for hostile in [
            "!^(([0-9]+)+)+$x!sip:a@b!",
            "!^(.*)*(.*)*(.*)*(.*)*(.*)*y$!sip:a@b!",
            "!((((.{1000}){1000}){1000}){1000})!sip:a@b!",
            "!^.*$!\\1\\1\\1\\1\\1\\1\\1!",
            nested.as_str(),
        ] {
            assert_eq!(uri(&[rule(1, "E2U+sip", hostile)]), None, "{hostile}");
        }
        let thousands = vec![rule(1, "E2U+sip", "!^((x*)*)*$!sip:a@b!"); 5_000];
        assert_eq!(uri(&thousands), None);
    }
}
