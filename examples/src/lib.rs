//! What the examples share: where they log to, what they prove over TLS, and how signals end them or renew that.

use futures_util::Stream;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use sipwright::{Tls, message::Uri};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};
use tracing_subscriber::EnvFilter;

/// Logs to standard error what `RUST_LOG` asks for; what goes on (info) by default.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// Resolves at the first SIGINT or SIGTERM; a second one ends the process at once.
///
/// Signals are noticed from the call on, not from the first poll.
pub fn end_signal() -> impl Future<Output = ()> + Send {
    let (sender, receiver) = futures_channel::oneshot::channel();
    let mut sender = Some(sender);
    let signals = Signals::new([SIGINT, SIGTERM]);
    std::thread::spawn(move || {
        // Without signal handlers the system's own way of ending a process is left.
        let Ok(mut signals) = signals else {
            return std::mem::forget(sender);
        };
        for signal in &mut signals {
            match sender.take() {
                Some(sender) => drop(sender.send(())),
                None => std::process::exit(128 + signal),
            }
        }
    });
    async move {
        receiver.await.ok();
    }
}

/// Logs warnings alone, for examples whose output is their result.
pub fn log_warnings() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// A tokio runtime for so many workers: one thread alone meets its sockets without waking anybody up.
pub fn tokio_for(workers: usize) -> tokio::runtime::Builder {
    if workers == 1 {
        return tokio::runtime::Builder::new_current_thread();
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers);
    builder
}

/// Listeners that tell peers `advertise` instead of their own address.
pub fn advertised(
    listeners: &[sipwright::Listener],
    advertise: Option<&str>,
) -> Result<Vec<sipwright::Listener>, Box<dyn std::error::Error>> {
    let tell = |listener: &sipwright::Listener| match advertise {
        Some(advertise) => Ok(listener.clone().advertise(advertise)?),
        None => Ok(listener.clone()),
    };
    listeners.iter().map(tell).collect()
}

/// A number of seconds of a command line.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds between 0.001 and 86400".into()),
    }
}

/// What a server of an example proves over TLS, and whom it believes.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerTls {
    /// The certificate for tls: and wss: listeners, in PEM, those that vouch for it behind
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Who certifies clients, in PEM: those that have no certificate are refused. Servers that we connect to are
    /// believed by it as well; without it, those that the platform believes
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub client_ca: Option<PathBuf>,
}

impl ServerTls {
    /// The files, read; `None` where no certificate is given, and none of the listeners needs one.
    pub fn read(&self, listeners: &[sipwright::Listener]) -> Result<Option<Tls>, Box<dyn Error>> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            let is_secure = |listener: &sipwright::Listener| listener.protocol().is_secure();
            return match listeners.iter().find(|listener| is_secure(listener)) {
                Some(listener) => Err(format!("{listener} needs --cert and --key").into()),
                None => Ok(None),
            };
        };
        let mut tls = Tls::new()
            .identity_pem(&contents(cert)?, &contents(key)?)
            .map_err(|error| format!("{}, {}: {error}", cert.display(), key.display()))?;
        if let Some(file) = &self.client_ca {
            let pem = contents(file)?;
            tls = tls
                .require_client_certificates(&pem)
                .and_then(|tls| tls.roots_pem(&pem))
                .map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(Some(tls))
    }

    /// What is in the files each time that SIGHUP comes, from the call on. Files that are wrong are told, and what is in
    /// force stays so.
    ///
    /// Without --cert the signal means what it means for any program.
    pub fn renewals(&self) -> impl Stream<Item = Tls> + Send + Unpin + use<> {
        let (sender, receiver) = futures_channel::mpsc::unbounded();
        let files = self.clone();
        if files.cert.is_some() {
            let signals = Signals::new([SIGHUP]);
            std::thread::spawn(move || {
                let mut signals = match signals {
                    Ok(signals) => signals,
                    Err(error) => return tracing::error!(%error, "SIGHUP cannot be heeded"),
                };
                for _ in &mut signals {
                    match files.read(&[]) {
                        Ok(tls) => {
                            let sent = tls.is_some_and(|tls| sender.unbounded_send(tls).is_ok());
                            if !sent {
                                return;
                            }
                            tracing::info!("certificates were read again");
                        }
                        Err(error) => tracing::error!(%error, "certificates stay as they are"),
                    }
                }
            });
        }
        receiver
    }
}

