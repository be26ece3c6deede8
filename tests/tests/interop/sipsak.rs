//! sipsak: one request, one exit status.

use std::process::{Command, Output};

use crate::process::{Folder, assert_status, installed};
use crate::programs::Server;

fn sipsak(arguments: &[&str]) -> Output {
    let mut command = Command::new(installed("sipsak", "sipsak"));
    command.args(arguments).output().expect("sipsak runs")
}

/// sipsak keeps only four digits of a port inside a URI, so the port goes beside it.
fn options(server: &Server) {
    for protocol in ["udp", "tcp"] {
        let address = server.address();
        assert_status(
            &sipsak(&["-E", protocol, "-s", "sip:127.0.0.1", "-p", &address]),
            0,
        );
    }
}

#[test]
#[ignore = "needs sipsak"]
fn uas_answers_options() {
    let folder = Folder::new("sipsak");
    let uas = Server::uas(&folder, &[]);
    options(&uas);
    uas.stop();
}

#[test]
#[ignore = "needs sipsak"]
fn the_proxy_answers_options_for_itself() {
    let folder = Folder::new("sipsak");
    let proxy = Server::proxy(&folder, &["--no-auth", "--domain", "127.0.0.1"]);
    options(&proxy);
    proxy.stop();
}

#[test]
#[ignore = "needs sipsak"]
fn the_right_password_registers_and_a_wrong_one_does_not() {
    let folder = Folder::new("sipsak");
    let users = folder.write("users", "alice:wonderland\nbob:builder\n");
    let users = users.to_str().expect("the path is text");
    let arguments = ["--domain", "127.0.0.1", "--users", users, "--digest", "MD5"];
    let proxy = Server::proxy(&folder, &arguments);
    let address = proxy.address();
    let register = |user: &str, password: &str| {
        let aor = format!("sip:{user}@127.0.0.1");
        sipsak(&["-U", "-u", user, "-a", password, "-s", &aor, "-p", &address])
    };
    assert_status(&register("alice", "wonderland"), 0);
    // 2: a challenge came again after an answer to the first one
    assert_status(&register("alice", "rabbit"), 2);
    assert_status(&register("carol", "wonderland"), 2);
    assert_status(&register("bob", "builder"), 0);
    proxy.stop();
}
