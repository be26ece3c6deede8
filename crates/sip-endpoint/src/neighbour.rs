//! Who is at the other end of a flow.

use sip_io::{Flow, Protocol};
use sip_message::{
    Request, Uri,
    headers::{Contact, Via},
};

/// Whether the peer at the other end made the request itself, rather than forwarding it.
pub fn is_first_hop(request: &Request) -> bool {
    request.headers().all::<Via>().take(2).count() == 1
}

/// The flow on which the maker of a request is to be reached later, because its Contact does not lead there: the stream
/// that it opened to us, or the datagrams that come through a network address translator.
///
/// The flow is recognised by who uses it, never by an address that somebody wrote: only a request that came from its
/// maker directly has one.
pub fn neighbour_flow(request: &Request, flow: &Flow) -> Option<Flow> {
    let contact = request.headers().get::<Contact>()?.ok()?;
    neighbour_flow_of(request, flow, contact.uri())
}

/// As [`neighbour_flow`], for one of several Contacts.
pub fn neighbour_flow_of(request: &Request, flow: &Flow, contact: &Uri) -> Option<Flow> {
    let is_secure = flow.protocol().is_secure();
    let reachable = contact.is_sip() && (is_secure || !contact.is_sips());
    if !is_first_hop(request) || !reachable {
        return None;
    }
    let transport = contact.transport();
    let named = transport.as_deref().and_then(Protocol::from_token);
    if flow.is_stream() {
        // Who names another transport wants to be reached there.
        let same = |named: Protocol| {
            plain(named) == plain(flow.protocol()) && (is_secure || !named.is_secure())
        };
        return named.is_none_or(same).then_some(*flow);
    }
    let via = request.via().ok()?;
    let host = contact.host();
    let (port, remote) = (contact.port().unwrap_or(5060), flow.remote());
    // Somebody who writes the same into Contact and Via, and is not there.
    let same = host == via.host() && port == via.port().unwrap_or(5060) && via.rport().is_some();
    let elsewhere = host
        .as_ip()
        .is_some_and(|ip| ip != remote.ip().to_canonical() || port != remote.port());
    (named.is_none_or(|named| named == flow.protocol()) && same && elsewhere).then_some(*flow)
}

/// `sips:` and `transport=tcp` mean TLS, `transport=ws` is written for WSS as well (RFC 7118 §5.2); others write
/// `transport=tls` and `transport=wss`.
fn plain(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Tls => Protocol::Tcp,
        Protocol::Wss => Protocol::Ws,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_io::StreamId;

    fn request(vias: &[&str], contact: &str) -> Request {
        let mut text = String::from("INVITE sip:bob@example.com SIP/2.0\r\n");
        for via in vias {
            text.push_str(&format!("Via: SIP/2.0/{via};branch=z9hG4bK1\r\n"));
        }
        text.push_str(&format!(
            "From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: {contact}\r\n\r\n"
        ));
        Request::parse(text.into()).unwrap()
    }

    fn udp() -> Flow {
        Flow::udp(
            "192.0.2.1:5060".parse().unwrap(),
            "198.51.100.7:40000".parse().unwrap(),
        )
    }

    fn tcp() -> Flow {
        Flow::stream(
            Protocol::Tcp,
            StreamId::accepted(1),
            udp().local(),
            udp().remote(),
        )
    }

    #[test]
    fn a_stream_belongs_to_who_opened_it_unless_the_contact_names_another_transport() {
        let of = |vias: &[&str], contact: &str| neighbour_flow(&request(vias, contact), &tcp());
        let via = ["TCP 10.0.0.4"];
        assert_eq!(of(&via, "<sip:a@10.0.0.4;transport=tcp>"), Some(tcp()));
        assert_eq!(of(&via, "<sip:a@10.0.0.4>"), Some(tcp()));
        assert_eq!(of(&via, "<sip:a@10.0.0.4;transport=udp>"), None);
        assert_eq!(
            of(
                &["TCP proxy.example.net", "TCP 10.0.0.4"],
                "<sip:a@10.0.0.4;transport=tcp>"
            ),
            None
        );
    }

    /// RFC 7118 §5.2, §8.1; RFC 5630 §3.1.
    #[test]
    fn a_secure_stream_is_named_in_several_ways() {
        let of = |protocol: Protocol, contact: &str| {
            let flow = Flow::stream(
                protocol,
                StreamId::accepted(1),
                udp().local(),
                udp().remote(),
            );
            let via = format!("{protocol} df7jal23ls0d.invalid");
            neighbour_flow(&request(&[&via], contact), &flow).is_some()
        };
        let (ws, wss, tls) = (Protocol::Ws, Protocol::Wss, Protocol::Tls);
        for (protocol, uri) in [
            (ws, "sip:a@df7jal23ls0d.invalid;transport=ws"),
            (wss, "sip:a@df7jal23ls0d.invalid;transport=ws"),
            (wss, "sip:a@df7jal23ls0d.invalid;transport=wss"),
            (wss, "sips:a@df7jal23ls0d.invalid;transport=ws"),
            (tls, "sip:a@10.0.0.4;transport=tls"),
            (tls, "sips:a@10.0.0.4;transport=tcp"),
        ] {
            assert!(of(protocol, &format!("<{uri}>")), "{protocol} {uri}");
        }
        for (protocol, uri) in [
            (ws, "sips:a@df7jal23ls0d.invalid;transport=ws"),
            (ws, "sip:a@df7jal23ls0d.invalid;transport=wss"),
            (ws, "sip:a@10.0.0.4;transport=tcp"),
            (tls, "sip:a@10.0.0.4;transport=ws"),
        ] {
            assert!(!of(protocol, &format!("<{uri}>")), "{protocol} {uri}");
        }
    }

    #[test]
    fn datagrams_lead_back_only_through_an_address_translator() {
        let of = |via: &str, contact: &str| neighbour_flow(&request(&[via], contact), &udp());
        let behind = "UDP 10.0.0.4;rport=40000;received=198.51.100.7";
        assert_eq!(of(behind, "<sip:a@10.0.0.4>"), Some(udp()));
        assert_eq!(of(behind, "<sip:a@10.0.0.5>"), None, "somebody else");
        assert_eq!(of(behind, "<sip:a@phone.example.net>"), None);
        assert_eq!(of("UDP 10.0.0.4", "<sip:a@10.0.0.4>"), None, "did not ask");
        let direct = "UDP 198.51.100.7:40000;rport=40000;received=198.51.100.7";
        assert_eq!(
            of(direct, "<sip:a@198.51.100.7:40000>"),
            None,
            "the Contact leads there"
        );
    }
}
