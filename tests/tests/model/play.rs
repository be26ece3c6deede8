//! Sequences of operations made up: two user agents on a simulated network that loses, repeats, delays and reorders, over
//! datagrams or a stream, and users who do anything at any time.
//!
//! Each machine is held to the laws of `sip_io::StateMachine` while it works. When the users have had enough they answer
//! what is open, and then both ends must agree on every call; when they have hung up, nothing may be left.

use crate::stage::uri;
use sipwright::{
    endpoint::{EndpointConfig, Listener, ServerTransactionId, Stack, StackEvent},
    io::{Rng, StateMachine, WallClock},
    message::{HeaderName, HeaderValue, Method, Request, StatusCode},
    runtime::{Application, Driver, DriverHandle, Runtime, testing::Lawful},
    sim::{Host, Sim},
    ua::{CallId, CallOptions, Ended, Event, Identity, Offer, RequestOptions, UaConfig, UserAgent},
};
use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

/// The share of the sequences that a build without optimisation has time for.
#[test]
fn whatever_two_users_do_both_ends_agree_and_nothing_is_left() {
    play_all(0..600);
}

#[test]
#[ignore = "takes minutes without optimisation; `cargo model` runs it"]
fn whatever_two_users_do_a_hundred_thousand_times_both_ends_agree_and_nothing_is_left() {
    play_all(0..100_000);
}

/// The laws say: no clock, no chance but the seed's.
#[test]
fn the_same_sequence_is_the_same_message_by_message() {
    for seed in 0..20 {
        let ladders = [(); 2].map(|()| {
            let play = Play::new(seed);
            let sim = play.sim.clone();
            play.run();
            sim.ladder().to_string()
        });
        assert_eq!(ladders[0], ladders[1], "with seed {seed}");
    }
}

fn play_all(seeds: Range<u64>) {
    let runs = seeds.end - seeds.start;
    let shares = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let seen: Vec<_> = thread::scope(|scope| {
        let share = |rest| {
            let seeds = seeds.clone().skip(rest as usize);
            scope.spawn(move || play_some(seeds.step_by(shares as usize)))
        };
        let shares: Vec<_> = (0..shares).map(share).collect();
        let join = |share: thread::ScopedJoinHandle<'_, Seen>| {
            share.join().unwrap_or_else(|panic| resume_unwind(panic))
        };
        shares.into_iter().map(join).collect()
    });
    let seen = seen.into_iter().fold(Seen::default(), Seen::and);
    let enough = runs / 10;
    assert!(
        seen.established > enough && seen.refused > enough / 2 && seen.given_up > enough / 2,
        "{seen:?}"
    );
}

fn play_some(seeds: impl Iterator<Item = u64>) -> Seen {
    let play = |seed| {
        let play = Play::new(seed);
        let sim = play.sim.clone();
        catch_unwind(AssertUnwindSafe(|| play.run())).unwrap_or_else(|panic| {
            eprintln!("with seed {seed}\n{}", sim.ladder());
            resume_unwind(panic)
        })
    };
    seeds.map(play).fold(Seen::default(), Seen::and)
}

/// What became of the calls, to know that not the same happens every time.
#[derive(Debug, Default)]
struct Seen {
    established: u64,
    refused: u64,
    given_up: u64,
}

impl Seen {
    fn and(self, other: Self) -> Self {
        Self {
            established: self.established + other.established,
            refused: self.refused + other.refused,
            given_up: self.given_up + other.given_up,
        }
    }
}

type Machine = Lawful<Stack<UserAgent>>;

/// Everything that happened, on both sides.
#[derive(Default)]
struct Book {
    /// By the number that the INVITE bears: the caller's side and the callee's
    calls: BTreeMap<u32, [Option<Side>; 2]>,
}

/// One end of a call.
struct Side {
    call: CallId,
    /// What the user said: the status of an answer
    said: Option<u16>,
    gave_up: bool,
    answered: bool,
    established: bool,
    ended: Option<Ended>,
}

impl Side {
    fn new(call: CallId) -> Self {
        Self {
            call,
            said: None,
            gave_up: false,
            answered: false,
            established: false,
            ended: None,
        }
    }
}

/// Who commands one machine and takes its events.
struct User {
    me: usize,
    book: Arc<Mutex<Book>>,
    known: BTreeMap<CallId, (u32, usize)>,
    /// Requests that wait for an answer
    asked: Vec<(ServerTransactionId, Request)>,
    /// Answers what comes at once
    is_closing: bool,
}

