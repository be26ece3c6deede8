//! A machine that does as it is told, and two hosts to run it on.

use futures_channel::mpsc;
use futures_util::{FutureExt, StreamExt, future::Either};
use sip_io::{BindToken, Flow, Protocol, Receive, StateMachine, Transmit};
use sip_runtime::{Application, Driver, DriverHandle, Runtime};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

/// Two hosts that reach each other.
pub(crate) struct World {
    pub(crate) alice: Arc<dyn Runtime>,
    pub(crate) bob: Arc<dyn Runtime>,
    pub(crate) alice_ip: IpAddr,
    pub(crate) bob_ip: IpAddr,
}

/// What a probe tells.
#[derive(Debug)]
pub(crate) enum Event {
    Received(Receive),
    /// `handle_timeout` was due
    Fired(Instant),
}

/// Sends what it is told to send, reports what it is told, and echoes datagrams if asked to.
#[derive(Default)]
pub(crate) struct Probe {
    pub(crate) out: VecDeque<Transmit>,
    pub(crate) echo: bool,
    pub(crate) alarm: Option<Instant>,
    events: VecDeque<Event>,
}

impl StateMachine for Probe {
    type Event = Event;

    fn handle_receive(&mut self, _now: Instant, receive: Receive) {
        if let (true, Receive::Datagram { flow, contents } | Receive::Stream { flow, contents }) =
            (self.echo, &receive)
        {
            let (flow, contents) = (*flow, contents.clone());
            self.out.push_back(if flow.is_stream() {
                Transmit::Stream { flow, contents }
            } else {
                Transmit::Datagram { flow, contents }
            });
        }
        self.events.push_back(Event::Received(receive));
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            self.alarm = None;
            self.events.push_back(Event::Fired(now));
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.alarm
    }
}

/// Hands events to the test; counts how often it was polled.
pub(crate) struct Teller {
    events: mpsc::UnboundedSender<Event>,
    pub(crate) polled: u64,
    pub(crate) busy: bool,
    pub(crate) linger: Duration,
    pub(crate) in_place: bool,
    pub(crate) parked: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Application<Probe> for Teller {
    fn handle_event(&mut self, _machine: &mut Probe, _now: Instant, event: Event) {
        self.events.unbounded_send(event).ok();
    }

    fn poll(&mut self, _machine: &mut Probe, _now: Instant, cx: &mut Context<'_>) {
        self.polled += 1;
        if let Some(parked) = &mut self.parked
            && parked.poll_unpin(cx).is_ready()
        {
            self.parked = None;
            self.busy = false;
        }
    }

    fn is_idle(&self, machine: &Probe) -> bool {
        !self.busy && machine.alarm.is_none()
    }

    fn runs_in_place(&self) -> bool {
        self.in_place
    }

    fn linger(&self, _machine: &Probe) -> Duration {
        self.linger
    }
}

pub(crate) struct Driven {
    pub(crate) handle: DriverHandle<Probe, Teller>,
    pub(crate) events: mpsc::UnboundedReceiver<Event>,
    runtime: Arc<dyn Runtime>,
}

pub(crate) fn driver(runtime: &Arc<dyn Runtime>, probe: Probe) -> (Driver<Probe, Teller>, Driven) {
    let (sender, events) = mpsc::unbounded();
    let teller = Teller {
        events: sender,
        polled: 0,
        busy: false,
        linger: Duration::ZERO,
        in_place: false,
        parked: None,
    };
    let driver = Driver::new(Arc::clone(runtime), probe, teller);
    let handle = driver.handle();
    let runtime = Arc::clone(runtime);
    (
        driver,
        Driven {
            handle,
            events,
            runtime,
        },
    )
}

pub(crate) fn drive(runtime: &Arc<dyn Runtime>, probe: Probe) -> Driven {
    let (driver, driven) = driver(runtime, probe);
    driver.spawn();
    driven
}

pub(crate) fn echo() -> Probe {
    Probe {
        echo: true,
        ..Probe::default()
    }
}

/// Completes with the future, or panics when the runtime's clock says that it takes too long.
pub(crate) async fn soon<F: Future>(runtime: &Arc<dyn Runtime>, future: F) -> F::Output {
    let guard = runtime.timer(runtime.now() + Duration::from_secs(20));
    match futures_util::future::select(std::pin::pin!(future), guard).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => panic!("nothing came"),
    }
}

impl Driven {
    /// The next event; of the network's addresses nothing is told.
    pub(crate) async fn event(&mut self) -> Event {
        let runtime = Arc::clone(&self.runtime);
        soon(&runtime, async {
            loop {
                match self.events.next().await.expect("the driver runs") {
                    Event::Received(Receive::Network { .. }) => {}
                    event => return event,
                }
            }
        })
        .await
    }

    pub(crate) async fn received(&mut self) -> Receive {
        match self.event().await {
            Event::Received(receive) => receive,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn datagram(&mut self) -> (Flow, Vec<u8>) {
        match self.received().await {
            Receive::Datagram { flow, contents } => (flow, contents.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    /// The next `length` bytes of a stream.
    pub(crate) async fn bytes(&mut self, length: usize) -> (Flow, Vec<u8>) {
        let mut bytes = Vec::new();
        loop {
            match self.received().await {
                Receive::Stream { flow, contents } => {
                    bytes.extend_from_slice(&contents);
                    if bytes.len() >= length {
                        return (flow, bytes);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn opened(&mut self) -> Flow {
        match self.received().await {
            Receive::Opened { flow } => flow,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn send(&self, transmit: Transmit) {
        self.handle
            .command(move |probe, _, _| probe.out.push_back(transmit))
            .await
            .expect("the driver runs");
    }

    pub(crate) async fn bind(
        &mut self,
        number: u64,
        protocol: Protocol,
        local: SocketAddr,
    ) -> SocketAddr {
        let token = BindToken(number);
        self.send(Transmit::Bind {
            token,
            protocol,
            local,
        })
        .await;
        match self.received().await {
            Receive::Bound {
                token: answered,
                result,
            } => {
                assert_eq!(answered, token);
                result.expect("can be bound")
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn any_port(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, 0)
}
