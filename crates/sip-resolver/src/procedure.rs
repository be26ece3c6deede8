//! RFC 3263 §4 as a function of the answers so far.

use crate::{
    LookupError, Naptr, Origin, Query, Question, Record, RecordType, ResolveError, ResolverConfig,
    Srv, Target, cache::Outcome, enum_, name, order, query::Host,
};
use sip_io::{Protocol, Rng};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// What a lookup knows, and how it is to go on.
pub(crate) struct Procedure<'a> {
    pub(crate) query: &'a Query,
    pub(crate) config: &'a ResolverConfig,
    pub(crate) known: &'a [(Question, Outcome)],
    /// Whether to wait for addresses when each server has one
    pub(crate) patient: bool,
    /// Decides between servers of one priority; the same at every run
    pub(crate) seed: [u8; 32],
}

/// What the procedure says.
pub(crate) enum Step {
    /// These questions are open. If `usable`, only the slower address family is missing.
    Wait {
        questions: Vec<Question>,
        usable: bool,
    },
    Done(Vec<Target>),
    Failed(ResolveError),
}

/// A service to look for: an owner of SRV records and what they lead to.
struct Service {
    protocol: Protocol,
    name: String,
    /// The record that named it
    origin: Option<Record>,
}

/// A name to be contacted at a port.
struct Server {
    protocol: Protocol,
    host: String,
    port: u16,
    /// The records that led to it
    origins: Vec<Origin>,
}

