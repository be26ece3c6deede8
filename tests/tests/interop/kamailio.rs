//! Kamailio as the registrar and record-routing proxy between two of our phones.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::audio::{assert_heard, write_tone};
use crate::options::options;
use crate::process::{Folder, assert_status, installed, run, unique};
use crate::programs::Softphone;
use crate::rig;

/// The rig's registrar with digest authentication; stopped when dropped.
pub struct Kamailio {
    scripts: PathBuf,
    shift: u16,
    folder: Folder,
}

impl Kamailio {
    /// The ports that the rig's registrar listens on before they are shifted: UDP and TCP, TLS, WS, WSS.
    const PORTS: [u16; 4] = [15060, 15061, 15080, 15443];

    pub fn start() -> Self {
        installed("kamailio", "kamailio");
        let kamailio = Self {
            scripts: rig::folder().join("kamailio"),
            shift: free_shift(),
            folder: Folder::new(&format!("kamailio-{}", unique())),
        };
        run(kamailio.script("start").args(["registrar", "WITH_AUTH"]));
        kamailio
    }

    /// Where it is, as `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address_for("udp")
    }

    /// Where it is over this transport.
    pub fn address_for(&self, transport: &str) -> String {
        let place = match transport {
            "tls" => 1,
            "ws" => 2,
            "wss" => 3,
            _ => 0,
        };
        format!("127.0.0.1:{}", Self::PORTS[place] + self.shift)
    }

    /// A file of its run: its certificates, its log.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    /// Waits until the user has a binding.
    pub fn wait_registered(&self, user: &str) {
        let socket = format!(
            "unix:{}",
            self.folder.file("kam-registrar/ctl.sock").display()
        );
        let kamcmd = installed("kamcmd", "kamailio");
        let found = (0..100).any(|_| {
            let mut command = Command::new(&kamcmd);
            command.args(["-s", &socket, "ul.lookup", "location", user]);
            let output = command.output().expect("kamcmd runs");
            thread::sleep(Duration::from_millis(100));
            String::from_utf8_lossy(&output.stdout).contains("Contact")
        });
        assert!(found, "{user} never registered");
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.scripts.join(name));
        command
            .env("RIG_RUN", self.folder.path())
            .env("RIG_SHIFT", self.shift.to_string());
        command
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        let _ = self.script("stop").arg("registrar").output();
    }
}

/// How far to move the rig's ports so that all of them are free.
fn free_shift() -> u16 {
    (10..150)
        .map(|step| step * 100)
        .find(|shift| {
            Kamailio::PORTS.iter().all(|port| {
                let address = ("127.0.0.1", port + shift);
                UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
            })
        })
        .expect("some ports are free")
}

/// Two of our phones at Kamailio, which is reached at `registrar`; the one calls the other, and both hear each other.
pub fn calls(kamailio: &Kamailio, registrar: &str, arguments: &[&str]) {
    let folder = Folder::new("softphones");
    let file = |name: &str| {
        folder
            .file(name)
            .to_str()
            .expect("the path is text")
            .to_owned()
    };
    let address = kamailio.address();

    let (low, high) = (file("low.wav"), file("high.wav"));
    write_tone(Path::new(&low), 440.0, 30);
    write_tone(Path::new(&high), 1050.0, 30);
    let (alices, bobs) = (file("alice-heard.wav"), file("bob-heard.wav"));

    let bob = format!("sip:bob@{address}");
    let mut answering = Softphone::start(
        "bob",
        &folder,
        None,
        &bob,
        &[
            &[
                "--registrar",
                registrar,
                "--username",
                "bob",
                "--password",
                "bobpw",
                "--listen",
                "udp:127.0.0.1:0",
                "--auto-answer",
                "200",
                "--play-file",
                &low,
                "--rec-file",
                &bobs,
                "--max-calls",
                "1",
            ],
            arguments,
        ]
        .concat(),
    );
    kamailio.wait_registered("bob");
    let mut calling = Softphone::start(
        "alice",
        &folder,
        None,
        &format!("sip:alice@{address}"),
        &[
            &[
                "--registrar",
                registrar,
                "--username",
                "alice",
                "--password",
                "alicepw",
                "--listen",
                "udp:127.0.0.1:0",
                "--call",
                &bob,
                "--play-file",
                &high,
                "--rec-file",
                &alices,
                "--duration",
                "4",
            ],
            arguments,
        ]
        .concat(),
    );
    for phone in [&mut calling, &mut answering] {
        let reports = phone.reports(Duration::from_secs(30));
        assert_eq!(reports.len(), 1, "{reports:?}");
    }
    assert_heard(Path::new(&alices), 440.0);
    assert_heard(Path::new(&bobs), 1050.0);
}

fn calls_over(transport: &str) {
    let kamailio = Kamailio::start();
    let registrar = format!("sip:{};transport={transport}", kamailio.address());
    calls(&kamailio, &registrar, &[]);
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn two_softphones_call_each_other_through_kamailio_over_udp() {
    calls_over("udp");
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn two_softphones_call_each_other_through_kamailio_over_tcp() {
    calls_over("tcp");
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn options_tells_what_kamailio_answers() {
    let kamailio = Kamailio::start();
    let address = kamailio.address();
    assert_status(&options(&[&format!("sip:{address}"), "--timeout", "5"]), 0);
    assert_status(
        &options(&[&format!("sip:{address};transport=tcp"), "--timeout", "5"]),
        0,
    );
    // a final response that is no 2xx: relaying to foreign domains is refused
    assert_status(
        &options(&[&format!("sip:nobody@{address}"), "--timeout", "5"]),
        1,
    );
}