struct Play {
    sim: Sim,
    rng: Rng,
    hosts: [Host; 2],
    users: [DriverHandle<Machine, User>; 2],
    book: Arc<Mutex<Book>>,
    serial: u32,
    over_tcp: bool,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = Rng::new(bytes);
        let share = |rng: &mut Rng| rng.below(5) as f64 * 0.05;
        let sim = Sim::new(seed)
            .delay(Duration::from_millis(1 + rng.below(150)))
            .loss(share(&mut rng))
            .reorder(share(&mut rng))
            .duplicate(share(&mut rng));
        let book = Arc::default();
        let hosts = ["alice", "bob"].map(|name| sim.host(name));
        let mut me = 0;
        let users = hosts.clone().map(|host| {
            me += 1;
            start(host, me - 1, Arc::clone(&book), &mut rng)
        });
        let over_tcp = rng.below(4) == 0;
        Self {
            sim,
            hosts,
            users,
            book,
            serial: 0,
            over_tcp,
            rng,
        }
    }

    fn run(mut self) -> Seen {
        for _ in 0..4 + self.rng.below(10) {
            self.operate();
            let longest = [20, 600, 2_500, 40_000][self.rng.below(4) as usize];
            let pause = self.rng.below(longest);
            self.sim.advance(Duration::from_millis(pause));
        }
        self.sim.partition(&[]);
        for user in &self.users {
            user.post(|machine, user, now| user.close(machine, now));
        }
        self.sim.advance(TRANSACTION * 4);
        let seen = self.assert_agreement();
        for user in &self.users {
            user.post(|machine, user, now| user.hang_up(machine, now));
        }
        self.assert_nothing_is_left();
        for [caller, callee] in lock(&self.book).calls.values() {
            let sides = [
                Some(caller.as_ref().expect("it was called")),
                callee.as_ref(),
            ];
            assert!(
                sides.into_iter().flatten().all(|side| side.ended.is_some()),
                "a call has no end"
            );
        }
        seen
    }

    /// Somebody does something.
    fn operate(&mut self) {
        let me = self.rng.below(2) as usize;
        let user = self.users[me].clone();
        let which = self.rng.below(8) as usize;
        match self.rng.below(16) {
            0..=3 => {
                let peer = self.hosts[1 - me].ipv4();
                let transport = if self.over_tcp { ";transport=tcp" } else { "" };
                let target = format!("sip:peer@{peer}{transport}");
                self.serial += 1;
                let serial = self.serial;
                let offer = if which == 0 { Offer::Late } else { Offer::Ask };
                user.post(move |machine, user, now| {
                    user.call(machine, now, serial, &target, offer);
                });
            }
            4 | 5 => user.post(move |machine, user, now| {
                let Some((_, _, call)) = user.pick(which) else {
                    return;
                };
                command(machine, now, |ua, cx| ua.ring(cx, call).ok());
            }),
            6..=8 => user.post(move |machine, user, now| user.answer(machine, now, which, 200)),
            9 => user.post(move |machine, user, now| user.answer(machine, now, which, 486)),
            10 | 11 => user.post(move |machine, user, now| {
                let Some((serial, side, call)) = user.pick(which) else {
                    return;
                };
                if command(machine, now, |ua, cx| ua.hang_up(cx, call)).is_ok() {
                    user.note(serial, side, |side| side.gave_up = true);
                }
            }),
            12 => user.post(move |machine, user, now| {
                let Some((_, _, call)) = user.pick(which) else {
                    return;
                };
                command(machine, now, |ua, cx| {
                    ua.reoffer(cx, call, "s=again".into()).ok()
                });
            }),
            13 => user.post(move |machine, user, now| {
                let Some((_, _, call)) = user.pick(which) else {
                    return;
                };
                command(machine, now, |ua, cx| {
                    ua.request_within(cx, call, Method::MESSAGE, RequestOptions::new())
                        .ok()
                });
            }),
            14 => user.post(|machine, user, now| user.answer_requests(machine, now)),
            // For a while nothing passes; short enough for what is repeated to come through.
            _ => {
                self.sim.partition(&["alice"]);
                let cut = Duration::from_millis(self.rng.below(5_000));
                self.sim.advance(cut);
                self.sim.partition(&[]);
            }
        }
    }

    /// TRAPS 30: both hold a call or neither does, and what the caller was told is what the callee said.
    fn assert_agreement(&self) -> Seen {
        let mut seen = Seen::default();
        for (serial, [caller, callee]) in &lock(&self.book).calls {
            let caller = caller.as_ref().expect("it was called");
            let holds = |side: &Side| side.ended.is_none();
            assert_eq!(
                holds(caller),
                callee.as_ref().is_some_and(holds),
                "call {serial} is held by one: the caller {}",
                holds(caller)
            );
            let said = callee.as_ref().and_then(|callee| callee.said);
            let established = callee.as_ref().is_some_and(|callee| callee.established);
            if caller.answered {
                assert_eq!(said, Some(200), "call {serial}: nobody answered");
            }
            if holds(caller) {
                assert!(
                    caller.established && established,
                    "call {serial} is held and not established"
                );
            }
            if established {
                assert!(
                    caller.answered || caller.gave_up,
                    "call {serial}: its ACK came from nobody"
                );
            }
            let told = caller
                .ended
                .as_ref()
                .and_then(|ended| ended.response.as_ref());
            if let (Some(486), Some(response), false) = (said, told, caller.gave_up) {
                assert_eq!(response.status(), 486, "call {serial}: told otherwise");
            }
            seen.established += u64::from(established);
            seen.refused += u64::from(said == Some(486));
            seen.given_up += u64::from(caller.gave_up && !caller.answered);
        }
        seen
    }

    /// 2×64×T1 + T4 after the last input no machine holds anything or waits for anything.
    fn assert_nothing_is_left(&self) {
        let mut rounds = 0;
        loop {
            self.sim.advance(Duration::ZERO);
            let last = self.ask(|machine| machine.last_input());
            let quiet = last.into_iter().flatten().max().expect("there was one") + LEFT;
            if self.sim.now() >= quiet {
                break;
            }
            rounds += 1;
            assert!(rounds < 200, "it never ends");
            self.sim.advance(quiet - self.sim.now());
        }
        let left = self.ask(|machine| {
            let stack = machine.machine();
            let (core, endpoint) = (stack.core().stats(), stack.endpoint().stats());
            let held = core.calls
                + core.dialogs
                + core.requests
                + core.awaited
                + core.handed_out
                + endpoint.client_transactions
                + endpoint.server_transactions
                + endpoint.requests
                + endpoint.acknowledgements;
            // What keeps a connection alive is no leftover.
            let timer = endpoint.transport.opened + endpoint.transport.accepted == 0
                && machine.poll_timeout().is_some();
            (held > 0 || timer).then(|| format!("{core:?} {endpoint:?}, a timer: {timer}"))
        });
        assert_eq!(left, [None, None], "something is left");
    }

    /// Asks both machines something.
    fn ask<R: Send + 'static>(&self, question: fn(&Machine) -> R) -> [R; 2] {
        [0, 1].map(|who: usize| {
            let answer = self.users[who].command(move |machine, _, _| question(machine));
            self.sim.run(answer).expect("it runs")
        })
    }
}

