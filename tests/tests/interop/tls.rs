//! TLS against OpenSSL and Kamailio.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::kamailio::{self, Kamailio};
use crate::network::free_port;
use crate::options::options;
use crate::pki::Authority;
use crate::process::{Folder, Process, assert_status, installed};
use crate::programs::Server;
use crate::rig;
use crate::sipp::Sipp;

/// Certificates in files: an authority, and one that it has certified for 127.0.0.1.
struct Files {
    folder: Folder,
}

impl Files {
    fn new() -> Self {
        let folder = Folder::new("tls");
        let authority = Authority::new("test authority");
        let own = authority.certify(&["127.0.0.1", "sip:localhost"]);
        folder.write("ca.pem", authority.pem());
        folder.write("cert.pem", own.chain);
        folder.write("key.pem", own.key);
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.file(name))
    }

    /// The arguments of a server that listens for TLS on `port`, and asks clients who they are if `mutual`.
    fn server(&self, port: u16, mutual: bool) -> Vec<String> {
        let mut arguments = vec![
            "--listen".to_owned(),
            format!("tls:127.0.0.1:{port}"),
            "--cert".to_owned(),
            self.path("cert.pem"),
            "--key".to_owned(),
            self.path("key.pem"),
        ];
        if mutual {
            arguments.extend(["--client-ca".to_owned(), self.path("ca.pem")]);
        }
        arguments
    }

    fn uas(&self, port: u16, mutual: bool) -> Server {
        self.start("uas", port, mutual)
    }

    fn start(&self, name: &str, port: u16, mutual: bool) -> Server {
        self.start_with(name, port, mutual, &[])
    }

    fn start_with(&self, name: &str, port: u16, mutual: bool, more: &[&str]) -> Server {
        let arguments = self.server(port, mutual);
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(more);
        let mut server = match name {
            "uas" => Server::uas(&self.folder, &arguments),
            _ => Server::proxy(&self.folder, &arguments),
        };
        server.process.wait_listening("tcp", port);
        server
    }
}

fn text(path: PathBuf) -> String {
    path.to_str().expect("the path is text").to_owned()
}

