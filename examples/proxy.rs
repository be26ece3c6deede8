//! A registrar and a stateful, record-routing proxy, its decisions made in line on the driver's task.
//!
//! ```console
//! $ cargo run --release --example proxy -- --listen udp:127.0.0.1:5060 --domain example.com --users users.txt
//! ```

use clap::{Parser, ValueEnum};
use futures_channel::mpsc;
use futures_util::{
    FutureExt, StreamExt,
    future::{join_all, try_join_all},
};
use sipwright::{
    Listener, Tls,
    auth::{Algorithm, Digest, Server as Authenticator, Users},
    endpoint::{Domains, Either, EndpointConfig, Sharding, Stack, StackEvent, TransportConfig},
    io::{Rng, Shard, StateMachine, WallClock},
    message::{StatusCode, Uri},
    proxy_core::{Event, Plan, Proxy, ProxyConfig, ProxyId, RelayError, Target},
    registrar::{
        Binding, Event as RegistrarEvent, Found, LookupId, MemoryLocation, Registrar,
        RegistrarConfig,
    },
    resolver::Zone,
    runtime::{Application, Driver, DriverHandle, Runtime, Smol, Thread, Tokio, shards::mesh},
};
use std::{
    collections::BTreeMap,
    error::Error,
    io,
    net::SocketAddr,
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
    /// How many workers share the work: each has sockets of its own at the same addresses and, with as many processors,
    /// one for itself
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    workers: u8,
    /// While datagrams come more often than every so many milliseconds and yet leave most of the time free, take them in
    /// groups that far apart; 0 takes each as it comes
    #[arg(long, default_value_t = 1, value_name = "MS", value_parser = clap::value_parser!(u8).range(..=100))]
    coalesce: u8,
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
        RuntimeName::Smol => on_smol(args),
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
    let mut tokio = sipwright_examples::tokio_for(args.workers.into());
    let tokio = tokio.enable_all().build()?;
    tokio.block_on(async { serve(Arc::new(Tokio::current()?), args).await })
}

fn on_smol(args: Args) -> Result<(), Box<dyn Error>> {
    let runtime: Arc<dyn Runtime> = match args.workers {
        1 => Arc::new(Smol::new()),
        // It gives each worker a thread like itself.
        _ => Arc::new(Thread::new("proxy")?),
    };
    smol::block_on(serve(runtime, args))
}

/// Both cores on one stack.
type Cores = (Registrar, Proxy);

async fn serve(runtime: Arc<dyn Runtime>, args: Args) -> Result<(), Box<dyn Error>> {
    let end = sipwright_examples::end_signal();
    let common = Common::read(&*runtime, &args)?;
    let mut listeners = sipwright_examples::advertised(&args.listen, args.advertise.as_deref())?;
    let (told, mut listening) = mpsc::unbounded();
    let mut drivers = Vec::new();
    for member in mesh(args.workers.into(), 1_024) {
        let shard = member.shard();
        let stack = stack(&*runtime, &args, &common, shard)?;
        let decisions = Decisions {
            told: told.clone(),
            waiting: BTreeMap::new(),
        };
        let own = runtime.for_shard(shard)?;
        let own = own.unwrap_or_else(|| Arc::clone(&runtime));
        let interval = Duration::from_millis(args.coalesce.into());
        let mut driver = Driver::new(own, stack, decisions).coalesce(interval);
        if args.workers > 1 {
            driver = driver.join(member);
        }
        drivers.push(driver.spawn());
    }
    for driver in &drivers {
        let wanted = listeners.clone();
        let listen = driver.command(move |stack, _, now| {
            for listener in wanted {
                stack.command(now, |_, cx| cx.listen(listener));
            }
        });
        listen.await?;
        // The others bind what the system chose for the first.
        for listener in &mut listeners {
            if let Some(bound) = listening.next().await {
                *listener = listener.clone().at(bound?);
            }
        }
    }

    let report = async {
        loop {
            runtime.timer(runtime.now() + Duration::from_secs(60)).await;
            log_counters(&drivers).await;
        }
    };
    let mut renewals = args.tls.renewals();
    let renew = async {
        while let Some(tls) = renewals.next().await {
            let tls = sipwright::with_roots(tls);
            for driver in &drivers {
                let tls = tls.clone();
                let renewing = driver.command(move |stack, _, now| {
                    stack.command(now, |_, cx| cx.set_tls(now, &tls));
                });
                renewing.await.ok();
            }
        }
    };
    {
        let ended = join_all(drivers.iter().map(DriverHandle::ended)).map(|_| ());
        let report = futures_util::future::join(report, renew).map(|_| ());
        let (end, ended, report) = (end.fuse(), ended.fuse(), report.fuse());
        futures_util::pin_mut!(end, ended, report);
        futures_util::select! {
            () = end => {}
            () = ended => {}
            () = report => {}
        }
    }
    log_counters(&drivers).await;
    let shut_down = |driver: &Worker| driver.command(|stack, _, now| stack.shutdown(now));
    try_join_all(drivers.iter().map(shut_down)).await?;
    let within = Duration::from_secs(32);
    join_all(drivers.iter().map(|driver| driver.finish(within))).await;
    Ok(())
}

type Worker = DriverHandle<Stack<Cores>, Decisions>;

/// What all workers have in common.
struct Common {
    users: Option<Arc<Users>>,
    tls: Option<Tls>,
    /// What says which of them a message is for
    sharing: [u8; 32],
}

