//! baresip, a phone: registered with a password, calling and called, with audio both ways.
//!
//! baresip never uses the loopback interface, so phone and proxy live in a network namespace. It speaks TCP to the proxy
//! and `softphone` UDP, so that each call also changes transport on its way; then the other way round.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::audio::{assert_heard, write_tone};
use crate::network::Namespace;
use crate::process::{Folder, Process, installed};
use crate::programs::{Server, Softphone};

const MODULES: &str = "/usr/lib/baresip/modules";
/// What each side plays, in Hz.
const BARESIPS_TONE: f64 = 600.0;
const OUR_TONE: f64 = 925.0;

/// A headless baresip that is told what to do over its control connection.
struct Baresip {
    process: Process,
    control: TcpStream,
    received: Vec<u8>,
    recordings: PathBuf,
}

impl Baresip {
    fn start(namespace: &Namespace, folder: &Folder, account: &str) -> Self {
        let program = installed("baresip", "baresip-core");
        assert!(
            Path::new(MODULES).join("ctrl_tcp.so").is_file(),
            "baresip's modules are not in {MODULES}"
        );
        let address = Namespace::ADDRESS;
        let home = folder.file("baresip");
        let recordings = home.join("recordings");
        fs::create_dir_all(&recordings).expect("the folder is writable");
        let tone = home.join("tone.wav");
        write_tone(&tone, BARESIPS_TONE, 30);
        let config = format!(
            "poll_method epoll\n\
             sip_listen {address}:5070\n\
             call_local_timeout 120\n\
             audio_path /nonexistent\n\
             audio_source aufile,{tone}\n\
             audio_player aubridge,sink\n\
             audio_alert aubridge,alert\n\
             ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n\
             rtp_ports 20000-20100\n\
             rtcp_mux no\n\
             jitter_buffer_delay 5-10\n\
             module_path {MODULES}\n\
             module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
             snd_path {recordings}\n\
             module_tmp uuid.so\nmodule_tmp account.so\n\
             module_app contact.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n\
             ctrl_tcp_listen {address}:4444\n",
            tone = tone.display(),
            recordings = recordings.display(),
        );
        fs::write(home.join("config"), config).expect("the folder is writable");
        fs::write(home.join("accounts"), account).expect("the folder is writable");
        fs::write(home.join("contacts"), "").expect("the folder is writable");
        let mut command = namespace.command(program);
        command.arg("-s").arg("-f").arg(&home);
        let mut process = Process::start("baresip", command, folder);
        process.wait_listening("tcp", 4444);
        let control = SocketAddr::new(address.parse().expect("an address"), 4444);
        let control = namespace.connect(control).expect("baresip accepts");
        Self {
            process,
            control,
            received: Vec::new(),
            recordings,
        }
    }

    /// An account at the proxy of the namespace.
    fn account(user: &str, password: &str, transport: &str) -> String {
        let proxy = Namespace::ADDRESS;
        format!(
            "<sip:{user}@{proxy};transport={transport}>;auth_user={user};auth_pass={password};regint=60;\
             answermode=auto;mwi=no;ptime=20;audio_codecs=PCMU/8000/1,PCMA/8000/1;\
             outbound=\"sip:{proxy};transport={transport}\"\n"
        )
    }

    fn command(&mut self, command: &str, parameters: &str) {
        let message = json!({ "command": command, "params": parameters, "token": "1" }).to_string();
        // a netstring
        let written = write!(self.control, "{}:{message},", message.len());
        written.expect("baresip reads its control connection");
    }

    /// Calls until it is answered: who is called may not have registered yet.
    fn call(&mut self, uri: &str) {
        for _ in 0..30 {
            self.command("dial", uri);
            if self.wait_any(&["CALL_ESTABLISHED", "CALL_CLOSED"]) == "CALL_ESTABLISHED" {
                return;
            }
            thread::sleep(Duration::from_millis(300));
        }
        panic!("{uri} never answers\n{}", self.process.tail());
    }

    /// Waits for an event of this type, such as `CALL_ESTABLISHED`.
    fn wait_event(&mut self, kind: &str) {
        self.wait_any(&[kind]);
    }

    /// Waits for the first event of one of these types.
    fn wait_any<'a>(&mut self, kinds: &[&'a str]) -> &'a str {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            while let Some(event) = self.next_message() {
                if let Some(kind) = kinds.iter().find(|kind| event["type"] == **kind) {
                    return kind;
                }
            }
            assert!(
                Instant::now() < deadline,
                "baresip never said {kinds:?}\n{}",
                self.process.tail()
            );
            self.process.assert_running();
            let mut buffer = [0; 4096];
            let patience = Some(Duration::from_millis(200));
            self.control
                .set_read_timeout(patience)
                .expect("a timeout above zero");
            if let Ok(length) = self.control.read(&mut buffer) {
                self.received.extend(&buffer[..length]);
            }
        }
    }

    /// Takes one netstring off what was received.
    fn next_message(&mut self) -> Option<Value> {
        let colon = self.received.iter().position(|&byte| byte == b':')?;
        let length: usize = str::from_utf8(&self.received[..colon]).ok()?.parse().ok()?;
        let message = self.received.get(colon + 1..colon + 1 + length)?;
        let value = serde_json::from_slice(message).expect("baresip writes JSON");
        self.received
            .drain(..(colon + length + 2).min(self.received.len()));
        Some(value)
    }

    /// The recording of what it heard in its last call.
    fn last_heard(&self) -> PathBuf {
        self.heard().pop().expect("baresip has recorded a call")
    }

    /// The recordings of what it heard, oldest first.
    fn heard(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.recordings).expect("the folder exists");
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with("dec.wav"))
            .collect();
        files.sort();
        files
    }
}