/// What `openssl s_client` says of a server.
fn s_client(port: u16, arguments: &[&str]) -> String {
    let output = Command::new(installed("openssl", "openssl"))
        .args([
            "s_client",
            "-ign_eof",
            "-connect",
            &format!("127.0.0.1:{port}"),
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// RFC 8446 §6.2: `certificate_required`. TLS 1.3 ends the client's side of the handshake first.
#[test]
#[ignore = "needs openssl"]
fn openssl_without_a_certificate_reads_alert_116() {
    let files = Files::new();
    let port = free_port();
    let uas = files.uas(port, true);
    let ca = files.path("ca.pem");
    let said = s_client(port, &["-tls1_3", "-CAfile", &ca]);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    assert!(said.contains("SSL alert number 116"), "{said}");
    // TLS 1.2 says it before the handshake is over (RFC 5246 §7.4.6): handshake_failure.
    let said = s_client(port, &["-tls1_2", "-CAfile", &ca]);
    assert!(said.contains("alert"), "{said}");
    uas.stop();
}

/// New connections see what is in the files since SIGHUP; with files that are wrong everything stays as it was.
#[test]
#[ignore = "needs the built examples and openssl"]
fn certificates_are_renewed_on_sighup_and_wrong_ones_are_not_taken() {
    for name in ["uas", "proxy"] {
        let files = Files::new();
        let port = free_port();
        let mut server = files.start(name, port, false);
        let ca = files.path("ca.pem");
        let shown = |ca: &str| {
            let said = s_client(port, &["-no_ign_eof", "-CAfile", ca]);
            said.contains("Verify return code: 0 (ok)")
        };
        assert!(shown(&ca));
        files.folder.write("key.pem", "garbage");
        server.process.hang_up();
        server.process.wait_log("certificates stay as they are");
        assert!(shown(&ca));
        let other = Authority::new("another authority");
        let own = other.certify(&["127.0.0.1"]);
        let other_ca = text(files.folder.write("other.pem", other.pem()));
        files.folder.write("cert.pem", own.chain);
        files.folder.write("key.pem", own.key);
        server.process.hang_up();
        server.process.wait_log("certificates were read again");
        // It was read, and is in force as soon as the server had a turn.
        for _ in 0..100 {
            if shown(&other_ca) {
                break;
            }
        }
        assert!(shown(&other_ca) && !shown(&ca));
        server.stop();
    }
}

#[test]
#[ignore = "needs the built examples"]
fn options_asks_over_tls_and_believes_only_whom_it_should() {
    let files = Files::new();
    let port = free_port();
    let uas = files.uas(port, false);
    let ca = files.path("ca.pem");
    for uri in [
        format!("sips:127.0.0.1:{port}"),
        format!("sip:127.0.0.1:{port};transport=tls"),
    ] {
        assert_status(&options(&[&uri, "--timeout", "5", "--tls-ca", &ca]), 0);
        assert_status(&options(&[&uri, "--timeout", "5", "--tls-insecure"]), 0);
        // The platform does not know our authority.
        let refused = options(&[&uri, "--timeout", "5"]);
        assert_status(&refused, 1);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("certificate"), "{said}");
    }
    // Plain TCP on the TLS port.
    let plain = format!("sip:127.0.0.1:{port};transport=tcp");
    assert_status(&options(&[&plain, "--timeout", "5"]), 1);
    uas.stop();
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn two_softphones_call_each_other_through_kamailio_over_tls() {
    let kamailio = Kamailio::start();
    let registrar = format!("sip:{};transport=tls", kamailio.address_for("tls"));
    let ca = text(kamailio.file("pki/ca.crt"));
    kamailio::calls(&kamailio, &registrar, &["--tls-ca", &ca]);
}

#[test]
#[ignore = "needs kamailio and the rig"]
fn options_asks_kamailio_over_tls() {
    let kamailio = Kamailio::start();
    let ca = text(kamailio.file("pki/ca.crt"));
    let uri = format!("sips:{}", kamailio.address_for("tls"));
    assert_status(&options(&[&uri, "--timeout", "5", "--tls-ca", &ca]), 0);
}

/// Kamailio between SIPp on UDP and our TLS: what comes by UDP goes to us, what comes by TLS to SIPp's callee.
struct Between {
    process: Process,
    udp: u16,
}

impl Drop for Between {
    /// Killed, it would leave its workers behind.
    fn drop(&mut self) {
        self.process.end(Duration::from_secs(5));
    }
}

impl Between {
    fn start(files: &Files, ports: (u16, u16), ours: u16, callee: u16) -> Self {
        let (udp, tls) = ports;
        let path = |name: &str| files.path(name);
        let certificates = format!(
            "method = TLSv1.2+\nverify_certificate = yes\nrequire_certificate = no\nprivate_key = {}\n\
             certificate = {}\nca_list = {}\n",
            path("key.pem"),
            path("cert.pem"),
            path("ca.pem")
        );
        let both = format!("[server:default]\n{certificates}[client:default]\n{certificates}");
        let tls_file = text(files.folder.write("tls.cfg", both));
        let config = CONFIG
            .replace("@UDP@", &udp.to_string())
            .replace("@TLS@", &tls.to_string())
            .replace("@TLSCFG@", &tls_file)
            .replace("@OURS@", &ours.to_string())
            .replace("@CALLEE@", &callee.to_string());
        let config = text(files.folder.write("kamailio.cfg", config));
        let run = text(files.folder.path().to_path_buf());
        let mut command = Command::new(installed("kamailio", "kamailio"));
        command.args(["-DD", "-E", "-f", &config, "-Y", &run]);
        command.args(["-P", &path("kamailio.pid"), "-m", "64", "-M", "16"]);
        let mut process = Process::start("kamailio", command, &files.folder);
        process.wait_file(&files.folder.file("kamailio.pid"));
        Self { process, udp }
    }
}

const CONFIG: &str = r#"
debug=1
log_stderror=yes
fork=yes
children=2
tcp_children=2
enable_tls=yes
auto_aliases=no
listen=udp:127.0.0.1:@UDP@
listen=tls:127.0.0.1:@TLS@
loadmodule "tls.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
modparam("tls", "config", "@TLSCFG@")
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
        sl_send_reply("404", "Not Here");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) { t_relay(); } exit; }
    t_check_trans();
    if (is_method("INVITE")) { record_route(); }
    if (proto == UDP) {
        $ru = "sip:bob@127.0.0.1:@OURS@;transport=tls";
    } else {
        $ru = "sip:bob@127.0.0.1:@CALLEE@";
    }
    t_relay();
}
"#;

