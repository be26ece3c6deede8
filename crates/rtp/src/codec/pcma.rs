//! G.711 A-law.

use super::Codec;

/// G.711 A-law (RFC 3551 §4.5.14), payload type 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pcma;

impl Codec for Pcma {
    fn name(&self) -> &'static str {
        "PCMA"
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

/// The two lowest segments have the same step, so the first starts at zero; every second bit is turned over.
const fn encode(sample: i16) -> u8 {
    let value = sample >> 3;
    let (magnitude, mask) = if value < 0 {
        (-value - 1, 0x55)
    } else {
        (value, 0xd5)
    };
    let segment = match (magnitude as u16).leading_zeros() {
        zeros if zeros >= 11 => 0,
        zeros => 11 - zeros,
    };
    let shift = if segment < 2 { 1 } else { segment };
    let step = (magnitude >> shift) as u8 & 0x0f;
    ((segment as u8) << 4 | step) ^ mask
}

const fn decode(code: u8) -> i16 {
    let code = code ^ 0x55;
    let step = ((code & 0x0f) as i16) << 4;
    let magnitude = match code >> 4 & 0x07 {
        0 => step + 8,
        segment => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
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
