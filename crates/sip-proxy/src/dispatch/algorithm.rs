//! Which destination comes first.

use super::member::Destination;
use sip_io::Rng;
use sip_message::Request;
use std::cmp::Reverse;

/// How the destinations of a set are ordered for a request.
///
/// The hashes keep what belongs together at one destination, in proportion to the weights, without a table: when a
/// destination goes, only its own share moves (rendezvous hashing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// By lot, in proportion to the weights
    #[default]
    Weighted,
    /// In turn
    RoundRobin,
    /// The greatest weight first
    Priority,
    /// The fewest calls in proportion to the weight first; see
    /// [`DispatchSet::call_started`](super::DispatchSet::call_started)
    LeastLoad,
    /// The fastest answers first; who was never asked comes before all others
    Latency,
    /// What has the same Call-ID goes to the same place
    HashCallId,
    /// What comes from the same address-of-record goes to the same place
    HashFrom,
    /// What is for the same To goes to the same place
    HashTo,
    /// What has the same Request-URI goes to the same place
    HashRequestUri,
}

pub(super) fn ordered<'a>(
    algorithm: Algorithm,
    mut usable: Vec<&'a Destination>,
    request: &Request,
    turn: u64,
    rng: &mut Rng,
) -> Vec<&'a Destination> {
    match algorithm {
        Algorithm::Weighted => return by_lot(usable, rng),
        Algorithm::RoundRobin => {
            if let Some(length) = std::num::NonZeroU64::new(usable.len() as u64) {
                usable.rotate_left((turn % length) as usize);
            }
        }
        Algorithm::Priority => usable.sort_by_key(|destination| Reverse(destination.weight)),
        Algorithm::LeastLoad => usable.sort_by(|one, other| {
            // load / weight without dividing; a weight of 0 comes last.
            let weighed = |one: &Destination, other: &Destination| {
                u64::from(one.load + 1) * u64::from(other.weight)
            };
            let is_idle = |destination: &Destination| destination.weight == 0;
            is_idle(one)
                .cmp(&is_idle(other))
                .then_with(|| weighed(one, other).cmp(&weighed(other, one)))
        }),
        Algorithm::Latency => usable.sort_by_key(|destination| destination.latency),
        Algorithm::HashCallId => {
            let key = request.call_id().map(|call_id| call_id.to_string());
            by_hash(&mut usable, &key.unwrap_or_default());
        }
        Algorithm::HashFrom => {
            let key = request.from().map(|from| from.uri().aor().to_string());
            by_hash(&mut usable, &key.unwrap_or_default());
        }
        Algorithm::HashTo => {
            let key = request.to().map(|to| to.uri().aor().to_string());
            by_hash(&mut usable, &key.unwrap_or_default());
        }
        Algorithm::HashRequestUri => by_hash(&mut usable, request.uri().aor().as_ref()),
    }
    usable
}

/// Draws one after the other; without any weight left, who was added first.
fn by_lot<'a>(mut left: Vec<&'a Destination>, rng: &mut Rng) -> Vec<&'a Destination> {
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let total: u64 = left.iter().map(|one| u64::from(one.weight)).sum();
        let lot = rng.below(total);
        let mut sum = 0;
        let chosen = left.iter().position(|one| {
            sum += u64::from(one.weight);
            lot < sum
        });
        ordered.push(left.remove(chosen.unwrap_or(0)));
    }
    ordered
}

/// Weighted rendezvous hashing: each destination's lot is drawn from its name and the key.
fn by_hash(usable: &mut [&Destination], key: &str) {
    let score = |destination: &Destination| {
        let hash = mixed(destination.uri.as_str(), key);
        let fraction = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        f64::from(destination.weight) / -fraction.ln()
    };
    usable.sort_by(|one, other| score(other).total_cmp(&score(one)));
}

/// The same on every machine and in every version, so that several proxies agree (FNV-1a, finished by SplitMix64).
fn mixed(one: &str, other: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in one.bytes().chain([0xff]).chain(other.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
