//! A phone in a browser: JsSIP in headless Chromium, and the page that it runs in.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Folder, Process, installed, run};

/// A browser on a page of ours.
pub struct Browser {
    page: TcpListener,
    script: Vec<u8>,
    chromium: Process,
}

impl Browser {
    /// Opens the page of `web/page.js` with these settings.
    pub fn open(folder: &Folder, settings: &Value) -> Self {
        let script = bundle(folder);
        let page = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the system has a free port");
        page.set_nonblocking(true)
            .expect("a listener need not wait");
        let port = page.local_addr().expect("it is bound").port();
        let hash: String = settings
            .to_string()
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let mut command = Command::new(installed("chromium", "chromium"));
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--mute-audio",
            // There is neither a microphone nor somebody to ask.
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            "--allow-loopback-in-peer-connection",
            "--disable-features=WebRtcHideLocalIpsWithMdns",
            // The server's certificate is made for the test.
            "--ignore-certificate-errors",
        ]);
        command.arg(format!(
            "--user-data-dir={}",
            folder.file("chromium").display()
        ));
        command.arg(format!("http://127.0.0.1:{port}/#{hash}"));
        command.env("HOME", folder.path());
        let chromium = Process::start("browser", command, folder);
        Self {
            page,
            script,
            chromium,
        }
    }

    /// Waits for what the page tells next, which must be this.
    pub fn tells(&mut self, what: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.chromium.assert_running();
            assert!(
                Instant::now() < deadline,
                "the page never told {what:?}\n{}",
                self.chromium.tail()
            );
            let Ok((stream, _)) = self.page.accept() else {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            if let Some(told) = self.serve(stream) {
                assert_eq!(told["what"], what, "{told}");
                return told;
            }
        }
    }

    /// Answers one HTTP request; what a page tells is returned.
    fn serve(&self, mut stream: TcpStream) -> Option<Value> {
        stream.set_nonblocking(false).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut request = Vec::new();
        let mut buffer = [0; 4_096];
        let end = loop {
            if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut buffer).ok()? {
                0 => return None,
                length => request.extend_from_slice(&buffer[..length]),
            }
        };
        let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().unwrap_or(0));
        while request.len() < end + length {
            match stream.read(&mut buffer).ok()? {
                0 => return None,
                read => request.extend_from_slice(&buffer[..read]),
            }
        }
        let (kind, body): (&str, &[u8]) = match head.split(' ').nth(1) {
            Some("/") => ("text/html; charset=utf-8", PAGE.as_bytes()),
            Some("/page.js") => ("text/javascript; charset=utf-8", &self.script),
            _ => ("text/plain", b""),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        serde_json::from_slice(&request[end..]).ok()
    }
}

/// The page's script and JsSIP in one file.
fn bundle(folder: &Folder) -> Vec<u8> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/web");
    let esbuild: PathBuf = web.join("node_modules/esbuild/bin/esbuild");
    assert!(
        esbuild.is_file(),
        "JsSIP is not installed; run: npm ci --ignore-scripts --prefix {}",
        web.display()
    );
    let out = folder.file("page.js");
    let mut command = Command::new(installed("node", "nodejs"));
    command.arg(esbuild).arg(web.join("page.js"));
    command.args(["--bundle", "--define:global=window", "--log-level=error"]);
    command.arg(format!("--outfile={}", out.display()));
    run(&mut command);
    std::fs::read(out).expect("esbuild has written it")
}

const PAGE: &str =
    "<!doctype html><meta charset=utf-8><title>phones</title><script src=/page.js></script>";
