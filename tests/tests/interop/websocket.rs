//! WebSockets (RFC 7118): browsers at `proxy`, and our programs at Kamailio.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::browser::Browser;
use crate::kamailio::{self, Kamailio};
use crate::network::free_port;
use crate::options::options;
use crate::process::{Folder, assert_status, installed, run};
use crate::programs::Server;

/// Two browsers register at `proxy` over WebSockets, reach a `uas` on UDP and each other, and talk.
fn browsers(folder: &Folder, scheme: &str, arguments: &[&str]) {
    let users = folder.write("users", "alice:alicepw\nbob:bobpw\n");
    let users = users.to_str().expect("the path is text");
    let uas = Server::uas(folder, &[]);
    let port = free_port();
    let listen = format!("{scheme}:127.0.0.1:{port}");
    let all = [
        &[
            "--listen",
            &listen,
            "--domain",
            "example.test",
            "--users",
            users,
        ],
        arguments,
    ];
    let mut proxy = Server::proxy(folder, &all.concat());
    proxy.process.wait_listening("tcp", port);
    let settings = json!({
        "url": format!("{scheme}://127.0.0.1:{port}/sip"),
        "domain": "example.test",
        "uas": uas.address(),
    });
    let mut browser = Browser::open(folder, &settings);
    let refused = browser.tells("refused");
    assert!(
        refused["refused"]
            .as_str()
            .is_some_and(|text| text.starts_with("registrationFailed")),
        "{refused}"
    );
    browser.tells("registered");
    assert_eq!(browser.tells("message")["status"], 200);
    assert_eq!(browser.tells("options")["status"], 200);
    browser.tells("talking");
    browser.tells("ended");
    browser.tells("unregistered");
    browser.tells("done");
    proxy.stop();
    uas.stop();
}

#[test]
#[ignore = "needs chromium, node and JsSIP"]
fn jssip_in_a_browser_registers_and_calls_over_ws() {
    browsers(&Folder::new("browsers"), "ws", &[]);
}

#[test]
#[ignore = "needs chromium, node, JsSIP and openssl"]
fn jssip_in_a_browser_registers_and_calls_over_wss() {
    let folder = Folder::new("browsers");
    let (certificate, key) = certificate(&folder);
    let text = |file: &PathBuf| file.to_str().expect("the path is text").to_owned();
    let arguments = ["--cert", &text(&certificate), "--key", &text(&key)];
    browsers(&folder, "wss", &arguments);
}

/// A certificate for loopback that vouches for itself, and its key.
fn certificate(folder: &Folder) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.file("server.crt"), folder.file("server.key"));
    let mut command = Command::new(installed("openssl", "openssl"));
    command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=proxy"]);
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
    command.arg("-keyout").arg(&key);
    command.arg("-out").arg(&certificate);
    run(&mut command);
    (certificate, key)
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn options_asks_kamailio_over_ws() {
    let kamailio = Kamailio::start();
    let address = kamailio.address_for("ws");
    let asked = format!("sip:{address};transport=ws");
    assert_status(&options(&[&asked, "--timeout", "5"]), 0);
    // It answers HTTP there, and nothing that makes a WebSocket without a listener for them.
    let plain = format!("sip:{};transport=ws", kamailio.address_for("udp"));
    assert_status(&options(&[&plain, "--timeout", "5"]), 1);
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn two_softphones_call_each_other_through_kamailio_over_ws() {
    let kamailio = Kamailio::start();
    let registrar = format!("sip:{};transport=ws", kamailio.address_for("ws"));
    kamailio::calls(&kamailio, &registrar, &[]);
}

#[test]
#[ignore = "needs kamailio, openssl and the rig"]
fn options_asks_kamailio_over_wss_and_looks_at_its_certificate() {
    let kamailio = Kamailio::start();
    let asked = format!("sip:{};transport=wss", kamailio.address_for("wss"));
    let authority = kamailio.file("pki/ca.crt");
    let authority = authority.to_str().expect("the path is text");
    let ask = |arguments: &[&str]| options(&[&[&asked, "--timeout", "5"], arguments].concat());
    assert_status(&ask(&["--tls-ca", authority]), 0);
    assert_status(&ask(&["--tls-insecure"]), 0);
    // Nobody whom it believes has certified the server.
    let folder = Folder::new("stranger");
    let (stranger, _) = certificate(&folder);
    let stranger = stranger.to_str().expect("the path is text");
    assert_status(&ask(&["--tls-ca", stranger]), 1);
    // The name has to be the one that the certificate is for.
    let other = asked.replace("127.0.0.1", "127.0.0.2");
    let other = options(&[&other, "--timeout", "5", "--tls-ca", authority]);
    assert_status(&other, 1);
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn two_softphones_call_each_other_through_kamailio_over_wss() {
    let kamailio = Kamailio::start();
    let registrar = format!("sip:{};transport=wss", kamailio.address_for("wss"));
    let authority = kamailio.file("pki/ca.crt");
    let authority = authority.to_str().expect("the path is text");
    kamailio::calls(&kamailio, &registrar, &["--tls-ca", authority]);
}
