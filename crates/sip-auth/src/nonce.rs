//! Nonces that need no table.

use crate::digest::Hex;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::{fmt, hash::Hasher, net::IpAddr, time::Duration};

/// Makes nonces and knows them again: the second and a serial number, under a keyed hash.
///
/// ```text
/// nonce = hex( seconds since 1970 (4 octets) | serial number (4) | SipHash-2-4-128(key, shard, realm, both, source) (16) )
/// ```
///
/// SipHash is a pseudorandom function made for short inputs, and costs a tenth of HMAC.
pub(crate) struct Nonces {
    /// The key, with shard and realm hashed once and for all
    keyed: SipHasher24,
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
        key: [u8; 16],
        first_serial: u32,
        realm: &str,
        shard: u32,
        lifetime: Duration,
    ) -> Self {
        let mut keyed = SipHasher24::new_with_key(&key);
        keyed.write(&shard.to_be_bytes());
        keyed.write(realm.as_bytes());
        // Ends the realm; realms have no control characters.
        keyed.write(&[0]);
        Self {
            keyed,
            lifetime: lifetime.as_secs().max(1),
            serial: first_serial,
        }
    }

    /// A new nonce at `seconds` since 1970, for one source if it is given.
    pub(crate) fn mint(&mut self, seconds: u64, source: Option<IpAddr>) -> Hex {
        let id = NonceId((seconds << 32) | u64::from(self.serial));
        self.serial = self.serial.wrapping_add(1);
        self.nonce(id, source)
    }

    /// Which of our nonces it is; `None` if it is none, or too old.
    pub(crate) fn check(
        &self,
        nonce: &[u8],
        seconds: u64,
        source: Option<IpAddr>,
    ) -> Option<NonceId> {
        let id = NonceId(Hex::number(nonce.first_chunk()?)?);
        let is_ours = self.nonce(id, source).is_written(nonce);
        // A nonce from the future was made before the clock was set back.
        let is_fresh = id.seconds() <= seconds && !self.is_over(id, seconds);
        (is_ours && is_fresh).then_some(id)
    }

    pub(crate) const fn is_over(&self, id: NonceId, seconds: u64) -> bool {
        id.seconds() + self.lifetime <= seconds
    }

    fn nonce(&self, id: NonceId, source: Option<IpAddr>) -> Hex {
        let mut keyed = self.keyed;
        keyed.write(&id.0.to_be_bytes());
        match source {
            Some(IpAddr::V4(source)) => keyed.write(&source.octets()),
            Some(IpAddr::V6(source)) => keyed.write(&source.octets()),
            None => {}
        }
        let mut octets = [0; 24];
        octets[..8].copy_from_slice(&id.0.to_be_bytes());
        octets[8..].copy_from_slice(&keyed.finish128().as_bytes());
        Hex::of(&octets)
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(key: u8, realm: &str) -> Nonces {
        Nonces::new([key; 16], u32::MAX, realm, 0, Duration::from_secs(300))
    }

    #[test]
    fn only_our_own_nonces_are_known_again() {
        let mut ours = nonces(1, "example.com");
        let nonce = ours.mint(1_000, None);
        let nonce = nonce.as_bytes();
        assert!(ours.check(nonce, 1_000, None).is_some());
        assert!(nonces(2, "example.com").check(nonce, 1_000, None).is_none());
        assert!(nonces(1, "example.net").check(nonce, 1_000, None).is_none());
        for at in 0..nonce.len() {
            let mut forged = nonce.to_vec();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert!(ours.check(&forged, 1_000, None).is_none(), "{at}");
        }
        for nonce in [b"", &b"0"[..], &nonce[1..], &[b'g'; 48], "é".as_bytes()] {
            assert!(ours.check(nonce, 1_000, None).is_none());
        }
    }

    #[test]
    fn nonces_end_and_do_not_come_from_the_future() {
        let mut nonces = nonces(1, "example.com");
        let nonce = nonces.mint(1_000, None);
        assert!(nonces.check(nonce.as_bytes(), 1_299, None).is_some());
        assert!(nonces.check(nonce.as_bytes(), 1_300, None).is_none());
        assert!(nonces.check(nonce.as_bytes(), 999, None).is_none());
    }

    #[test]
    fn a_nonce_is_good_for_its_shard_and_source_only() {
        let mut ours = nonces(1, "example.com");
        let source = "192.0.2.1".parse().ok();
        let bound = ours.mint(7, source);
        assert!(ours.check(bound.as_bytes(), 7, source).is_some());
        assert!(ours.check(bound.as_bytes(), 7, None).is_none());
        assert!(
            ours.check(bound.as_bytes(), 7, "192.0.2.2".parse().ok())
                .is_none()
        );
        let free = ours.mint(7, None);
        let other = Nonces::new([1; 16], 0, "example.com", 1, Duration::from_secs(300));
        assert!(other.check(free.as_bytes(), 7, None).is_none());
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
