//! What we write about ourselves: tags, Call-IDs, branches, Via, Contact and Record-Route.

use crate::{
    Draft, Endpoint, OverloadControl, RecordRouteTemplate,
    overload_control::{announced, strip_client},
};
use ahash::RandomState;
use sip_io::{Flow, Protocol, Rng};
use sip_message::{
    HeaderField as _, HeaderName, HeaderValue, Request, Response, Scheme, Tag, Uri,
    headers::{CallId, Contact, MaxForwards, RecordRoute, Route, UserAgent, Via},
};
use sip_transaction::ServerTransactionId;
use sip_transport::{Listener, ListenerId, SentBy, Sharding, Transport};
use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

impl Endpoint {
    /// A new tag, globally unique and not to be guessed (RFC 3261 §19.3).
    pub fn new_tag(&mut self) -> Tag {
        Tag::new(&self.rng.token(16)).expect("letters and digits are a token")
    }

    /// The tag of every response of ours in the server transaction `id`: the same for a 180, a 487, and the 200 to a
    /// CANCEL of it (RFC 3261 §9.2).
    pub fn tag_for(&self, id: ServerTransactionId) -> Tag {
        if let Some(mut bits) = self.transactions.server_chance(id) {
            let tag = [(); 13].map(|()| {
                let place = (bits & 31) as usize;
                bits >>= 5;
                ALPHABET[place]
            });
            let tag = std::str::from_utf8(&tag).unwrap_or_default();
            return Tag::new(tag).expect("letters and digits are a token");
        }
        // Nothing is answered any more in a transaction that has ended.
        self.tag_of(id.as_u64())
    }

    /// The tag of a response that leaves nothing behind: that of the same request is the same each time (RFC 3261 §8.2.7).
    pub(crate) fn stateless_tag(&self, response: &Response) -> Tag {
        let [one, two, three, four] = [0, 1, 2, 3].map(|place| {
            let word = self.tag_seed[8 * place..].first_chunk();
            word.map_or(0, |word| u64::from_be_bytes(*word))
        });
        let headers = response.headers();
        let text = |name| headers.raw(name).map(|value| value.as_bytes().to_vec());
        let via = response.via().ok();
        let request = (
            via.map(|via| {
                (
                    via.branch().map(|branch| branch.to_string()),
                    via.host().to_string(),
                )
            }),
            text(&HeaderName::CALL_ID),
            text(&HeaderName::CSEQ),
            text(&HeaderName::FROM),
        );
        self.tag_of(RandomState::with_seeds(one, two, three, four).hash_one(request))
    }

    fn tag_of(&self, number: u64) -> Tag {
        let mut seed = self.tag_seed;
        for (byte, number) in seed.iter_mut().zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        Tag::new(&Rng::new(seed).token(16)).expect("letters and digits are a token")
    }

    /// A new Call-ID, globally unique and not to be guessed, that says nothing about the host (RFC 3261 §8.1.1.4).
    ///
    /// What carries it meets on this shard.
    pub fn new_call_id(&mut self) -> CallId {
        let mut call_id = self.rng.token(24);
        while let Some(sharding) = &self.sharding
            && !sharding.is_mine(&call_id)
        {
            call_id = self.rng.token(24);
        }
        CallId::new(call_id).expect("letters and digits are a word")
    }

    /// The URI under which we are reached on `flow`: the listener's advertised address, else its own.
    pub fn contact_uri(&self, flow: &Flow, user: Option<&str>) -> Uri {
        contact_uri(&self.transport, flow, user, Scheme::Sip)
    }

    /// The URI of the Contact in `request`, one of ours: `sips` where it asks for that (RFC 3261 §8.1.1.8) and the flow is
    /// secure.
    pub fn contact_uri_in(&self, request: &Request, flow: &Flow, user: Option<&str>) -> Uri {
        contact_uri(&self.transport, flow, user, asking_scheme(request))
    }

    /// The URI of the Contact in a response to `request`: `sips` where that asks for it (RFC 3261 §12.1.1) and the flow
    /// is secure.
    pub fn contact_uri_for(&self, request: &Request, flow: &Flow, user: Option<&str>) -> Uri {
        contact_uri(&self.transport, flow, user, answering_scheme(request))
    }

