//! Who may offer now.

use thiserror::Error;

/// The offer/answer state of one dialog (RFC 3264 §4, RFC 3261 §13.2.1, RFC 6337 §2.2).
///
/// Of two sides only one may have an offer open. In an INVITE transaction the offer is in the INVITE and its answer in
/// the first reliable response, or the offer is in that response and its answer in the ACK.
///
/// ```text
///                 we offer                       they offer
///   LocalOffer <------------- New / Stable -------------> RemoteOffer
///      |  |                    ^   ^  ^  ^                   |  |
///      |  '--- they answer ----'   |  |  '--- we answer -----'  |
///      '------ refused ------------'  '------ we refuse --------'
/// ```
///
/// A refusal goes back to what was agreed before: `New` if nothing was, else `Stable` with the old session.
///
/// ```
/// # use sip_dialog::{OfferAnswer, OfferError};
/// let mut state = OfferAnswer::default();
/// state.offer_locally()?;
/// assert_eq!(state.offer_remotely(), Err(OfferError::LocalOfferOpen));
/// state.answer_remotely()?;
/// assert!(state.may_offer());
/// # Ok::<(), OfferError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OfferAnswer {
    /// Nothing was agreed, nothing is on its way
    #[default]
    New,
    /// A session is agreed and no offer is open
    Stable,
    /// Our offer waits for the peer's answer
    LocalOffer {
        /// Whether a session was agreed before
        agreed: bool,
    },
    /// The peer's offer waits for our answer
    RemoteOffer {
        /// Whether a session was agreed before
        agreed: bool,
    },
}

/// Why an offer or an answer does not belong here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OfferError {
    /// Our own offer has no answer yet
    #[error("an offer of ours has no answer yet")]
    LocalOfferOpen,
    /// The peer's offer has no answer yet
    #[error("an offer of the peer has no answer yet")]
    RemoteOfferOpen,
    /// There is no offer to answer
    #[error("there is no offer to answer")]
    NoOffer,
}

impl OfferAnswer {
    /// We send an offer.
    pub fn offer_locally(&mut self) -> Result<(), OfferError> {
        let agreed = self.agreed_when_idle()?;
        *self = Self::LocalOffer { agreed };
        Ok(())
    }

    /// The peer sent an offer.
    pub fn offer_remotely(&mut self) -> Result<(), OfferError> {
        let agreed = self.agreed_when_idle()?;
        *self = Self::RemoteOffer { agreed };
        Ok(())
    }

    /// We answer the peer's offer.
    pub fn answer_locally(&mut self) -> Result<(), OfferError> {
        match self {
            Self::RemoteOffer { .. } => {
                *self = Self::Stable;
                Ok(())
            }
            Self::LocalOffer { .. } => Err(OfferError::LocalOfferOpen),
            Self::New | Self::Stable => Err(OfferError::NoOffer),
        }
    }

    /// The peer answered our offer.
    pub fn answer_remotely(&mut self) -> Result<(), OfferError> {
        match self {
            Self::LocalOffer { .. } => {
                *self = Self::Stable;
                Ok(())
            }
            Self::RemoteOffer { .. } => Err(OfferError::RemoteOfferOpen),
            Self::New | Self::Stable => Err(OfferError::NoOffer),
        }
    }

    /// The open offer, whoever made it, came to nothing: what was agreed before stands (RFC 3261 §14.1).
    pub fn withdraw(&mut self) {
        *self = match *self {
            Self::LocalOffer { agreed: true } | Self::RemoteOffer { agreed: true } => Self::Stable,
            Self::LocalOffer { agreed: false } | Self::RemoteOffer { agreed: false } => Self::New,
            idle => idle,
        };
    }

    /// Whether either side may offer now.
    pub const fn may_offer(self) -> bool {
        matches!(self, Self::New | Self::Stable)
    }

    /// Whether a session was agreed, now or before the open offer.
    pub const fn is_agreed(self) -> bool {
        match self {
            Self::New => false,
            Self::Stable => true,
            Self::LocalOffer { agreed } | Self::RemoteOffer { agreed } => agreed,
        }
    }

    fn agreed_when_idle(self) -> Result<bool, OfferError> {
        match self {
            Self::New => Ok(false),
            Self::Stable => Ok(true),
            Self::LocalOffer { .. } => Err(OfferError::LocalOfferOpen),
            Self::RemoteOffer { .. } => Err(OfferError::RemoteOfferOpen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3264 §4.
    #[test]
    fn an_offer_is_answered_once() {
        let mut state = OfferAnswer::New;
        state.offer_remotely().unwrap();
        assert_eq!(state.offer_locally(), Err(OfferError::RemoteOfferOpen));
        assert_eq!(state.answer_remotely(), Err(OfferError::RemoteOfferOpen));
        state.answer_locally().unwrap();
        assert_eq!(state.answer_locally(), Err(OfferError::NoOffer));
        assert_eq!(state, OfferAnswer::Stable);
    }

    /// RFC 3261 §14.1: a failed re-INVITE leaves the session as it was.
    #[test]
    fn a_refused_offer_leaves_what_was_agreed() {
        let mut state = OfferAnswer::New;
        state.offer_locally().unwrap();
        state.withdraw();
        assert_eq!(state, OfferAnswer::New);
        state.offer_locally().unwrap();
        state.answer_remotely().unwrap();
        state.offer_remotely().unwrap();
        assert!(state.is_agreed() && !state.may_offer());
        state.withdraw();
        assert_eq!(state, OfferAnswer::Stable);
    }
}
