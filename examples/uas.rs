//! Answers everything: OPTIONS, MESSAGE, and calls, whose audio it sends back.
//!
//! ```console
//! $ cargo run --release --example uas -- --listen udp:127.0.0.1:5060 --listen tcp:127.0.0.1:5060
//! ```

use clap::Parser;
use futures_util::StreamExt;
use memchr::{memchr2, memmem};
use sipwright::{AnswerError, IncomingCall, Listener, UserAgent, message::StatusCode};
use std::{net::IpAddr, process::ExitCode, time::Duration};

/// Answers any Request-URI: OPTIONS and MESSAGE with 200, INVITE with 180 and then a final response whose session
/// sends the caller's audio back. Reads its certificates again on SIGHUP, ends gracefully on SIGINT and SIGTERM, a second
/// one at once.
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
    /// How many workers share the work: each has sockets of its own at the same addresses and, with as many processors,
    /// one for itself
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// While datagrams come more often than every so many milliseconds and yet leave most of the time free, take them in
    /// groups that far apart; 0 takes each as it comes
    #[arg(long, default_value_t = 1, value_name = "MS", value_parser = clap::value_parser!(u8).range(..=100))]
    coalesce: u8,
    /// Agree on sessions in which nothing flows, and open no sockets for audio
    #[arg(long)]
    no_media: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    sipwright_examples::log();
    let served = sipwright_examples::tokio_for(args.workers.into())
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|tokio| tokio.block_on(serve(args)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uas: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let end = sipwright_examples::end_signal();
    // A test peer is there to be loaded.
    let mut builder = UserAgent::builder()
        .workers(args.workers.into())
        .coalesce(Duration::from_millis(args.coalesce.into()))
        .max_calls(100_000)
        .max_transactions(2_000_000);
    for listener in sipwright_examples::advertised(&args.listen, args.advertise.as_deref())? {
        builder = builder.listen(listener);
    }
    if let Some(tls) = args.tls.read(&args.listen)? {
        builder = builder.tls(tls);
    }
    let ua = builder.start().await?;
    for address in ua.listeners() {
        tracing::info!(%address, "listening");
    }
    let mut messages = ua.messages();
    let answer_messages = tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            message.accept();
        }
    });
    let (renewed, mut renewals) = (ua.clone(), args.tls.renewals());
    tokio::spawn(async move {
        while let Some(tls) = renewals.next().await {
            renewed.set_tls(tls).await.ok();
        }
    });
    let manner = Manner {
        ring: Duration::from_millis(args.ring),
        answer: StatusCode::try_from(args.answer)?,
        media: !args.no_media,
    };
    // A task like any other, so that it has its turn after each of the sockets' when a burst of calls comes.
    let calls = ua.clone();
    let answer_calls = tokio::spawn(async move {
        while let Some(call) = calls.incoming().await {
            tokio::spawn(async move {
                if let Err(error) = take(call, manner).await {
                    tracing::debug!(%error, "a call was not taken");
                }
            });
        }
    });
    tokio::select! {
        ended = answer_calls => ended?,
        () = end => tracing::info!("closing"),
    }
    if let (Some(stack), Some(core)) = (ua.stats().await, ua.core_stats().await) {
        tracing::info!(
            transactions = stack.server_transactions + stack.client_transactions,
            calls = core.calls,
            dialogs = core.dialogs,
            requests = stack.requests,
            "held at the end"
        );
    }
    ua.close().await;
    answer_messages.await?;
    Ok(())
}

/// How calls are taken.
#[derive(Clone, Copy)]
struct Manner {
    ring: Duration,
    answer: StatusCode,
    media: bool,
}

async fn take(incoming: IncomingCall, manner: Manner) -> Result<(), AnswerError> {
    incoming.ring().await?;
    if !manner.ring.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(manner.ring) => {}
            _ = incoming.cancelled() => return Ok(()),
        }
    }
    if !manner.answer.is_success() {
        return incoming.reject(manner.answer).await;
    }
    let incoming = if manner.media {
        incoming
    } else {
        let session = silence(incoming.request().body(), incoming.flow().local().ip());
        incoming.session(session)
    };
    let call = incoming.answer_with(manner.answer).await?;
    if manner.media {
        // A call whose offer had no audio has nothing to send back.
        call.echo(true).await.ok();
    }
    call.detach();
    Ok(())
}

/// The answer to an offer in which every stream is kept and inactive (RFC 3264 §6.1): with the payload types that need
/// no a=rtpmap, and port 9, which throws away what comes. A stream without such types is refused with port zero.
/// Without an offer it is one.
fn silence(offer: &[u8], local: IpAddr) -> String {
    let family = if local.is_ipv4() { "IP4" } else { "IP6" };
    let local = local.to_string();
    let mut session = String::with_capacity(256);
    let mut say = |parts: &[&str]| parts.iter().for_each(|part| session.push_str(part));
    say(&["v=0\r\no=- 1 1 IN ", family, " ", &local, "\r\ns=-\r\n"]);
    say(&["c=IN ", family, " ", &local, "\r\nt=0 0\r\n"]);
    let offer = if offer.is_empty() {
        b"\nm=audio 9 RTP/AVP 0"
    } else {
        offer
    };
    let fixed = |format: &&str| format.parse().is_ok_and(|number: u8| number < 35);
    for start in memmem::find_iter(offer, b"\nm=") {
        let rest = offer.get(start + 3..).unwrap_or_default();
        let line = rest.get(..memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()));
        let Some(Ok(stream)) = line.map(str::from_utf8) else {
            continue;
        };
        let mut words = stream.split(' ');
        let media = words.next().unwrap_or("audio");
        let protocol = words.nth(1).unwrap_or("RTP/AVP");
        let accepted = words.clone().any(|format| fixed(&format));
        say(&["m=", media, if accepted { " 9 " } else { " 0 " }, protocol]);
        for format in words.filter(|format| !accepted || fixed(format)) {
            say(&[" ", format]);
        }
        say(&[if accepted {
            "\r\na=inactive\r\n"
        } else {
            "\r\n"
        }]);
    }
    session
}

fn final_code(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(code @ 200..=699) => Ok(code),
        _ => Err("not a final status code between 200 and 699".into()),
    }
}
