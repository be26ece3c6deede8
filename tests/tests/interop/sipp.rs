//! SIPp's built-in caller and callee.
//!
//! The built-in caller sends its ACK and BYE to the Request-URI of its INVITE and without Route, which no RFC allows and every
//! deployment sees; `proxy --forward` sends them where it sent the INVITE.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::network::free_port;
use crate::process::{Folder, Process, installed};
use crate::programs::Server;

/// SIPp, calling or answering.
pub struct Sipp {
    process: Process,
    folder: Folder,
    pub port: u16,
}

impl Sipp {
    /// One that calls `target` and ends after its calls.
    ///
    /// `scenario` is a built-in name or a file; `transport` is SIPp's: u1, t1 one connection, tn a connection per call.
    pub fn call(target: &str, scenario: &str, transport: &str, arguments: &[&str]) -> Self {
        let mut command = command(scenario, transport);
        command.arg(target).args(arguments);
        Self::start("sipp-caller", command, free_port())
    }

    /// One that answers until it is dropped, or until the calls of `-m`.
    pub fn answer(scenario: &str, transport: &str, arguments: &[&str]) -> Self {
        let mut command = command(scenario, transport);
        command.args(arguments);
        let mut sipp = Self::start("sipp-callee", command, free_port());
        let protocol = if transport.starts_with('u') {
            "udp"
        } else {
            "tcp"
        };
        sipp.process.wait_listening(protocol, sipp.port);
        sipp
    }

    fn start(name: &str, mut command: Command, port: u16) -> Self {
        let folder = Folder::new(name);
        // scenarios with audio play this file; its eight bytes are a period of the 1 kHz digital milliwatt (ITU-T G.711)
        folder.write(
            "tone.ulaw",
            [0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E].repeat(5000),
        );
        // its media sockets are this port and the next ones
        command.args(["-p", &port.to_string(), "-mp", &free_port().to_string()]);
        let process = Process::start(name, command, &folder);
        Self {
            process,
            folder,
            port,
        }
    }

    /// Waits until it has made or taken all of its calls, of which none may have failed.
    pub fn assert_no_failed_call(&mut self, patience: Duration) {
        let status = self.process.wait(patience);
        let errors = self.file("_errors.log");
        assert!(
            status.success(),
            "SIPp ended with {status} (1: a call failed)\n{}\n{}",
            errors.chars().take(4000).collect::<String>(),
            self.process.tail()
        );
    }

    /// The messages it sent and received; only if it ran with `-trace_msg`.
    pub fn messages(&self) -> String {
        self.file("_messages.log")
    }

    /// Fails the test if it has ended.
    pub fn assert_running(&mut self) {
        self.process.assert_running();
    }

    fn file(&self, ending: &str) -> String {
        let entries = fs::read_dir(self.folder.path()).expect("the folder exists");
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(ending))
            .map(|entry| {
                String::from_utf8_lossy(&fs::read(entry.path()).unwrap_or_default()).into_owned()
            })
            .collect()
    }
}

fn command(scenario: &str, transport: &str) -> Command {
    let mut command = Command::new(installed("sipp", "sip-tester"));
    if Path::new(scenario).is_absolute() {
        command.args(["-sf", scenario]);
    } else {
        command.args(["-sn", scenario]);
    }
    command.args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-t", transport]);
    // -nostdin: keys of a terminal are commands; the error trace names every unexpected message
    command.args(["-nostdin", "-trace_err", "-max_socket", "2000"]);
    command
}

/// 1,000 calls at 200 a second.
const LOAD: [&str; 4] = ["-r", "200", "-m", "1000"];

/// 5,000 calls at 200 a second.
const LONG_LOAD: [&str; 4] = ["-r", "200", "-m", "5000"];

/// 25 s of calls at most; the rest is room for the load of a slow machine. A lost call shows as SIPp's own failure, not here.
const PATIENCE: Duration = Duration::from_secs(60);

fn calls_uas(transport: &str, load: &[&str]) {
    let folder = Folder::new("uas");
    let uas = Server::uas(&folder, &[]);
    let mut caller = Sipp::call(&uas.address(), "uac", transport, load);
    caller.assert_no_failed_call(PATIENCE);
    uas.stop();
}

#[test]
#[ignore = "needs sipp"]
fn five_thousand_calls_to_uas_over_udp() {
    calls_uas("u1", &LONG_LOAD);
}