    /// The Contact of a response to `request`, with [`contact_uri_for`](Self::contact_uri_for), as it is written.
    pub fn contact_for(&self, request: &Request, flow: &Flow, user: Option<&str>) -> HeaderValue {
        let SentBy {
            host,
            port,
            protocol,
        } = self.transport.sent_by(flow);
        let user = user.filter(|user| !user.is_empty());
        if protocol.is_secure() || !user.unwrap_or_default().bytes().all(is_plain) {
            return Contact::new(self.contact_uri_for(request, flow, user)).value();
        }
        // The usual case: nothing to be decided or escaped, so nothing has to be read again.
        let mut text = Vec::with_capacity(64);
        text.extend_from_slice(b"<sip:");
        if let Some(user) = user {
            text.extend_from_slice(user.as_bytes());
            text.push(b'@');
        }
        match host.as_ip() {
            Some(IpAddr::V4(address)) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    if place > 0 {
                        text.push(b'.');
                    }
                    push_number(&mut text, octet.into());
                }
            }
            // A vector takes whatever is written into it.
            _ => write!(text, "{host}").unwrap_or_default(),
        }
        if let Some(port) = port {
            text.push(b':');
            push_number(&mut text, port);
        }
        if let Some(transport) = transport_param(protocol) {
            text.extend_from_slice(b";transport=");
            text.extend_from_slice(transport.as_bytes());
        }
        text.push(b'>');
        HeaderValue::from_vec(text).expect("a Contact of checked parts is a value")
    }

    /// What a Via of ours says on `flow`.
    pub fn sent_by(&self, flow: &Flow) -> SentBy {
        self.transport.sent_by(flow)
    }

    /// Whether host and port of `uri` name one of our listeners, as bound or as advertised.
    pub fn is_local_uri(&self, uri: &Uri) -> bool {
        let named = uri
            .transport()
            .and_then(|token| Protocol::from_token(&token));
        let host = uri.maddr().unwrap_or_else(|| uri.host());
        let is_local = |protocol| self.transport.is_local(&host, uri.port(), protocol);
        match (uri.is_sips(), named) {
            (true, None | Some(Protocol::Tcp)) => is_local(Some(Protocol::Tls)),
            (true, Some(Protocol::Ws)) => is_local(Some(Protocol::Wss)),
            // RFC 7118 §5.2: `ws` stands for both.
            (false, Some(Protocol::Ws)) => is_local(named) || is_local(Some(Protocol::Wss)),
            (_, named) => is_local(named),
        }
    }

    /// The address of ours that `remote` would see; without one, the address of the first listener that has one.
    ///
    /// Media need an address before a request has found its way.
    pub fn local_address(&self, remote: Option<IpAddr>) -> Option<IpAddr> {
        let towards = |remote| self.transport.address_facing(remote);
        let listening = || {
            let bound = self.transport.listeners().filter_map(|(_, _, bound)| bound);
            bound
                .map(|bound| bound.ip())
                .find(|ip| !ip.is_unspecified())
        };
        match remote {
            Some(remote) => towards(remote).or_else(listening),
            // Where the default route leads, as far as the interfaces tell.
            None => listening().or_else(|| towards(DOCUMENTATION)),
        }
    }

    /// Whether bytes can be sent on `flow`: its socket is bound, or its stream opening or open.
    pub fn is_flow_open(&self, flow: &Flow) -> bool {
        self.transport.is_open(flow)
    }

    /// Our listeners, and the address each is bound to once it is.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, &Listener, Option<SocketAddr>)> {
        self.transport.listeners()
    }
}

/// Who completes requests.
#[derive(Debug)]
pub(crate) struct Author {
    rng: Rng,
    product: Option<UserAgent>,
    /// What follows the cookie of each branch
    mark: Option<[char; 2]>,
    /// Whether each Via says that we support overload control
    announces: bool,
    /// Whether the Via of who sent us a request says so no further
    strips: bool,
}

impl Author {
    pub(crate) fn new(rng: Rng, product: Option<&str>, sharding: Option<&Sharding>) -> Self {
        Self {
            rng,
            product: product.and_then(|product| UserAgent::new(product).ok()),
            mark: sharding.map(Sharding::mark),
            announces: false,
            strips: false,
        }
    }

    /// RFC 7339 §4.1: every request says that we heed overload.
    pub(crate) fn announcing(mut self, control: Option<&OverloadControl>) -> Self {
        self.announces = control.is_some_and(OverloadControl::is_client);
        self.strips = control.is_some();
        self
    }

