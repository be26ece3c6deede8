//! What is played where a packet is missing.

/// Repeats what was heard last, ever more softly, then falls silent (in the spirit of ITU-T G.711 Appendix I).
#[derive(Clone, Debug, Default)]
pub(crate) struct Concealer {
    last: Vec<i16>,
    /// How many samples were made up since the last real one
    made_up: usize,
}

impl Concealer {
    /// Remembers what was really heard.
    pub(crate) fn heard(&mut self, samples: &[i16]) {
        self.last.clear();
        self.last.extend_from_slice(samples);
        self.made_up = 0;
    }

    /// How long the last packet was.
    pub(crate) const fn length(&self) -> usize {
        self.last.len()
    }

    /// Appends `count` samples in place of what is missing.
    pub(crate) fn fill(&mut self, count: usize, samples: &mut impl Extend<i16>) {
        let Self { last, made_up } = self;
        samples.extend((0..count).map(|_| {
            let at = *made_up;
            *made_up = at.saturating_add(1);
            match last.len() {
                0 => 0,
                length if at < FADE => {
                    let left = (FADE - at) as i32;
                    (i32::from(last[at % length]) * left / FADE as i32) as i16
                }
                _ => 0,
            }
        }));
    }
}

/// 60 ms at 8000 Hz, after which a repeated sound becomes a buzz.
const FADE: usize = 480;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_fades_out_and_what_comes_next_starts_over() {
        let mut concealer = Concealer::default();
        let mut samples = Vec::new();
        concealer.fill(160, &mut samples);
        assert_eq!(samples, [0; 160]);
        concealer.heard(&[1_000; 160]);
        samples.clear();
        concealer.fill(600, &mut samples);
        assert_eq!((samples[0], samples[240], samples[480]), (1_000, 500, 0));
        assert!(samples.windows(2).all(|pair| pair[1] <= pair[0]));
        concealer.heard(&[-1_000; 80]);
        samples.clear();
        concealer.fill(1, &mut samples);
        assert_eq!((samples[0], concealer.length()), (-1_000, 80));
    }
}