#[test]
#[ignore = "needs sipp"]
fn five_thousand_calls_to_uas_over_one_tcp_connection() {
    calls_uas("t1", &LONG_LOAD);
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_to_uas_each_over_a_tcp_connection_of_its_own() {
    calls_uas("tn", &LOAD);
}

/// The callee is our `uas`; the proxy forwards over the transport of the call.
fn calls_uas_through_the_proxy(transport: &str, runtime: &str) {
    let folder = Folder::new("proxy-uas");
    let uas = Server::uas(&folder, &[]);
    let forward = uri(&uas.address(), transport);
    let proxy = Server::proxy(
        &folder,
        &["--no-auth", "--forward", &forward, "--runtime", runtime],
    );
    let mut caller = Sipp::call(&proxy.address(), "uac", transport, &LOAD);
    caller.assert_no_failed_call(PATIENCE);
    proxy.stop();
    uas.stop();
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_through_the_proxy_to_uas_over_udp() {
    calls_uas_through_the_proxy("u1", "tokio");
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_through_the_proxy_to_uas_over_tcp() {
    calls_uas_through_the_proxy("t1", "tokio");
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_through_the_proxy_on_smol_to_uas_over_tcp() {
    calls_uas_through_the_proxy("tn", "smol");
}

/// Two workers at each, and most messages come to the other one than they are for.
fn calls_workers(transport: &str) {
    let folder = Folder::new("workers");
    let two = ["--workers", "2"];
    let uas = Server::uas(&folder, &two);
    let mut caller = Sipp::call(&uas.address(), "uac", transport, &LOAD);
    caller.assert_no_failed_call(PATIENCE);
    let forward = uri(&uas.address(), transport);
    let through = ["--no-auth", "--forward", &forward, two[0], two[1]];
    let proxy = Server::proxy(&folder, &through);
    let mut caller = Sipp::call(&proxy.address(), "uac", transport, &LOAD);
    caller.assert_no_failed_call(PATIENCE);
    proxy.stop();
    uas.stop();
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_to_two_workers_and_through_two_over_udp() {
    calls_workers("u1");
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_to_two_workers_and_through_two_over_tcp() {
    calls_workers("tn");
}

/// The callee is SIPp's built-in one, which copies no Record-Route into its answers.
fn calls_sipp_through_the_proxy(transport: &str, runtime: &str) {
    let folder = Folder::new("proxy-sipp");
    let mut callee = Sipp::answer("uas", transport, &[]);
    let forward = uri(&format!("127.0.0.1:{}", callee.port), transport);
    let proxy = Server::proxy(
        &folder,
        &["--no-auth", "--forward", &forward, "--runtime", runtime],
    );
    let mut caller = Sipp::call(&proxy.address(), "uac", transport, &LOAD);
    caller.assert_no_failed_call(PATIENCE);
    callee.assert_running();
    proxy.stop();
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_through_the_proxy_to_sipp_over_udp() {
    calls_sipp_through_the_proxy("u1", "tokio");
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_through_the_proxy_to_sipp_over_tcp() {
    calls_sipp_through_the_proxy("t1", "tokio");
}

#[test]
#[ignore = "needs sipp"]
fn a_thousand_calls_through_the_proxy_on_smol_to_sipp_over_udp() {
    calls_sipp_through_the_proxy("u1", "smol");
}

/// SIPp's address in calls over IPv6; what stands last counts.
const ON_IPV6: [&str; 4] = ["-i", "::1", "-mi", "::1"];

/// What has a server of ours listen on IPv6 too, and where that is.
fn on_ipv6() -> (Vec<String>, String) {
    let address = format!("[::1]:{}", free_port());
    let listen = |protocol| ["--listen".to_owned(), format!("{protocol}:{address}")];
    (
        ["udp", "tcp"].into_iter().flat_map(listen).collect(),
        address,
    )
}

/// 200 calls over IPv6 (RFC 3261 §19.1.1, RFC 5118): to `uas`, and to `uas` on IPv4 through a proxy of both families.
fn calls_over_ipv6(transport: &str) {
    let folder = Folder::new("ipv6");
    let calls = [&ON_IPV6[..], &["-r", "50", "-m", "200"]].concat();
    let (listen, address) = on_ipv6();
    let listen: Vec<&str> = listen.iter().map(String::as_str).collect();
    let uas = Server::uas(&folder, &listen);
    let mut caller = Sipp::call(&address, "uac", transport, &calls);
    caller.assert_no_failed_call(PATIENCE);
    let forward = uri(&uas.address(), transport);
    let (listen, address) = on_ipv6();
    let mut arguments = vec!["--no-auth", "--forward", &forward];
    arguments.extend(listen.iter().map(String::as_str));
    let proxy = Server::proxy(&folder, &arguments);
    let mut caller = Sipp::call(&address, "uac", transport, &calls);
    caller.assert_no_failed_call(PATIENCE);
    proxy.stop();
    uas.stop();
}

#[test]
#[ignore = "needs sipp"]
fn calls_over_ipv6_and_udp_and_on_to_ipv4() {
    calls_over_ipv6("u1");
}

#[test]
#[ignore = "needs sipp"]
fn calls_over_ipv6_and_tcp_and_on_to_ipv4() {
    calls_over_ipv6("t1");
}

/// SIPp against itself, so that a failure elsewhere is not this harness's.
#[test]
#[ignore = "needs sipp"]
fn sipp_calls_itself() {
    let mut callee = Sipp::answer("uas", "u1", &["-m", "20"]);
    let target = format!("127.0.0.1:{}", callee.port);
    let mut caller = Sipp::call(&target, "uac", "u1", &["-r", "100", "-m", "20"]);
    caller.assert_no_failed_call(PATIENCE);
    callee.assert_no_failed_call(PATIENCE);
}

/// The URI of the address, reached by the protocol of SIPp's transport.
pub fn uri(address: &str, transport: &str) -> String {
    if transport.starts_with('u') {
        format!("sip:{address}")
    } else {
        format!("sip:{address};transport=tcp")
    }
}
