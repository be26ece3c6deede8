//! The timers of RFC 3261 table 4, with those that RFC 6026 and RFC 4320 add.

use std::time::Duration;

/// How long things take: the values from which every timer of a transaction is computed.
///
/// The fields may be read; the setters of the same names change them.
///
/// ```
/// # use sip_transaction::Timers;
/// # use std::time::Duration;
/// let satellite = Timers::default().t1(Duration::from_secs(1));
/// assert_eq!(satellite.timeout(), Duration::from_secs(64));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timers {
    /// The estimate of a round trip, with which retransmission begins
    pub t1: Duration,
    /// The longest interval between retransmissions
    pub t2: Duration,
    /// How long a message may stay in the network
    pub t4: Duration,
    /// Timers B and F, where they are not 64×T1
    pub give_up: Option<Duration>,
    /// Timers H, J, L and M, where they are not 64×T1
    pub life: Option<Duration>,
    /// Timer C, which a proxy runs for each INVITE that it forwarded
    pub c: Duration,
    /// Timer D over datagrams
    pub d: Duration,
}

impl Timers {
    /// Sets T1.
    ///
    /// Defaults to 500 ms (RFC 3261 §17.1.1.1). A larger value suits slow links; a smaller one only private networks.
    /// Zero counts as one millisecond, or retransmission would never pause.
    pub const fn t1(mut self, t1: Duration) -> Self {
        self.t1 = if t1.as_millis() == 0 {
            Duration::from_millis(1)
        } else {
            t1
        };
        self
    }

    /// Sets T2.
    ///
    /// Defaults to 4 s (RFC 3261 §17.1.2.2). A value below T1 counts as T1.
    pub const fn t2(mut self, t2: Duration) -> Self {
        self.t2 = t2;
        self
    }

    /// Sets T4.
    ///
    /// Defaults to 5 s (RFC 3261 §17.1.2.2).
    pub const fn t4(mut self, t4: Duration) -> Self {
        self.t4 = t4;
        self
    }

    /// Sets how long a client transaction waits: for any response to an INVITE (Timer B), for the final response to
    /// anything else (Timer F).
    ///
    /// Defaults to 64×T1 (RFC 3261 table 4); fail-over between several targets may want less.
    pub const fn give_up_after(mut self, give_up: Duration) -> Self {
        self.give_up = Some(give_up);
        self
    }

    /// Sets how long a transaction is remembered for what is lost or repeated (Timers H, J, L and M).
    ///
    /// Defaults to 64×T1 (RFC 3261 table 4). Less saves memory and lets a late repetition pass for a new request.
    pub const fn remember_for(mut self, life: Duration) -> Self {
        self.life = Some(life);
        self
    }

    /// Sets Timer C.
    ///
    /// Defaults to 181 s, because it must be longer than three minutes (RFC 3261 §16.6, step 11): what is shorter
    /// counts as that.
    pub const fn c(mut self, c: Duration) -> Self {
        self.c = if c.as_secs() < MINIMUM_C.as_secs() {
            MINIMUM_C
        } else {
            c
        };
        self
    }

    /// Sets Timer D.
    ///
    /// Defaults to 32 s, which RFC 3261 §17.1.1.2 asks for at least, whatever T1 is: the peer's T1 may be the usual
    /// one. What is shorter counts as 32 s.
    pub const fn d(mut self, d: Duration) -> Self {
        self.d = if d.as_secs() < MINIMUM_D.as_secs() {
            MINIMUM_D
        } else {
            d
        };
        self
    }

    /// The length of a transaction (Timers H, J, L, M): 64×T1 unless it is set.
    pub fn lifetime(&self) -> Duration {
        self.life.unwrap_or(self.t1 * 64)
    }

    /// How long a client transaction waits (Timers B and F).
    pub fn timeout(&self) -> Duration {
        self.give_up.unwrap_or(self.t1 * 64)
    }

