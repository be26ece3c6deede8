//! How a call sounds, estimated from loss and delay (ITU-T G.107, the E-model).

use std::time::Duration;

/// How a codec suffers (ITU-T G.113): its own impairment, and how well it stands loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Ie, what is lost by coding
    pub equipment: f64,
    /// Bpl, robustness against loss
    pub robustness: f64,
}

impl Impairment {
    /// G.711 with concealment of lost packets
    pub const G711: Self = Self {
        equipment: 0.0,
        robustness: 25.1,
    };
    /// G.711 without
    pub const G711_BARE: Self = Self {
        equipment: 0.0,
        robustness: 4.3,
    };
}

/// The transmission rating R (G.107 §7) for a fraction of packets lost at random and a one-way delay, all else at its
/// default.
///
/// ```
/// # use rtp::quality::{Impairment, mos, rating};
/// let perfect = rating(Impairment::G711, 0.0, std::time::Duration::ZERO);
/// assert!((perfect - 93.2).abs() < 0.1);
/// assert!((mos(perfect) - 4.41).abs() < 0.01);
/// ```
pub fn rating(impairment: Impairment, lost: f64, delay: Duration) -> f64 {
    let lost = lost.clamp(0.0, 1.0) * 100.0;
    let Impairment {
        equipment,
        robustness,
    } = impairment;
    let effective = equipment + (95.0 - equipment) * lost / (lost + robustness);
    SIGNAL_TO_NOISE - SIMULTANEOUS - delay_impairment(delay.as_secs_f64() * 1_000.0) - effective
}

/// The mean opinion score that a rating stands for (G.107 Annex B).
pub fn mos(rating: f64) -> f64 {
    if rating <= 0.0 {
        1.0
    } else if rating >= 100.0 {
        4.5
    } else {
        1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6
    }
}

/// Id (G.107 §7.4): talker echo, listener echo and pure delay, for a one-way delay in milliseconds.
fn delay_impairment(delay: f64) -> f64 {
    let masking = ECHO_LOSS - 40.0 * ((1.0 + delay / 10.0) / (1.0 + delay / 150.0)).log10()
        + 6.0 * (-0.3 * delay * delay).exp();
    let talker = 80.0 + 2.5 * (masking - 14.0);
    let difference = (SIGNAL_TO_NOISE - talker) / 2.0;
    let talker =
        (difference + (difference * difference + 100.0).sqrt() - 1.0) * (1.0 - (-delay).exp());
    let listener = 10.5 * (PATH_LOSS + 7.0) * (2.0 * delay + 1.0).powf(-0.25);
    let difference = (SIGNAL_TO_NOISE - listener) / 2.0;
    let listener = difference + (difference * difference + 169.0).sqrt();
    let pure = if delay <= 100.0 {
        0.0
    } else {
        let octaves = (delay / 100.0).log2();
        25.0 * ((1.0 + octaves.powi(6)).powf(1.0 / 6.0)
            - 3.0 * (1.0 + (octaves / 3.0).powi(6)).powf(1.0 / 6.0)
            + 2.0)
    };
    talker + listener + pure
}

/// Ro with G.107's default values
const SIGNAL_TO_NOISE: f64 = 94.769;
/// Is with G.107's default values
const SIMULTANEOUS: f64 = 1.414;
/// TELR
const ECHO_LOSS: f64 = 65.0;
/// WEPL
const PATH_LOSS: f64 = 110.0;