/// Lets a call that is up go on.
fn talk() {
    thread::sleep(Duration::from_secs(4));
}

/// baresip registers, calls `softphone`, and is called back.
fn calls(baresips_transport: &str, our_transport: &str) {
    let namespace = Namespace::new();
    let folder = Folder::new("baresip");
    let file = |name: &str| {
        folder
            .file(name)
            .to_str()
            .expect("the path is text")
            .to_owned()
    };
    let proxy_address = Namespace::ADDRESS;

    let users = folder.write("users", "alice:wonderland\nbob:builder\n");
    let users = users.to_str().expect("the path is text");
    let proxy = Server::proxy_in(
        &namespace,
        &folder,
        &[
            "--domain",
            proxy_address,
            "--users",
            users,
            "--digest",
            "MD5",
        ],
    );

    let (tone, called, calling) = (
        file("our-tone.wav"),
        file("called.wav"),
        file("calling.wav"),
    );
    write_tone(Path::new(&tone), OUR_TONE, 30);
    let registrar = format!("sip:{proxy_address};transport={our_transport}");
    let listen = format!("udp:{proxy_address}:0");
    let bob = format!("sip:bob@{proxy_address}");
    let common = [
        "--registrar",
        &registrar,
        "--username",
        "bob",
        "--password",
        "builder",
        "--listen",
        &listen,
    ];
    let softphone = |name: &str, arguments: &[&str]| {
        let all = [&common[..], &["--play-file", &tone], arguments].concat();
        Softphone::start(name, &folder, Some(&namespace), &bob, &all)
    };

    let mut baresip = Baresip::start(
        &namespace,
        &folder,
        &Baresip::account("alice", "wonderland", baresips_transport),
    );
    baresip.process.wait_log("[1 binding]");

    // baresip calls us
    let mut answering = softphone(
        "softphone-called",
        &[
            "--auto-answer",
            "200",
            "--rec-file",
            &called,
            "--max-calls",
            "1",
        ],
    );
    baresip.call(&bob);
    answering.0.assert_running();
    talk();
    baresip.command("hangup", "");
    let report = answering.reports(Duration::from_secs(20));
    assert_heard(Path::new(&called), BARESIPS_TONE);
    let first = baresip.last_heard();
    assert_heard(&first, OUR_TONE);
    assert_eq!(report.len(), 1, "{report:?}");

    // we call baresip
    let alice = format!("sip:alice@{proxy_address};transport={our_transport}");
    let mut dialing = softphone(
        "softphone-calling",
        &["--call", &alice, "--rec-file", &calling, "--duration", "4"],
    );
    baresip.wait_event("CALL_ESTABLISHED");
    let report = dialing.reports(Duration::from_secs(20));
    baresip.wait_event("CALL_CLOSED");
    assert_heard(Path::new(&calling), BARESIPS_TONE);
    let second = baresip.last_heard();
    assert_ne!(first, second);
    assert_heard(&second, OUR_TONE);
    assert_eq!(report.len(), 1, "{report:?}");

    proxy.stop();
}

#[test]
#[ignore = "needs baresip and root"]
fn baresip_on_tcp_and_softphone_on_udp_call_each_other() {
    calls("tcp", "udp");
}

#[test]
#[ignore = "needs baresip and root"]
fn baresip_on_udp_and_softphone_on_tcp_call_each_other() {
    calls("udp", "tcp");
}

/// baresip against itself, so that a failure elsewhere is not this harness's.
#[test]
#[ignore = "needs baresip and root"]
fn baresip_hears_itself() {
    let namespace = Namespace::new();
    let folder = Folder::new("baresip");
    let address = Namespace::ADDRESS;
    let account = format!(
        "<sip:loop@{address}:5070>;regint=0;answermode=auto;mwi=no;audio_codecs=PCMU/8000/1\n"
    );
    let mut baresip = Baresip::start(&namespace, &folder, &account);
    baresip.command("dial", &format!("sip:loop@{address}:5070"));
    baresip.wait_event("CALL_ESTABLISHED");
    talk();
    baresip.command("hangup", "");
    baresip.wait_event("CALL_CLOSED");
    let heard = baresip.heard();
    assert!(!heard.is_empty());
    for recording in heard {
        assert_heard(&recording, BARESIPS_TONE);
    }
}
