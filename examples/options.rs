//! A ping: sends OPTIONS and prints who answered, and how fast.
//!
//! ```console
//! $ cargo run --release --example options -- sip:pbx.example.com --timeout 5
//! ```

use clap::Parser;
use sipwright::UserAgent;
use std::{process::ExitCode, time::Duration};

/// Sends OPTIONS; prints status and round-trip time. Exit status: 0 on any 2xx, 1 otherwise, 2 on bad arguments.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Whom to ask, such as sip:pbx.example.com or "sip:192.0.2.1:5062;transport=tcp" (or tls, ws,
    /// wss)
    #[arg(value_name = "SIP-URI", value_parser = sipwright_examples::uri)]
    uri: sipwright::message::Uri,
    /// How many seconds to wait for the answer, over all servers of the name
    #[arg(long, default_value_t = 32.0, value_name = "S", value_parser = sipwright_examples::seconds)]
    timeout: f64,
    /// Which DNS server to ask instead of the system's; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    nameserver: Vec<std::net::SocketAddr>,
    #[command(flatten)]
    tls: sipwright_examples::ClientTls,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    sipwright_examples::log_warnings();
    let args = Args::parse();
    match ping(&args).await {
        Ok(success) if success => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{}: {error}", args.uri);
            ExitCode::FAILURE
        }
    }
}

async fn ping(args: &Args) -> Result<bool, Box<dyn std::error::Error>> {
    let mut builder = UserAgent::builder().listen("udp:*:0").tls(args.tls.read()?);
    if !args.nameserver.is_empty() {
        builder = builder.nameservers(args.nameserver.clone());
    }
    let ua = builder.start().await?;
    let pong = ua
        .options(&args.uri)
        .timeout(Duration::from_secs_f64(args.timeout))
        .await?;
    let milliseconds = pong.round_trip().as_secs_f64() * 1_000.0;
    let reason = pong.response().reason();
    println!(
        "{} {reason} from {} in {milliseconds:.1} ms",
        pong.status().as_u16(),
        pong.remote()
    );
    let success = pong.status().is_success();
    ua.close().await;
    Ok(success)
}
