//! A registrar and a stateful, record-routing proxy, its decisions made in line on the driver's task.
//!
//! ```console
//! $ cargo run --release --example proxy -- --listen udp:127.0.0.1:5060 --domain example.com --users users.txt
//! ```

use clap::{Parser, ValueEnum};
use futures_channel::oneshot;
use futures_util::{FutureExt, StreamExt};
use sipwright::{
    Listener,
    auth::{Algorithm, Digest, Server as Authenticator, Users},
    endpoint::{Domains, Either, EndpointConfig, Stack, StackEvent, TransportConfig},
    io::{Rng, StateMachine, WallClock},
    message::{StatusCode, Uri},
    proxy_core::{Event, Plan, Proxy, ProxyConfig, ProxyId, Target},
    registrar::{Binding, MemoryLocation, Registrar, RegistrarConfig},
    resolver::Zone,
    runtime::{Application, Driver, DriverHandle, Runtime, Smol, Tokio},
};
use std::{
    error::Error,
    io,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

/// A registrar and a stateful, record-routing proxy. Calls for who is registered go there, what is for nobody
/// registered goes to --forward, foreign domains are for authenticated users. Counters are logged each minute and at the
/// end (RUST_LOG=info). Reads its certificates again on SIGHUP, ends gracefully on SIGINT and SIGTERM, a second one at
/// once.
#[derive(Parser)]
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
    /// A domain that is ours beside the listeners' addresses; the first one is the realm. May be given several times
    #[arg(long, value_name = "D")]
    domain: Vec<String>,
    /// Who may register and call: one user:password a line
    #[arg(long, value_name = "FILE", conflicts_with = "no_auth")]
    users: Option<PathBuf>,
    /// Ask nobody for a password; this is so without --users as well. Foreign domains are then for nobody
    #[arg(long)]
    no_auth: bool,
    /// What challenges offer, in that order. Today's phones fail when SHA-256 is offered beside MD5
    #[arg(long, value_enum, default_value = "MD5", value_name = "ALGORITHMS")]
    digest: Algorithms,
    /// Where requests go that are for nobody registered, also ACK and BYE without Route to our own URI
    #[arg(long, value_name = "SIP-URI", value_parser = sipwright_examples::uri)]
    forward: Option<Uri>,
    /// Which DNS server to ask instead of the system's; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    nameserver: Vec<std::net::SocketAddr>,
    /// What runs the sockets
    #[arg(long, value_enum, default_value = "tokio")]
    runtime: RuntimeName,
}

#[derive(Clone, Copy, ValueEnum)]
enum Algorithms {
    #[value(name = "MD5")]
    Md5,
    #[value(name = "SHA-256")]
    Sha256,
    #[value(name = "SHA-256,MD5")]
    Both,
}

#[derive(Clone, Copy, ValueEnum)]
enum RuntimeName {
    Tokio,
    Smol,
}

