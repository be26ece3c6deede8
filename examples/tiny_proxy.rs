//! A registrar and record-routing proxy in under sixty lines: `tiny_proxy --listen udp:0.0.0.0:5060 --users users.txt`.

use clap::Parser;
use sipwright::Server;
use sipwright::auth::{Digest, Users};
use sipwright::message::{StatusCode, Uri};
use sipwright::proxy::{Inbound, MemoryLocation, Registrar, Rejected, Relayed};
use std::{error::Error, path::PathBuf, time::Duration};

/// A registrar and record-routing proxy for one domain.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen, as udp:IP:PORT or tcp:IP:PORT; may be given several times
    #[arg(long, required = true, value_name = "TRANSPORT:IP:PORT")]
    listen: Vec<String>,
    /// The domain that is ours
    #[arg(long, default_value = "example.com")]
    domain: String,
    /// Who may register and call: one `user:password` a line
    #[arg(long, value_name = "FILE")]
    users: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    sipwright_examples::log();
    let args = Args::parse();
    let users = Users::parse(&std::fs::read_to_string(&args.users)?)?;
    let mut server = Server::builder()
        .domain(&args.domain)
        .authenticate(Digest::realm(&args.domain), users)
        .registrar(Registrar::new(MemoryLocation::new()))
        .route(route);
    for listener in &args.listen {
        server = server.listen(listener.as_str());
    }
    server
        .start()
        .await?
        .run_until(sipwright_examples::end_signal())
        .await;
    Ok(())
}

/// A leading zero goes outside, everything else to whoever registered; no answer goes to voicemail.
async fn route(request: Inbound) -> Result<Relayed, Rejected> {
    let number = request.uri().user().unwrap_or_default().into_owned();
    if let Some(outside) = number.strip_prefix('0') {
        let _caller = request.user().ok_or(StatusCode::FORBIDDEN)?;
        return request
            .relay(Uri::sip(outside, "gateway.example.net")?)
            .await;
    }
    let contacts = request.contacts().await?;
    match request
        .relay(contacts.by_q())
        .ring_for(Duration::from_secs(20))
        .await
    {
        Err(failure) if failure.is_busy() || failure.is_no_answer() => {
            request
                .relay(Uri::sip(&number, "voicemail.example.com")?)
                .await
        }
        outcome => outcome,
    }
}