    /// The request for one attempt on `flow`, with a branch that no other has; Contact and Record-Route say how we are
    /// reached on `written_for`.
    pub(crate) fn write(
        &mut self,
        transport: &Transport,
        draft: &Draft,
        flow: &Flow,
        written_for: &Flow,
    ) -> Request {
        let mut request = draft.request.clone();
        if let Some(template) = &draft.contact {
            let scheme = asking_scheme(&draft.request);
            let uri = contact_uri(transport, written_for, template.user.as_deref(), scheme);
            let uri = match template.over_flow {
                true => uri.with_param("ob", None),
                false => uri,
            };
            let mut contact = Contact::new(uri);
            for (name, value) in &template.params {
                contact.set_param(name, value.as_deref());
            }
            request.headers_mut().set(contact);
        }
        if let Some(template) = &draft.record_route {
            record_route(transport, &mut request, written_for, template);
        }
        if !request.headers().contains::<MaxForwards>() {
            request.headers_mut().set(MaxForwards(70));
        }
        // What is forwarded is somebody else's, and says so by its Via.
        if let Some(product) = &self.product
            && !request.headers().contains::<Via>()
            && !request.headers().contains::<UserAgent>()
        {
            request.headers_mut().set(product.clone());
        }
        if flow.is_stream() {
            // RFC 3261 §18.3: what came in a datagram may lack what a stream is framed by.
            request.ensure_content_length();
        }
        let mut branch = String::from("z9hG4bK");
        branch.extend(self.mark.into_iter().flatten());
        branch.push_str(&self.rng.token(16));
        if let Some(suffix) = &draft.branch_suffix {
            branch.push('.');
            branch.push_str(suffix);
        }
        let mut via = transport.via(flow, &branch);
        if draft.asks_to_keep {
            via.set_param("keep", None);
        }
        if self.announces {
            via = announced(via);
        }
        if self.strips {
            strip_client(&mut request);
        }
        request.headers_mut().push_front(via);
        request
    }
}

/// RFC 3261 §8.1.1.8, §16.6 step 4: `sips` where the Request-URI or the topmost Route is.
fn asking_scheme(request: &Request) -> Scheme {
    let route = || request.headers().get::<Route>()?.ok();
    if request.uri().is_sips() || route().is_some_and(|route| route.uri().is_sips()) {
        Scheme::Sips
    } else {
        Scheme::Sip
    }
}

/// RFC 3261 §12.1.1: `sips` where the Request-URI is, or the topmost Record-Route, or without any the Contact.
fn answering_scheme(request: &Request) -> Scheme {
    let headers = request.headers();
    let recorded = headers.get::<RecordRoute>().and_then(Result::ok);
    let by_way = match recorded {
        Some(route) => route.uri().is_sips(),
        None => headers
            .get::<Contact>()
            .is_some_and(|contact| contact.is_ok_and(|contact| contact.uri().is_sips())),
    };
    if request.uri().is_sips() || by_way {
        Scheme::Sips
    } else {
        Scheme::Sip
    }
}

/// How we are reached on a flow; a `sips` URI only where that is true.
fn contact_uri(transport: &Transport, flow: &Flow, user: Option<&str>, scheme: Scheme) -> Uri {
    let SentBy {
        host,
        port,
        protocol,
    } = transport.sent_by(flow);
    if scheme == Scheme::Sips && protocol.is_secure() {
        let uri = Uri::new(Scheme::Sips, user, &host, port);
        return match protocol {
            Protocol::Wss => uri.with_param("transport", "ws"),
            _ => uri,
        };
    }
    let uri = Uri::new(Scheme::Sip, user, &host, port);
    match transport_param(protocol) {
        Some(transport) => uri.with_param("transport", transport),
        None => uri,
    }
}

const fn transport_param(protocol: Protocol) -> Option<&'static str> {
    match protocol {
        Protocol::Udp => None,
        Protocol::Ws | Protocol::Wss => Some("ws"),
        Protocol::Tls => Some("tls"),
        _ => Some("tcp"),
    }
}

/// A number in decimal digits; the formatting machinery costs more than all the rest of a Contact.
fn push_number(text: &mut Vec<u8>, number: u16) {
    let (mut digits, mut start, mut rest) = ([0; 5], 5, number);
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
}

/// What stands in the user part of a URI as it is (RFC 3261 §25.1, unreserved).
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*')
}

/// RFC 3261 §16.6 step 4; two values when the two sides see us differently (RFC 5658 §5).
fn record_route(
    transport: &Transport,
    request: &mut Request,
    outbound: &Flow,
    template: &RecordRouteTemplate,
) {
    let scheme = asking_scheme(request);
    let towards = |flow: &Flow| {
        contact_uri(transport, flow, template.user.as_deref(), scheme).with_param("lr", None)
    };
    let (inner, outer) = (towards(&template.inbound), towards(outbound));
    let differ = inner != outer || template.inbound.local().is_ipv4() != outbound.local().is_ipv4();
    request.headers_mut().push_front(RecordRoute::new(inner));
    if differ {
        request.headers_mut().push_front(RecordRoute::new(outer));
    }
}

/// Five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// An address that is nobody's (RFC 5737): outside every network of ours.
const DOCUMENTATION: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
