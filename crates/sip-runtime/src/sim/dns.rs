//! A name server that knows the hosts.

use super::world::{HostId, World};
use hickory_proto::{
    op::{Message, Metadata, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, NAPTR, SRV},
    },
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Where the simulated DNS is asked.
pub(super) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 255, 255, 53);

/// Where hosts without IPv4 ask it.
pub(super) const ADDRESS_6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0xffff, 0x53);

/// The port that it is asked at.
pub(super) const PORT: u16 = 53;

/// The name of the host that answers.
pub(super) const NAME: &str = "dns";

/// What becomes of questions about a name, in place of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsTrouble {
    /// No answer comes
    Silence,
    /// The server says that it cannot tell now (SERVFAIL)
    Failure,
    /// The server says that it does not want to tell (REFUSED)
    Refused,
    /// There is no such name (NXDOMAIN), whatever is known about it
    NoSuchName,
    /// The name is there, and has no records
    NoRecords,
    /// What comes is no answer
    Garbage,
}

/// What the name server knows beside the hosts' own names.
#[derive(Debug)]
pub(super) struct Zone {
    aliases: BTreeMap<String, HostId>,
    srv: BTreeMap<String, Vec<(u16, u16, u16, String)>>,
    naptr: BTreeMap<String, Vec<NAPTR>>,
    troubles: BTreeMap<String, DnsTrouble>,
    /// How long answers may be kept, in seconds
    ttl: u32,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            aliases: BTreeMap::new(),
            srv: BTreeMap::new(),
            naptr: BTreeMap::new(),
            troubles: BTreeMap::new(),
            ttl: 60,
        }
    }
}

impl Zone {
    pub(super) fn alias(&mut self, name: &str, host: HostId) {
        self.aliases.insert(key(name), host);
    }

    pub(super) fn srv(&mut self, name: &str, priority: u16, weight: u16, port: u16, target: &str) {
        let records = self.srv.entry(key(name)).or_default();
        records.push((priority, weight, port, target.to_owned()));
    }

    /// Whether it could be made a record of: the replacement is a name.
    pub(super) fn naptr(
        &mut self,
        name: &str,
        (order, preference): (u16, u16),
        (flags, service, regexp): (&str, &str, &str),
        replacement: &str,
    ) -> bool {
        let [flags, services, regexp] = [flags, service, regexp].map(|text| text.as_bytes().into());
        let Ok(replacement) = Name::from_ascii(replacement) else {
            return false;
        };
        let record = NAPTR::new(order, preference, flags, services, regexp, replacement);
        self.naptr.entry(key(name)).or_default().push(record);
        true
    }

    pub(super) fn forget(&mut self, name: &str) {
        let name = key(name);
        self.aliases.remove(&name);
        self.srv.remove(&name);
        self.naptr.remove(&name);
        self.troubles.remove(&name);
    }

    pub(super) fn trouble(&mut self, name: &str, trouble: Option<DnsTrouble>) {
        match trouble {
            Some(trouble) => self.troubles.insert(key(name), trouble),
            None => self.troubles.remove(&key(name)),
        };
    }

    pub(super) const fn set_ttl(&mut self, seconds: u32) {
        self.ttl = seconds;
    }
}

impl World {
    /// The answer to a question, `None` if it is none.
    pub(super) fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?.clone();
        let name = key(&query.name().to_ascii());
        let trouble = self.zone.troubles.get(&name).copied();
        match trouble {
            Some(DnsTrouble::Silence) => return None,
            Some(DnsTrouble::Garbage) => return Some(vec![0xff; 7]),
            _ => {}
        }
        let host = self
            .names
            .get(&name)
            .or_else(|| self.zone.aliases.get(&name));
        let host = host.and_then(|id| self.hosts.get(id));
        let services = self.zone.srv.get(&name);
        let rules = self.zone.naptr.get(&name);
        let data: Vec<RData> = match query.query_type() {
            RecordType::A => host
                .filter(|host| host.has_ipv4)
                .map(|host| RData::A(A(host.ipv4)))
                .into_iter()
                .collect(),
            RecordType::AAAA => host
                .filter(|host| host.has_ipv6)
                .map(|host| RData::AAAA(AAAA(host.ipv6)))
                .into_iter()
                .collect(),
            RecordType::SRV => services
                .into_iter()
                .flatten()
                .filter_map(|(priority, weight, port, target)| {
                    let target = Name::from_ascii(target).ok()?;
                    Some(RData::SRV(SRV::new(*priority, *weight, *port, target)))
                })
                .collect(),
            RecordType::NAPTR => rules
                .into_iter()
                .flatten()
                .cloned()
                .map(RData::NAPTR)
                .collect(),
            _ => Vec::new(),
        };
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata = Metadata::response_from_request(&question.metadata);
        answer.metadata.recursion_available = true;
        let known = host.is_some() || services.is_some() || rules.is_some();
        answer.metadata.response_code = match trouble {
            Some(DnsTrouble::Failure) => ResponseCode::ServFail,
            Some(DnsTrouble::Refused) => ResponseCode::Refused,
            Some(DnsTrouble::NoSuchName) => ResponseCode::NXDomain,
            None if !known && !self.zone.is_above(&name) => ResponseCode::NXDomain,
            _ => ResponseCode::NoError,
        };
        let owner = query.name().clone();
        answer.add_query(query);
        for data in data.into_iter().filter(|_| trouble.is_none()) {
            answer.add_answer(Record::from_rdata(owner.clone(), self.zone.ttl, data));
        }
        answer.to_vec().ok()
    }
}

impl Zone {
    /// Whether a name has names below it, and therefore exists (RFC 8020).
    fn is_above(&self, name: &str) -> bool {
        let below = |known: &String| {
            known
                .strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.'))
        };
        let names = self.aliases.keys().chain(self.srv.keys());
        names.chain(self.naptr.keys()).any(below)
    }
}

/// Names are the same whatever their case, and with or without the last dot (RFC 4343).
pub(super) fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
