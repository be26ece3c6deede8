//! `softphone` against `uas`: what its exit status, its report and its recording promise.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::audio::{assert_heard, write_tone};
use crate::network::free_port;
use crate::process::Folder;
use crate::programs::{Server, Softphone};

const PATIENCE: Duration = Duration::from_secs(20);

fn phone(folder: &Folder, arguments: &[&str]) -> Softphone {
    let all = [&["--listen", "udp:127.0.0.1:0"], arguments].concat();
    Softphone::start("softphone", folder, None, "sip:alice@127.0.0.1", &all)
}

fn number(report: &Value, field: &str) -> f64 {
    let number = report[field].as_f64();
    number.unwrap_or_else(|| panic!("no number {field} in {report}"))
}

#[test]
#[ignore = "needs the built examples"]
fn a_call_hears_its_echo_and_reports_it() {
    let folder = Folder::new("softphone");
    let file = |name: &str| {
        folder
            .file(name)
            .to_str()
            .expect("the path is text")
            .to_owned()
    };
    let (tone, echo) = (file("tone.wav"), file("echo.wav"));
    write_tone(Path::new(&tone), 700.0, 30);
    let uas = Server::uas(&folder, &["--ring", "200"]);
    let target = format!("sip:echo@{};transport=tcp", uas.address());
    let arguments = [
        "--call",
        &target,
        "--play-file",
        &tone,
        "--rec-file",
        &echo,
        "--duration",
        "3",
    ];
    let reports = phone(&folder, &arguments).reports(PATIENCE);
    assert_heard(Path::new(&echo), 700.0);
    let [report] = &reports[..] else {
        panic!("{reports:?}")
    };
    for field in ["packets_sent", "packets_received"] {
        // one each 20 ms for 3 s
        assert!((120.0..=180.0).contains(&number(report, field)), "{report}");
    }
    assert_eq!(number(report, "lost"), 0.0);
    assert!(number(report, "jitter_ms") < 50.0, "{report}");
    assert!(
        report["codec"]
            .as_str()
            .is_some_and(|codec| codec.starts_with("PCM")),
        "{report}"
    );
    uas.stop();
}

#[test]
#[ignore = "needs the built examples"]
fn a_refused_call_is_a_failure_with_its_status() {
    let folder = Folder::new("softphone");
    let uas = Server::uas(&folder, &["--answer", "486"]);
    let target = format!("sip:busy@{}", uas.address());
    let mut softphone = phone(&folder, &["--call", &target]);
    assert_eq!(softphone.0.wait(PATIENCE).code(), Some(1));
    assert!(softphone.0.log().contains("486"), "{}", softphone.0.tail());
    uas.stop();
}

#[test]
#[ignore = "needs the built examples"]
fn an_interrupted_call_is_hung_up() {
    let folder = Folder::new("softphone");
    let heard = folder.file("heard.wav");
    let heard_text = heard.to_str().expect("the path is text");
    let port = free_port();
    let listen = format!("udp:127.0.0.1:{port}");
    let arguments = [
        "--listen",
        &listen,
        "--auto-answer",
        "200",
        "--max-calls",
        "1",
        "--rec-file",
        heard_text,
    ];
    let mut bob = Softphone::start("bob", &folder, None, "sip:bob@127.0.0.1", &arguments);
    bob.0.wait_listening("udp", port);
    let mut alice = phone(&folder, &["--call", &format!("sip:bob@127.0.0.1:{port}")]);
    // bob records once the call is up
    bob.0.wait_file(&heard);
    alice.0.terminate();
    assert_eq!(bob.reports(PATIENCE).len(), 1);
    alice.0.wait(PATIENCE);
}
