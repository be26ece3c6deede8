//! Credentials in requests of ours: sent ahead, and in answer to a challenge (RFC 3261 §22).

use sip_auth::{AuthError, Client};
use sip_message::{
    Request, Response, StatusCode,
    headers::{Authorization, ProxyAuthorization},
};

/// Whether a response asks who we are.
pub(crate) fn is_challenge(response: &Response) -> bool {
    matches!(
        response.status(),
        StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED
    )
}

/// Gives a request the credentials that an earlier challenge will want again; says whether there were any.
pub(crate) fn send_ahead(auth: &mut Client, request: &mut Request) -> bool {
    auth.prepare(request);
    request.headers().contains::<Authorization>()
        || request.headers().contains::<ProxyAuthorization>()
}

/// Makes the credentials of a request anew, because its Request-URI has changed; says whether there are any.
pub(crate) fn renew(auth: &mut Client, request: &mut Request) -> bool {
    strip(request);
    send_ahead(auth, request)
}

/// Gives a request what `response` asks for; says whether it is worth sending again.
///
/// What was sent `ahead` may have been refused for its old nonce by a server that does not say `stale`: the same
/// credentials with the new nonce have their one try as well.
pub(crate) fn answer(
    auth: &mut Client,
    request: &mut Request,
    response: &Response,
    ahead: bool,
) -> bool {
    match auth.respond(request, response) {
        Ok(()) => true,
        Err(AuthError::Rejected { .. }) if ahead => {
            strip(request);
            auth.forget();
            auth.respond(request, response).is_ok()
        }
        Err(error) => {
            tracing::debug!(%error, "a challenge is not answered");
            false
        }
    }
}

fn strip(request: &mut Request) {
    request.headers_mut().remove::<Authorization>();
    request.headers_mut().remove::<ProxyAuthorization>();
}
