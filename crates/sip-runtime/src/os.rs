//! What the adapters have in common: sockets of the operating system.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod errors;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod send;
mod unwatched;

use crate::runtime::{Batch, Datagram};
use bytes::Bytes;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    array,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
};
use unwatched::Known;

/// Fills `bytes` with the system's entropy.
pub(crate) fn entropy(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system has entropy");
}

/// How datagrams are received and sent on one socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    state: UdpSocketState,
    local: SocketAddr,
    known: Known,
}

/// Whether a socket has more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// Fewer came than fit, so nothing was left at that moment
    All,
    Some,
}

impl Datagrams {
    /// A bound socket, ready for any executor.
    pub(crate) fn bind(local: SocketAddr) -> io::Result<(std::net::UdpSocket, Self)> {
        Self::bound(local, false)
    }

    /// A socket at an address that others bind as well.
    pub(crate) fn bind_shared(local: SocketAddr) -> io::Result<(std::net::UdpSocket, Self)> {
        Self::bound(local, true)
    }

    fn bound(local: SocketAddr, shared: bool) -> io::Result<(std::net::UdpSocket, Self)> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(!local.ip().is_unspecified())?;
        }
        if shared {
            share(&socket)?;
        }
        socket.bind(&local.into())?;
        // As much as the system allows: a burst of requests waits while the machine works.
        if let Err(error) = socket.set_recv_buffer_size(RECEIVE_BUFFER) {
            tracing::debug!(%error, "the receive buffer keeps its size");
        }
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        may_fragment(&socket, local)?;
        state.enable_transport_errors(UdpSockRef::from(&socket))?;
        let socket = std::net::UdpSocket::from(socket);
        let local = socket.local_addr()?;
        let datagrams = Self {
            state,
            local,
            known: Known::default(),
        };
        Ok((socket, datagrams))
    }

    /// Receives one batch, or what ICMP has said.
    ///
    /// Places for a whole batch are made only while so many come: to make them costs more than to receive one datagram.
    pub(crate) fn recv<S>(&self, socket: &S, batch: &mut Batch) -> io::Result<Received>
    where
        S: Sock,
    {
        let received = if batch.flooded {
            self.recv_up_to::<{ Batch::SIZE }, S>(socket, batch)
        } else {
            self.recv_up_to::<FEW, S>(socket, batch)
        };
        batch.flooded = matches!(received, Ok(Received::Some));
        received
    }

    fn recv_up_to<const N: usize, S>(&self, socket: &S, batch: &mut Batch) -> io::Result<Received>
    where
        S: Sock,
    {
        if batch.space.is_empty() {
            // Untouched pages cost nothing, so there is room for the largest datagrams at once.
            batch.space = vec![0; Batch::SIZE * DATAGRAM];
        }
        let mut meta = [RecvMeta::default(); N];
        let mut chunks = batch.space.chunks_exact_mut(DATAGRAM);
        let mut buffers: [IoSliceMut<'_>; N] =
            array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = loop {
            match self
                .state
                .recv(UdpSockRef::from(socket), &mut buffers, &mut meta)
            {
                Ok(received) => break received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) => {
                    // An ICMP message about some peer, which the error queue tells more about.
                    return if self.take_errors(socket, batch) {
                        Ok(Received::Some)
                    } else {
                        Err(error)
                    };
                }
            }
        };
        for (meta, buffer) in meta.iter().zip(buffers.iter()).take(received) {
            let contents = buffer.get(..meta.len).unwrap_or_default();
            // The kernel may join datagrams of one size from one peer.
            for contents in contents.chunks(meta.stride.max(1)) {
                batch.datagrams.push(Datagram {
                    local: meta.dst_ip,
                    remote: meta.addr,
                    contents: Bytes::copy_from_slice(contents),
                });
            }
        }
        // Elsewhere quinn-udp receives one by one, whatever there is.
        let batches = cfg!(any(
            target_os = "linux",
            target_os = "android",
            target_os = "freebsd"
        ));
        Ok(if batches && received < N {
            Received::All
        } else {
            Received::Some
        })
    }

    /// Sends one datagram.
    pub(crate) fn send<S>(
        &self,
        socket: &S,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()>
    where
        S: Sock,
    {
        let remote = self.reachable(remote);
        let mut attempts = 0;
        loop {
            match send::datagram(&self.state, socket, source, remote, contents) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What ICMP said about another datagram is reported once, to whoever comes next.
                Err(error) if attempts < 2 && is_about_a_peer(&error) => {
                    self.known.complain();
                    attempts += 1;
                }
                result => return result,
            }
        }
    }

    /// Sends a beginning of `batch` and says how many datagrams that is; an error is the first one's.
    pub(crate) fn send_batch<S>(&self, socket: &S, batch: &[Datagram]) -> io::Result<usize>
    where
        S: Sock,
    {
        #[cfg(target_os = "linux")]
        {
            let chosen = batch.iter().position(|datagram| datagram.local.is_some());
            let together = &batch[..chosen.unwrap_or(batch.len())];
            let reachable = |datagram: &Datagram| self.reachable(datagram.remote);
            // An error is met again where the first one is sent alone, and dealt with there.
            if together.len() > 1 {
                let sent = send::datagrams(socket, together, reachable);
                if !matches!(sent, Ok(sent) if sent == together.len()) {
                    // Also where a part has left: the system tells the error that ended it to nobody.
                    self.known.complain();
                }
                if let Ok(sent @ 1..) = sent {
                    return Ok(sent);
                }
            }
        }
        for (sent, datagram) in batch.iter().enumerate() {
            let Datagram {
                local,
                remote,
                contents,
            } = datagram;
            match self.send(socket, *local, *remote, contents) {
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
                Ok(()) => {}
            }
        }
        Ok(batch.len())
    }

    /// Takes what ICMP has said about datagrams sent before; whether it was anything.
    pub(crate) fn take_errors<S>(&self, socket: &S, batch: &mut Batch) -> bool
    where
        S: Sock,
    {
        errors::take(socket, batch)
    }

    /// IPv4 peers of an IPv6 socket have mapped addresses.
    fn reachable(&self, remote: SocketAddr) -> SocketAddr {
        match (self.local, remote) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            _ => remote,
        }
    }
}

