//! What we serve and support, written once.

use sip_message::{
    HeaderField as _, HeaderName, HeaderValue, Headers, Method, Request, ResponseBuilder, Token,
    headers::{Allow, Supported},
};

use crate::UaConfig;

/// Allow and Supported, which most messages of ours carry (RFC 3261 §13.2.1, §13.3.1.4, §11.2).
pub(crate) struct Capabilities {
    allow: HeaderValue,
    supported: HeaderValue,
}

impl Capabilities {
    pub(crate) fn new(config: &UaConfig) -> Self {
        let allow: Allow = ALWAYS.iter().chain(&config.methods).collect();
        let tags = config.extensions.iter().map(String::as_str);
        let supported =
            Supported::new(tags.filter(|tag| Token::new(tag).is_ok())).expect("tokens were kept");
        Self {
            allow: allow.value(),
            supported: supported.value(),
        }
    }

    /// The methods that are served.
    pub(crate) fn allow(&self, response: ResponseBuilder) -> ResponseBuilder {
        response.raw_header(HeaderName::ALLOW, self.allow.clone())
    }

    /// Says in a response what is served and supported.
    pub(crate) fn describe(&self, headers: &mut Headers) {
        headers.push_raw(HeaderName::ALLOW, self.allow.clone());
        headers.push_raw(HeaderName::SUPPORTED, self.supported.clone());
    }

    /// Says in an INVITE of ours what its sender serves and supports.
    pub(crate) fn declare(&self, request: &mut Request) {
        let headers = request.headers_mut();
        headers.set_raw(HeaderName::ALLOW, self.allow.clone());
        if !self.supported.is_empty() {
            headers.set_raw(HeaderName::SUPPORTED, self.supported.clone());
        }
    }
}

/// Whether the core serves it by itself.
pub(crate) const fn is_always(method: &Method) -> bool {
    matches!(
        *method,
        Method::INVITE | Method::ACK | Method::CANCEL | Method::BYE | Method::OPTIONS
    )
}

/// What the core serves by itself.
pub(crate) const ALWAYS: &[Method] = &[
    Method::INVITE,
    Method::ACK,
    Method::CANCEL,
    Method::BYE,
    Method::OPTIONS,
];
