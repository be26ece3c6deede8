//! What `uas` holds under a long load: as much after a million requests as after the first minute, and nothing afterwards.
//!
//! ```console
//! $ cargo build --release --example uas
//! $ cargo endurance    # five minutes
//! ```

mod load;

use std::{
    env, fs,
    net::UdpSocket,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use load::{Kind, Load};

/// The built `uas` of the same profile as this test, on a port of its own; killed when dropped.
struct Uas {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Uas {
    fn start() -> Self {
        let test = env::current_exe().expect("a running program has a path");
        let profile = test.ancestors().nth(2).expect("target/<profile>/deps");
        let program = profile.join("examples/uas");
        assert!(
            program.is_file(),
            "{} is not built; run: cargo build --release --example uas",
            program.display()
        );
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = free.expect("loopback has ports").port();
        let log = env::temp_dir().join(format!("sipwright-endurance-{port}.log"));
        let output = fs::File::create(&log).expect("the temporary folder is writable");
        let child = Command::new(program)
            .args(["--no-media", "--listen", &format!("udp:127.0.0.1:{port}")])
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(output)
            .stdout(Stdio::null())
            .spawn()
            .expect("the example starts");
        Self { child, port, log }
    }

    /// The resident memory in bytes.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("uas runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes =
            resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.expect("Linux says what is resident") * 1024
    }

    /// Ends it politely; what it said it held then.
    fn end(&mut self) -> String {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.expect("kill runs").success());
        let ended = self.child.wait().expect("it is our child");
        let log = fs::read_to_string(&self.log).expect("the log is there");
        assert!(ended.success(), "{ended}\n{log}");
        let held = log.lines().find(|line| line.contains("held at the end"));
        held.unwrap_or_else(|| panic!("no counters\n{log}"))
            .to_owned()
    }
}

impl Drop for Uas {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if !thread::panicking() {
            fs::remove_file(&self.log).ok();
        }
    }
}

/// Sends the load, and compares what is resident at its end with what was after 64 s: twice the longest that a
/// transaction lives, so that by then as much ends as begins.
fn stays_flat(kind: Kind, count: u64, a_second: u64) {
    let mut uas = Uas::start();
    let mut load = Load::new(kind, uas.port, count, a_second);
    let start = Instant::now();
    let mut settled = None;
    while load.go_on() {
        if settled.is_none() && start.elapsed() >= Duration::from_secs(64) {
            settled = Some(uas.memory());
        }
    }
    let end = uas.memory();
    let settled = settled.expect("the load takes longer than 64 s");
    println!(
        "{count} {kind:?} in {:.0} s, {} sent again: {settled} bytes resident after 64 s, {end} at the end",
        start.elapsed().as_secs_f64(),
        load.repeated()
    );
    assert!(
        end <= settled + settled / 50 + (1 << 20),
        "{end} bytes after {settled}"
    );
    // 64*T1, and as much again for what the last request made us remember.
    thread::sleep(Duration::from_secs(66));
    let held = uas.end();
    for what in ["transactions=0", "calls=0", "dialogs=0", "requests=0"] {
        assert!(held.contains(what), "{held}");
    }
}

#[test]
#[ignore = "takes four minutes and the built uas"]
fn a_million_requests_leave_nothing_behind() {
    stays_flat(Kind::Options, 1_000_000, 6_000);
}

#[test]
#[ignore = "takes three minutes and the built uas"]
fn a_hundred_thousand_calls_leave_nothing_behind() {
    stays_flat(Kind::Call, 100_000, 1_000);
}
