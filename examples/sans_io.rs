//! A core of one's own, without async: answers OPTIONS over one UDP socket, in a plain loop.
//!
//! ```console
//! $ cargo run --release --example sans_io -- --listen 127.0.0.1:5060
//! ```

use bytes::Bytes;
use clap::Parser;
use sipwright::endpoint::{Context, Core, EndpointConfig, Event, Stack};
use sipwright::io::{FailReason, Flow, Receive, StateMachine, Transmit, WallClock};
use sipwright::message::{Method, StatusCode};
use std::{
    io::ErrorKind::{Interrupted, TimedOut, WouldBlock},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant, SystemTime},
};

/// Answers OPTIONS over one UDP socket, in a plain loop without a runtime.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The address to bind
    #[arg(long, default_value = "127.0.0.1:5060", value_name = "IP:PORT")]
    listen: SocketAddr,
    /// End after this many answers
    #[arg(long, value_name = "N")]
    pings: Option<u64>,
}

#[derive(Default)]
struct Pinger {
    pings: u64,
}

impl Core for Pinger {
    type Event = ();

    fn handle_event(&mut self, cx: &mut Context<'_>, event: Event) -> Option<Event> {
        match event {
            Event::Request { id, request, .. } if *request.method() == Method::OPTIONS => {
                self.pings += 1;
                let tag = cx.tag_for(id);
                cx.respond(id, request.response(StatusCode::OK).to_tag(tag).build())
                    .ok();
                None
            }
            other => Some(other),
        }
    }
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let socket = UdpSocket::bind(args.listen)?;
    let local = socket.local_addr()?;
    println!("answering OPTIONS at {local}");
    let clock = WallClock {
        at: Instant::now(),
        is: SystemTime::now(),
    };
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    let mut stack = Stack::new(EndpointConfig::new(seed, clock), Pinger::default());
    let mut buffer = vec![0; 65_535];
    loop {
        while let Some(transmit) = stack.poll_transmit() {
            if let Transmit::Datagram { flow, contents } = transmit
                && let Err(error) = socket.send_to(&contents, flow.remote())
            {
                // Peers write the address that they are answered at: one that takes nothing must not end the program.
                let reason = FailReason::Socket(error.kind());
                stack.handle_receive(Instant::now(), Receive::Failed { flow, reason });
            }
        }
        if args.pings.is_some_and(|pings| stack.core().pings >= pings) {
            return Ok(());
        }
        let patience = stack.poll_timeout().map(|at| {
            at.saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1))
        });
        socket.set_read_timeout(patience)?;
        match socket.recv_from(&mut buffer) {
            Ok((length, remote)) => {
                let contents = Bytes::copy_from_slice(&buffer[..length]);
                let flow = Flow::udp(local, remote);
                stack.handle_receive(Instant::now(), Receive::Datagram { flow, contents });
            }
            // A process that was stopped and goes on is interrupted.
            Err(error) if matches!(error.kind(), WouldBlock | TimedOut | Interrupted) => {}
            Err(error) => return Err(error),
        }
        stack.handle_timeout(Instant::now());
    }
}