impl Procedure<'_> {
    pub(crate) fn run(&self) -> Step {
        match &self.query.number {
            Some(number) => self.number(number),
            None => self.locate(),
        }
    }

    /// RFC 6116: the number's URI first, then that URI's servers.
    fn number(&self, number: &str) -> Step {
        let unknown = || {
            Step::Failed(ResolveError::NoSuchNumber {
                number: number.to_owned(),
            })
        };
        let suffix = self.config.enum_suffix.as_deref();
        let Some(domain) = suffix.and_then(|suffix| enum_::enum_domain(number, suffix)) else {
            return unknown();
        };
        let question = Question::of(&domain, RecordType::Naptr);
        let outcome = match self.find(&question) {
            None => {
                return Step::Wait {
                    questions: vec![question],
                    usable: false,
                };
            }
            Some(Err(error)) if !error.is_negative() => {
                let error = *error;
                return Step::Failed(ResolveError::Unanswered { question, error });
            }
            Some(outcome) => outcome,
        };
        let Some((uri, record)) = enum_::rewrite(number, records(outcome)) else {
            return unknown();
        };
        let Ok(query) = Query::uri(&uri) else {
            return unknown();
        };
        let step = Procedure {
            query: &query,
            ..*self
        }
        .locate();
        match step {
            Step::Done(mut targets) => {
                for target in &mut targets {
                    if self.config.origins {
                        target.origins.insert(0, self.origin(&question, record));
                    }
                    target.uri = Some(uri.clone());
                }
                Step::Done(targets)
            }
            step => step,
        }
    }

    fn locate(&self) -> Step {
        let protocol = self.query.protocol;
        let fallback = protocol.unwrap_or_else(|| self.config.default_protocol(self.query.secure));
        let host = match &self.query.host {
            Host::Numeric(address) => {
                let port = match self.query.port {
                    Some(port) => port,
                    None => fallback.default_port(),
                };
                let server = address.to_string();
                let target = self.target(fallback, *address, port, server, Vec::new());
                return Step::Done(vec![target]);
            }
            Host::Name(host) => host,
        };
        if name::is_within(host, "invalid") {
            return Step::Failed(ResolveError::NeverAsked { name: host.clone() });
        }
        let itself = |port| Server {
            protocol: fallback,
            host: host.clone(),
            port,
            origins: Vec::new(),
        };
        if let Some(port) = self.query.port {
            return self.addresses(vec![itself(port)]);
        }
        if !self.config.services {
            return self.addresses(vec![itself(fallback.default_port())]);
        }
        let services = match protocol {
            Some(protocol) => vec![service(protocol, host)],
            None => match self.services(host) {
                Ok(services) => services,
                Err(wait) => return wait,
            },
        };
        match self.servers(host, &services) {
            Ok(servers) if servers.is_empty() => {
                self.addresses(vec![itself(fallback.default_port())])
            }
            Ok(servers) => self.addresses(servers),
            Err(step) => step,
        }
    }

    /// §4.1: which transports the domain offers and we speak, the domain's favourite first.
    fn services(&self, host: &str) -> Result<Vec<Service>, Step> {
        let question = Question::of(host, RecordType::Naptr);
        let mut offered: Vec<&Naptr> = match self.find(&question) {
            None => {
                return Err(Step::Wait {
                    questions: vec![question],
                    usable: false,
                });
            }
            Some(outcome) => records(outcome)
                .filter_map(|record| match record {
                    Record::Naptr(naptr) => Some(naptr),
                    _ => None,
                })
                .collect(),
        };
        offered.sort_by_key(|naptr| (naptr.order, naptr.preference));
        let mut services: Vec<Service> = Vec::new();
        for naptr in offered {
            let protocol = naptr_protocol(naptr).filter(|protocol| self.may_use(*protocol));
            let replacement = name::normalize(&naptr.replacement);
            if let (Some(protocol), Some(name)) = (protocol, replacement)
                && services.len() < MOST_SERVICES
                && !services
                    .iter()
                    .any(|other| other.protocol == protocol && other.name == name)
            {
                let origin = self.config.origins.then(|| Record::Naptr(naptr.clone()));
                services.push(Service {
                    protocol,
                    name,
                    origin,
                });
            }
        }
        if services.is_empty() {
            services = self
                .config
                .protocols
                .iter()
                .filter(|protocol| self.may_use(**protocol))
                .take(MOST_SERVICES)
                .map(|protocol| service(*protocol, host))
                .collect();
        }
        Ok(services)
    }

    /// §4.2: the servers of the services, in order; none when there are no SRV records.
    fn servers(&self, host: &str, services: &[Service]) -> Result<Vec<Server>, Step> {
        let questions: Vec<Question> = services
            .iter()
            .map(|service| Question::of(&service.name, RecordType::Srv))
            .collect();
        let open: Vec<Question> = questions
            .iter()
            .filter(|question| self.find(question).is_none())
            .cloned()
            .collect();
        if !open.is_empty() {
            return Err(Step::Wait {
                questions: open,
                usable: false,
            });
        }
        let mut rng = Rng::new(self.seed);
        let mut servers = Vec::new();
        let mut refused = false;
        for (service, question) in services.iter().zip(&questions) {
            let offered: Vec<&Srv> = self
                .find(question)
                .into_iter()
                .flat_map(records)
                .filter_map(|record| match record {
                    Record::Srv(srv) => Some(srv),
                    _ => None,
                })
                .collect();
            // RFC 2782: a target of "." says that the service is decidedly not available.
            refused |= offered.iter().any(|srv| srv.target == ".");
            let reachable = offered
                .into_iter()
                .filter(|srv| srv.port != 0 && name::normalize(&srv.target).is_some());
            for srv in order::by_priority_and_weight(reachable, &mut rng) {
                let mut origins = Vec::new();
                if self.config.origins {
                    if let Some(naptr) = &service.origin {
                        origins.push(self.origin(&Question::of(host, RecordType::Naptr), naptr));
                    }
                    origins.push(self.origin(question, &Record::Srv(srv.clone())));
                }
                servers.extend(name::normalize(&srv.target).map(|host| Server {
                    protocol: service.protocol,
                    host,
                    port: srv.port,
                    origins,
                }));
            }
        }
        if servers.is_empty() && refused {
            return Err(Step::Failed(ResolveError::NotOffered {
                name: host.to_owned(),
            }));
        }
        servers.truncate(self.config.servers);
        Ok(servers)
    }

    /// The addresses of the servers, each server's families taking turns.
    fn addresses(&self, servers: Vec<Server>) -> Step {
        let families = self.config.families;
        let mut questions = Vec::new();
        let mut targets: Vec<Target> = Vec::new();
        let mut failure = None;
        // Whether something is known to exist under the name itself.
        let mut exists = servers.iter().any(|server| match &self.query.host {
            Host::Name(host) => server.host != *host,
            Host::Numeric(_) => true,
        });
        let mut usable = true;
        for server in &servers {
            let mut collect = |asked: bool, record_type| {
                if !asked {
                    return Vec::new();
                }
                let question = Question::of(&server.host, record_type);
                match self.find(&question) {
                    None => {
                        if !questions.contains(&question) {
                            questions.push(question);
                        }
                        Vec::new()
                    }
                    Some(outcome) => {
                        exists |= !matches!(outcome, Err(LookupError::NoSuchName { .. }));
                        if let Err(error) = outcome
                            && !error.is_negative()
                        {
                            failure = Some((question, *error));
                        }
                        records(outcome)
                            .filter(|record| record.fits(record_type))
                            .filter_map(|record| match record {
                                Record::Address(address) => Some(*address),
                                _ => None,
                            })
                            .collect()
                    }
                }
            };
            let v4 = collect(families.has_v4(), RecordType::A);
            let v6 = collect(families.has_v6(), RecordType::Aaaa);
            let addresses = order::interleaved(&v4, &v6, families);
            let settled = [RecordType::A, RecordType::Aaaa]
                .into_iter()
                .all(|kind| !questions.contains(&Question::of(&server.host, kind)));
            usable &= settled || !addresses.is_empty();
            for address in addresses {
                let there = SocketAddr::new(address, server.port);
                let known = targets
                    .iter()
                    .any(|known| known.protocol == server.protocol && known.address == there);
                if targets.len() < self.config.targets && !known {
                    let mut origins = server.origins.clone();
                    if self.config.origins {
                        let record_type = if address.is_ipv4() {
                            RecordType::A
                        } else {
                            RecordType::Aaaa
                        };
                        let question = Question::of(&server.host, record_type);
                        origins.push(self.origin(&question, &Record::Address(address)));
                    }
                    let host = server.host.clone();
                    targets.push(self.target(server.protocol, address, server.port, host, origins));
                }
            }
        }
        usable &= !targets.is_empty();
        if questions.is_empty() || (!self.patient && !targets.is_empty()) {
            return match failure {
                _ if !targets.is_empty() => Step::Done(targets),
                Some((question, error)) => {
                    Step::Failed(ResolveError::Unanswered { question, error })
                }
                None => {
                    let name = self.query.name.clone();
                    Step::Failed(if exists {
                        ResolveError::NotFound { name }
                    } else {
                        ResolveError::NoSuchName { name }
                    })
                }
            };
        }
        Step::Wait { questions, usable }
    }

    fn find(&self, question: &Question) -> Option<&Outcome> {
        self.known
            .iter()
            .find(|(known, _)| known == question)
            .map(|(_, outcome)| outcome)
    }

    /// §4.1: a `sips` URI takes only secure transports; a `sip` URI may take them too.
    fn may_use(&self, protocol: Protocol) -> bool {
        self.config.protocols.contains(&protocol) && (!self.query.secure || protocol.is_secure())
    }

    fn target(
        &self,
        protocol: Protocol,
        address: IpAddr,
        port: u16,
        server: String,
        origins: Vec<Origin>,
    ) -> Target {
        Target {
            protocol,
            address: SocketAddr::new(address, port),
            name: self.query.name.clone(),
            server,
            origins,
            uri: None,
        }
    }

    fn origin(&self, question: &Question, record: &Record) -> Origin {
        let ttl = match self.find(question) {
            Some(Ok(answer)) => answer.ttl(),
            _ => Duration::ZERO,
        };
        Origin {
            question: question.clone(),
            record: record.clone(),
            ttl,
        }
    }
}

