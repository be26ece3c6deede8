//! Ports that are free, and network namespaces that end with their test.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{installed, run, unique};

/// A port on 127.0.0.1 that is free for UDP and TCP.
pub fn free_port() -> u16 {
    (0..100)
        .find_map(|_| {
            let stream = TcpListener::bind("127.0.0.1:0").ok()?;
            let port = stream.local_addr().ok()?.port();
            UdpSocket::bind(("127.0.0.1", port)).ok()?;
            Some(port)
        })
        .expect("the system has a free port")
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
