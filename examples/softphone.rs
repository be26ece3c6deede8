//! A phone without a screen and without a sound card: registers, calls or answers, plays and records WAV files.
//!
//! ```console
//! $ cargo run --release --example softphone -- --id sip:alice@example.com --registrar sip:192.0.2.1 \
//!     --username alice --password secret --call sip:bob@example.com --play-file hello.wav --duration 10
//! ```

use clap::Parser;
use serde_json::json;
use sipwright::{
    Account, Call, Credentials, Ended, IncomingCall, Registration, UserAgent,
    media::{MediaError, Recorder, Stats, Wav},
    message::{StatusCode, Uri},
};
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// A headless phone. It calls (--call) or waits for calls (--auto-answer), plays a file to the peer and records what it
/// hears. Exit status: 0 when the calls it was asked for were established and ended normally, 1 otherwise, 2 on bad
/// arguments. SIGINT and SIGTERM hang up and end it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Who we are: the address-of-record
    #[arg(long, value_name = "SIP-URI", value_parser = sipwright_examples::uri)]
    id: Uri,
    /// Where to register, and the first hop of calls, such as "sip:192.0.2.1;transport=wss" (or tcp, tls, ws); without it
    /// nothing is registered
    #[arg(long, value_name = "SIP-URI", value_parser = sipwright_examples::uri)]
    registrar: Option<Uri>,
    /// The user of the credentials; the user part of --id by default
    #[arg(long, value_name = "U")]
    username: Option<String>,
    /// The password
    #[arg(long, value_name = "P")]
    password: Option<String>,
    /// Where to listen, as udp:, tcp: or ws:IP:PORT; may be given several times
    #[arg(
        long,
        default_value = "udp:0.0.0.0:0",
        value_name = "TRANSPORT:IP:PORT"
    )]
    listen: Vec<sipwright::Listener>,
    /// Whom to call, with a transport likewise
    #[arg(long, value_name = "SIP-URI", value_parser = sipwright_examples::uri, conflicts_with = "auto_answer")]
    call: Option<Uri>,
    /// Wait for calls and answer them so: 200 to 299 take them, 300 to 699 refuse them
    #[arg(long, value_name = "CODE", value_parser = final_code)]
    auto_answer: Option<u16>,
    /// What to play to the peer
    #[arg(long, value_name = "WAV")]
    play_file: Option<PathBuf>,
    /// Play it again and again
    #[arg(long, requires = "play_file")]
    auto_loop: bool,
    /// Where to write what is heard; of several calls, the second and later ones get a number before the extension
    #[arg(long, value_name = "WAV")]
    rec_file: Option<PathBuf>,
    /// Hang up after so many seconds; by default when the file has been played, or when the peer does
    #[arg(long, value_name = "S", value_parser = sipwright_examples::seconds)]
    duration: Option<f64>,
    /// End after so many calls were answered
    #[arg(long, value_name = "N")]
    max_calls: Option<usize>,
    /// Print an object for each call: state, reason, codec, packets and bytes each way, lost, jitter
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    report: Option<String>,
    /// Which DNS server to ask instead of the system's; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    nameserver: Vec<std::net::SocketAddr>,
    #[command(flatten)]
    tls: sipwright_examples::ClientTls,
}

