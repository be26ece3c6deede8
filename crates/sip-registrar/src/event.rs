//! What a registrar tells its owner, and asks.

use crate::{Binding, Change};
use sip_message::Aor;
use std::fmt;

/// Names an update that a store elsewhere is to make.
///
/// Ids are not used again, so a stale one is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpdateId(pub(crate) u64);

impl fmt::Debug for UpdateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpdateId({})", self.0)
    }
}

/// Names a question for bindings that another shard keeps. Ids are not used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LookupId(pub(crate) u64);

impl fmt::Debug for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LookupId({})", self.0)
    }
}

/// Names a REGISTER that waits for the secret of its sender. Ids are not used again, so a stale one is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId(pub(crate) u64);

impl fmt::Debug for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretId({})", self.0)
    }
}

/// What a [`Registrar`](crate::Registrar) tells its owner.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The bindings of an address-of-record were made, refreshed or removed by a REGISTER.
    Changed {
        /// Whose
        aor: Aor,
        /// What they are now
        bindings: Vec<Binding>,
    },
    /// Some bindings of an address-of-record have ended by their time.
    Expired {
        /// Whose
        aor: Aor,
    },
    /// The answer to [`Registrar::find`](crate::Registrar::find), where another shard had to be asked.
    Found {
        /// The question's name
        id: LookupId,
        /// The bindings, most preferred first; `None` when that shard has too much to do
        bindings: Option<Vec<Binding>>,
    },
    /// What is the secret of this user? Answered by
    /// [`Registrar::provide_secret`](crate::Registrar::provide_secret); only a registrar with
    /// [`authenticate_asking`](crate::RegistrarConfig::authenticate_asking) asks. Without an answer in time it sends
    /// 503.
    SecretNeeded {
        /// The question's name
        id: SecretId,
        /// The user as in the credentials
        user: String,
        /// The realm
        realm: String,
    },
    /// Apply this change in the store, and say what came of it with
    /// [`Registrar::provide_update`](crate::Registrar::provide_update). Only a registrar made by
    /// [`Registrar::asking`](crate::Registrar::asking) asks; without an answer in time it sends 503.
    UpdateNeeded {
        /// The update's name
        id: UpdateId,
        /// Whose bindings
        aor: Aor,
        /// What is to be done to them
        change: Change,
    },
}
