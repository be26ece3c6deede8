//! What the top Via says: where a request really came from, and where its response goes.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use sip_io::{Flow, Protocol};
use sip_message::{Headers, Host, headers::Via};

/// Writes into the top Via where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4).
///
/// What the peer itself wrote there is replaced, because the next hop would believe it.
///
/// Who asks whether it may keep its flow alive is told so, and how often (RFC 6223 §4.4).
pub(crate) fn stamp(headers: &mut Headers, flow: &Flow, keep: Option<Duration>) {
    let source = flow.remote();
    // Most datagrams come from where they say, so the owned value is made only to be changed.
    let Some(Ok(view)) = headers.view::<Via>() else {
        return;
    };
    let asks_for_port = view.rport().is_some();
    let differs = view.host_ip() != Some(source.ip());
    let asks_to_keep = keep.is_some() && view.has_param("keep");
    if !(asks_for_port || differs || asks_to_keep || view.has_param("received")) {
        return;
    }
    let Ok(mut via) = headers.require::<Via>() else {
        return;
    };
    if let Some(keep) = keep
        && via.param("keep") == Some(None)
    {
        via.set_param("keep", keep.as_secs().to_string().as_str());
    }
    if asks_for_port || differs || via.has_param("received") {
        via.set_received(source.ip());
    }
    if asks_for_port {
        via.set_rport(source.port());
    }
    headers.replace_front(via);
}

/// Where the response to a request goes that came on `source`, as long as the flow lives (RFC 3261 §18.2.2,
/// RFC 3581 §4).
///
/// A stream's response goes back on it. A datagram's leaves from the address that the request came to, and goes to the
/// source if `rport` was asked for, else to the source address and the port of `sent-by`. A unicast `maddr` is
/// honoured; a multicast one is not, because an answer to many is what a flood is made of.
///
/// ```
/// # use sip_io::Flow;
/// # use sip_message::headers::Via;
/// let source = Flow::udp("192.0.2.1:5060".parse()?, "198.51.100.7:40000".parse()?);
/// let via: Via = "SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK1".parse()?;
/// assert_eq!(sip_transport::return_flow(&source, &via).remote(), "198.51.100.7:5070".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn return_flow<T: AsRef<[u8]>>(source: &Flow, top_via: &Via<T>) -> Flow {
    if source.is_stream() {
        return *source;
    }
    let port = || {
        top_via
            .port()
            .unwrap_or_else(|| Protocol::Udp.default_port())
    };
    let remote = match top_via.maddr().as_ref().and_then(Host::as_ip) {
        Some(maddr) if is_unicast(maddr) && maddr.is_ipv4() == source.local().is_ipv4() => {
            SocketAddr::new(maddr, port())
        }
        _ if top_via.rport().is_some() => source.remote(),
        _ => SocketAddr::new(source.remote().ip(), port()),
    };
    Flow::udp(source.local(), remote)
}

/// Where a response goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseRoute {
    /// Over this flow, now
    Flow(Flow),
    /// Over a connection to this address, which [`flow_to`](crate::Transport::flow_to) finds or opens
    Connect(crate::Target),
    /// To wherever this name leads (RFC 3263 §5)
    Resolve {
        /// The name, or the address if a port is to be found
        host: Host,
        /// The port, if one was given
        port: Option<u16>,
        /// What is to be spoken
        protocol: Protocol,
    },
    /// Nowhere: the connection is gone, and nobody can open another
    Gone,
}

/// Where the response to a request goes whose connection is gone (RFC 3261 §18.2.2).
pub(crate) fn reconnect(source: &Flow, top_via: &Via) -> ResponseRoute {
    let protocol = source.protocol();
    if !is_reachable(protocol, top_via) {
        return ResponseRoute::Gone;
    }
    let port = top_via.port().unwrap_or_else(|| protocol.default_port());
    ResponseRoute::Connect(crate::Target {
        protocol,
        address: SocketAddr::new(source.remote().ip(), port),
        name: top_via.host().as_name().map(str::to_owned),
    })
}

/// Where it goes when that has failed too: what `sent-by` names (RFC 3263 §5).
pub(crate) fn resolve(source: &Flow, top_via: &Via) -> ResponseRoute {
    let protocol = source.protocol();
    let host = match top_via.maddr() {
        Some(maddr) if maddr.as_ip().is_none_or(is_unicast) => maddr,
        _ => top_via.host(),
    };
    if !is_reachable(protocol, top_via) || host.is_ip() {
        return ResponseRoute::Gone;
    }
    ResponseRoute::Resolve {
        host,
        port: top_via.port(),
        protocol,
    }
}

/// Browsers do not listen, and write a name that says so (RFC 7118 §5.2): nothing can be opened to them.
fn is_reachable(protocol: Protocol, top_via: &Via) -> bool {
    let host = top_via.host_str().trim_end_matches('.');
    let top_level = host.rsplit('.').next().unwrap_or(host);
    !matches!(protocol, Protocol::Ws | Protocol::Wss) && !top_level.eq_ignore_ascii_case("invalid")
}

fn is_unicast(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_multicast() || address.is_unspecified() || broadcast)
}
