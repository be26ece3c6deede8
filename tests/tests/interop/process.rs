//! Child processes that end with their test, and the folders they work in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use rustix::process::{Pid, Signal, kill_process};

/// A folder of its own for one test; deleted at the end unless the test failed.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = env::temp_dir().join(format!("sipwright-{test}-{}", unique()));
        fs::create_dir_all(&path).expect("the temporary folder is writable");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, contents).expect("the temporary folder is writable");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("logs and traces stay in {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A running program whose output goes to a file; killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the program in the folder.
    pub fn start(name: &str, mut command: Command, folder: &Folder) -> Self {
        let log = folder.file(&format!("{name}.log"));
        let output = File::create(&log).expect("the temporary folder is writable");
        let errors = output.try_clone().expect("a file can be opened twice");
        let started = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) => panic!("{name} does not start: {error} ({command:?})"),
        };
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of what it has printed, for the message of a failure.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        format!("--- last lines of {}:\n{tail}", self.name)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails the test if it has ended.
    pub fn assert_running(&mut self) {
        let ended = self.child.try_wait().expect("our child can be waited for");
        assert!(
            ended.is_none(),
            "{} ended early: {ended:?}\n{}",
            self.name,
            self.tail()
        );
    }

    /// Waits until it listens on the port, in whatever network namespace it is.
    pub fn wait_listening(&mut self, protocol: &str, port: u16) {
        self.wait_until(
            &format!("listens on {protocol} port {port}"),
            Duration::from_secs(10),
            |process| listens(process.id(), protocol, port),
        );
    }

    /// Waits until it has printed the text.
    pub fn wait_log(&mut self, text: &str) {
        self.wait_until(
            &format!("prints {text:?}"),
            Duration::from_secs(10),
            |process| process.log().contains(text),
        );
    }

    /// Waits until it has made the file.
    pub fn wait_file(&mut self, file: &Path) {
        let what = format!("makes {}", file.display());
        self.wait_until(&what, Duration::from_secs(10), |_| file.exists());
    }

    fn wait_until(&mut self, what: &str, patience: Duration, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !is_so(self) {
            self.assert_running();
            assert!(
                Instant::now() < deadline,
                "{} never {what}\n{}",
                self.name,
                self.tail()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end; fails the test if that takes longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{} has not ended after {patience:?}\n{}",
                self.name,
                self.tail()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end, which must be exit status 0; returns what it printed.
    pub fn succeed(&mut self, patience: Duration) -> String {
        let status = self.wait(patience);
        assert!(
            status.success(),
            "{} ended with {status}\n{}",
            self.name,
            self.tail()
        );
        self.log()
    }

    /// Ends it by SIGTERM and waits for a good end.
    pub fn stop(&mut self, patience: Duration) {
        self.assert_running();
        self.terminate();
        self.succeed(patience);
    }

    /// Asks it to end, and gives it that time to take its own processes with it.
    pub fn end(&mut self, patience: Duration) {
        self.terminate();
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end, by SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to read its files again, by SIGHUP.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        let _ = kill_process(Pid::from_raw(id).expect("a child has an id"), signal);
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .expect("a running process has resident memory")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}

/// Runs a program to its end, which must be good; returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            panic!("{:?} is not installed", command.get_program())
        }
        Err(error) => panic!("{command:?} does not start: {error}"),
    };
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{printed}",
        output.status
    );
    printed
}

/// Fails the test unless the program ended with this exit status.
pub fn assert_status(output: &Output, expected: i32) {
    assert_eq!(
        output.status.code(),
        Some(expected),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Finds a program that a package of the system should have installed.
pub fn installed(program: &str, package: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("{program} is not installed; on Debian: apt-get install {package}")
        })
}

/// A text that no other test and no other run uses.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}-{}",
        process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Does the process's network namespace have a listener on the port?
fn listens(process: u32, protocol: &str, port: u16) -> bool {
    // proc(5): second column is the local address in hex, fourth the state; 07 is an unconnected UDP socket, 0A LISTEN
    let state = if protocol == "udp" { "07" } else { "0A" };
    [protocol.to_owned(), format!("{protocol}6")]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")).ok())
        .any(|table| {
            table.lines().skip(1).any(|line| {
                let mut columns = line.split_whitespace().skip(1);
                let local = columns.next().unwrap_or_default();
                local.ends_with(&format!(":{port:04X}")) && columns.nth(1) == Some(state)
            })
        })
}