fn is_about_a_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::PermissionDenied
    ) || quinn_udp::is_msg_size_err(error)
}

/// Marks what a socket sends (RFC 2474). An IPv6 socket that also talks IPv4 is marked for both.
pub(crate) fn set_dscp<S: Sock>(socket: &S, local: SocketAddr, dscp: u8) -> io::Result<()> {
    let socket = socket2::SockRef::from(socket);
    // The two low bits are those of congestion notification (RFC 3168).
    let field = u32::from(dscp & 0x3f) << 2;
    if local.is_ipv4() {
        return socket.set_tos_v4(field);
    }
    #[cfg(unix)]
    socket.set_tclass_v6(field)?;
    if local.ip().is_unspecified() || local.ip().to_canonical().is_ipv4() {
        socket.set_tos_v4(field)?;
    }
    Ok(())
}

/// A listening socket, ready for any executor.
pub(crate) fn listen(local: SocketAddr) -> io::Result<std::net::TcpListener> {
    listening(local, false)
}

/// A listening socket at an address where others listen as well.
pub(crate) fn listen_shared(local: SocketAddr) -> io::Result<std::net::TcpListener> {
    listening(local, true)
}

fn listening(local: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(local),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if local.is_ipv6() {
        socket.set_only_v6(!local.ip().is_unspecified())?;
    }
    // A server that starts again shall not wait for the connections of its former life.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if shared {
        share(&socket)?;
    }
    socket.bind(&local.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Lets other sockets of this user have the same address; the system then chooses among them by the peer's address.
#[cfg(unix)]
fn share(socket: &Socket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::ReusePort};
    Ok(setsockopt(socket, ReusePort, &true)?)
}

#[cfg(not(unix))]
fn share(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A socket on its way to `remote`; it is there when it can be written to and has no error.
pub(crate) fn connect(
    local: Option<SocketAddr>,
    remote: SocketAddr,
) -> io::Result<std::net::TcpStream> {
    let socket = Socket::new(
        Domain::for_address(remote),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(local) = local {
        socket.bind(&local.into())?;
    }
    match socket.connect(&remote.into()) {
        Ok(()) => Ok(socket.into()),
        Err(error) if is_in_progress(&error) => Ok(socket.into()),
        Err(error) => Err(error),
    }
}

fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

/// quinn-udp forbids fragments, which suits QUIC. A SIP message may be longer than the path's MTU (RFC 3261 §18.1.1
/// asks for TCP then, but responses never switch), and its fragments are better than nothing.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn may_fragment(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };
    set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)?;
    if local.is_ipv6() {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DONT)?;
        nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::Ipv6DontFrag, &false)?;
    }
    Ok(())
}

#[cfg(target_vendor = "apple")]
fn may_fragment(socket: &Socket, local: SocketAddr) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    if local.is_ipv4() {
        setsockopt(socket, sockopt::IpDontFrag, &false)?;
    } else {
        setsockopt(socket, sockopt::Ipv6DontFrag, &false)?;
    }
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn may_fragment(_socket: &Socket, _local: SocketAddr) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
pub(crate) use std::os::fd::AsFd as Sock;

