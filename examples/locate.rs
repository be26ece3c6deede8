//! Where a SIP URI leads (RFC 3263): which servers, in which order, and which DNS records say so.
//!
//! ```console
//! $ cargo run --release --example locate -- sip:example.com --nameserver 192.0.2.53:53
//! 1. UDP 192.0.2.1:5060
//!      example.com NAPTR: 0 0 "s" "SIP+D2U" "" _sip._udp.example.com (ttl 300 s)
//!      _sip._udp.example.com SRV: 0 5 5060 server1.example.com (ttl 300 s)
//!      server1.example.com A: 192.0.2.1 (ttl 300 s)
//! ```

use clap::Parser;
use serde_json::{Value, json};
use sipwright::{
    io::{Protocol, Rng},
    message::Uri,
    resolver::{
        DnsClient, DnsConfig, DnsStream, DnsStreamId, Event, Origin, Query, Record, Resolver,
        ResolverConfig, Target, Zone,
    },
    runtime::{Runtime, Tokio},
};
use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::ExitCode,
    time::{Duration, Instant},
};

/// Prints the servers of a SIP URI in the order in which they are to be tried. Exit status: 0 when there is one, 1
/// otherwise, 2 on bad arguments.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// What to locate, such as sip:example.com, "sips:example.com;transport=tcp" or tel:+15551234
    #[arg(value_name = "SIP-URI", value_parser = uri)]
    uri: Uri,
    /// Which DNS server to ask instead of the system's; may be given several times
    #[arg(long, value_name = "IP:PORT")]
    nameserver: Vec<SocketAddr>,
    /// Where telephone numbers are looked for (ENUM)
    #[arg(long, value_name = "DOMAIN", default_value = "e164.arpa")]
    enum_suffix: String,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    sipwright_examples::log_warnings();
    let args = Args::parse();
    match locate(&args) {
        Ok(targets) => {
            print(&targets, args.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", args.uri);
            ExitCode::FAILURE
        }
    }
}

/// The resolver asks, the DNS client writes and reads, and this loop owns the socket and the clock.
fn locate(args: &Args) -> Result<Vec<Target>, Box<dyn Error>> {
    let runtime = Tokio::current()?;
    let system = runtime.name_service();
    let mut seed = [0; 32];
    runtime.entropy(&mut seed);
    let mut rng = Rng::new(seed);
    let nameservers = if args.nameserver.is_empty() {
        system.nameservers
    } else {
        args.nameserver.clone()
    };
    let zone = system
        .hosts
        .iter()
        .fold(Zone::new(), |zone, (name, address)| {
            zone.address(name, *address)
        });
    let config = ResolverConfig::new()
        .zone(zone)
        .protocols([
            Protocol::Udp,
            Protocol::Tcp,
            Protocol::Tls,
            Protocol::Ws,
            Protocol::Wss,
        ])
        .enum_suffix(&args.enum_suffix)
        .origins(true);
    let mut resolver = Resolver::new(config, Rng::new(rng.seed()), Instant::now());
    let mut client = DnsClient::new(DnsConfig::new(nameservers), rng, Instant::now());
    let [v4, v6] = ["0.0.0.0:0", "[::]:0"].map(UdpSocket::bind);

    resolver.start(Instant::now(), Query::uri(&args.uri)?);
    loop {
        let now = Instant::now();
        while let Some(event) = resolver.poll_event() {
            match event {
                Event::Question { id, question } => client.ask(now, id, &question),
                Event::Resolved { targets, .. } => return Ok(targets),
                Event::Failed { error, .. } => return Err(error.into()),
                _ => {}
            }
        }
        while let Some((server, datagram)) = client.poll_transmit() {
            let socket = if server.is_ipv4() { &v4 } else { &v6 };
            if let Ok(socket) = socket {
                // What cannot be sent is as good as lost: the client repeats it.
                socket.send_to(&datagram, server).ok();
            }
        }
        while let Some(command) = client.poll_stream() {
            if let DnsStream::Open {
                stream,
                server,
                contents,
            } = command
            {
                ask_by_stream(&mut client, stream, server, &contents);
            }
        }
        let mut answered = false;
        while let Some((id, answer)) = client.poll_event() {
            resolver.provide_answer(Instant::now(), id, answer);
            answered = true;
        }
        if !answered {
            receive(&mut client, &[v4.as_ref().ok(), v6.as_ref().ok()])?;
            client.handle_timeout(Instant::now());
            resolver.handle_timeout(Instant::now());
        }
    }
}

/// Takes what the sockets have, or waits a moment.
fn receive(client: &mut DnsClient, sockets: &[Option<&UdpSocket>]) -> std::io::Result<()> {
    let mut buffer = [0; 65_535];
    for socket in sockets.iter().flatten() {
        socket.set_read_timeout(Some(Duration::from_millis(5)))?;
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            client.handle_datagram(Instant::now(), from, &buffer[..length]);
        }
    }
    Ok(())
}

fn ask_by_stream(client: &mut DnsClient, stream: DnsStreamId, server: SocketAddr, contents: &[u8]) {
    let patience = Duration::from_secs(2);
    let mut exchange = || -> std::io::Result<()> {
        let mut connection = TcpStream::connect_timeout(&server, patience)?;
        connection.set_read_timeout(Some(patience))?;
        connection.write_all(contents)?;
        let mut length = [0; 2];
        connection.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        connection.read_exact(&mut message)?;
        client.handle_stream(Instant::now(), stream, &length);
        client.handle_stream(Instant::now(), stream, &message);
        Ok(())
    };
    if exchange().is_err() {
        client.handle_stream_end(Instant::now(), stream);
    }
}

fn print(targets: &[Target], as_json: bool) {
    if as_json {
        println!("{}", Value::from_iter(targets.iter().map(report)));
        return;
    }
    for (number, target) in (1..).zip(targets) {
        println!("{number}. {} {}", target.protocol, target.address);
        for origin in &target.origins {
            let ttl = ttl(origin).map_or("static".to_owned(), |ttl| format!("ttl {ttl} s"));
            println!(
                "     {}: {} ({ttl})",
                origin.question,
                contents(&origin.record)
            );
        }
    }
}

fn report(target: &Target) -> Value {
    let records: Vec<Value> = target
        .origins
        .iter()
        .map(|origin| {
            let question = &origin.question;
            json!({
                "name": question.name(),
                "type": question.record_type().to_string(),
                "value": contents(&origin.record),
                "ttl": ttl(origin),
            })
        })
        .collect();
    json!({
        "transport": target.protocol.to_string(),
        "address": target.address.ip().to_string(),
        "port": target.address.port(),
        "tls_name": target.name,
        "uri": target.uri.as_ref().map(ToString::to_string),
        "records": records,
    })
}

/// As in a zone file.
fn contents(record: &Record) -> String {
    match record {
        Record::Address(address) => address.to_string(),
        Record::Srv(srv) => format!(
            "{} {} {} {}",
            srv.priority, srv.weight, srv.port, srv.target
        ),
        Record::Naptr(naptr) => format!(
            "{} {} {:?} {:?} {:?} {}",
            naptr.order,
            naptr.preference,
            naptr.flags,
            naptr.services,
            naptr.regexp,
            naptr.replacement
        ),
        other => format!("{other:?}"),
    }
}

/// What the hosts file says holds for ever.
fn ttl(origin: &Origin) -> Option<u64> {
    (origin.ttl != Duration::MAX).then_some(origin.ttl.as_secs())
}

fn uri(text: &str) -> Result<Uri, String> {
    Uri::parse(text).map_err(|error| error.to_string())
}