/// Whom a client of an example believes over TLS.
#[derive(Clone, Debug, clap::Args)]
pub struct ClientTls {
    /// Who certifies servers, in PEM, instead of those that the platform believes
    #[arg(long, value_name = "FILE", conflicts_with = "tls_insecure")]
    pub tls_ca: Option<PathBuf>,
    /// Believe every server, whoever it is: for tests only
    #[arg(long)]
    pub tls_insecure: bool,
}

impl ClientTls {
    /// The file, read.
    pub fn read(&self) -> Result<Tls, Box<dyn Error>> {
        match &self.tls_ca {
            _ if self.tls_insecure => Ok(Tls::new().dangerous().accept_any_certificate()),
            Some(file) => Tls::new()
                .roots_pem(&contents(file)?)
                .map_err(|error| format!("{}: {error}", file.display()).into()),
            None => Ok(Tls::new()),
        }
    }
}

fn contents(file: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// A `sip` or `sips` URI of a command line. `transport=tls` and `transport=wss`, which no registry knows, become `sips`
/// and `sips` with `transport=ws` (RFC 5630 §3.1, RFC 7118 §5.2).
pub fn uri(text: &str) -> Result<Uri, String> {
    let uri = Uri::parse(text).map_err(|error| error.to_string())?;
    if !(uri.is_sip() || uri.is_sips()) {
        return Err("only sip and sips uris can be reached".into());
    }
    let transport = uri.transport().map(|token| token.to_ascii_lowercase());
    let mut secured = match transport.as_deref() {
        Some("tls" | "wss") if !uri.is_sips() => {
            let rest = uri
                .as_str()
                .get(uri.scheme_str().len()..)
                .unwrap_or_default();
            Uri::parse(format!("sips{rest}")).map_err(|error| error.to_string())?
        }
        _ => uri,
    };
    match transport.as_deref() {
        Some("tls") => secured.set_param("transport", "tcp"),
        Some("wss") => secured.set_param("transport", "ws"),
        _ => {}
    }
    Ok(secured)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use signal_hook::{consts::SIGHUP, low_level::raise};

    #[test]
    fn files_are_read_again_at_each_sighup_and_wrong_ones_are_passed_over() {
        let folder =
            std::env::temp_dir().join(format!("sipwright-renewals-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let tls = super::ServerTls {
            cert: Some(folder.join("cert.pem")),
            key: Some(folder.join("key.pem")),
            client_ca: None,
        };
        let mut renewals = tls.renewals();
        let certify = |name: &str| {
            let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
            std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
            std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        };
        for name in ["one.example", "two.example"] {
            certify(name);
            raise(SIGHUP).unwrap();
            let renewed = smol::block_on(renewals.next()).unwrap();
            assert!(format!("{renewed:?}").contains(name), "{renewed:?}");
        }
        assert!(tls.read(&[]).is_ok());
        std::fs::write(folder.join("key.pem"), "garbage").unwrap();
        assert!(tls.read(&[]).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn secure_transports_become_sips() {
        for (given, meant) in [
            (
                "sip:bob@example.com;transport=tls",
                "sips:bob@example.com;transport=tcp",
            ),
            (
                "sip:bob@example.com:5071;transport=WSS",
                "sips:bob@example.com:5071;transport=ws",
            ),
            (
                "sips:bob@example.com;transport=tls",
                "sips:bob@example.com;transport=tcp",
            ),
            (
                "sip:bob@example.com;transport=tcp",
                "sip:bob@example.com;transport=tcp",
            ),
            ("sips:bob@example.com", "sips:bob@example.com"),
        ] {
            assert_eq!(
                super::uri(given).map(|uri| uri.to_string()),
                Ok(meant.to_owned())
            );
        }
        assert!(super::uri("tel:123").is_err());
    }
}
