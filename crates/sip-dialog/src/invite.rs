//! The INVITE usage of a dialog: who has an INVITE open, and the 2xx that waits for its ACK.

use crate::Role;
use sip_io::Rng;
use std::time::Duration;

/// A 2xx to INVITE that the UAS core repeats until it is acknowledged (RFC 3261 §13.3.1.4, §14.2).
///
/// The transaction layer does not repeat a 2xx, and a reliable hop says nothing about the hops behind it, so the
/// core does it on every transport.
///
/// ```text
///        |2xx sent
///        V                +--------+ interval passed:
///      Waiting ----------'         | send again, double up to T2
///        |     <-------------------+
///        |---- ACK, BYE ------------> Acknowledged
///        |---- 64*T1 ---------------> Abandoned (BYE is due)
/// ```
///
/// ```
/// # use sip_dialog::{Acceptance, AcceptanceAction, AcceptanceInput};
/// # use std::time::Duration;
/// let (t1, t2) = (Duration::from_millis(500), Duration::from_secs(4));
/// let mut acceptance = Acceptance::new(t1);
/// assert_eq!(acceptance.step(AcceptanceInput::Interval, t2), AcceptanceAction::SendAgain { next: 2 * t1 });
/// assert_eq!(acceptance.step(AcceptanceInput::Acknowledged, t2), AcceptanceAction::Stop);
/// assert_eq!(acceptance.step(AcceptanceInput::Interval, t2), AcceptanceAction::Nothing);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The 2xx was sent and no ACK has come
    Waiting {
        /// After how long it is sent again
        interval: Duration,
    },
    /// The ACK has come, or a BYE that makes it needless
    Acknowledged,
    /// No ACK came in 64*T1
    Abandoned,
}

/// What happens to an [`Acceptance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptanceInput {
    /// The interval has passed
    Interval,
    /// The ACK came, or a BYE
    Acknowledged,
    /// 64*T1 have passed since the 2xx was first sent
    Deadline,
}

/// What the owner of an [`Acceptance`] must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptanceAction {
    /// Nothing
    Nothing,
    /// Send the 2xx again and come back after `next`
    SendAgain {
        /// The new interval
        next: Duration,
    },
    /// Stop repeating
    Stop,
    /// Stop repeating and end the session with a BYE
    GiveUp,
}

impl Acceptance {
    /// The state after the 2xx was sent for the first time.
    pub const fn new(t1: Duration) -> Self {
        Self::Waiting { interval: t1 }
    }

    /// Takes one arrow of the figure.
    pub fn step(&mut self, input: AcceptanceInput, t2: Duration) -> AcceptanceAction {
        use AcceptanceAction::{GiveUp, Nothing, SendAgain, Stop};
        use AcceptanceInput::{Acknowledged, Deadline, Interval};
        let (next, action) = match (*self, input) {
            (Self::Waiting { interval }, Interval) => {
                let next = (interval * 2).min(t2);
                (Self::Waiting { interval: next }, SendAgain { next })
            }
            (Self::Waiting { .. }, Acknowledged) => (Self::Acknowledged, Stop),
            (Self::Waiting { .. }, Deadline) => (Self::Abandoned, GiveUp),
            (state @ (Self::Acknowledged | Self::Abandoned), _) => (state, Nothing),
        };
        *self = next;
        action
    }
}

/// Which INVITE of a dialog has no final response yet (RFC 3261 §14).
///
/// A dialog carries at most one INVITE at a time, whoever sent it.
///
/// ```text
///            we send                        they send
///   Ours <------------------- None -------------------> Theirs
///    | '---- final response ---^ ^--- final response ---' |
///    |                                                    |
///    '-- they send: 491                they send: 500 ----'
///        we send: wait                 we send: wait
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenInvite {
    /// None: either side may send one
    #[default]
    None,
    /// One of ours
    Ours {
        /// Its CSeq number
        cseq: u32,
    },
    /// One of the peer's
    Theirs {
        /// Its CSeq number
        cseq: u32,
    },
}

