//! Nonces that need no table.

use crate::digest::Hex;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::{fmt, net::IpAddr, time::Duration};
use subtle::ConstantTimeEq;

/// Makes nonces and knows them again: the second and a serial number, under a keyed hash.
///
/// ```text
/// nonce = hex( seconds since 1970 (4 octets) | serial number (4) | HMAC-SHA-256(key, both | realm, shard, source) (16) )
/// ```
pub(crate) struct Nonces {
    /// The key, with its first block hashed once and for all
    keyed: Hmac<Sha256>,
    /// Realm and shard
    scope: Vec<u8>,
    lifetime: u64,
    serial: u32,
}

/// Which nonce it is; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NonceId(u64);

impl NonceId {
    #[cfg(test)]
    pub(crate) const fn from_serial(serial: u64) -> Self {
        Self(serial)
    }

    pub(crate) const fn seconds(self) -> u64 {
        self.0 >> 32
    }
}

impl Nonces {
    pub(crate) fn new(
        key: [u8; 32],
        first_serial: u32,
        realm: &str,
        shard: u32,
        lifetime: Duration,
    ) -> Self {
        let mut scope = shard.to_be_bytes().to_vec();
        scope.extend_from_slice(realm.as_bytes());
        // Ends the realm, since a source may follow; realms have no control characters.
        scope.push(0);
        Self {
            keyed: Hmac::new_from_slice(&key).expect("a key of any length will do"),
            scope,
            lifetime: lifetime.as_secs().max(1),
            serial: first_serial,
        }
    }

    /// A new nonce at `seconds` since 1970, for one source if it is given.
    pub(crate) fn mint(&mut self, seconds: u64, source: Option<IpAddr>) -> Hex {
        let id = NonceId((seconds << 32) | u64::from(self.serial));
        self.serial = self.serial.wrapping_add(1);
        let mut octets = [0; LENGTH];
        octets[..8].copy_from_slice(&id.0.to_be_bytes());
        octets[8..].copy_from_slice(&self.mac(id, source));
        Hex::of(&octets)
    }

    /// Which of our nonces it is; `None` if it is none, or too old.
    pub(crate) fn check(
        &self,
        nonce: &str,
        seconds: u64,
        source: Option<IpAddr>,
    ) -> Option<NonceId> {
        if nonce.len() != 2 * LENGTH {
            return None;
        }
        let mut octets = [0; LENGTH];
        for (octet, pair) in octets.iter_mut().zip(nonce.as_bytes().chunks_exact(2)) {
            *octet = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        let (id, mac) = octets.split_at(8);
        let id = NonceId(u64::from_be_bytes(id.try_into().ok()?));
        let is_ours: bool = self.mac(id, source).ct_eq(mac).into();
        // A nonce from the future was made before the clock was set back.
        let is_fresh = id.seconds() <= seconds && !self.is_over(id, seconds);
        (is_ours && is_fresh).then_some(id)
    }

    pub(crate) const fn is_over(&self, id: NonceId, seconds: u64) -> bool {
        id.seconds() + self.lifetime <= seconds
    }

    fn mac(&self, id: NonceId, source: Option<IpAddr>) -> [u8; 16] {
        let mut keyed = self.keyed.clone();
        keyed.update(&id.0.to_be_bytes());
        keyed.update(&self.scope);
        match source {
            Some(IpAddr::V4(source)) => keyed.update(&source.octets()),
            Some(IpAddr::V6(source)) => keyed.update(&source.octets()),
            None => {}
        }
        let mac = keyed.finalize().into_bytes();
        let mut short = [0; 16];
        short.copy_from_slice(&mac[..16]);
        short
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// The value of a hexadecimal digit of either case.
const fn digit(text: u8) -> Option<u8> {
    match text {
        b'0'..=b'9' => Some(text - b'0'),
        b'a'..=b'f' => Some(text - b'a' + 10),
        b'A'..=b'F' => Some(text - b'A' + 10),
        _ => None,
    }
}

const LENGTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(key: u8, realm: &str) -> Nonces {
        Nonces::new([key; 32], u32::MAX, realm, 0, Duration::from_secs(300))
    }

    #[test]
    fn only_our_own_nonces_are_known_again() {
        let mut ours = nonces(1, "example.com");
        let nonce = ours.mint(1_000, None);
        let nonce = nonce.as_str();
        assert!(ours.check(nonce, 1_000, None).is_some());
        assert!(nonces(2, "example.com").check(nonce, 1_000, None).is_none());
        assert!(nonces(1, "example.net").check(nonce, 1_000, None).is_none());
        for at in 0..nonce.len() {
            let mut forged = nonce.as_bytes().to_vec();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).expect("is ASCII");
            assert!(ours.check(&forged, 1_000, None).is_none(), "{at}");
        }
        for nonce in ["", "0", &nonce[1..], &"g".repeat(48), "é"] {
            assert!(ours.check(nonce, 1_000, None).is_none());
        }
    }

    #[test]
    fn nonces_end_and_do_not_come_from_the_future() {
        let mut nonces = nonces(1, "example.com");
        let nonce = nonces.mint(1_000, None);
        assert!(nonces.check(nonce.as_str(), 1_299, None).is_some());
        assert!(nonces.check(nonce.as_str(), 1_300, None).is_none());
        assert!(nonces.check(nonce.as_str(), 999, None).is_none());
    }

    #[test]
    fn a_nonce_is_good_for_its_shard_and_source_only() {
        let mut ours = nonces(1, "example.com");
        let source = "192.0.2.1".parse().ok();
        let bound = ours.mint(7, source);
        assert!(ours.check(bound.as_str(), 7, source).is_some());
        assert!(ours.check(bound.as_str(), 7, None).is_none());
        assert!(
            ours.check(bound.as_str(), 7, "192.0.2.2".parse().ok())
                .is_none()
        );
        let free = ours.mint(7, None);
        let other = Nonces::new([1; 32], 0, "example.com", 1, Duration::from_secs(300));
        assert!(other.check(free.as_str(), 7, None).is_none());
    }

    #[test]
    fn no_two_nonces_are_the_same() {
        let mut nonces = nonces(1, "example.com");
        let mut minted: Vec<String> = (0..1_000)
            .map(|_| nonces.mint(7, None).as_str().to_owned())
            .collect();
        minted.sort();
        minted.dedup();
        assert_eq!(minted.len(), 1_000);
    }
}
