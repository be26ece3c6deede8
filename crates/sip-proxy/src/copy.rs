//! The copy of a request that a target gets (RFC 3261 §16.6).

use crate::{
    Target,
    context::ResponseContext,
    route,
    token::{DialogFlows, TokenKey},
};
use sip_endpoint::{Context, Draft, RecordRouteTemplate};
use sip_message::{
    Method, Request, Response, StatusCode, Uri,
    headers::{MaxBreadth, MaxForwards, Route, Warning},
};

/// What a target of another scheme comes to for a `sips` request (RFC 5630 §5.3).
pub(crate) fn not_by_sips(cx: &Context<'_>, context: &ResponseContext) -> Response {
    let request = &context.request;
    let refusal = request
        .response(StatusCode::TEMPORARILY_UNAVAILABLE)
        .to_tag(cx.tag_for(context.server));
    let agent = request.uri().host().to_string();
    let warning = Warning::new(SIPS_NOT_ALLOWED, &agent, "SIPS Not Allowed");
    let refusal = warning
        .into_iter()
        .fold(refusal, |refusal, warning| refusal.header(warning));
    refusal.build()
}

/// One copy of a request (RFC 3261 §16.6); `None` for a target that has no way.
pub(crate) fn draft(
    key: &TokenKey,
    context: &ResponseContext,
    target: Target,
    breadth: u32,
    can_locate: bool,
) -> Option<Draft> {
    let mut request = context.request.clone();
    let asked_plainly = !request.uri().is_sips();
    request.set_uri(route::request_uri(&target.uri));
    // RFC 5630 §5.3: a `sip` request stays one, and goes over TLS to who has a `sips` Contact.
    let secured = asked_plainly
        .then(|| route::in_plain(request.uri()))
        .flatten()
        .map(|plain| {
            let secured = request.uri().clone();
            request.set_uri(plain);
            secured
        });
    let headers = request.headers_mut();
    headers.set(MaxForwards(context.hops));
    headers.set(MaxBreadth(breadth));
    for uri in target.path.iter().rev() {
        headers.push_front(Route::new(uri));
    }
    for (name, value) in &context.manner.headers {
        headers.push_raw(name.clone(), value.clone());
    }
    if !can_locate && !request.headers().contains::<Route>() {
        return None;
    }
    let record_route =
        (context.record_route && makes_dialog(&request)).then(|| RecordRouteTemplate {
            inbound: context.flow,
            user: Some(token(key, context, &request, &target)),
        });
    let next = route::postprocess(&mut request).ok()?;
    let routed = request.headers().contains::<Route>();
    let next = next.or_else(|| secured.filter(|_| !routed));
    let mut draft = Draft::new(request).branch_suffix(&*context.fingerprint);
    if let Some(record_route) = record_route {
        draft = draft.record_route(record_route);
    }
    if let Some(uri) = next {
        draft = draft.to_uri(uri);
    }
    Some(match target.flow {
        Some(flow) if target.only_flow => draft.only_flow(flow),
        Some(flow) => draft.to_flow(flow),
        None => draft,
    })
}

/// RFC 5630 §5.3: what was asked for by `sips` is not handed on by another scheme.
pub(crate) fn keeps_secure(request: &Request, target: &Uri) -> bool {
    target.is_sips() || !request.uri().is_sips()
}

/// The user part of our Record-Route: how both ends are reached. Inside a dialog it stays what it was.
fn token(key: &TokenKey, context: &ResponseContext, request: &Request, target: &Target) -> String {
    if let Some(token) = &context.token {
        return token.clone();
    }
    let flows = DialogFlows {
        caller: sip_endpoint::neighbour_flow(request, &context.flow),
        callee: target.flow.filter(|_| target.path.is_empty()),
    };
    let call_id = request
        .call_id()
        .map(|call_id| call_id.as_str().to_owned())
        .unwrap_or_default();
    let tag = request.from().ok().and_then(|from| from.tag());
    key.seal(
        &flows,
        &call_id,
        tag.as_ref().map_or("", |tag| tag.as_str()),
    )
}

/// Whether a request may make or refresh a dialog, so that Record-Route means something (RFC 3261 §16.6 step 4).
fn makes_dialog(request: &Request) -> bool {
    ![
        Method::REGISTER,
        Method::MESSAGE,
        Method::OPTIONS,
        Method::PUBLISH,
        Method::INFO,
        Method::PRACK,
        Method::BYE,
        Method::CANCEL,
        Method::ACK,
    ]
    .contains(request.method())
}

/// The code of the Warning that tells why a target of a `sips` request got nothing (RFC 5630 §6.3).
const SIPS_NOT_ALLOWED: u16 = 380;
