//! Datagrams on their way out. quinn-udp would write the congestion bits, and with them the whole field that carries a
//! socket's DSCP, into each of them: here they leave by plain calls.

#[cfg(target_os = "linux")]
use crate::runtime::Datagram;
use nix::{
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg, sendto},
};
use quinn_udp::UdpSocketState;
#[cfg(target_os = "linux")]
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd},
};

pub(super) fn datagram<S: AsFd>(
    _state: &UdpSocketState,
    socket: &S,
    source: Option<IpAddr>,
    remote: SocketAddr,
    contents: &[u8],
) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    let remote = SockaddrStorage::from(remote);
    let flags = MsgFlags::MSG_DONTWAIT;
    let payload = [IoSlice::new(contents)];
    let via = |control| sendmsg(socket, &payload, &[control], flags, Some(&remote));
    match source {
        None => sendto(socket, contents, &remote, flags),
        Some(IpAddr::V4(source)) => via(ControlMessage::Ipv4PacketInfo(&in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr {
                s_addr: u32::from_ne_bytes(source.octets()),
            },
            ipi_addr: in_addr { s_addr: 0 },
        })),
        Some(IpAddr::V6(source)) => via(ControlMessage::Ipv6PacketInfo(&in6_pktinfo {
            ipi6_ifindex: 0,
            ipi6_addr: in6_addr {
                s6_addr: source.octets(),
            },
        })),
    }?;
    Ok(())
}

/// Many datagrams by one call, from the address that the socket is bound to.
#[cfg(target_os = "linux")]
pub(super) fn datagrams<S: AsFd>(
    socket: &S,
    batch: &[Datagram],
    reachable: impl Fn(&Datagram) -> SocketAddr,
) -> io::Result<usize> {
    let mut remotes: Vec<SocketAddrAny> = Vec::with_capacity(batch.len());
    let mut payloads = Vec::with_capacity(batch.len());
    let mut controls = Vec::with_capacity(batch.len());
    for datagram in batch {
        remotes.push(reachable(datagram).into());
        payloads.push([IoSlice::new(&datagram.contents)]);
        controls.push(SendAncillaryBuffer::default());
    }
    let parts = remotes.iter().zip(&payloads).zip(&mut controls);
    let mut messages: Vec<MMsgHdr<'_>> = parts
        .map(|((remote, payload), control)| MMsgHdr::new_with_addr(remote, payload, control))
        .collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::DONTWAIT)?)
}
