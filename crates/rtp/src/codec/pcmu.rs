//! G.711 µ-law.

use super::Codec;

/// G.711 µ-law (RFC 3551 §4.5.14), payload type 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcmu;

impl Codec for Pcmu {
    fn name(&self) -> &'static str {
        "PCMU"
    }

    fn sample_rate(&self) -> u32 {
        8_000
    }

    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        payload.extend(samples.iter().copied().map(encode));
    }

    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        samples.extend(payload.iter().map(|code| DECODED[usize::from(*code)]));
    }
}

/// Fourteen bits of magnitude are shifted by the bias so that each of eight segments starts at a power of two.
const fn encode(sample: i16) -> u8 {
    let value = sample >> 2;
    let (magnitude, mask) = if value < 0 {
        (-value, 0x7f)
    } else {
        (value, 0xff)
    };
    let biased = (if magnitude > CLIP { CLIP } else { magnitude }) + BIAS;
    let segment = 10 - (biased as u16).leading_zeros();
    let step = (biased >> (segment + 1)) as u8 & 0x0f;
    ((segment as u8) << 4 | step) ^ mask
}

const fn decode(code: u8) -> i16 {
    let code = !code;
    let magnitude = (((code & 0x0f) as i16) << 3) + BIAS * 4;
    let magnitude = (magnitude << (code >> 4 & 0x07)) - BIAS * 4;
    if code & 0x80 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

const fn table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = decode(code as u8);
        code += 1;
    }
    table
}

static DECODED: [i16; 256] = table();
const BIAS: i16 = 33;
const CLIP: i16 = 8_158;
