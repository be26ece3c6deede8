//! Where the messages of a transaction go, in few bytes.

use std::net::{SocketAddr, SocketAddrV4};

use sip_io::{Flow, Protocol};

/// A flow as a transaction keeps it while it lingers: for datagrams over IPv4, which most are, in 16 bytes instead of 88.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Datagrams over IPv4
    Datagrams {
        local: SocketAddrV4,
        remote: SocketAddrV4,
    },
    /// Everything else
    Other(Box<Flow>),
}

impl Way {
    #[inline]
    pub(crate) fn flow(&self) -> Flow {
        match self {
            Self::Datagrams { local, remote } => Flow::udp((*local).into(), (*remote).into()),
            Self::Other(flow) => **flow,
        }
    }

    pub(crate) const fn is_stream(&self) -> bool {
        match self {
            Self::Datagrams { .. } => false,
            Self::Other(flow) => flow.is_stream(),
        }
    }
}

impl From<Flow> for Way {
    fn from(flow: Flow) -> Self {
        match (flow.local(), flow.remote()) {
            (SocketAddr::V4(local), SocketAddr::V4(remote))
                if flow.protocol() == Protocol::Udp && !flow.is_stream() =>
            {
                Self::Datagrams { local, remote }
            }
            _ => Self::Other(Box::new(flow)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_io::StreamId;

    #[test]
    fn every_flow_comes_back_as_it_was() {
        let [four, other, six] = ["192.0.2.1:5060", "192.0.2.2:40000", "[2001:db8::1]:5060"]
            .map(|address| address.parse().unwrap());
        for flow in [
            Flow::udp(four, other),
            Flow::udp(six, six),
            Flow::stream(Protocol::Tls, StreamId::accepted(7), four, other),
        ] {
            let way = Way::from(flow);
            assert_eq!(way.flow(), flow);
            assert_eq!(format!("{:?}", way.flow()), format!("{flow:?}"));
            assert_eq!(way.is_stream(), flow.is_stream());
        }
        assert_eq!(size_of::<Way>(), 16);
    }
}