/// How a re-INVITE that comes at the wrong time is refused (RFC 3261 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glare {
    /// An INVITE or an offer of ours is open: 491 Request Pending
    Pending,
    /// An earlier INVITE of the peer is open: 500 with a Retry-After of 0 to 10 seconds
    Overlapping,
}

impl OpenInvite {
    /// Whether we may send an INVITE now.
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// Takes in an INVITE of the peer.
    pub const fn receive(&mut self, cseq: u32) -> Result<(), Glare> {
        match self {
            Self::None => {
                *self = Self::Theirs { cseq };
                Ok(())
            }
            Self::Ours { .. } => Err(Glare::Pending),
            Self::Theirs { .. } => Err(Glare::Overlapping),
        }
    }

    /// The INVITE with this CSeq number and sender has its final response.
    pub fn finish(&mut self, which: Self) {
        if *self == which {
            *self = Self::None;
        }
    }
}

/// How long to wait after a 491 before the INVITE is sent again (RFC 3261 §14.1).
///
/// Who made the Call-ID waits 2.1 to 4 seconds, the other side 0 to 2, both in steps of 10 ms, so that they do not
/// meet again.
pub fn glare_delay(role: Role, rng: &mut Rng) -> Duration {
    let steps = match role {
        Role::Uac => 210 + rng.below(191),
        Role::Uas => rng.below(201),
    };
    Duration::from_millis(10 * steps)
}

/// What a 500 to an overlapping INVITE asks the peer to wait: 0 to 10 seconds (RFC 3261 §14.2).
pub fn overlap_delay(rng: &mut Rng) -> Duration {
    Duration::from_secs(rng.below(11))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Duration = Duration::from_millis(500);
    const T2: Duration = Duration::from_secs(4);

    /// RFC 3261 §13.3.1.4.
    #[test]
    fn a_2xx_is_repeated_at_doubling_intervals_up_to_t2() {
        let mut acceptance = Acceptance::new(T1);
        let mut intervals = Vec::new();
        for _ in 0..5 {
            match acceptance.step(AcceptanceInput::Interval, T2) {
                AcceptanceAction::SendAgain { next } => intervals.push(next.as_millis()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(intervals, [1_000, 2_000, 4_000, 4_000, 4_000]);
        assert_eq!(
            acceptance.step(AcceptanceInput::Deadline, T2),
            AcceptanceAction::GiveUp
        );
        assert_eq!(
            acceptance.step(AcceptanceInput::Acknowledged, T2),
            AcceptanceAction::Nothing
        );
    }

    /// RFC 3261 §14.2.
    #[test]
    fn one_invite_at_a_time_ours_gives_491_and_theirs_500() {
        let mut open = OpenInvite::None;
        assert_eq!(open.receive(7), Ok(()));
        assert_eq!(open.receive(8), Err(Glare::Overlapping));
        open.finish(OpenInvite::Theirs { cseq: 8 });
        assert!(!open.is_none(), "another INVITE's response closes nothing");
        open.finish(OpenInvite::Theirs { cseq: 7 });
        assert!(open.is_none());
        open = OpenInvite::Ours { cseq: 1 };
        assert_eq!(open.receive(9), Err(Glare::Pending));
    }

    /// UA-036: RFC 3261 §14.1.
    #[test]
    fn the_two_sides_of_a_glare_wait_in_ranges_that_do_not_meet() {
        let mut rng = Rng::new([3; 32]);
        for _ in 0..500 {
            let ours = glare_delay(Role::Uac, &mut rng);
            let theirs = glare_delay(Role::Uas, &mut rng);
            assert!((2_100..=4_000).contains(&ours.as_millis()), "{ours:?}");
            assert!(theirs.as_millis() <= 2_000, "{theirs:?}");
            assert_eq!(ours.as_millis() % 10, 0);
        }
    }
}
