//! What a registrar says about the way out of who is registered (RFC 3608).

use sip_message::{Response, Uri, headers::ServiceRoute};

use crate::{Identity, RegistrationId, UserAgent};

/// How requests of an address-of-record leave while it is registered.
#[derive(Debug)]
pub(crate) struct Way {
    registration: RegistrationId,
    /// The servers after those that the identity names, in the registrar's order
    service_route: Vec<Uri>,
}

impl UserAgent {
    /// Takes what the 2xx to a REGISTER says in the place of what the one before said (RFC 3608 §6.1).
    pub(super) fn learn_way(
        &mut self,
        id: RegistrationId,
        identity: &Identity,
        response: &Response,
    ) {
        let routes = response.headers().all::<ServiceRoute>();
        let service_route = match routes.collect::<Result<Vec<_>, _>>() {
            Ok(routes) => routes.iter().map(|route| route.uri().clone()).collect(),
            Err(error) => {
                tracing::debug!(%error, "a Service-Route that cannot be read");
                Vec::new()
            }
        };
        if service_route.is_empty() {
            self.forget_way(id, identity);
            return;
        }
        let way = Way {
            registration: id,
            service_route,
        };
        self.ways.insert(identity.aor().aor(), way);
    }

    /// The binding is gone, and with it what it brought.
    pub(super) fn forget_way(&mut self, id: RegistrationId, identity: &Identity) {
        if self.ways.is_empty() {
            return;
        }
        let aor = identity.aor().aor();
        // Another registration of the same user may have taken the place.
        if self
            .ways
            .get(&aor)
            .is_some_and(|way| way.registration == id)
        {
            self.ways.remove(&aor);
        }
    }

    /// The servers that the registrar of `identity` wants its requests to pass.
    pub(crate) fn service_route(&self, identity: &Identity) -> &[Uri] {
        if self.ways.is_empty() {
            return &[];
        }
        let way = self.ways.get(&identity.aor().aor());
        way.map_or(&[], |way| &way.service_route)
    }
}