/// How long a server may say nothing before the next one is asked.
const SILENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    sipwright_examples::log_warnings();
    match run(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("softphone: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<bool, Box<dyn Error>> {
    let end = sipwright_examples::end_signal();
    // A file that cannot be played is found out before anybody is called.
    if let Some(file) = &args.play_file {
        Wav::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let mut builder = UserAgent::builder()
        .attempt_limit(SILENCE)
        .tls(args.tls.read()?);
    if !args.nameserver.is_empty() {
        builder = builder.nameservers(args.nameserver.clone());
    }
    for listener in &args.listen {
        builder = builder.listen(listener.clone());
    }
    let ua = builder.start().await?;
    let worked = async {
        let (account, registration) = sign_in(&ua, &args).await?;
        let well = match &args.call {
            Some(target) => place(&account, target, &args).await?,
            None => answer(&ua, &args).await,
        };
        if let Some(registration) = registration {
            registration.unregister().await.ok();
        }
        Ok::<bool, Box<dyn Error>>(well)
    };
    let outcome = tokio::select! {
        outcome = worked => outcome,
        // The handles are dropped here, which hangs up, and `close` waits for that.
        () = end => Ok(args.call.is_none()),
    };
    ua.close().await;
    outcome
}

async fn sign_in(
    ua: &UserAgent,
    args: &Args,
) -> sipwright::Result<(Account, Option<Registration>)> {
    let mut account = ua.account(&args.id);
    if let Some(password) = &args.password {
        let user = args
            .username
            .clone()
            .or_else(|| args.id.user().map(|user| user.into_owned()));
        account = account.credentials(Credentials::password(user.unwrap_or_default(), password));
    }
    if let Some(registrar) = &args.registrar {
        account = account
            .registrar(registrar)
            .outbound([registrar.with_param("lr", None)]);
    }
    let account = account.build()?;
    let registration = match &args.registrar {
        Some(_) => Some(account.register().await?),
        None => None,
    };
    Ok((account, registration))
}

/// Calls, and says whether the call was established and ended normally.
async fn place(account: &Account, target: &Uri, args: &Args) -> Result<bool, Box<dyn Error>> {
    match account.call(target).await {
        Ok(call) => {
            let ended = talk(call, args, args.rec_file.as_deref()).await?;
            report(args, &ended);
            Ok(ended.is_normal())
        }
        Err(error) => {
            if args.report.is_some() {
                let status = error.status().map(StatusCode::as_u16);
                println!(
                    "{}",
                    json!({ "state": "failed", "reason": error.to_string(), "status": status })
                );
            }
            eprintln!("softphone: {error}");
            Ok(false)
        }
    }
}

/// Answers calls, several at a time, and says whether every one that was taken ended normally.
async fn answer(ua: &UserAgent, args: &Args) -> bool {
    let status = args
        .auto_answer
        .and_then(|code| StatusCode::try_from(code).ok());
    let calls = async {
        let mut running = futures_util::stream::FuturesUnordered::new();
        let (mut taken, mut well) = (0, true);
        loop {
            let more = args.max_calls.is_none_or(|limit| taken < limit);
            tokio::select! {
                incoming = ua.incoming(), if more => match incoming {
                    Some(incoming) => {
                        taken += 1;
                        running.push(take(incoming, status, args, taken));
                    }
                    None => return well,
                },
                Some(ended) = futures_util::StreamExt::next(&mut running), if !running.is_empty() => well &= ended,
                else => return well,
            }
        }
    };
    calls.await
}

async fn take(
    incoming: IncomingCall,
    status: Option<StatusCode>,
    args: &Args,
    number: usize,
) -> bool {
    let status = status.unwrap_or(StatusCode::OK);
    if !status.is_success() {
        return incoming.reject(status).await.is_ok();
    }
    let taken = async {
        incoming.ring().await?;
        incoming.answer_with(status).await
    };
    match taken.await {
        Ok(call) => match talk(
            call,
            args,
            args.rec_file
                .as_deref()
                .map(|file| numbered(file, number))
                .as_deref(),
        )
        .await
        {
            Ok(ended) => {
                report(args, &ended);
                ended.is_normal()
            }
            Err(error) => {
                eprintln!("softphone: {error}");
                false
            }
        },
        Err(error) => {
            eprintln!("softphone: {error}");
            false
        }
    }
}

/// Plays and records until the time is over, the file has been played, or the peer hangs up.
async fn talk(call: Call, args: &Args, record: Option<&Path>) -> Result<Ended, Box<dyn Error>> {
    if let Some(file) = record {
        let recorder = Recorder::create(file)
            .map_err(|error: MediaError| format!("{}: {error}", file.display()))?;
        call.record(recorder).await.ok();
    }
    let play = async {
        match &args.play_file {
            Some(file) => {
                let wav =
                    Wav::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
                let wav = if args.auto_loop { wav.looped() } else { wav };
                // The call may end while it plays.
                call.play(wav).await.ok();
                if args.duration.is_some() || args.call.is_none() {
                    std::future::pending::<()>().await;
                }
                Ok::<(), Box<dyn Error>>(())
            }
            None => std::future::pending().await,
        }
    };
    let time_over = async {
        match args.duration {
            Some(seconds) => tokio::time::sleep(Duration::from_secs_f64(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = call.ended() => return Ok(ended),
        played = play => played?,
        () = time_over => {}
    }
    Ok(call.hang_up().await)
}

fn report(args: &Args, ended: &Ended) {
    if args.report.is_none() {
        return;
    }
    let mut object = json!({
        "state": if ended.is_normal() { "ended" } else { "failed" },
        "reason": ended.to_string(),
        "by_us": ended.by_us(),
        "duration_ms": ended.duration().as_millis() as u64,
    });
    if let (Some(stats), Some(fields)) = (ended.stats(), object.as_object_mut()) {
        fields.extend(media_fields(stats).as_object().cloned().unwrap_or_default());
    }
    println!("{object}");
}

fn media_fields(stats: &Stats) -> serde_json::Value {
    json!({
        "codec": stats.codec(),
        "packets_sent": stats.packets_sent(),
        "packets_received": stats.packets_received(),
        "bytes_sent": stats.bytes_sent(),
        "bytes_received": stats.bytes_received(),
        "lost": stats.lost(),
        "jitter_ms": stats.jitter().as_secs_f64() * 1_000.0,
    })
}

/// `heard.wav` for the first call, `heard-2.wav` for the second.
fn numbered(file: &Path, number: usize) -> PathBuf {
    if number == 1 {
        return file.to_owned();
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let extension = file
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()))
        .unwrap_or_default();
    file.with_file_name(format!("{stem}-{number}{extension}"))
}

fn final_code(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(code @ 200..=699) => Ok(code),
        _ => Err("not a final status code between 200 and 699".into()),
    }
}
