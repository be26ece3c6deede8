//! A name server that knows the hosts.

use super::world::{HostId, World};
use hickory_proto::{
    op::{Message, Metadata, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, SRV},
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

/// What the name server knows beside the hosts' own names.
#[derive(Debug, Default)]
pub(super) struct Zone {
    aliases: BTreeMap<String, HostId>,
    srv: BTreeMap<String, Vec<(u16, u16, u16, String)>>,
}

impl Zone {
    pub(super) fn alias(&mut self, name: &str, host: HostId) {
        self.aliases.insert(key(name), host);
    }

    pub(super) fn srv(&mut self, name: &str, priority: u16, weight: u16, port: u16, target: &str) {
        let records = self.srv.entry(key(name)).or_default();
        records.push((priority, weight, port, target.to_owned()));
    }
}

impl World {
    /// The answer to a question, `None` if it is none.
    pub(super) fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?.clone();
        let name = key(&query.name().to_ascii());
        let host = self
            .names
            .get(&name)
            .or_else(|| self.zone.aliases.get(&name));
        let host = host.and_then(|id| self.hosts.get(id));
        let services = self.zone.srv.get(&name);
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
            _ => Vec::new(),
        };
        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata = Metadata::response_from_request(&question.metadata);
        answer.metadata.recursion_available = true;
        if host.is_none() && services.is_none() && !self.zone.is_above(&name) {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        let owner = query.name().clone();
        answer.add_query(query);
        for data in data {
            answer.add_answer(Record::from_rdata(owner.clone(), TTL, data));
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
        self.aliases.keys().any(below) || self.srv.keys().any(below)
    }
}

/// Names are the same whatever their case, and with or without the last dot (RFC 4343).
pub(super) fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// How long answers may be kept, in seconds.
const TTL: u32 = 60;
