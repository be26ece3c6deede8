//! Our own example programs, as a user starts them.

use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::network::{Namespace, free_port};
use crate::process::{Folder, Process};

/// The built example program of the same profile as this test.
pub fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a running program has a path");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("cargo puts tests in target/<profile>/deps");
    let program = profile.join("examples").join(name);
    assert!(
        program.is_file(),
        "{} is not built; run: cargo build --release --examples",
        program.display()
    );
    program
}

/// One of our phones.
pub struct Softphone(pub Process);

impl Softphone {
    /// `softphone --id ID` with the arguments, in the namespace if there is one.
    pub fn start(
        name: &str,
        folder: &Folder,
        namespace: Option<&Namespace>,
        id: &str,
        arguments: &[&str],
    ) -> Self {
        let program = example("softphone");
        let mut command = match namespace {
            Some(namespace) => namespace.command(program),
            None => Command::new(program),
        };
        command
            .args(["--id", id, "--report", "json"])
            .args(arguments);
        Self(Process::start(name, command, folder))
    }

    /// Waits for its end, which must be good, and returns the report of each call.
    pub fn reports(&mut self, patience: Duration) -> Vec<Value> {
        let printed = self.0.succeed(patience);
        let reports: Vec<Value> = printed
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(Value::is_object)
            .collect();
        assert!(!reports.is_empty(), "no report\n{printed}");
        reports
    }
}

/// One of our servers, listening on the same port over UDP and TCP.
pub struct Server {
    pub process: Process,
    pub port: u16,
}

impl Server {
    /// `uas` on loopback.
    pub fn uas(folder: &Folder, arguments: &[&str]) -> Self {
        Self::start("uas", folder, None, free_port(), arguments)
    }

    /// `proxy` on loopback.
    pub fn proxy(folder: &Folder, arguments: &[&str]) -> Self {
        Self::start("proxy", folder, None, free_port(), arguments)
    }

    /// `proxy` on the standard port of a namespace.
    pub fn proxy_in(namespace: &Namespace, folder: &Folder, arguments: &[&str]) -> Self {
        Self::start("proxy", folder, Some(namespace), 5060, arguments)
    }

    fn start(
        name: &str,
        folder: &Folder,
        namespace: Option<&Namespace>,
        port: u16,
        arguments: &[&str],
    ) -> Self {
        let address = match namespace {
            Some(_) => Namespace::ADDRESS.to_owned(),
            None => Ipv4Addr::LOCALHOST.to_string(),
        };
        let program = example(name);
        let mut command = match namespace {
            Some(namespace) => namespace.command(program),
            None => Command::new(program),
        };
        for protocol in ["udp", "tcp"] {
            command.args(["--listen", &format!("{protocol}:{address}:{port}")]);
        }
        command.args(arguments);
        let mut process = Process::start(name, command, folder);
        process.wait_listening("udp", port);
        process.wait_listening("tcp", port);
        Self { process, port }
    }

    /// Where it is, as `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it politely: it must be alive until then, and end well.
    pub fn stop(mut self) {
        self.process.stop(Duration::from_secs(40));
    }
}
