//! Questions and answers as bytes.

use crate::{Answer, LookupError, Naptr, Question, Record, RecordType, Srv, name};
use bytes::Bytes;
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, Record as WireRecord, RecordType as WireType},
};
use std::{net::IpAddr, time::Duration};

/// What a datagram means for an open question.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It belongs to something else
    Ignored,
    /// It settles the question
    Answered(Result<Answer, LookupError>),
    /// The name is an alias, and the datagram does not say where it ends
    Alias { name: String, aliases: u8 },
    /// The server does not know EDNS0 (RFC 6891 §7)
    WithoutEdns,
    /// The server cannot help; another one may
    Failed(LookupError),
}

/// The question as a datagram; `None` when the name cannot be written.
pub(super) fn write(id: u16, question: &Question, edns: bool) -> Option<Bytes> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let mut name = Name::from_ascii(question.name()).ok()?;
    name.set_fqdn(true);
    message.add_query(Query::query(name, wire_type(question.record_type())));
    if edns {
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_PAYLOAD);
        message.set_edns(edns);
    }
    message.to_vec().ok().map(Bytes::from)
}

/// What `contents` says about `question`, which was reached over `aliases` aliases.
pub(super) fn read(contents: &[u8], question: &Question, aliases: u8) -> Verdict {
    // RFC 1035 §4.1.1: bit QR says whether it is an answer at all.
    if contents.get(2).is_none_or(|flags| flags & 0x80 == 0) {
        return Verdict::Ignored;
    }
    let Ok(message) = Message::from_vec(contents) else {
        return Verdict::Failed(LookupError::Malformed);
    };
    match message.metadata.response_code {
        // Some servers leave the question out when they could not read it.
        ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS
            if message.queries.is_empty() || asks(&message, question) =>
        {
            return Verdict::WithoutEdns;
        }
        _ if !asks(&message, question) => return Verdict::Ignored,
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        ResponseCode::ServFail => return Verdict::Failed(LookupError::ServerFailure),
        _ => return Verdict::Failed(LookupError::Refused),
    }
    answer(&message, question, aliases)
}

/// Whether the message repeats exactly this question (RFC 5452 §4.2).
fn asks(message: &Message, question: &Question) -> bool {
    match message.queries.as_slice() {
        [query] => {
            text(&query.name).as_deref() == Some(question.name())
                && query.query_type == wire_type(question.record_type())
                && query.query_class == DNSClass::IN
        }
        _ => false,
    }
}

fn answer(message: &Message, question: &Question, mut aliases: u8) -> Verdict {
    let mut owner = question.name().to_owned();
    let mut ttl = Duration::MAX;
    let mut moved = false;
    // RFC 1034 §3.6.2: follow the aliases that the server sent along.
    while let Some((target, alias_ttl)) = alias_of(message, &owner) {
        if aliases >= MOST_ALIASES {
            return Verdict::Answered(Err(LookupError::ChainTooLong));
        }
        aliases += 1;
        moved = true;
        ttl = ttl.min(seconds(alias_ttl));
        owner = target;
    }
    let mut records = Vec::new();
    for record in &message.answers {
        if record.dns_class == DNSClass::IN
            && text(&record.name).as_deref() == Some(owner.as_str())
            && let Some(own) = convert(&record.data)
            && own.fits(question.record_type())
        {
            ttl = ttl.min(seconds(record.ttl));
            records.push(own);
        }
    }
    let truncated = message.metadata.truncation;
    if !records.is_empty() {
        let answer = Answer::new(records, ttl);
        return Verdict::Answered(Ok(if truncated {
            answer.truncated()
        } else {
            answer
        }));
    }
    if truncated {
        return Verdict::Answered(Err(LookupError::Truncated));
    }
    let negative_ttl = negative_ttl(message).map(|negative| negative.min(ttl));
    if message.metadata.response_code == ResponseCode::NXDomain {
        return Verdict::Answered(Err(LookupError::NoSuchName { ttl: negative_ttl }));
    }
    // RFC 2308 §2.2: an SOA record beside an alias says that the alias's end has no such record.
    if moved && negative_ttl.is_none() {
        return Verdict::Alias {
            name: owner,
            aliases,
        };
    }
    Verdict::Answered(Err(LookupError::NoRecords { ttl: negative_ttl }))
}

fn alias_of(message: &Message, owner: &str) -> Option<(String, u32)> {
    message.answers.iter().find_map(|record| {
        let RData::CNAME(target) = &record.data else {
            return None;
        };
        if record.dns_class != DNSClass::IN || text(&record.name).as_deref() != Some(owner) {
            return None;
        }
        Some((text(&target.0)?, record.ttl))
    })
}

/// RFC 2308 §5: how long the lack of an answer holds.
fn negative_ttl(message: &Message) -> Option<Duration> {
    message
        .authorities
        .iter()
        .find_map(|record: &WireRecord| match &record.data {
            RData::SOA(soa) => Some(seconds(record.ttl.min(soa.minimum))),
            _ => None,
        })
}

fn convert(data: &RData) -> Option<Record> {
    Some(match data {
        RData::A(address) => Record::Address(IpAddr::V4(address.0)),
        RData::AAAA(address) => Record::Address(IpAddr::V6(address.0)),
        RData::SRV(srv) => Record::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: text_or_root(&srv.target)?,
        }),
        RData::NAPTR(naptr) => Record::Naptr(Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: String::from_utf8(naptr.flags.to_vec()).ok()?,
            services: String::from_utf8(naptr.services.to_vec()).ok()?,
            regexp: String::from_utf8(naptr.regexp.to_vec()).ok()?,
            replacement: text_or_root(&naptr.replacement)?,
        }),
        _ => return None,
    })
}

/// The name in the form of this crate, if it has one.
fn text(name: &Name) -> Option<String> {
    name::normalize(&name.to_ascii())
}

fn text_or_root(name: &Name) -> Option<String> {
    if name.is_root() {
        Some(".".to_owned())
    } else {
        text(name)
    }
}

/// RFC 2181 §8: a time to live with the highest bit set counts as zero.
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(if ttl > i32::MAX as u32 {
        0
    } else {
        u64::from(ttl)
    })
}

const fn wire_type(record_type: RecordType) -> WireType {
    match record_type {
        RecordType::A => WireType::A,
        RecordType::Aaaa => WireType::AAAA,
        RecordType::Srv => WireType::SRV,
        RecordType::Naptr => WireType::NAPTR,
    }
}

/// RFC 9715 §3.1: what passes every path without fragments.
const MAX_PAYLOAD: u16 = 1_232;

const MOST_ALIASES: u8 = 8;
