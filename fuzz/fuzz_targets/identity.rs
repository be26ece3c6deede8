//! Nobody is believed by noise, and a passport that was read is written so that it is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_auth::{
    Border, Reading, asserted,
    identity::{IdentityCheck, Party, Passport, Verifier, canonical_number},
    towards_untrusted,
};
use sip_message::{HeaderName, HeaderValue, Method, Request, Tag, Uri, headers::Date};

const NOW: u64 = 1_471_375_418;

fuzz_target!(|data: &[u8]| {
    let mut verifier = Verifier::new();
    let _ = verifier.trust(data);
    if let Ok(text) = std::str::from_utf8(data) {
        if let Some(passport) = Passport::read(text) {
            assert_eq!(Passport::read(&passport.signing_input()), Some(passport));
        }
        if let Some(number) = canonical_number(text) {
            assert_eq!(canonical_number(&number), Some(number));
        }
    }
    if let Ok(uri) = Uri::parse(data) {
        if let Party::Uri(text) = Party::of(&uri)
            && let Ok(again) = Uri::parse(&text)
            && uri.is_sip()
        {
            assert_eq!(Party::of(&again), Party::Uri(text));
        }
    }
    let Ok(value) = HeaderValue::new(data) else {
        return;
    };
    let mut request = Request::builder(Method::INVITE, "sip:alice@example.com")
        .from("tel:12155551212", Tag::new("a").expect("is a tag"))
        .to("sip:alice@example.com")
        .call_id("c")
        .cseq(1)
        .header(Date::from_unix_seconds(NOW))
        .raw_header(HeaderName::IDENTITY, value.clone())
        .raw_header(HeaderName::P_ASSERTED_IDENTITY, value.clone())
        .raw_header(HeaderName::PRIVACY, value)
        .build()
        .expect("is complete");
    match verifier.verify(NOW, &request) {
        IdentityCheck::Question(question) => assert!(verifier.decide(question, Some(data)).is_err()),
        IdentityCheck::Settled(result) => assert!(result.is_err()),
    }
    for address in asserted(request.headers()) {
        for reading in [Reading::Verbatim, Reading::User, Reading::UserAtDomain] {
            let _ = reading.of(&address);
        }
    }
    towards_untrusted(request.headers_mut(), Border::Always);
    assert!(asserted(request.headers()).is_empty());
});