impl User {
    fn call(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        serial: u32,
        target: &str,
        offer: Offer,
    ) {
        let me = Identity::new(uri(if self.me == 0 {
            "sip:alice@alice"
        } else {
            "sip:bob@bob"
        }));
        let number = HeaderValue::try_from(serial.to_string().as_str()).expect("it is digits");
        let options = CallOptions::new().header(NUMBER, number).offer(offer);
        let call = command(machine, now, |ua, cx| {
            ua.call(cx, &me, uri(target), options)
        });
        let call = call.expect("there is room");
        self.known.insert(call, (serial, 0));
        lock(&self.book).calls.entry(serial).or_default()[0] = Some(Side::new(call));
    }

    /// Says something to a call, whether or not that is possible.
    fn answer(&mut self, machine: &mut Machine, now: Instant, which: usize, code: u16) {
        if let Some((serial, side, call)) = self.pick(which) {
            self.say(machine, now, (serial, side, call), code);
        }
    }

    fn say(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        (serial, side, call): (u32, usize, CallId),
        code: u16,
    ) {
        let status = StatusCode::try_from(code).expect("it is one");
        let said = command(machine, now, |ua, cx| {
            if code == 200 {
                ua.answer(cx, call, status, Vec::new())
            } else {
                ua.reject(cx, call, status, Vec::new())
            }
        });
        if said.is_ok() {
            self.note(serial, side, |side| {
                side.said.get_or_insert(code);
            });
        }
    }

    fn answer_requests(&mut self, machine: &mut Machine, now: Instant) {
        for (id, request) in std::mem::take(&mut self.asked) {
            let response = request.response(StatusCode::OK).build();
            // It may be too late.
            command(machine, now, |ua, cx| ua.respond(cx, id, response).ok());
        }
    }

    /// Answers all that is open, and from now on what comes.
    fn close(&mut self, machine: &mut Machine, now: Instant) {
        self.is_closing = true;
        self.answer_requests(machine, now);
        for which in 0..self.living().len() {
            if let Some((serial, 1, call)) = self.pick(which) {
                let code = if serial % 2 == 0 { 200 } else { 486 };
                self.say(machine, now, (serial, 1, call), code);
            }
        }
    }

