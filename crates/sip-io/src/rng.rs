//! Chance that can be repeated.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::fmt;

/// A cryptographic generator that is seeded by the configuration and by nothing else.
///
/// Every tag, branch, Call-ID, nonce and jittered delay of a machine comes from one of these, so that a run with the
/// same seed is the same run, and a run with a seed from the system cannot be guessed by a peer.
///
/// ```
/// # use sip_io::Rng;
/// let (mut one, mut other) = (Rng::new([7; 32]), Rng::new([7; 32]));
/// assert_eq!(one.token(10), other.token(10));
/// ```
#[derive(Clone)]
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// The generator that starts from `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// A new seed, for a generator or a hash table of a part.
    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        seed
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// A number of 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number of 32 bits.
    pub fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number below `bound`, each as likely as the other; zero when `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Numbers at or above the largest multiple of the bound would favour the small remainders.
        let zone = u64::MAX - (u64::MAX % bound + 1) % bound;
        loop {
            let number = self.next_u64();
            if number <= zone {
                return number % bound;
            }
        }
    }

    /// A fraction in `0.0 .. 1.0`.
    pub fn fraction(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `length` letters and digits, five bits of chance each: 13 of them carry the 64 bits that RFC 3261 §19.3 is
    /// content with twice over.
    pub fn token(&mut self, length: usize) -> String {
        let mut token = String::with_capacity(length);
        while token.len() < length {
            let mut bits = self.next_u64();
            for _ in 0..12.min(length - token.len()) {
                token.push(char::from(ALPHABET[(bits & 31) as usize]));
                bits >>= 5;
            }
        }
        token
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_every_number() {
        let mut rng = Rng::new([1; 32]);
        let mut seen = [0_u32; 7];
        for _ in 0..7_000 {
            seen[rng.below(7) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (800..1_200).contains(count)),
            "{seen:?}"
        );
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn tokens_have_the_length_asked_for_and_differ() {
        let mut rng = Rng::new([2; 32]);
        assert_eq!(rng.token(25).len(), 25);
        assert_ne!(rng.token(16), rng.token(16));
    }
}
