//! The card.

use super::{Functions, Keys};
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// A card, or what stands for one.
pub trait Usim {
    /// Checks the network's proof and answers.
    ///
    /// # Errors
    ///
    /// If the proof is wrong or its sequence number too old.
    fn authenticate(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<Keys, UsimError>;
}

/// Why a card does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsimError {
    /// The network does not know the subscriber's key
    #[error("the network's proof is wrong")]
    FalseNetwork,
    /// The sequence number is too old or too far ahead
    #[error("the sequence number is out of range")]
    OutOfStep {
        /// What tells the network the card's number
        auts: [u8; 14],
    },
}

/// A card in memory.
///
/// Whoever keeps [`Self::sqn`] over restarts saves a resynchronisation.
pub struct SoftUsim<F> {
    functions: F,
    sqn: u64,
}

impl<F: Functions> SoftUsim<F> {
    /// A card that has last seen the sequence number `sqn`, of which 48 bits count.
    pub const fn new(functions: F, sqn: u64) -> Self {
        Self {
            functions,
            sqn: sqn & MASK,
        }
    }

    /// The last sequence number seen.
    pub const fn sqn(&self) -> u64 {
        self.sqn
    }
}

impl<F: Functions> Usim for SoftUsim<F> {
    fn authenticate(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<Keys, UsimError> {
        let (keys, hidden) = self.functions.keys(rand);
        let mut sqn = [0; 6];
        for (octet, (written, hidden)) in sqn.iter_mut().zip(autn.iter().zip(hidden)) {
            *octet = written ^ hidden;
        }
        let amf = [autn[6], autn[7]];
        let (proof, _) = self.functions.proofs(rand, sqn, amf);
        if !bool::from(proof.ct_eq(&autn[8..])) {
            return Err(UsimError::FalseNetwork);
        }
        let number = from_octets(sqn);
        // TS 33.102 annex C.2: later than all before, but no jump that would use the numbers up.
        if number <= self.sqn || number - self.sqn > MOST_AHEAD {
            return Err(UsimError::OutOfStep {
                auts: auts(&self.functions, rand, self.sqn),
            });
        }
        self.sqn = number;
        Ok(keys)
    }
}

impl<F> fmt::Debug for SoftUsim<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftUsim")
            .field("sqn", &self.sqn)
            .finish_non_exhaustive()
    }
}

/// The card's number, hidden, and its proof (TS 33.102 §6.3.3).
fn auts(functions: &impl Functions, rand: &[u8; 16], sqn: u64) -> [u8; 14] {
    let sqn = to_octets(sqn);
    let mut auts = [0; 14];
    for (octet, (plain, hidden)) in auts
        .iter_mut()
        .zip(sqn.iter().zip(functions.hidden_again(rand)))
    {
        *octet = plain ^ hidden;
    }
    let (_, star) = functions.proofs(rand, sqn, RESYNCHRONISATION);
    auts[6..].copy_from_slice(&star);
    auts
}

pub(super) const fn to_octets(sqn: u64) -> [u8; 6] {
    let [_, _, sqn @ ..] = sqn.to_be_bytes();
    sqn
}

pub(super) const fn from_octets([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// The AMF of a resynchronisation is all zero.
pub(super) const RESYNCHRONISATION: [u8; 2] = [0; 2];
pub(super) const MASK: u64 = (1 << 48) - 1;
const MOST_AHEAD: u64 = 1 << 28;
