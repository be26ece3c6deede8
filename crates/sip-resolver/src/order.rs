//! Which server comes first.

use crate::{Families, Srv};
use sip_io::Rng;
use std::net::IpAddr;

/// Servers in the order in which they are to be tried: by priority, and by lot within one (RFC 2782, "Usage rules").
pub(crate) fn by_priority_and_weight<'a>(
    servers: impl IntoIterator<Item = &'a Srv>,
    rng: &mut Rng,
) -> Vec<&'a Srv> {
    let mut left: Vec<&Srv> = servers.into_iter().collect();
    // A stable sort puts weight 0 first within a priority, as the algorithm asks.
    left.sort_by_key(|server| (server.priority, server.weight != 0));
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(first) = left.first() {
        let priority = first.priority;
        let same = left.iter().take_while(|server| server.priority == priority);
        let total: u64 = same.map(|server| u64::from(server.weight)).sum();
        let lot = rng.below(total + 1);
        let mut sum = 0;
        let chosen = left
            .iter()
            .position(|server| {
                sum += u64::from(server.weight);
                sum >= lot
            })
            .unwrap_or(0);
        ordered.push(left.remove(chosen));
    }
    ordered
}

/// The addresses of one server, families taking turns (RFC 8305 §4, RFC 7984 §4).
pub(crate) fn interleaved(v4: &[IpAddr], v6: &[IpAddr], families: Families) -> Vec<IpAddr> {
    let (first, second) = match families {
        Families::V4 => (v4, &[][..]),
        Families::V6 => (v6, &[][..]),
        Families::V4First => (v4, v6),
        Families::V6First => (v6, v4),
    };
    let mut mixed = Vec::with_capacity(first.len() + second.len());
    for n in 0..first.len().max(second.len()) {
        mixed.extend(first.get(n));
        mixed.extend(second.get(n));
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(priority: u16, weight: u16, target: &str) -> Srv {
        Srv {
            priority,
            weight,
            port: 5060,
            target: target.to_owned(),
        }
    }

    #[test]
    fn lower_priorities_always_come_first() {
        let servers = [
            server(20, 60_000, "c"),
            server(10, 1, "a"),
            server(10, 0, "b"),
        ];
        for seed in 0..100 {
            let ordered = by_priority_and_weight(&servers, &mut Rng::new([seed; 32]));
            assert_eq!(ordered[2].target, "c");
        }
    }

    /// TRA-025, RFC 2782: the chance of being first is the share of the weight; weight 0 has "a very small chance".
    ///
    /// With weights 0, 1, 3 and 6 the lot is one of 0..=10, so that 0 falls to the server without weight: 1 in 11, and
    /// 1, 3 and 6 in 11 for the others. The bound is the 99.9 % point of chi-square with three degrees of freedom.
    #[test]
    fn servers_of_one_priority_share_by_weight() {
        let servers = [
            server(0, 6, "six"),
            server(0, 0, "zero"),
            server(0, 1, "one"),
            server(0, 3, "three"),
        ];
        let expected = [("zero", 1.0), ("one", 1.0), ("three", 3.0), ("six", 6.0)];
        let draws = 100_000;
        let mut rng = Rng::new([42; 32]);
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..draws {
            let first = by_priority_and_weight(&servers, &mut rng)[0];
            *counts.entry(first.target.as_str()).or_insert(0_u32) += 1;
        }
        let chi_square: f64 = expected
            .into_iter()
            .map(|(name, share)| {
                let expected = f64::from(draws) * share / 11.0;
                (f64::from(counts[name]) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 16.27, "{chi_square} {counts:?}");
    }

    #[test]
    fn all_servers_stay_and_none_doubles() {
        let servers: Vec<Srv> = (0..40)
            .map(|n| server(n % 3, n % 5, &n.to_string()))
            .collect();
        let mut ordered = by_priority_and_weight(&servers, &mut Rng::new([1; 32]));
        assert!(ordered.is_sorted_by_key(|server| server.priority));
        ordered.sort();
        ordered.dedup();
        assert_eq!(ordered.len(), 40);
    }

    #[test]
    fn families_take_turns() {
        let v4: Vec<IpAddr> = (1..4).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let v6 = ["2001:db8::1".parse().expect("is an address")];
        let mixed = interleaved(&v4, &v6, Families::V6First);
        assert_eq!(mixed, [v6[0], v4[0], v4[1], v4[2]]);
        assert_eq!(
            interleaved(&v4, &v6, Families::V4First)[..2],
            [v4[0], v6[0]]
        );
        assert_eq!(interleaved(&v4, &v6, Families::V4), v4);
        assert_eq!(interleaved(&v4, &v6, Families::V6), v6);
    }
}
