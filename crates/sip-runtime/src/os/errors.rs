//! The error queue, which says where the datagram was to go that ICMP speaks of.

use crate::runtime::Batch;
use nix::{
    errno::Errno,
    sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg},
};
use sip_io::FailReason;
use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, AsRawFd},
};

pub(super) fn take<S: AsFd>(socket: &S, batch: &mut Batch) -> bool {
    let before = batch.failures.len();
    let mut control = vec![0; 512];
    for _ in 0..Batch::SIZE {
        let mut payload = [0; 1];
        let mut payload = [IoSliceMut::new(&mut payload)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_fd().as_raw_fd(),
            &mut payload,
            Some(&mut control),
            MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
        );
        let message = match message {
            Ok(message) => message,
            Err(Errno::EINTR) => continue,
            Err(_) => break,
        };
        let (mut local, mut error) = (None, None);
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::Ipv4RecvErr(said, _)
                | ControlMessageOwned::Ipv6RecvErr(said, _) => {
                    error = Some((said.ee_origin, said.ee_errno));
                }
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    local = Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()));
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    local = Some(IpAddr::from(info.ipi6_addr.s6_addr));
                }
                _ => {}
            }
        }
        let Some(remote) = message.address.and_then(|address| to_std(&address)) else {
            continue;
        };
        // What this host itself found wrong, the call that sent has said already.
        if let Some((origin, errno)) = error
            && origin != LOCAL
        {
            batch.fail(local, remote, reason(errno as i32));
        }
    }
    batch.failures.len() > before
}

fn reason(errno: i32) -> FailReason {
    match Errno::from_raw(errno) {
        Errno::EMSGSIZE => FailReason::TooLong,
        Errno::ECONNREFUSED
        | Errno::EHOSTUNREACH
        | Errno::ENETUNREACH
        | Errno::EHOSTDOWN
        | Errno::ENONET
        | Errno::ENOPROTOOPT
        | Errno::EACCES => FailReason::Unreachable,
        _ => FailReason::Socket(io::Error::from_raw_os_error(errno).kind()),
    }
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    let v6 = address
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::from((v6.ip(), v6.port())));
    v4.or(v6)
}

/// `SO_EE_ORIGIN_LOCAL` of the Linux error queue.
const LOCAL: u8 = 1;
