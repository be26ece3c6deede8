//! Scenarios that follow the route set, as a user agent should (RFC 3261 §12): ACK and BYE carry the Route that the
//! Record-Route of `proxy` made.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Folder, Process, installed};
use crate::programs::Server;
use crate::sipp::{Sipp, uri};

/// The folder of the rig, as an absolute path.
pub fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/interop");
    let folder = env::var_os("SIPWRIGHT_RIG").map_or(beside, PathBuf::from);
    match folder.canonicalize() {
        Ok(folder) => folder,
        Err(error) => panic!(
            "the rig is not in {} ({error}); SIPWRIGHT_RIG says where it is",
            folder.display()
        ),
    }
}

pub fn scenario(name: &str) -> String {
    let file = folder()
        .join("sipp/scenarios")
        .join(name)
        .with_extension("xml");
    assert!(file.is_file(), "the rig has no {}", file.display());
    file.to_str().expect("the path is text").to_owned()
}

/// Who the scenarios call, and what they put into From.
pub const CALLER: [&str; 8] = [
    "-s",
    "bob",
    "-set",
    "user",
    "alice",
    "-set",
    "domain",
    "127.0.0.1",
];

/// Calls from a caller to a callee behind `proxy --forward`; returns the messages that the callee saw.
fn calls(caller_transport: &str, callee_transport: &str, arguments: &[&str]) -> String {
    let folder = Folder::new("rig");
    let mut callee = Sipp::answer(
        &scenario("uas-call"),
        callee_transport,
        &["-m", "20", "-rtp_echo", "-trace_msg"],
    );
    let forward = uri(&format!("127.0.0.1:{}", callee.port), callee_transport);
    let mut all = vec!["--no-auth", "--forward", &forward];
    all.extend(arguments);
    let proxy = Server::proxy(&folder, &all);
    let mut caller = Sipp::call(
        &proxy.address(),
        &scenario("uac-call"),
        caller_transport,
        &[&CALLER[..], &["-r", "10", "-m", "20", "-d", "500"]].concat(),
    );
    caller.assert_no_failed_call(Duration::from_secs(40));
    callee.assert_no_failed_call(Duration::from_secs(10));
    proxy.stop();
    callee.messages()
}

/// How many values Record-Route has in the first INVITE of the messages.
fn recorded(messages: &str) -> usize {
    let invite = messages
        .find("INVITE sip:")
        .expect("the callee saw an INVITE");
    messages[invite..]
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| line.starts_with("Record-Route:"))
        .map(|line| line.matches("<sip:").count())
        .sum()
}

#[test]
#[ignore = "needs sipp and the rig"]
fn calls_follow_the_route_set_over_udp() {
    assert_eq!(recorded(&calls("u1", "u1", &[])), 1);
}

#[test]
#[ignore = "needs sipp and the rig"]
fn calls_follow_the_route_set_over_tcp() {
    assert_eq!(recorded(&calls("t1", "t1", &[])), 1);
}

/// RFC 5658: one Record-Route for each side.
#[test]
#[ignore = "needs sipp and the rig"]
fn calls_from_tcp_to_udp_are_recorded_twice() {
    assert_eq!(recorded(&calls("t1", "u1", &[])), 2);
}

/// RFC 5658: one Record-Route for each side.
#[test]
#[ignore = "needs sipp and the rig"]
fn calls_from_udp_to_tcp_are_recorded_twice() {
    assert_eq!(recorded(&calls("u1", "t1", &[])), 2);
}

#[test]
#[ignore = "needs sipp and the rig"]
fn calls_follow_the_route_set_through_a_proxy_on_smol() {
    assert_eq!(recorded(&calls("t1", "u1", &["--runtime", "smol"])), 2);
}

/// What a phone does besides plain calls, each against a `uas` that rings for a while, directly and through the proxy.
fn behaves(scenario_name: &str, ring: &str) {
    let logs = Folder::new("behaves");
    for transport in ["u1", "t1"] {
        let uas = Server::uas(&logs, &["--ring", ring]);
        let forward = uri(&uas.address(), transport);
        let proxy = Server::proxy(&logs, &["--no-auth", "--forward", &forward]);
        for server in [&uas, &proxy] {
            let mut caller = Sipp::call(
                &server.address(),
                &scenario(scenario_name),
                transport,
                &[&CALLER[..], &["-m", "5", "-d", "300"]].concat(),
            );
            caller.assert_no_failed_call(Duration::from_secs(30));
        }
        proxy.stop();
        uas.stop();
    }
}

#[test]
#[ignore = "needs sipp and the rig"]
fn a_cancelled_call_ends_with_487() {
    behaves("uac-cancel", "5000");
}

#[test]
#[ignore = "needs sipp and the rig"]
fn a_call_is_held_and_resumed_by_reinvite() {
    behaves("uac-reinvite", "0");
}

#[test]
#[ignore = "needs sipp and the rig"]
fn a_call_without_offer_gets_one() {
    behaves("uac-late-offer", "0");
}

#[test]
#[ignore = "needs sipp and the rig"]
fn compact_names_make_a_call() {
    behaves("uac-compact", "0");
}

#[test]
#[ignore = "needs sipp and the rig"]
fn a_message_is_accepted() {
    behaves("uac-message", "0");
}

/// Wire forms that SIPp cannot make, each followed by an OPTIONS that must be answered.
fn malformed(protocol: &str) {
    let logs = Folder::new("malformed");
    let mut uas = Server::uas(&logs, &[]);
    let mut command = Command::new(installed("python3", "python3"));
    command.arg(folder().join("sipp/malformed.py"));
    command.args([&uas.address(), protocol]);
    Process::start("malformed", command, &logs).succeed(Duration::from_secs(150));
    uas.process.assert_running();
}

#[test]
#[ignore = "needs python3 and the rig"]
fn uas_lives_through_odd_wire_forms_over_udp() {
    malformed("udp");
}

#[test]
#[ignore = "needs python3 and the rig"]
fn uas_lives_through_odd_wire_forms_over_tcp() {
    malformed("tcp");
}
