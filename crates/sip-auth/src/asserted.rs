//! Who a network says the caller is (RFC 3325), and what stays private (RFC 3323).

use sip_message::{
    Headers, NameAddr, Request, Uri,
    headers::{PAssertedIdentity, PPreferredIdentity, Privacy},
};

/// How an identity is handed on to those who know nothing of URIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Reading {
    /// The value as written
    Verbatim,
    /// The user alone, or the number of a tel URI
    #[default]
    User,
    /// User and domain, or the number of a tel URI
    UserAtDomain,
}

impl Reading {
    /// Reads an address.
    ///
    /// ```
    /// use sip_auth::Reading;
    ///
    /// let address = sip_message::NameAddr::parse(r#""Cullen" <sip:+14085264000@cisco.com;user=phone>"#)?;
    /// assert_eq!(Reading::User.of(&address), "+14085264000");
    /// assert_eq!(Reading::UserAtDomain.of(&address), "+14085264000@cisco.com");
    /// assert_eq!(Reading::Verbatim.of(&address), r#""Cullen" <sip:+14085264000@cisco.com;user=phone>"#);
    /// # Ok::<(), sip_message::ParseError>(())
    /// ```
    pub fn of(self, address: &NameAddr) -> String {
        let uri = address.uri();
        let user = || match uri.user() {
            Some(user) if uri.is_sip() => user.into_owned(),
            // tel:+1-408-526-4000;phone-context=x
            _ => {
                let text = uri.as_str();
                let number = text.split_once(':').map_or(text, |(_, number)| number);
                number.split(';').next().unwrap_or_default().to_owned()
            }
        };
        match self {
            Self::Verbatim => address.to_string(),
            Self::UserAtDomain if uri.is_sip() && uri.user().is_some() => {
                format!("{}@{}", user(), uri.host_str())
            }
            Self::User | Self::UserAtDomain => user(),
        }
    }
}

/// The identities that a request or response asserts, in order; those that cannot be read are left out.
///
/// They mean something only if they come from a peer that is trusted: see [`from_untrusted`].
pub fn asserted(headers: &Headers) -> Vec<NameAddr> {
    headers
        .all::<PAssertedIdentity>()
        .take(MOST_IDENTITIES)
        .filter_map(|field| Some(field.ok()?.address().clone()))
        .collect()
}

/// Which of a user's identities a request wants to be asserted (RFC 3325 §6): the first preferred one among `own`, or
/// else the first of `own`.
pub fn preferred<'a>(headers: &Headers, own: &'a [NameAddr]) -> Option<&'a NameAddr> {
    headers
        .all::<PPreferredIdentity>()
        .take(MOST_IDENTITIES)
        .filter_map(Result::ok)
        .find_map(|wanted| {
            own.iter()
                .find(|own| own.uri().equivalent(wanted.address().uri()))
        })
        .or_else(|| own.first())
}

/// Takes what a peer outside the trust domain asserts out of its message (RFC 3325 §5). Its wishes stay, for
/// [`preferred`].
pub fn from_untrusted(headers: &mut Headers) {
    headers.remove::<PAssertedIdentity>();
}

/// Asserts a user's identity towards the trust domain, in place of all that the request said.
pub fn assert_identity(request: &mut Request, identities: &[NameAddr]) {
    let headers = request.headers_mut();
    headers.remove::<PPreferredIdentity>();
    headers.remove::<PAssertedIdentity>();
    for identity in identities {
        headers.push(PAssertedIdentity::new(identity.clone()));
    }
}

/// Whether the user wants the identity to stay in the trust domain (RFC 3325 §9.3, RFC 3323 §4.2).
pub fn wants_privacy(headers: &Headers) -> bool {
    match headers.get::<Privacy>() {
        None => false,
        Some(Ok(privacy)) => privacy.contains("id") && !privacy.contains("none"),
        // Who says something about privacy that cannot be read hardly wants none.
        Some(Err(_)) => true,
    }
}

/// What becomes of an identity at the border of the trust domain if the user says nothing of privacy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Border {
    /// It passes, unless the user wants privacy (RFC 3325 §7)
    #[default]
    OnWish,
    /// It stays in any case
    Always,
}

/// Takes out what must not leave the trust domain: wishes of our users in any case, assertions by their wish or the
/// policy of the border.
pub fn towards_untrusted(headers: &mut Headers, border: Border) {
    headers.remove::<PPreferredIdentity>();
    if border == Border::Always || wants_privacy(headers) {
        headers.remove::<PAssertedIdentity>();
    }
    // RFC 3325 §7: whoever serves `id` takes it off the list of what is still to be done.
    let Some(Ok(privacy)) = headers.get::<Privacy>() else {
        return;
    };
    if !privacy.contains("id") {
        return;
    }
    let rest: Vec<&str> = privacy
        .iter()
        .filter(|value| !value.eq_ignore_ascii_case("id"))
        .collect();
    match Privacy::new(rest.iter().copied()) {
        Ok(rest)
            if !rest
                .iter()
                .all(|value| value.eq_ignore_ascii_case("critical")) =>
        {
            headers.set(rest);
        }
        _ => {
            headers.remove::<Privacy>();
        }
    }
}

