//! WebSockets (RFC 7118): browsers at `proxy`, and our programs at Kamailio.

use serde_json::json;

use crate::browser::Browser;
use crate::kamailio::{self, Kamailio};
use crate::network::free_port;
use crate::options::options;
use crate::process::{Folder, assert_status};
use crate::programs::Server;

/// Two browsers register at `proxy` over WebSockets, reach a `uas` on UDP and each other, and talk.
fn browsers(scheme: &str, arguments: &[&str]) {
    let folder = Folder::new("browsers");
    let users = folder.write("users", "alice:alicepw\nbob:bobpw\n");
    let users = users.to_str().expect("the path is text");
    let uas = Server::uas(&folder, &[]);
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
    let mut proxy = Server::proxy(&folder, &all.concat());
    proxy.process.wait_listening("tcp", port);
    let settings = json!({
        "url": format!("{scheme}://127.0.0.1:{port}/sip"),
        "domain": "example.test",
        "uas": uas.address(),
    });
    let mut browser = Browser::open(&folder, &settings);
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
    browsers("ws", &[]);
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
