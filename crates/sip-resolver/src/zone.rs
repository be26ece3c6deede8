//! Names that are known without asking.

use crate::{Answer, LookupError, Naptr, Question, Record, RecordType, Srv, name};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};
use thiserror::Error;

/// A static table of names, for closed networks, tests and the system's hosts file.
///
/// A name that is in the zone is answered from the zone alone: records that it does not have there do not exist, and
/// neither do services below it (`_sip._udp.` and the like). [`domain`](Self::domain) claims everything under a name.
///
/// ```
/// # use sip_resolver::Zone;
/// let zone = Zone::new()
///     .domain("cluster.internal")
///     .address("a.cluster.internal", [10, 0, 0, 1])
///     .hosts("192.0.2.9 pbx.example pbx # the old one")?;
/// assert!(zone.contains("pbx") && zone.contains("b.cluster.internal"));
/// # Ok::<(), sip_resolver::ZoneError>(())
/// ```
///
/// # Panics
///
/// The methods that add records panic when a name is no domain name, because zones are written by programmers; only
/// [`hosts`](Self::hosts) reads what others wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    records: BTreeMap<String, Vec<Record>>,
    domains: BTreeSet<String>,
}

impl Zone {
    /// An empty zone.
    pub fn new() -> Self {
        Self::default()
    }

    /// An address of a name (A, AAAA).
    #[must_use]
    pub fn address(self, name: &str, address: impl Into<IpAddr>) -> Self {
        self.record(name, Record::Address(address.into()))
    }

    /// A server of a service (SRV).
    #[must_use]
    pub fn service(self, name: &str, priority: u16, weight: u16, port: u16, target: &str) -> Self {
        self.record(
            name,
            Record::Srv(Srv {
                priority,
                weight,
                port,
                target: target.to_owned(),
            }),
        )
    }

    /// A service of a domain (NAPTR with flag `s`), such as `SIP+D2U`, and the name of its SRV records.
    #[must_use]
    pub fn naptr(
        self,
        name: &str,
        order: u16,
        preference: u16,
        services: &str,
        replacement: &str,
    ) -> Self {
        self.record(
            name,
            Record::Naptr(Naptr {
                order,
                preference,
                flags: "s".to_owned(),
                services: services.to_owned(),
                regexp: String::new(),
                replacement: replacement.to_owned(),
            }),
        )
    }

    /// Any record.
    #[must_use]
    pub fn record(mut self, name: &str, record: Record) -> Self {
        self.insert(normalized(name), record);
        self
    }

    /// Claims a domain: what is not in the zone does not exist below it.
    #[must_use]
    pub fn domain(mut self, name: &str) -> Self {
        self.domains.insert(normalized(name));
        self
    }

    /// Adds the lines of a hosts file: an address, then its names, then perhaps a comment after `#`.
    ///
    /// # Errors
    ///
    /// Names the first line that is none of these. The zone is lost then; a system's own file, which may hold
    /// anything, is better read with [`hosts_lenient`](Self::hosts_lenient).
    pub fn hosts(mut self, text: &str) -> Result<Self, ZoneError> {
        for (number, line) in (1..).zip(text.lines()) {
            self.hosts_line(line)
                .map_err(|()| ZoneError { line: number })?;
        }
        Ok(self)
    }

    /// Adds the lines of a hosts file that can be read, and skips the others.
    #[must_use]
    pub fn hosts_lenient(mut self, text: &str) -> Self {
        for line in text.lines() {
            if self.hosts_line(line).is_err() {
                tracing::debug!("skipped a line of the hosts table");
            }
        }
        self
    }

    /// Whether questions about `name` are answered from the zone alone.
    pub fn contains(&self, name: &str) -> bool {
        name::normalize(name).is_some_and(|name| self.owns(&name))
    }

    /// The answer, if the zone has a say.
    pub(crate) fn answer(&self, question: &Question) -> Option<Result<Answer, LookupError>> {
        if !self.owns(question.name()) {
            return is_localhost(question.name()).then(|| localhost(question.record_type()));
        }
        let Some(records) = self.records.get(question.name()) else {
            return Some(Err(LookupError::NoSuchName { ttl: None }));
        };
        let fitting: Vec<Record> = records
            .iter()
            .filter(|record| record.fits(question.record_type()))
            .cloned()
            .collect();
        Some(if fitting.is_empty() {
            Err(LookupError::NoRecords { ttl: None })
        } else {
            Ok(Answer::new(fitting, Duration::MAX))
        })
    }

    fn owns(&self, name: &str) -> bool {
        self.records.contains_key(name)
            || self.records.contains_key(name::without_service(name))
            || self
                .domains
                .iter()
                .any(|domain| name::is_within(name, domain))
    }

    fn insert(&mut self, name: String, record: Record) {
        let records = self.records.entry(name).or_default();
        if !records.contains(&record) {
            records.push(record);
        }
    }