#[cfg(windows)]
pub(crate) use std::os::windows::io::AsSocket as Sock;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod send {
    use super::Sock;
    use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
    use std::{
        io,
        net::{IpAddr, SocketAddr},
    };

    pub(super) fn datagram<S: Sock>(
        state: &UdpSocketState,
        socket: &S,
        source: Option<IpAddr>,
        remote: SocketAddr,
        contents: &[u8],
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: remote,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: source,
        };
        state.try_send(UdpSockRef::from(socket), &transmit)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod errors {
    use crate::runtime::Batch;

    pub(super) fn take<S>(_socket: &S, _batch: &mut Batch) -> bool {
        false
    }
}

/// For how many datagrams there is room while single ones come.
const FEW: usize = 4;

/// The longest datagram.
const DATAGRAM: usize = 65_536;

/// What is asked for a socket's receive buffer: some thousand messages.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How many streams the system holds ready to be accepted.
const BACKLOG: i32 = 1_024;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use nix::sys::socket::{getsockopt, sockopt};
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu_discover, ipv6_mtu_discover,
    };
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// quinn-udp forbids fragments, and then a long response to a path with a small MTU never leaves.
    #[test]
    fn datagrams_may_be_fragmented() {
        let (v4, _) = Datagrams::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("can bind");
        assert_eq!(ip_mtu_discover(&v4), Ok(Ipv4PathMtuDiscovery::DONT));
        let (v6, _) = Datagrams::bind((Ipv6Addr::UNSPECIFIED, 0).into()).expect("can bind");
        assert_eq!(ip_mtu_discover(&v6), Ok(Ipv4PathMtuDiscovery::DONT));
        assert_eq!(ipv6_mtu_discover(&v6), Ok(Ipv6PathMtuDiscovery::DONT));
        assert_eq!(getsockopt(&v6, sockopt::Ipv6DontFrag), Ok(false));
    }

    /// One that is too long stands in nobody's way.
    #[test]
    fn a_batch_leaves_in_its_order_but_for_what_cannot() {
        let peer = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("can bind");
        let remote = peer.local_addr().expect("is bound");
        for bound in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::UNSPECIFIED.into(),
        ] {
            let (socket, datagrams) = Datagrams::bind((bound, 0).into()).expect("can bind");
            let datagram = |number: u8, length| Datagram {
                local: (bound.is_ipv6() && number > 2).then_some(Ipv4Addr::LOCALHOST.into()),
                remote,
                contents: vec![number; length].into(),
            };
            let batch = [(0, 1), (1, 1), (2, 66_000), (3, 1), (4, 1), (5, 1)]
                .map(|(number, length)| datagram(number, length));
            let (mut rest, mut refused) = (batch.as_slice(), Vec::new());
            while let Some(first) = rest.first() {
                match datagrams.send_batch(&socket, rest) {
                    Ok(sent) => rest = &rest[sent..],
                    Err(error) => {
                        assert!(quinn_udp::is_msg_size_err(&error), "{error}");
                        refused.push(first.contents[0]);
                        rest = &rest[1..];
                    }
                }
            }
            assert_eq!(refused, [2], "{bound}");
            let mut space = [0; 8];
            let came = [(); 5].map(|()| {
                peer.recv(&mut space).expect("comes");
                space[0]
            });
            assert_eq!(came, [0, 1, 3, 4, 5], "{bound}");
        }
    }

    #[test]
    fn a_code_point_is_what_a_socket_sends_with_not_its_congestion_bits() {
        let (v4, _) = Datagrams::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("can bind");
        let local = v4.local_addr().expect("is bound");
        // CS3, which RFC 4594 §2.3 has for signalling.
        set_dscp(&v4, local, 24).expect("is marked");
        assert_eq!(socket2::SockRef::from(&v4).tos_v4().ok(), Some(24 << 2));
        let (v6, _) = Datagrams::bind((Ipv6Addr::UNSPECIFIED, 0).into()).expect("can bind");
        let local = v6.local_addr().expect("is bound");
        set_dscp(&v6, local, 24).expect("is marked");
        assert_eq!(socket2::SockRef::from(&v6).tclass_v6().ok(), Some(24 << 2));
        assert_eq!(socket2::SockRef::from(&v6).tos_v4().ok(), Some(24 << 2));
    }

    /// What a peer receives carries the mark, also when the source address is chosen for each datagram.
    #[test]
    fn a_datagram_arrives_with_its_code_point() {
        use nix::sys::socket::{
            ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
        };
        use std::os::fd::AsRawFd;
        let peer = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("can bind");
        setsockopt(&peer, sockopt::IpRecvTos, &true).expect("tells");
        let remote = peer.local_addr().expect("is bound");
        for (ip, source) in [
            (Ipv4Addr::LOCALHOST, None),
            (Ipv4Addr::UNSPECIFIED, Some(Ipv4Addr::LOCALHOST.into())),
        ] {
            let (socket, datagrams) = Datagrams::bind((ip, 0).into()).expect("can bind");
            let local = socket.local_addr().expect("is bound");
            set_dscp(&socket, local, 46).expect("is marked");
            datagrams
                .send(&socket, source, remote, b"hi")
                .expect("is sent");
            let (mut space, mut control) = ([0; 8], vec![0; 64]);
            let mut space = [IoSliceMut::new(&mut space)];
            let message = recvmsg::<SockaddrStorage>(
                peer.as_raw_fd(),
                &mut space,
                Some(&mut control),
                MsgFlags::empty(),
            )
            .expect("comes");
            let marked = message.cmsgs().expect("fit").any(
                |control| matches!(control, ControlMessageOwned::Ipv4Tos(field) if field >> 2 == 46),
            );
            assert!(marked, "{ip}");
        }
    }
}
