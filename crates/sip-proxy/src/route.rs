//! Route processing: what a request says about its way, and what its copies get to say (RFC 3261 §16.4, §16.6).

use crate::token::{DialogFlows, Direction, TokenKey};
use sip_endpoint::{Domains, Endpoint};
use sip_io::{Flow, Protocol};
use sip_message::{
    ParseError, Request, Scheme, Uri,
    headers::{Route, Via},
};

/// What Route processing found.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// A Route of ours was there
    pub(crate) was_ours: bool,
    /// It carried the token of the dialog that the request belongs to
    pub(crate) dialog: Option<Dialog>,
}

/// A dialog that we recorded our route in.
#[derive(Debug)]
pub(crate) struct Dialog {
    pub(crate) token: String,
    pub(crate) flows: DialogFlows,
    pub(crate) direction: Direction,
}

/// Takes out of a request what it says about us: a Request-URI that a strict router upstream has put our Record-Route
/// into, `maddr`, and our own Routes (RFC 3261 §16.4).
pub(crate) fn preprocess(
    endpoint: &Endpoint,
    domains: &Domains,
    key: &TokenKey,
    flow: &Flow,
    request: &mut Request,
) -> Result<Way, ParseError> {
    let mut way = Way::default();
    let ids = DialogIds::of(request)?;
    if endpoint.is_local_uri(request.uri())
        && request.headers().contains::<Route>()
        && (request.uri().lr() || ids.dialog(key, request.uri()).is_some())
    {
        way.was_ours = true;
        way.dialog = ids.dialog(key, request.uri());
        let mut routes = request
            .headers()
            .all::<Route>()
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(last) = routes.pop() {
            request.set_uri(last.uri().clone());
        }
        request.headers_mut().remove::<Route>();
        for route in routes {
            request.headers_mut().push(route);
        }
    }
    if let Some(uri) = without_our_maddr(endpoint, domains, flow, request.uri()) {
        request.set_uri(uri);
    }
    // Two in a row are one double Record-Route (RFC 5658 §5); the last one is that of the side the request goes to.
    while let Some(route) = request.headers().get::<Route>().transpose()? {
        if !domains.contains(endpoint, route.uri()) {
            break;
        }
        way.was_ours = true;
        way.dialog = ids.dialog(key, route.uri());
        request.headers_mut().pop_front::<Route>();
    }
    Ok(way)
}

/// What makes a token worth something.
struct DialogIds {
    call_id: String,
    from_tag: String,
    to_tag: String,
}

impl DialogIds {
    fn of(request: &Request) -> Result<Self, ParseError> {
        let tag = |tag: Option<sip_message::Tag>| {
            tag.map_or_else(String::new, |tag| tag.as_str().to_owned())
        };
        Ok(Self {
            call_id: request.call_id()?.as_str().to_owned(),
            from_tag: tag(request.from()?.tag()),
            to_tag: tag(request.to()?.tag()),
        })
    }

    fn dialog(&self, key: &TokenKey, uri: &Uri) -> Option<Dialog> {
        if self.to_tag.is_empty() {
            return None;
        }
        let token = uri.user_raw()?;
        let (flows, direction) = key.open(token, &self.call_id, &self.from_tag, &self.to_tag)?;
        Some(Dialog {
            token: token.to_owned(),
            flows,
            direction,
        })
    }
}

/// RFC 3261 §16.4: `maddr` that is ours goes, and with it port and transport, if that is how the request came.
fn without_our_maddr(
    endpoint: &Endpoint,
    domains: &Domains,
    flow: &Flow,
    uri: &Uri,
) -> Option<Uri> {
    let maddr = uri.maddr()?;
    let protocol = match uri.transport() {
        Some(transport) => Protocol::from_token(&transport)?,
        None => Protocol::Udp,
    };
    let port = uri.port().unwrap_or_else(|| protocol.default_port());
    if protocol != flow.protocol() || port != flow.local().port() {
        return None;
    }
    let named = Uri::new(uri.scheme(), None, &maddr, Some(port));
    if !domains.contains(endpoint, &named) {
        return None;
    }
    let mut uri = uri.with_port(None);
    uri.remove_param("maddr");
    uri.remove_param("transport");
    Some(uri)
}

/// The second part of a branch for a request as it came in (RFC 5393 §4.2.1): what decides where it goes, and what
/// tells one transaction from another.
pub(crate) fn fingerprint(key: &TokenKey, request: &Request) -> Result<String, ParseError> {
    let (call_id, cseq, from) = (request.call_id()?, request.cseq()?, request.from()?);
    let number = cseq.number().to_be_bytes();
    let tag = from.tag();
    let routes = request
        .headers()
        .all::<Route>()
        .collect::<Result<Vec<_>, _>>()?;
    let mut parts = vec![
        request.uri().as_bytes(),
        call_id.as_str().as_bytes(),
        number.as_slice(),
        tag.as_ref().map_or("", |tag| tag.as_str()).as_bytes(),
    ];
    parts.extend(routes.iter().map(|route| route.uri().as_bytes()));
    Ok(key.fingerprint(parts))
}

/// Whether a request with this fingerprint has been here before (RFC 5393 §4.2.2).
///
/// The fingerprint is keyed, so only a Via of ours ends with it.
pub(crate) fn has_looped(request: &Request, fingerprint: &str) -> bool {
    // RFC 5393 §4.2.4: other elements' Via values may look like anything.
    request.headers().all::<Via>().flatten().any(|via| {
        via.branch()
            .and_then(|branch| branch.strip_suffix(fingerprint))
            .is_some_and(|rest| rest.ends_with('.'))
    })
}

/// A `sips` URI with the scheme `sip` and all else as it is (RFC 5630 §5.3); `None` for any other.
pub(crate) fn in_plain(uri: &Uri) -> Option<Uri> {
    uri.is_sips().then(|| uri.with_scheme(Scheme::Sip))
}

/// The Request-URI of a copy: without what may not stand in one (RFC 3261 §16.6 step 2, §19.1.1).
pub(crate) fn request_uri(uri: &Uri) -> Uri {
    let mut uri = uri.without_headers();
    uri.remove_param("method");
    uri
}

/// Turns to the manner of RFC 2543 for a next hop that is a strict router (RFC 3261 §16.6 step 6). Returns where the
/// copy is to be sent then.
pub(crate) fn postprocess(request: &mut Request) -> Result<Option<Uri>, ParseError> {
    let Some(first) = request.headers().get::<Route>().transpose()? else {
        return Ok(None);
    };
    if first.uri().lr() {
        return Ok(None);
    }
    let target = request.uri().clone();
    request.headers_mut().pop_front::<Route>();
    request.headers_mut().push(Route::new(target));
    let next = request_uri(first.uri());
    request.set_uri(next.clone());
    Ok(Some(next))
}
