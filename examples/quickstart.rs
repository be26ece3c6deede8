//! A proxy and two phones in one program: register, call, talk, hang up.
//!
//! ```console
//! $ cargo run --release --example quickstart
//! ```

use clap::Parser;
use sipwright::{
    Account, Credentials, Ended, Error, Registration, Server, UserAgent,
    auth::{Digest, Users},
    media::Tone,
    proxy::{MemoryLocation, Registrar},
    trace::Trace,
};
use std::{net::SocketAddr, process::ExitCode, time::Duration};

/// Starts a registrar-proxy and two user agents on loopback ports that the system chooses, registers both with a
/// password, calls, plays a tone both ways for 3 seconds, hangs up, and prints the message ladder and what each side
/// sent and heard. Exit status 0 only if all of it happened.
#[derive(Parser)]
#[command(version)]
struct Args {}

#[tokio::main]
async fn main() -> ExitCode {
    Args::parse();
    sipwright_examples::log_warnings();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("quickstart: not everything happened");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, Error> {
    let trace = Trace::new().keep(1_000);
    let users =
        Users::new()
            .add("alice", "example.com", "secret")
            .add("bob", "example.com", "hush");
    let server = Server::builder()
        .listen("udp:127.0.0.1:0")
        .domain("example.com")
        .authenticate(Digest::realm("example.com"), users)
        .registrar(Registrar::new(MemoryLocation::new()))
        .trace(trace.named("proxy"))
        .start()
        .await?;
    let proxy = server.listeners()[0];
    let (alice_ua, alice, alices) = phone("alice", "secret", proxy, &trace).await?;
    let (bob_ua, _bob, bobs) = phone("bob", "hush", proxy, &trace).await?;

    let (called, answered) = tokio::join!(
        async {
            let call = alice.call("sip:bob@example.com").await?;
            let _ = tokio::time::timeout(TALK, call.play(Tone::new(440.0, 0.5))).await;
            Ok::<Ended, Error>(call.hang_up().await)
        },
        async {
            let Some(incoming) = bob_ua.incoming().await else {
                return Ok(None);
            };
            incoming.ring().await?;
            let call = incoming.answer().await?;
            tokio::select! {
                _ = call.play(Tone::new(660.0, 0.5)) => {}
                _ = call.ended() => {}
            }
            Ok::<Option<Ended>, Error>(Some(call.ended().await))
        },
    );
    let (called, answered) = (called?, answered?);
    let (alice_left, bob_left) = tokio::join!(alices.unregister(), bobs.unregister());
    tokio::join!(alice_ua.close(), bob_ua.close());
    server.close().await;

    print!("{}", trace.ladder());
    let heard = [("alice", Some(&called)), ("bob", answered.as_ref())]
        .map(|(name, ended)| summary(name, ended));
    Ok(heard.into_iter().all(|heard| heard) && alice_left.is_ok() && bob_left.is_ok())
}

async fn phone(
    name: &str,
    password: &str,
    proxy: SocketAddr,
    trace: &Trace,
) -> Result<(UserAgent, Account, Registration), Error> {
    let ua = UserAgent::builder()
        .listen("udp:127.0.0.1:0")
        .trace(trace.named(name))
        .start()
        .await?;
    let account = ua
        .account(format!("sip:{name}@example.com"))
        .credentials(Credentials::password(name, password))
        .outbound([format!("sip:{proxy};lr")])
        .build()?;
    let registration = account.register().await?;
    Ok((ua, account, registration))
}

/// Prints what one side sent and heard, and says whether it was a whole call with sound.
fn summary(name: &str, ended: Option<&Ended>) -> bool {
    let Some((ended, stats)) = ended.and_then(|ended| Some((ended, ended.stats()?))) else {
        println!("{name}: no call");
        return false;
    };
    let jitter = stats.jitter().as_secs_f64() * 1_000.0;
    println!(
        "{name:5} {} sent {} received {} lost {} jitter {jitter:.1} ms: {ended}",
        stats.codec(),
        stats.packets_sent(),
        stats.packets_received(),
        stats.lost(),
    );
    let enough = TALK.as_millis() as u64 / 20 * 9 / 10;
    ended.is_normal() && stats.packets_sent() >= enough && stats.packets_received() >= enough
}

const TALK: Duration = Duration::from_secs(3);
