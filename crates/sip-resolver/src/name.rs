//! Domain names as text: lower case, no dot at the end.

/// The name in the form that all tables of this crate use, or `None` when it is no domain name (RFC 1035 §2.3.4).
///
/// Labels are letters, digits, hyphens and underscores; names in other scripts come in their ASCII form.
pub(crate) fn normalize(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.split('.').all(fits).then(|| name.to_ascii_lowercase())
}

/// Whether `name` is `domain` or lies below it; both normalized.
pub(crate) fn is_within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The name without its leading service labels: `example.com` for `_sip._udp.example.com`.
pub(crate) fn without_service(name: &str) -> &str {
    let mut rest = name;
    while rest.starts_with('_') {
        let Some((_, above)) = rest.split_once('.') else {
            break;
        };
        rest = above;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_case_and_the_last_dot() {
        assert_eq!(normalize("Example.COM.").as_deref(), Some("example.com"));
        assert_eq!(normalize("_sip._udp.x").as_deref(), Some("_sip._udp.x"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        for name in [
            "",
            ".",
            "a..b",
            "a b",
            "a\0b",
            "é.example",
            &long_label,
            &long_name,
        ] {
            assert_eq!(normalize(name), None, "{name:?}");
        }
        assert!(normalize(&"a".repeat(63)).is_some());
    }

    #[test]
    fn a_domain_ends_at_a_dot() {
        assert!(is_within("a.example", "example"));
        assert!(is_within("example", "example"));
        assert!(!is_within("counterexample", "example"));
        assert_eq!(without_service("_sips._tcp.a.b"), "a.b");
        assert_eq!(without_service("_odd"), "_odd");
    }
}
