//! One session of the table: its sockets, its timer, its stream.

use crate::{SessionId, stream::Stream};
use sip_io::{BindToken, TimerId};
use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) address: IpAddr,
    /// The even port
    pub(crate) port: u16,
    pub(crate) attempts_left: usize,
    pub(crate) rtp: Socket,
    pub(crate) rtcp: Socket,
    pub(crate) timer: Option<(TimerId, Instant)>,
    pub(crate) stream: Stream,
}

/// A socket that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Socket {
    pub(crate) token: BindToken,
    pub(crate) state: Binding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Asked,
    Bound(SocketAddr),
    Failed,
}

impl Session {
    /// Where it receives RTP and RTCP, once both are bound.
    pub(crate) const fn bound(&self) -> Option<(SocketAddr, SocketAddr)> {
        match (self.rtp.state, self.rtcp.state) {
            (Binding::Bound(rtp), Binding::Bound(rtcp)) => Some((rtp, rtcp)),
            _ => None,
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        [self.rtp, self.rtcp]
            .iter()
            .any(|socket| socket.state == Binding::Asked)
    }
}
