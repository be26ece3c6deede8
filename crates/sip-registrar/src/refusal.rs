//! What is said to a REGISTER that changes nothing.

use crate::{Registrar, UpdateError};
use sip_endpoint::{Context, RespondError, ServerTransactionId};
use sip_message::{
    ParseError, Request, Response, ResponseBuilder, StatusCode,
    headers::{MinExpires, Unsupported},
};

/// Why a REGISTER changes nothing.
pub(crate) enum Refusal {
    Malformed(ParseError),
    Status(StatusCode),
    Extensions(Vec<String>),
    Response(Box<Response>),
    Update(UpdateError),
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::Malformed(error)
    }
}

impl Registrar {
    /// Answers a REGISTER that changes nothing.
    pub(crate) fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        server: ServerTransactionId,
        request: &Request,
        refusal: Refusal,
    ) {
        let tag = cx.tag_for(server);
        let (response, is_challenge) = match refusal {
            Refusal::Response(mut response) => {
                if let Ok(to) = response.to()
                    && to.tag().is_none()
                {
                    response.headers_mut().set(to.with_tag(&tag));
                }
                (*response, true)
            }
            other => (self.refusal(request, &other).to_tag(tag).build(), false),
        };
        if response.status() == StatusCode::UNAUTHORIZED {
            self.stats.challenged += 1;
        } else {
            self.stats.refused += 1;
        }
        if is_challenge {
            // RFC 3261 §26.3.2.4: who has not shown a password is not remembered.
            log(cx.respond_statelessly(server, response));
        } else {
            respond(cx, server, response);
        }
    }

    fn refusal(&self, request: &Request, refusal: &Refusal) -> ResponseBuilder {
        match refusal {
            Refusal::Malformed(error) => request.response(error.status()).reason(&error.reason()),
            Refusal::Status(status) => request.response(*status),
            Refusal::Response(response) => request.response(response.status()),
            Refusal::Extensions(options) => {
                let builder = request.response(StatusCode::BAD_EXTENSION);
                match Unsupported::new(options) {
                    Ok(unsupported) => builder.header(unsupported),
                    Err(_) => builder,
                }
            }
            Refusal::Update(error) => {
                let builder = request.response(error.status());
                match error.status() {
                    StatusCode::INTERVAL_TOO_BRIEF => {
                        builder.header(MinExpires::new(self.config.terms.min_expires))
                    }
                    StatusCode::BAD_REQUEST | StatusCode::SERVER_INTERNAL_ERROR => {
                        builder.reason(&error.to_string())
                    }
                    _ => builder,
                }
            }
        }
    }
}

pub(crate) fn respond(cx: &mut Context<'_>, server: ServerTransactionId, response: Response) {
    log(cx.respond(server, response));
}

fn log(responded: Result<(), RespondError>) {
    if let Err(error) = responded {
        tracing::debug!(%error, "a REGISTER could not be answered");
    }
}
