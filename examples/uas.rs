//! Answers everything: OPTIONS, MESSAGE, and calls, whose audio it sends back.
//!
//! ```console
//! $ cargo run --release --example uas -- --listen udp:127.0.0.1:5060 --listen tcp:127.0.0.1:5060
//! ```

use clap::Parser;
use futures_util::StreamExt;
use sipwright::{AnswerError, IncomingCall, Listener, UserAgent, message::StatusCode};
use std::{process::ExitCode, time::Duration};

/// Answers any Request-URI: OPTIONS and MESSAGE with 200, INVITE with 180 and then a final response whose session
/// sends the caller's audio back. Ends gracefully on SIGINT and SIGTERM, a second one at once.
#[derive(Clone, Parser)]
#[command(version)]
struct Args {
    /// Where to listen, as udp:, tcp:, tls:, ws: or wss:IP:PORT; may be given several times
    #[arg(long, required = true, value_name = "TRANSPORT:IP:PORT")]
    listen: Vec<Listener>,
    /// The host, and the port if it is another one, that peers are told instead of the listener's own
    #[arg(long, value_name = "HOST[:PORT]")]
    advertise: Option<String>,
    #[command(flatten)]
    tls: sipwright_examples::ServerTls,
    /// How many milliseconds to ring before the answer
    #[arg(long, default_value_t = 0, value_name = "MS")]
    ring: u64,
    /// The final response to a call: 200 to 299 take it, 300 to 699 refuse it
    #[arg(long, default_value_t = 200, value_name = "CODE", value_parser = final_code)]
    answer: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    sipwright_examples::log();
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uas: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let end = sipwright_examples::end_signal();
    let mut builder = UserAgent::builder();
    for listener in sipwright_examples::advertised(&args.listen, args.advertise.as_deref())? {
        builder = builder.listen(listener);
    }
    if let Some(tls) = args.tls.read()? {
        builder = builder.tls(tls);
    }
    let ua = builder.start().await?;
    for address in ua.listeners() {
        tracing::info!(%address, "listening");
    }
    let mut messages = ua.messages();
    let answer_messages = async {
        while let Some(message) = messages.next().await {
            message.accept();
        }
    };
    let answer_calls = async {
        while let Some(call) = ua.incoming().await {
            let args = args.clone();
            tokio::spawn(async move {
                if let Err(error) = take(call, &args).await {
                    tracing::debug!(%error, "a call was not taken");
                }
            });
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(answer_messages, answer_calls) } => {}
        () = end => tracing::info!("closing"),
    }
    ua.close().await;
    Ok(())
}

async fn take(incoming: IncomingCall, args: &Args) -> Result<(), AnswerError> {
    incoming.ring().await?;
    tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(args.ring)) => {}
        () = incoming.cancelled() => return Ok(()),
    }
    let status = StatusCode::try_from(args.answer).unwrap_or(StatusCode::OK);
    if !status.is_success() {
        return incoming.reject(status).await;
    }
    let call = incoming.answer_with(status).await?;
    // A call whose offer had no audio has nothing to send back.
    call.echo(true).await.ok();
    call.detach();
    Ok(())
}

fn final_code(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(code @ 200..=699) => Ok(code),
        _ => Err("not a final status code between 200 and 699".into()),
    }
}