    fn hosts_line(&mut self, line: &str) -> Result<(), ()> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(address) = words.next() else {
            return Ok(());
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let names: Vec<String> = words
            .map(|word| name::normalize(word).ok_or(()))
            .collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Err(());
        }
        for name in names {
            self.insert(name, Record::Address(address));
        }
        Ok(())
    }
}

impl Record {
    pub(crate) const fn fits(&self, record_type: RecordType) -> bool {
        matches!(
            (self, record_type),
            (Self::Address(IpAddr::V4(_)), RecordType::A)
                | (Self::Address(IpAddr::V6(_)), RecordType::Aaaa)
                | (Self::Srv(_), RecordType::Srv)
                | (Self::Naptr(_), RecordType::Naptr)
        )
    }
}

/// A line of a hosts table is neither an address with names nor a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("line {line}: expected an address and at least one name")]
pub struct ZoneError {
    /// The number of the line, counted from 1
    pub line: usize,
}

fn normalized(name: &str) -> String {
    name::normalize(name).unwrap_or_else(|| panic!("{name:?} is no domain name"))
}

/// RFC 6761 §6.3: `localhost` and what lies below it is never asked for.
fn is_localhost(name: &str) -> bool {
    name::is_within(name::without_service(name), "localhost")
}

fn localhost(record_type: RecordType) -> Result<Answer, LookupError> {
    let address = match record_type {
        RecordType::A => IpAddr::V4(Ipv4Addr::LOCALHOST),
        RecordType::Aaaa => IpAddr::V6(Ipv6Addr::LOCALHOST),
        RecordType::Srv | RecordType::Naptr => return Err(LookupError::NoRecords { ttl: None }),
    };
    Ok(Answer::addresses([address], Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(
        zone: &Zone,
        name: &str,
        record_type: RecordType,
    ) -> Option<Result<Answer, LookupError>> {
        zone.answer(&Question::new(name, record_type).expect("is a name"))
    }

    #[test]
    fn a_known_name_has_only_what_the_zone_gives_it() {
        let zone = Zone::new().address("pbx.example", [192, 0, 2, 1]);
        assert!(matches!(
            ask(&zone, "PBX.example", RecordType::A),
            Some(Ok(_))
        ));
        assert_eq!(
            ask(&zone, "pbx.example", RecordType::Aaaa),
            Some(Err(LookupError::NoRecords { ttl: None }))
        );
        assert_eq!(
            ask(&zone, "_sip._udp.pbx.example", RecordType::Srv),
            Some(Err(LookupError::NoSuchName { ttl: None }))
        );
        assert_eq!(ask(&zone, "example", RecordType::A), None);
    }

    #[test]
    fn a_claimed_domain_is_never_asked_for() {
        let zone = Zone::new().domain("internal");
        assert_eq!(
            ask(&zone, "a.b.internal", RecordType::A),
            Some(Err(LookupError::NoSuchName { ttl: None }))
        );
        assert_eq!(ask(&zone, "notinternal", RecordType::A), None);
    }

    /// RFC 6761 §6.3.
    #[test]
    fn localhost_is_the_loopback_unless_the_zone_says_otherwise() {
        let zone = Zone::new();
        let loopback = Answer::addresses([IpAddr::from([127, 0, 0, 1])], Duration::MAX);
        assert_eq!(
            ask(&zone, "localhost", RecordType::A),
            Some(Ok(loopback.clone()))
        );
        assert_eq!(ask(&zone, "a.localhost", RecordType::A), Some(Ok(loopback)));
        assert_eq!(
            ask(&zone, "_sip._udp.localhost", RecordType::Srv),
            Some(Err(LookupError::NoRecords { ttl: None }))
        );
        let zone = zone.address("localhost", [127, 0, 0, 2]);
        let own = Answer::addresses([IpAddr::from([127, 0, 0, 2])], Duration::MAX);
        assert_eq!(ask(&zone, "localhost", RecordType::A), Some(Ok(own)));
    }

    #[test]
    fn a_hosts_table_names_its_bad_line() {
        let text = "# comment\n\n127.0.0.1 localhost\n2001:db8::1\tsix six.example # two\n";
        let zone = Zone::new().hosts(text).expect("is a hosts table");
        assert!(matches!(
            ask(&zone, "six.example", RecordType::Aaaa),
            Some(Ok(_))
        ));
        assert_eq!(
            Zone::new().hosts("127.0.0.1 a\nnonsense here\n"),
            Err(ZoneError { line: 2 })
        );
        assert_eq!(Zone::new().hosts("127.0.0.1"), Err(ZoneError { line: 1 }));
        let lenient = Zone::new().hosts_lenient("fe80::1%lo0 local\n10.0.0.1 ten\n");
        assert!(lenient.contains("ten") && !lenient.contains("local"));
    }
}
