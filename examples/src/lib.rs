//! What the examples share: where they log to, and how a signal ends them.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
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
