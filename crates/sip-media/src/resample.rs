//! From one number of samples per second to another.

/// Linear interpolation between neighbouring samples.
///
/// Good enough for a telephone's band; what lies above half the lower rate is folded down, not filtered.
#[derive(Clone, Debug)]
pub(crate) struct Resampler {
    from: u32,
    to: u32,
    /// How far the next sample lies behind `before`, in units of one `to`th of an input sample
    phase: u64,
    before: i16,
    after: i16,
}

impl Resampler {
    pub(crate) fn new(from: u32, to: u32) -> Self {
        let (from, to) = (from.max(1), to.max(1));
        Self {
            from,
            to,
            // Both neighbours are still to be read.
            phase: u64::from(to) * 2,
            before: 0,
            after: 0,
        }
    }

    pub(crate) const fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// The next sample, made of what `input` gives; `None` when it gives no more, after which it may go on.
    pub(crate) fn next(&mut self, mut input: impl FnMut() -> Option<i16>) -> Option<i16> {
        let whole = u64::from(self.to);
        while self.phase >= whole {
            self.before = self.after;
            self.after = input()?;
            self.phase -= whole;
        }
        let (before, after) = (i64::from(self.before), i64::from(self.after));
        let sample = before + (after - before) * self.phase as i64 / whole as i64;
        self.phase += u64::from(self.from);
        i16::try_from(sample).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(from: u32, to: u32, input: &[i16]) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to);
        let mut input = input.iter().copied();
        std::iter::from_fn(|| resampler.next(|| input.next())).collect()
    }

    #[test]
    fn a_ramp_stays_a_ramp_at_any_rate() {
        let ramp: Vec<i16> = (0..800).map(|n| n * 10).collect();
        for to in [4_000, 8_000, 11_025, 16_000, 44_100, 48_000] {
            let converted = convert(8_000, to, &ramp);
            let expected = 799.0 * f64::from(to) / 8_000.0;
            assert!((converted.len() as f64 - expected).abs() <= 2.0, "{to}");
            for (index, sample) in converted.iter().enumerate() {
                let exact = index as f64 * 8_000.0 / f64::from(to) * 10.0;
                assert!((f64::from(*sample) - exact).abs() <= 1.0, "{to} {index}");
            }
        }
    }

    #[test]
    fn input_may_come_in_pieces() {
        let ramp: Vec<i16> = (0..100).map(|n| n * 100).collect();
        let whole = convert(44_100, 8_000, &ramp);
        let mut resampler = Resampler::new(44_100, 8_000);
        let mut pieces = Vec::new();
        for piece in ramp.chunks(7) {
            let mut piece = piece.iter().copied();
            pieces.extend(std::iter::from_fn(|| resampler.next(|| piece.next())));
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn extremes_do_not_overflow() {
        let converted = convert(8_000, 48_000, &[i16::MIN, i16::MAX, i16::MIN, i16::MAX]);
        assert!(converted.len() > 12);
        assert_eq!(converted[0], i16::MIN);
    }
}
