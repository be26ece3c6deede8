//! User names that a quoted string cannot have (RFC 5987, RFC 7616 §3.4).

/// Reads `UTF-8''J%C3%A4s%C3%B8n%20Doe`.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '\'');
    let (charset, _language, name) = (parts.next()?, parts.next()?, parts.next()?);
    if !charset.eq_ignore_ascii_case("UTF-8") {
        return None;
    }
    let mut octets = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        octets.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            byte if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) => byte,
            _ => return None,
        });
    }
    String::from_utf8(octets)
        .ok()
        .filter(|name| !name.chars().any(char::is_control))
}

pub(crate) fn encode(name: &str) -> String {
    let mut text = String::with_capacity(7 + 3 * name.len());
    text.push_str("UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    text
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16)?.try_into().ok()
}

/// `attr-char` of RFC 5987 §3.2.1, without letters and digits.
const PLAIN: &[u8] = b"!#$&+-.^_`|~";

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 §3.9.2.
    #[test]
    fn names_in_any_script_come_back() {
        assert_eq!(
            decode("UTF-8''J%C3%A4s%C3%B8n%20Doe").as_deref(),
            Some("Jäsøn Doe")
        );
        for name in ["Jäsøn Doe", "", "a'b%\"", "日本"] {
            assert_eq!(decode(&encode(name)).as_deref(), Some(name));
        }
        assert_eq!(decode("utf-8'de'x").as_deref(), Some("x"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "x",
            "UTF-8'x",
            "ISO-8859-1''x",
            "UTF-8''%",
            "UTF-8''%c",
            "UTF-8''%zz",
            "UTF-8''%ff",
            "UTF-8''%00",
            "UTF-8''a b",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