    /// The interval that follows `interval` where T2 is the most: Timers E and G.
    pub fn back_off(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2.max(self.t1))
    }

    /// When a client's Timer E is set to T2 for the first time, counted from the request (RFC 4320 §4.1): 3.5 s with
    /// the usual values.
    pub fn slow_answer(&self) -> Duration {
        let mut interval = self.t1;
        let mut after = Duration::ZERO;
        while interval < self.t2 {
            after += interval;
            interval *= 2;
        }
        after
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            give_up: None,
            life: None,
            c: MINIMUM_C,
            d: MINIMUM_D,
        }
    }
}

/// The name of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Timer {
    /// INVITE client: retransmit the INVITE
    A,
    /// INVITE client: no response came
    B,
    /// INVITE client: stop absorbing final responses
    D,
    /// Non-INVITE client: retransmit the request
    E,
    /// Non-INVITE client: no final response came. Non-INVITE server: none was given, and the client has gone
    F,
    /// INVITE server: retransmit the final response
    G,
    /// INVITE server: no ACK came
    H,
    /// INVITE server: stop absorbing ACKs
    I,
    /// Non-INVITE server: stop absorbing requests
    J,
    /// Non-INVITE client: stop absorbing responses
    K,
    /// INVITE server: stop absorbing INVITEs after a 2xx (RFC 6026)
    L,
    /// INVITE client: stop passing on 2xx (RFC 6026)
    M,
    /// Server: answer 100 now (RFC 3261 §17.2.1, RFC 4320 §4.1)
    Trying,
    /// INVITE client: no final response came after CANCEL (RFC 3261 §9.1)
    Cancel,
}

const MINIMUM_C: Duration = Duration::from_secs(181);
const MINIMUM_D: Duration = Duration::from_secs(32);

#[cfg(test)]
mod tests {
    use super::*;

    /// TXN-031: RFC 3261 §17.
    #[test]
    fn txn_031_the_defaults_are_those_of_the_rfc_and_derived_timers_scale_with_t1() {
        let timers = Timers::default();
        assert_eq!(timers.t1, Duration::from_millis(500));
        assert_eq!(timers.t2, Duration::from_secs(4));
        assert_eq!(timers.t4, Duration::from_secs(5));
        assert_eq!(timers.timeout(), Duration::from_secs(32));
        let slow = timers.t1(Duration::from_secs(1));
        assert_eq!(slow.timeout(), Duration::from_secs(64));
        assert_eq!(slow.lifetime(), Duration::from_secs(64));
        let short = slow.remember_for(Duration::from_secs(5));
        assert_eq!(short.lifetime(), Duration::from_secs(5));
        assert_eq!(short.timeout(), Duration::from_secs(64), "is another timer");
    }

    /// Trap 15: D is at least 32 s even where T1 is 10 ms, C longer than three minutes.
    #[test]
    fn timers_c_and_d_do_not_fall_below_their_minimum() {
        let fast = Timers::default()
            .t1(Duration::from_millis(10))
            .d(Duration::from_millis(640))
            .c(Duration::from_secs(10));
        assert_eq!(fast.d, Duration::from_secs(32));
        assert!(fast.c > Duration::from_secs(180));
    }

    /// RFC 4320 §4.1: .5 + 1 + 2 s, then Timer E is T2.
    #[test]
    fn a_slow_answer_is_when_timer_e_reaches_t2() {
        assert_eq!(
            Timers::default().slow_answer(),
            Duration::from_millis(3_500)
        );
    }

    #[test]
    fn intervals_double_up_to_t2() {
        let timers = Timers::default();
        let mut interval = timers.t1;
        let mut intervals = Vec::new();
        for _ in 0..5 {
            interval = timers.back_off(interval);
            intervals.push(interval.as_millis());
        }
        assert_eq!(intervals, [1_000, 2_000, 4_000, 4_000, 4_000]);
    }
}
