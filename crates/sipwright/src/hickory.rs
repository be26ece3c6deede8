//! Questions answered by hickory-resolver.

use crate::resolve::Resolve;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType as WireType},
    },
};
use sip_resolver::{Answer, LookupError, Naptr, Question, Record, RecordType, Srv};
use sip_runtime::NameService;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// hickory-resolver behind [`Resolve`], for what our own client does not do: DNS over TLS, HTTPS or QUIC, DNSSEC.
///
/// It needs the tokio runtime. Which of its own features there are is for the program to say, by a dependency of its own
/// on `hickory-resolver`.
///
/// ```no_run
/// use sipwright::{UserAgent, resolver::Hickory};
///
/// # async fn start() -> sipwright::Result<()> {
/// let ua = UserAgent::builder().listen("udp:0.0.0.0:5060").resolver(Hickory::system()?).start().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Hickory {
    resolver: TokioResolver,
}

impl Hickory {
    /// A resolver that is configured already.
    pub const fn new(resolver: TokioResolver) -> Self {
        Self { resolver }
    }

    /// Asks the system's servers over UDP and TCP.
    ///
    /// # Errors
    ///
    /// When the resolver cannot be made.
    pub fn system() -> Result<Self, crate::BindError> {
        Self::nameservers(NameService::system().nameservers)
    }

    /// Asks these servers over UDP and TCP.
    ///
    /// # Errors
    ///
    /// When the resolver cannot be made.
    pub fn nameservers(
        nameservers: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Self, crate::BindError> {
        let servers = nameservers.into_iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        match builder.build() {
            Ok(resolver) => Ok(Self { resolver }),
            Err(error) => Err(crate::BindError::Configuration(error.to_string())),
        }
    }
}

impl Resolve for Hickory {
    async fn lookup(&self, question: &Question) -> Result<Answer, LookupError> {
        let mut name = Name::from_ascii(question.name()).map_err(|_| LookupError::Malformed)?;
        // No search domains.
        name.set_fqdn(true);
        let wire_type = match question.record_type() {
            RecordType::A => WireType::A,
            RecordType::Aaaa => WireType::AAAA,
            RecordType::Srv => WireType::SRV,
            RecordType::Naptr => WireType::NAPTR,
            _ => return Err(LookupError::NoRecords { ttl: None }),
        };
        let found = self
            .resolver
            .lookup(name, wire_type)
            .await
            .map_err(failure)?;
        let ttl = found.valid_until().saturating_duration_since(now());
        let records: Vec<Record> = found
            .answers()
            .iter()
            .filter_map(|record| converted(&record.data))
            .collect();
        if records.is_empty() {
            return Err(LookupError::NoRecords { ttl: None });
        }
        Ok(Answer::new(records, ttl))
    }
}

/// hickory-resolver counts by the system's clock, whatever the runtime's says.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

fn converted(data: &RData) -> Option<Record> {
    let text = |name: &Name| name.to_ascii().to_ascii_lowercase();
    Some(match data {
        RData::A(address) => Record::Address(address.0.into()),
        RData::AAAA(address) => Record::Address(address.0.into()),
        RData::SRV(srv) => Record::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: text(&srv.target),
        }),
        RData::NAPTR(naptr) => Record::Naptr(Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: String::from_utf8(naptr.flags.to_vec()).ok()?,
            services: String::from_utf8(naptr.services.to_vec()).ok()?,
            regexp: String::from_utf8(naptr.regexp.to_vec()).ok()?,
            replacement: text(&naptr.replacement),
        }),
        _ => return None,
    })
}

fn failure(error: NetError) -> LookupError {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let ttl = none
                .negative_ttl
                .map(|ttl| Duration::from_secs(u64::from(ttl)));
            match none.response_code {
                ResponseCode::NXDomain => LookupError::NoSuchName { ttl },
                ResponseCode::NoError => LookupError::NoRecords { ttl },
                code => refusal(code),
            }
        }
        NetError::Dns(DnsError::ResponseCode(code)) => refusal(code),
        NetError::Timeout => LookupError::TimedOut,
        NetError::NoConnections => LookupError::NoServer,
        NetError::Proto(_) => LookupError::Malformed,
        _ => LookupError::ServerFailure,
    }
}

fn refusal(code: ResponseCode) -> LookupError {
    match code {
        ResponseCode::ServFail => LookupError::ServerFailure,
        _ => LookupError::Refused,
    }
}