    fn hang_up(&mut self, machine: &mut Machine, now: Instant) {
        for (_, _, call) in self.living() {
            // The other side may have hung up.
            command(machine, now, |ua, cx| ua.hang_up(cx, call).ok());
        }
    }

    fn pick(&self, which: usize) -> Option<(u32, usize, CallId)> {
        let living = self.living();
        living.get(which % living.len().max(1)).copied()
    }

    /// Our sides of calls that are not over.
    fn living(&self) -> Vec<(u32, usize, CallId)> {
        let book = lock(&self.book);
        let lives = |(call, (serial, side)): (&CallId, &(u32, usize))| {
            let known = book.calls.get(serial)?[*side].as_ref()?;
            known.ended.is_none().then_some((*serial, *side, *call))
        };
        self.known.iter().filter_map(lives).collect()
    }

    fn note(&self, serial: u32, side: usize, note: impl FnOnce(&mut Side)) {
        let mut book = lock(&self.book);
        let sides = book.calls.get_mut(&serial).expect("it was called");
        note(sides[side].as_mut().expect("it is known"));
    }

    fn incoming(&mut self, machine: &mut Machine, now: Instant, call: CallId, request: &Request) {
        let number = request.headers().raw(&NUMBER).expect("it was given");
        let serial = number.to_str().expect("it is digits").parse().expect("one");
        self.known.insert(call, (serial, 1));
        let former = lock(&self.book).calls.entry(serial).or_default()[1].replace(Side::new(call));
        assert!(former.is_none(), "call {serial} came twice");
        if self.is_closing {
            self.say(machine, now, (serial, 1, call), 486);
        }
    }
}

impl Application<Machine> for User {
    fn handle_event(&mut self, machine: &mut Machine, now: Instant, event: StackEvent<Event>) {
        let StackEvent::Core(event) = event else {
            return;
        };
        let tell = |call: CallId, note: fn(&mut Side)| {
            let (serial, side) = self.known[&call];
            self.note(serial, side, note);
        };
        match event {
            Event::IncomingCall { call, request, .. } => {
                self.incoming(machine, now, call, &request);
            }
            Event::SessionNeeded {
                call,
                question,
                offer,
            } => {
                let session = if offer.is_some() {
                    "s=answer"
                } else {
                    "s=offer"
                };
                command(machine, now, |ua, cx| {
                    ua.provide_session(cx, call, question, session.into()).ok()
                });
            }
            Event::Answered { call, .. } => tell(call, |side| {
                assert!(!side.answered, "answered twice");
                side.answered = true;
            }),
            Event::Established { call } => tell(call, |side| {
                assert!(!side.established, "established twice");
                side.established = true;
            }),
            Event::Ended { call, ended } => {
                let (serial, side) = self.known[&call];
                self.note(serial, side, |side| {
                    assert_eq!(side.call, call);
                    assert!(side.ended.is_none(), "ended twice");
                    side.ended = Some(ended);
                });
            }
            Event::Request { id, request, .. } => {
                self.asked.push((id, *request));
                if self.is_closing {
                    self.answer_requests(machine, now);
                }
            }
            _ => {}
        }
    }
}

fn start(
    host: Host,
    me: usize,
    book: Arc<Mutex<Book>>,
    rng: &mut Rng,
) -> DriverHandle<Machine, User> {
    let clock = WallClock {
        at: host.now(),
        is: host.wall_clock(),
    };
    let address = (host.ipv4(), 5060).into();
    let config = UaConfig::new(rng.seed(), clock).listen_to(Method::MESSAGE);
    let mut stack = Stack::new(
        EndpointConfig::new(rng.seed(), clock),
        UserAgent::new(config),
    );
    stack.command(host.now(), |_, cx| {
        cx.listen(Listener::udp(address));
        cx.listen(Listener::tcp(address));
    });
    let user = User {
        me,
        book,
        known: BTreeMap::new(),
        asked: Vec::new(),
        is_closing: false,
    };
    let runtime: Arc<dyn Runtime> = Arc::new(host);
    Driver::new(runtime, Lawful::new(stack, rng.seed()), user).spawn()
}

fn command<R>(
    machine: &mut Machine,
    now: Instant,
    command: impl FnOnce(&mut UserAgent, &mut sipwright::endpoint::Context<'_>) -> R,
) -> R {
    machine.command(now, |stack| stack.command(now, command))
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().expect("nobody panicked")
}

/// The field in which an INVITE says which call of the play it is.
const NUMBER: HeaderName = HeaderName::from_static("X-Number");

/// 64×T1.
const TRANSACTION: Duration = Duration::from_secs(32);

/// 2×64×T1 + T4.
const LEFT: Duration = Duration::from_secs(69);
