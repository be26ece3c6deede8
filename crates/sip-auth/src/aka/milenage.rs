//! The functions of a card (3GPP TS 35.206).

use aes::{
    Aes128,
    cipher::{BlockEncrypt, KeyInit},
};
use std::fmt;

/// The functions f1 to f5* of one subscriber (3GPP TS 33.102 §6.3).
pub trait Functions {
    /// f1 and f1*: the network's proof, and that of a resynchronisation.
    fn proofs(&self, rand: &[u8; 16], sqn: [u8; 6], amf: [u8; 2]) -> ([u8; 8], [u8; 8]);

    /// f2, f3, f4 and f5: the answer with both keys, and what hides the sequence number.
    fn keys(&self, rand: &[u8; 16]) -> (super::Keys, [u8; 6]);

    /// f5*: what hides the sequence number of a resynchronisation.
    fn hidden_again(&self, rand: &[u8; 16]) -> [u8; 6];
}

/// The set of functions that most operators use.
///
/// ```
/// use sip_auth::aka::Milenage;
///
/// let with_the_operator_key = Milenage::from_op([1; 16], [2; 16]);
/// assert_eq!(format!("{with_the_operator_key:?}"), "Milenage(..)");
/// ```
#[derive(Clone)]
pub struct Milenage {
    cipher: Aes128,
    opc: [u8; 16],
}

impl Milenage {
    /// With the subscriber's key and OPc, the operator's value that is bound to it.
    pub fn new(key: [u8; 16], opc: [u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(&key.into()),
            opc,
        }
    }

    /// With the subscriber's key and OP, the operator's value for all subscribers.
    pub fn from_op(key: [u8; 16], op: [u8; 16]) -> Self {
        let mut functions = Self::new(key, [0; 16]);
        functions.opc = xor(functions.encrypt(op), op);
        functions
    }

    fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }

    fn temp(&self, rand: &[u8; 16]) -> [u8; 16] {
        self.encrypt(xor(*rand, self.opc))
    }

    /// OUT2 to OUT5: rotated by `octets` and told apart by a constant.
    fn out(&self, temp: [u8; 16], octets: usize, constant: u8) -> [u8; 16] {
        let mut block = xor(temp, self.opc);
        block.rotate_left(octets);
        block[15] ^= constant;
        xor(self.encrypt(block), self.opc)
    }
}

impl Functions for Milenage {
    fn proofs(&self, rand: &[u8; 16], sqn: [u8; 6], amf: [u8; 2]) -> ([u8; 8], [u8; 8]) {
        let mut block = [0; 16];
        for half in block.chunks_exact_mut(8) {
            half[..6].copy_from_slice(&sqn);
            half[6..].copy_from_slice(&amf);
        }
        let mut block = xor(block, self.opc);
        block.rotate_left(8);
        let out = xor(self.encrypt(xor(block, self.temp(rand))), self.opc);
        let (mut one, mut star) = ([0; 8], [0; 8]);
        one.copy_from_slice(&out[..8]);
        star.copy_from_slice(&out[8..]);
        (one, star)
    }

    fn keys(&self, rand: &[u8; 16]) -> (super::Keys, [u8; 6]) {
        let temp = self.temp(rand);
        let second = self.out(temp, 0, 1);
        let keys = super::Keys {
            res: second[8..].to_vec(),
            ck: self.out(temp, 4, 2),
            ik: self.out(temp, 8, 4),
        };
        (keys, first_six(second))
    }

    fn hidden_again(&self, rand: &[u8; 16]) -> [u8; 6] {
        first_six(self.out(self.temp(rand), 12, 8))
    }
}

impl fmt::Debug for Milenage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Milenage(..)")
    }
}

fn xor<const N: usize>(mut one: [u8; N], other: [u8; N]) -> [u8; N] {
    for (one, other) in one.iter_mut().zip(other) {
        *one ^= other;
    }
    one
}

fn first_six(block: [u8; 16]) -> [u8; 6] {
    let mut six = [0; 6];
    six.copy_from_slice(&block[..6]);
    six
}