/// The From of those who stay private (RFC 3323 §4.1.1.3).
pub fn anonymous() -> NameAddr {
    let uri: Uri = "sip:anonymous@anonymous.invalid".parse().expect("is a URI");
    NameAddr::new(&uri).with_display_name("Anonymous")
}

/// How many values are looked at.
const MOST_IDENTITIES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::{HeaderName, HeaderValue, Method, Tag};

    fn invite(fields: &[(HeaderName, &str)]) -> Request {
        let mut request = Request::builder(Method::INVITE, "sip:bob@example.com")
            .from(
                anonymous().to_string(),
                Tag::new("88sja8x").expect("is a tag"),
            )
            .to("sip:bob@example.com")
            .call_id("987asjd97y7atg")
            .cseq(1)
            .build()
            .expect("is complete");
        for (name, value) in fields {
            let value = HeaderValue::new(value).expect("is a value");
            request.headers_mut().push_raw(name.clone(), value);
        }
        request
    }

    fn read(reading: Reading, request: &Request) -> Vec<String> {
        asserted(request.headers())
            .iter()
            .map(|address| reading.of(address))
            .collect()
    }

    /// RFC 3325 §9.1: both forms, several values, a SIP and a tel URI.
    #[test]
    fn every_form_of_an_identity_is_read() {
        let both = r#""Cullen, J." <sip:fluffy@cisco.com:5070>, <tel:+14085264000;ext=7>"#;
        let request = invite(&[
            (HeaderName::P_ASSERTED_IDENTITY, both),
            (HeaderName::P_ASSERTED_IDENTITY, "tel:+14085264001"),
            (HeaderName::P_ASSERTED_IDENTITY, "sip:gateway.example.com"),
        ]);
        let host = "gateway.example.com";
        assert_eq!(
            read(Reading::User, &request),
            ["fluffy", "+14085264000", "+14085264001", host]
        );
        assert_eq!(
            read(Reading::UserAtDomain, &request),
            ["fluffy@cisco.com", "+14085264000", "+14085264001", host]
        );
        let verbatim = read(Reading::Verbatim, &request);
        assert_eq!(verbatim[0], r#""Cullen, J." <sip:fluffy@cisco.com:5070>"#);
        assert_eq!(verbatim[1], "<tel:+14085264000;ext=7>");
    }

    #[test]
    fn only_identities_of_ones_own_are_preferred() {
        let own = ["<sip:alice@example.com>", "<tel:+4930123>"]
            .map(|text| NameAddr::parse(text).expect("is an address"));
        let wish = |text| invite(&[(HeaderName::P_PREFERRED_IDENTITY, text)]);
        for (text, expected) in [
            ("tel:+49-30-123", 1),
            ("sip:alice@EXAMPLE.com", 0),
            ("sip:boss@example.com", 0),
        ] {
            assert_eq!(
                preferred(wish(text).headers(), &own),
                Some(&own[expected]),
                "{text}"
            );
        }
        assert_eq!(preferred(wish("tel:+4930123").headers(), &[]), None);
        let mut request = wish("sip:boss@example.com");
        assert_identity(&mut request, &own);
        assert_eq!(asserted(request.headers()), own);
        assert!(!request.headers().contains::<PPreferredIdentity>());
    }

    #[test]
    fn what_strangers_assert_is_not_believed() {
        let mut request = invite(&[(HeaderName::P_ASSERTED_IDENTITY, "sip:boss@example.com")]);
        from_untrusted(request.headers_mut());
        assert!(asserted(request.headers()).is_empty());
    }

    /// RFC 3325 §7 and §9.3.
    #[test]
    fn identities_leave_the_trust_domain_only_where_nobody_objects() {
        let cases = [
            (None, Border::OnWish, true, None),
            (None, Border::Always, false, None),
            (Some("none"), Border::OnWish, true, Some("none")),
            (Some("id"), Border::OnWish, false, None),
            (Some("ID;critical"), Border::OnWish, false, None),
            (
                Some("user;id;critical"),
                Border::OnWish,
                false,
                Some("user;critical"),
            ),
            (Some("user"), Border::OnWish, true, Some("user")),
            (Some("@;"), Border::OnWish, false, Some("@;")),
        ];
        for (privacy, border, stays, rest) in cases {
            let mut request = invite(&[
                (HeaderName::P_ASSERTED_IDENTITY, "sip:alice@example.com"),
                (HeaderName::P_PREFERRED_IDENTITY, "sip:alice@example.com"),
            ]);
            if let Some(privacy) = privacy {
                let value = HeaderValue::new(privacy).expect("is a value");
                request.headers_mut().push_raw(HeaderName::PRIVACY, value);
            }
            towards_untrusted(request.headers_mut(), border);
            let headers = request.headers();
            assert_eq!(
                headers.contains::<PAssertedIdentity>(),
                stays,
                "{privacy:?}"
            );
            assert!(!headers.contains::<PPreferredIdentity>());
            let left = headers
                .raw(&HeaderName::PRIVACY)
                .map(|value| value.text().into_owned());
            assert_eq!(left.as_deref(), rest);
        }
    }
}
