//! The `options` example and what its exit status promises.

use std::process::{Command, Output};

use crate::network::free_port;
use crate::process::{Folder, assert_status};
use crate::programs::{Server, example};

pub fn options(arguments: &[&str]) -> Output {
    Command::new(example("options"))
        .args(arguments)
        .output()
        .expect("options runs")
}

#[test]
#[ignore = "needs the built examples"]
fn a_2xx_is_status_0_over_udp_and_tcp() {
    let folder = Folder::new("options");
    let uas = Server::uas(&folder, &[]);
    for uri in [
        format!("sip:{}", uas.address()),
        format!("sip:anyone@{};transport=tcp", uas.address()),
    ] {
        let output = options(&[&uri, "--timeout", "5"]);
        assert_status(&output, 0);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("200"),
            "{output:?}"
        );
    }
    uas.stop();
}

#[test]
#[ignore = "needs the built examples"]
fn silence_a_closed_port_and_a_name_without_servers_are_status_1() {
    let closed = free_port();
    for uri in [
        format!("sip:127.0.0.1:{closed}"),
        format!("sip:127.0.0.1:{closed};transport=tcp"),
        "sip:nobody.invalid".to_owned(),
    ] {
        assert_status(&options(&[&uri, "--timeout", "2"]), 1);
    }
}

#[test]
#[ignore = "needs the built examples"]
fn bad_arguments_are_status_2() {
    assert_status(&options(&[]), 2);
    assert_status(&options(&["not a uri"]), 2);
    assert_status(&options(&["sip:127.0.0.1", "--timeout", "soon"]), 2);
    assert_status(&options(&["sip:127.0.0.1", "--unknown"]), 2);
}

#[test]
#[ignore = "needs the built examples"]
fn every_example_explains_itself() {
    for name in [
        "quickstart",
        "uas",
        "options",
        "proxy",
        "softphone",
        "tiny_proxy",
        "sans_io",
    ] {
        let output = Command::new(example(name))
            .arg("--help")
            .output()
            .expect("it runs");
        assert_status(&output, 0);
        assert!(!output.stdout.is_empty(), "{name} --help prints nothing");
    }
}