impl Common {
    fn read(runtime: &dyn Runtime, args: &Args) -> Result<Self, Box<dyn Error>> {
        let mut sharing = [0; 32];
        runtime.entropy(&mut sharing);
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            let users =
                Users::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
            Ok::<_, String>(Arc::new(users))
        };
        Ok(Self {
            users: args.users.as_ref().map(read).transpose()?,
            tls: args.tls.read(&args.listen)?.map(sipwright::with_roots),
            sharing,
        })
    }
}

/// Registrar and proxy as the arguments want them, on one endpoint.
fn stack(
    runtime: &dyn Runtime,
    args: &Args,
    common: &Common,
    shard: Shard,
) -> Result<Stack<Cores>, Box<dyn Error>> {
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
    if let Some(users) = &common.users {
        let algorithms = match args.digest {
            Algorithms::Md5 => vec![Algorithm::Md5],
            Algorithms::Sha256 => vec![Algorithm::Sha256],
            Algorithms::Both => vec![Algorithm::Sha256, Algorithm::Md5],
        };
        let realm = args.domain.first().map_or("sipwright", String::as_str);
        let digest = Digest::realm(realm)
            .algorithms(algorithms)
            .shard(shard.index() as u32);
        // With one seed a nonce that the registrar gave works at the proxy.
        let seed = rng.seed();
        registrar = registrar.authenticate(
            Authenticator::new(digest.clone(), seed, clock),
            Arc::clone(users),
        );
        proxy = proxy.authenticate(Authenticator::new(digest, seed, clock), Arc::clone(users));
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
    let sharding = Sharding::new(shard, args.workers.into(), common.sharing);
    let mut transport = TransportConfig::default().sharding(sharding);
    if let Some(tls) = &common.tls {
        transport = transport.tls(tls.clone(), clock);
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
    /// Learns what became of listeners
    told: mpsc::UnboundedSender<Result<SocketAddr, String>>,
    /// Requests for whom another worker keeps the bindings
    waiting: BTreeMap<LookupId, (ProxyId, Uri)>,
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
                self.route(stack, now, id, request.uri(), ours);
            }
            StackEvent::Core(Either::Left(RegistrarEvent::Found { id, bindings })) => {
                if let Some((id, uri)) = self.waiting.remove(&id) {
                    to_user(stack, now, id, &uri, bindings);
                }
            }
            StackEvent::Listening { local, .. } => {
                tracing::info!(%local, "listening");
                self.told.unbounded_send(Ok(local)).ok();
            }
            StackEvent::ListenFailed { reason, .. } => {
                let failure = format!("cannot listen: {}", io::Error::from(reason));
                self.told.unbounded_send(Err(failure)).ok();
            }
            _ => {}
        }
    }

    fn is_idle(&self, stack: &Stack<Cores>) -> bool {
        stack.is_idle()
    }
}

impl Decisions {
    /// To whoever registered, else where `--forward` says; what is not for us, to where its own URI leads.
    fn route(
        &mut self,
        stack: &mut Stack<Cores>,
        now: Instant,
        id: ProxyId,
        uri: &Uri,
        ours: bool,
    ) {
        if !ours {
            let to = Plan::to(uri.clone());
            return late(stack.command(now, |(_, proxy), cx| proxy.relay(cx, id, to)));
        }
        let found = stack.command(now, |(registrar, _), cx| registrar.find(cx, uri));
        match found {
            Some(Found::Now(bindings)) => to_user(stack, now, id, uri, Some(bindings)),
            Some(Found::Later(lookup)) => {
                self.waiting.insert(lookup, (id, uri.clone()));
            }
            None => to_others(stack, now, id, uri, StatusCode::NOT_FOUND),
        }
    }
}

/// Where the user registered; without bindings to speak of, the worker that keeps them has too much to do.
fn to_user(
    stack: &mut Stack<Cores>,
    now: Instant,
    id: ProxyId,
    uri: &Uri,
    bindings: Option<Vec<Binding>>,
) {
    match bindings {
        Some(bindings) if bindings.is_empty() => {
            to_others(stack, now, id, uri, StatusCode::TEMPORARILY_UNAVAILABLE);
        }
        Some(bindings) => {
            let plan = Plan::by_q(bindings.iter().map(target));
            late(stack.command(now, |(_, proxy), cx| proxy.relay(cx, id, plan)));
        }
        None => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            late(stack.command(now, |(_, proxy), cx| proxy.reject(cx, id, status)));
        }
    }
}

/// Where `--forward` says, else `status`.
fn to_others(stack: &mut Stack<Cores>, now: Instant, id: ProxyId, uri: &Uri, status: StatusCode) {
    late(
        stack.command(now, |(_, proxy), cx| match proxy.default_target(uri) {
            Some(forward) => proxy.relay(cx, id, Plan::to(forward)),
            None => proxy.reject(cx, id, status),
        }),
    );
}

fn late(decided: Result<(), RelayError>) {
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

/// What all workers have counted together.
async fn log_counters(drivers: &[Worker]) {
    let count = |driver: &Worker| {
        driver.command(|stack, _, _| {
            let (registrar, proxy) = stack.core();
            (stack.endpoint().stats(), registrar.stats(), proxy.stats())
        })
    };
    let Ok(counts) = try_join_all(drivers.iter().map(count)).await else {
        return;
    };
    let sum = counts.into_iter().reduce(|mut sum, more| {
        sum.0 += more.0;
        sum.1 += more.1;
        sum.2 += more.2;
        sum
    });
    if let Some((endpoint, registrar, proxy)) = sum {
        tracing::info!(?endpoint, ?registrar, ?proxy, "counters");
    }
}