/// SIPp calls at Kamailio with this scenario of the rig; 20 calls, none of which may fail.
fn calls(between: &Between) {
    let mut caller = Sipp::call(
        &format!("127.0.0.1:{}", between.udp),
        &rig::scenario("uac-call"),
        "u1",
        &[&rig::CALLER[..], &["-r", "10", "-m", "20", "-d", "500"]].concat(),
    );
    caller.assert_no_failed_call(Duration::from_secs(60));
}

/// SIPp by UDP to Kamailio, from there by TLS, both with certificates, to `uas`.
#[test]
#[ignore = "needs sipp, kamailio and the rig"]
fn calls_reach_uas_through_kamailio_over_mutual_tls() {
    let files = Files::new();
    let port = free_port();
    let uas = files.uas(port, true);
    let between = Between::start(&files, (free_port(), free_port()), port, free_port());
    calls(&between);
    uas.stop();
}

/// What a phone does besides plain calls, on the same way: a CANCEL that follows its INVITE over the connection, a
/// re-INVITE and a BYE over the route set, a call without offer, compact names, and a request outside dialogs.
#[test]
#[ignore = "needs sipp, kamailio and the rig"]
fn what_phones_do_reaches_uas_through_kamailio_over_mutual_tls() {
    let scenarios = [
        ("uac-cancel", "5000"),
        ("uac-reinvite", "0"),
        ("uac-late-offer", "0"),
        ("uac-compact", "0"),
        ("uac-message", "0"),
    ];
    for (name, ring) in scenarios {
        let files = Files::new();
        let port = free_port();
        let uas = files.start_with("uas", port, true, &["--ring", ring]);
        let between = Between::start(&files, (free_port(), free_port()), port, free_port());
        let mut caller = Sipp::call(
            &format!("127.0.0.1:{}", between.udp),
            &rig::scenario(name),
            "u1",
            &[&rig::CALLER[..], &["-m", "5", "-d", "300"]].concat(),
        );
        caller.assert_no_failed_call(Duration::from_secs(30));
        uas.stop();
    }
}

/// SIPp by UDP to Kamailio, by TLS to `proxy`, by TLS back to Kamailio, by UDP to SIPp.
#[test]
#[ignore = "needs sipp, kamailio and the rig"]
fn calls_pass_the_proxy_over_tls_out_and_back() {
    let files = Files::new();
    let mut callee = Sipp::answer(
        &rig::scenario("uas-call"),
        "u1",
        &["-m", "20", "-rtp_echo", "-trace_msg"],
    );
    let (ours, udp, tls) = (free_port(), free_port(), free_port());
    let forward = format!("sip:bob@127.0.0.1:{tls};transport=tls");
    let more = ["--no-auth", "--forward", &forward];
    let proxy = files.start_with("proxy", ours, true, &more);
    let between = Between::start(&files, (udp, tls), ours, callee.port);
    calls(&between);
    callee.assert_no_failed_call(Duration::from_secs(10));
    proxy.stop();
}