/// A failed question for services counts as none: a resolver on the way that does not know NAPTR must not keep a
/// domain from being reached.
fn records(
    outcome: &Result<std::sync::Arc<crate::Answer>, LookupError>,
) -> std::slice::Iter<'_, Record> {
    match outcome {
        Ok(answer) => answer.records().iter(),
        Err(_) => [].iter(),
    }
}

/// RFC 3263 §4.1 and RFC 7118 §10.2: what a NAPTR record offers, if it is for SIP and leads to SRV records.
fn naptr_protocol(naptr: &Naptr) -> Option<Protocol> {
    if !naptr.flags.eq_ignore_ascii_case("s") || !naptr.regexp.is_empty() {
        return None;
    }
    [
        ("SIP+D2U", Protocol::Udp),
        ("SIP+D2T", Protocol::Tcp),
        ("SIPS+D2T", Protocol::Tls),
        ("SIP+D2W", Protocol::Ws),
        ("SIPS+D2W", Protocol::Wss),
    ]
    .into_iter()
    .find(|(service, _)| service.eq_ignore_ascii_case(&naptr.services))
    .map(|(_, protocol)| protocol)
}

/// The owner of the SRV records of `host` for `protocol` (RFC 3263 §4.2).
fn service(protocol: Protocol, host: &str) -> Service {
    let labels = match protocol {
        Protocol::Tcp => "_sip._tcp",
        Protocol::Tls => "_sips._tcp",
        Protocol::Ws => "_sip._ws",
        Protocol::Wss => "_sips._ws",
        _ => "_sip._udp",
    };
    Service {
        protocol,
        name: format!("{labels}.{host}"),
        origin: None,
    }
}

/// As many as there are services to choose from.
const MOST_SERVICES: usize = 5;
