//! A URI keeps its text, equals itself, and its edits can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_message::{Host, NameAddr, Scheme, Uri};

fuzz_target!(|data: &[u8]| {
    if let Ok(uri) = Uri::parse(data) {
        assert_eq!(uri.as_bytes(), data);
        assert!(uri.equivalent(&uri));
        assert!(uri.without_headers().equivalent(&uri) || uri.has_headers());
        let _ = (uri.aor(), uri.host(), uri.user(), uri.password(), uri.maddr(), uri.to_tel());
        let _ = (uri.params().count(), uri.headers().count());
        let edited = uri.with_param("x", "a;b").with_port(Some(5060)).with_user(Some("a@b;c"));
        assert!(edited.scheme() == Scheme::Other || edited.param("x").flatten().as_deref() == Some("a;b"));
        let mut removed = edited.clone();
        removed.remove_param("x");
        assert!(!removed.has_param("x"));
        if let Some(sip) = uri.to_sip(&Host::parse("h").expect("is a host")) {
            assert!(sip.is_sip());
        }
        let address = NameAddr::new(&uri);
        assert_eq!(address.uri().as_bytes(), data);
    }
    if let Ok(address) = NameAddr::parse(data) {
        let again: NameAddr = address.with_display_name("a\"b").with_param("x", "y z");
        assert_eq!(again.uri().as_bytes(), address.uri().as_bytes());
        assert_eq!(again.param("x").flatten().as_deref(), Some("y z"));
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(uri) = Uri::sip(text, "h")
    {
        assert_eq!(uri.user().as_deref(), Some(text));
        assert_eq!(uri.host_str(), "h");
    }
});
