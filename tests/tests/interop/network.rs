//! Ports that are free, and network namespaces that end with their test.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::{io, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{installed, run, unique};

/// A port on loopback, free for UDP and TCP of both families, that nobody in this process was given before. It is even, and
/// the next few are nobody else's either.
///
/// It is below those that systems hand out by themselves, so that no other socket gets it before its server does.
pub fn free_port() -> u16 {
    static TURN: AtomicU16 = AtomicU16::new(0);
    // Another process of these tests begins elsewhere.
    let first = (process::id() % u32::from(PLACES)) as u16;
    (0..PLACES)
        .map(|_| TURN.fetch_add(1, Ordering::Relaxed) % PLACES)
        .map(|turn| 10_000 + (first + turn) % PLACES * 8)
        .find(|port| is_free(*port))
        .expect("some port is free")
}

const PLACES: u16 = 600;

fn is_free(port: u16) -> bool {
    let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    // Where there is no IPv6 nobody has its ports.
    let is_taken = |error: io::Error| error.kind() == io::ErrorKind::AddrInUse;
    addresses.into_iter().all(|address| {
        let stream = TcpListener::bind((address, port)).err();
        let datagrams = UdpSocket::bind((address, port)).err();
        !stream.is_some_and(is_taken) && !datagrams.is_some_and(is_taken)
    })
}

/// A network namespace with one address of its own; deleted when dropped.
///
/// It is not joined to anything outside: what runs in it talks only to what else runs in it.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// The address of every program in the namespace.
    pub const ADDRESS: &str = "10.77.0.1";

    /// Makes the namespace, which only the superuser may.
    pub fn new() -> Self {
        let namespace = Self {
            name: format!("sipwright-{}", unique()),
        };
        let name = namespace.name.as_str();
        // A veth pair with both ends inside gives an interface that is neither loopback nor down.
        let with_prefix = format!("{}/24", Self::ADDRESS);
        for arguments in [
            vec!["netns", "add", name],
            vec!["-n", name, "link", "set", "lo", "up"],
            vec![
                "-n", name, "link", "add", "lan0", "type", "veth", "peer", "name", "lan1",
            ],
            vec!["-n", name, "link", "set", "lan1", "up"],
            vec!["-n", name, "addr", "add", &with_prefix, "dev", "lan0"],
            vec!["-n", name, "link", "set", "lan0", "up"],
            vec!["-n", name, "route", "add", "default", "via", "10.77.0.254"],
        ] {
            run(Command::new(installed("ip", "iproute2")).args(arguments));
        }
        namespace
    }

    /// The command, to be run inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(installed("ip", "iproute2"));
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// A connection that begins inside.
    pub fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let file = File::open(format!("/run/netns/{}", self.name))?;
        // A socket stays in the namespace where it was made, so a thread that ends at once may go there for us.
        let inside = thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpStream::connect(address)
        });
        inside.join().expect("connecting does not panic")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}