fn main() -> ExitCode {
    let args = Args::parse();
    sipwright_examples::log();
    let outcome = match args.runtime {
        RuntimeName::Tokio => on_tokio(args),
        RuntimeName::Smol => smol::block_on(serve(Arc::new(Smol::new()), args)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_tokio(args: Args) -> Result<(), Box<dyn Error>> {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio.block_on(async { serve(Arc::new(Tokio::current()?), args).await })
}

/// Both cores on one stack.
type Cores = (Registrar, Proxy);

async fn serve(runtime: Arc<dyn Runtime>, args: Args) -> Result<(), Box<dyn Error>> {
    let end = sipwright_examples::end_signal();
    let stack = stack(&*runtime, &args)?;
    let listeners = sipwright_examples::advertised(&args.listen, args.advertise.as_deref())?;
    let (failed, failure) = oneshot::channel();
    let decisions = Decisions {
        failed: Some(failed),
    };
    let driver = Driver::new(Arc::clone(&runtime), stack, decisions).spawn();
    driver
        .command(move |stack, _, now| {
            for listener in listeners {
                stack.command(now, |_, cx| cx.listen(listener));
            }
        })
        .await?;

    let report = async {
        while !driver.has_ended() {
            runtime.timer(runtime.now() + Duration::from_secs(60)).await;
            log_counters(&driver).await;
        }
    };
    let mut renewals = args.tls.renewals();
    let renew = async {
        while let Some(tls) = renewals.next().await {
            let tls = sipwright::with_roots(tls);
            let renewing = driver.command(move |stack, _, now| {
                stack.command(now, |_, cx| cx.set_tls(now, &tls));
            });
            renewing.await.ok();
        }
    };
    let failure = {
        let report = futures_util::future::join(report, renew).map(|_| ());
        let (end, failure, report) = (end.fuse(), failure.fuse(), report.fuse());
        futures_util::pin_mut!(end, failure, report);
        futures_util::select! {
            () = end => None,
            reason = failure => reason.ok(),
            () = report => None,
        }
    };
    log_counters(&driver).await;
    driver.command(|stack, _, now| stack.shutdown(now)).await?;
    driver.finish(Duration::from_secs(32)).await;
    match failure {
        Some(reason) => Err(reason.into()),
        None => Ok(()),
    }
}

/// Registrar and proxy as the arguments want them, on one endpoint.
fn stack(runtime: &dyn Runtime, args: &Args) -> Result<Stack<Cores>, Box<dyn Error>> {
    let clock = WallClock {
        at: runtime.now(),
        is: runtime.wall_clock(),
    };
    let mut seed = [0; 32];
    runtime.entropy(&mut seed);
    let mut rng = Rng::new(seed);
    let domains = Domains::new(&args.domain)?;
    let mut registrar = RegistrarConfig::new(clock, domains.clone());
    let mut proxy = ProxyConfig::new(rng.seed(), clock).domains(domains);
    if let Some(forward) = &args.forward {
        proxy = proxy.default_target(forward.clone());
    }
    if let Some(file) = &args.users {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let users =
            Arc::new(Users::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?);
        let algorithms = match args.digest {
            Algorithms::Md5 => vec![Algorithm::Md5],
            Algorithms::Sha256 => vec![Algorithm::Sha256],
            Algorithms::Both => vec![Algorithm::Sha256, Algorithm::Md5],
        };
        let realm = args.domain.first().map_or("sipwright", String::as_str);
        let digest = Digest::realm(realm).algorithms(algorithms);
        // With one seed a nonce that the registrar gave works at the proxy.
        let seed = rng.seed();
        registrar = registrar.authenticate(
            Authenticator::new(digest.clone(), seed, clock),
            Arc::clone(&users),
        );
        proxy = proxy.authenticate(Authenticator::new(digest, seed, clock), users);
    }
    let names = runtime.name_service();
    let zone = names
        .hosts
        .iter()
        .fold(Zone::new(), |zone, (name, address)| {
            zone.address(name, *address)
        });
    let nameservers = if args.nameserver.is_empty() {
        names.nameservers
    } else {
        args.nameserver.clone()
    };
    let mut transport = TransportConfig::default();
    if let Some(tls) = args.tls.read(&args.listen)? {
        transport = transport.tls(sipwright::with_roots(tls), clock);
    }
    let config = EndpointConfig::new(rng.seed(), clock)
        .transport(transport)
        .zone(zone)
        .nameservers(nameservers)
        .attempt_limit(Duration::from_secs(5))
        // A BYE without Route, as some send it, belongs to the server that took the INVITE.
        .affinity(Duration::from_secs(3_600))
        .non_invite_limit(Duration::from_secs(20));
    let location = MemoryLocation::new(rng.seed(), clock);
    Ok(Stack::new(
        config,
        (Registrar::new(registrar, location), Proxy::new(proxy)),
    ))
}

/// Where requests go; it lives on the driver's task, so a decision costs no hop.
struct Decisions {
    failed: Option<oneshot::Sender<String>>,
}

impl Application<Stack<Cores>> for Decisions {
    fn handle_event(
        &mut self,
        stack: &mut Stack<Cores>,
        now: Instant,
        event: <Stack<Cores> as StateMachine>::Event,
    ) {
        match event {
            StackEvent::Core(Either::Right(Event::RouteNeeded {
                id, request, ours, ..
            })) => {
                route(stack, now, id, request.uri(), ours);
            }
            StackEvent::Listening { local, .. } => tracing::info!(%local, "listening"),
            StackEvent::ListenFailed { reason, .. } => {
                if let Some(failed) = self.failed.take() {
                    failed
                        .send(format!("cannot listen: {}", io::Error::from(reason)))
                        .ok();
                }
            }
            _ => {}
        }
    }

    fn is_idle(&self, stack: &Stack<Cores>) -> bool {
        stack.is_idle()
    }
}

/// To whoever registered, else where `--forward` says; what is not for us, to where its own URI leads.
fn route(stack: &mut Stack<Cores>, now: Instant, id: ProxyId, uri: &Uri, ours: bool) {
    let decided = stack.command(now, |(registrar, proxy), cx| {
        if !ours {
            return proxy.relay(cx, id, Plan::to(uri.clone()));
        }
        let bindings = registrar.lookup(cx, uri);
        match (bindings, proxy.default_target(uri)) {
            (Some(bindings), _) if !bindings.is_empty() => {
                proxy.relay(cx, id, Plan::by_q(bindings.iter().map(target)))
            }
            (_, Some(forward)) => proxy.relay(cx, id, Plan::to(forward)),
            (Some(_), None) => proxy.reject(cx, id, StatusCode::TEMPORARILY_UNAVAILABLE),
            (None, None) => proxy.reject(cx, id, StatusCode::NOT_FOUND),
        }
    });
    if let Err(error) = decided {
        tracing::debug!(%error, "a decision came too late");
    }
}

/// How a binding is reached: over the flow on which it was made while that is open, else by its Contact.
fn target(binding: &Binding) -> Target {
    let target = Target::new(binding.uri().clone())
        .path(binding.path.clone())
        .q(f32::from(binding.q()) / 1_000.0);
    match binding.flow {
        Some(flow) if binding.is_outbound() => target.only_flow(flow),
        Some(flow) => target.flow(flow),
        None => target,
    }
}

async fn log_counters(driver: &DriverHandle<Stack<Cores>, Decisions>) {
    let counters = driver.command(|stack, _, _| {
        let (registrar, proxy) = stack.core();
        (stack.endpoint().stats(), registrar.stats(), proxy.stats())
    });
    if let Ok((endpoint, registrar, proxy)) = counters.await {
        tracing::info!(?endpoint, ?registrar, ?proxy, "counters");
    }
}
