//! What goes between machines that share the work of one.

use crate::{CloseReason, FailReason, Flow};
use bytes::Bytes;
use std::{any::Any, fmt, sync::Arc, time::Duration};

/// One of several machines that share the work of one, each on a task or thread of its own.
///
/// The first one has the number zero; a machine that shares with nobody is that one.
///
/// ```
/// use sip_io::{Shard, StreamId};
///
/// let third = Shard::new(2).unwrap();
/// assert_eq!(StreamId::opened(7).of_shard(third).shard(), third);
/// assert_eq!(StreamId::opened(7).shard(), Shard::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    /// How many there may be: a set of them is a `u64`.
    pub const MOST: usize = 64;

    /// The shard with this number, if there may be so many.
    pub const fn new(number: usize) -> Option<Self> {
        if number < Self::MOST {
            Some(Self(number as u8))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The first `count` shards.
    pub fn first(count: usize) -> impl Iterator<Item = Self> + Clone {
        (0..count.min(Self::MOST)).map(|number| Self(number as u8))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one shard hands to another.
///
/// Parcels between two shards keep their order. [`Message`](Self::Message), [`Write`](Self::Write),
/// [`Failed`](Self::Failed), [`Expect`](Self::Expect) and [`Note`](Self::Note) need room in a bounded queue; the others
/// are about streams, of each of which there is one at most for each shard, and always find a place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Parcel {
    /// A whole message that came on `flow`, for the shard that it belongs to.
    Message {
        /// What it came on
        flow: Flow,
        /// The message
        contents: Bytes,
    },
    /// A message to be sent on a stream that the receiver of the parcel owns.
    Write {
        /// The stream
        flow: Flow,
        /// The message
        contents: Bytes,
    },
    /// Datagrams to this peer are not delivered; whoever has sent one may have it meant.
    Failed {
        /// Where they were to go
        flow: Flow,
        /// Why
        reason: FailReason,
    },
    /// The peer of a stream that the receiver of the parcel owns has promised signs of life.
    Expect {
        /// The stream
        flow: Flow,
        /// How often, if it still does
        within: Option<Duration>,
    },
    /// A call was adopted: its messages are for another shard than its Call-ID leads to.
    Adopted {
        /// The call, as a number that all shards make in the same way
        call: u64,
        /// Who has it
        by: Shard,
    },
    /// What a core tells its like, on the other shard.
    Note(Note),
    /// The sender wants to hear of the end of a stream that the receiver owns.
    Watch {
        /// The stream
        flow: Flow,
    },
    /// The sender has no use for a stream that the receiver owns, and nobody else has.
    Close {
        /// The stream
        flow: Flow,
    },
    /// A stream of the sender's has ended.
    Closed {
        /// The stream
        flow: Flow,
        /// Why
        reason: CloseReason,
    },
}

impl Parcel {
    /// Whether it may be refused when there is no room.
    pub const fn needs_room(&self) -> bool {
        matches!(
            self,
            Self::Message { .. }
                | Self::Write { .. }
                | Self::Failed { .. }
                | Self::Expect { .. }
                | Self::Note(_)
        )
    }
}

/// A value for a core on another shard, of whatever type the two have agreed on.
#[derive(Clone)]
pub struct Note(Arc<dyn Any + Send + Sync>);

impl Note {
    /// A note that is this value.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The value, if it is of this type.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Note")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamId;

    #[test]
    fn there_are_as_many_shards_as_a_set_has_bits() {
        assert_eq!(Shard::new(63).map(Shard::index), Some(63));
        assert_eq!(Shard::new(64), None);
        assert_eq!(Shard::first(1_000).count(), Shard::MOST);
    }

    #[test]
    fn a_streams_number_says_whose_it_is_and_stays_unique() {
        for shard in Shard::first(Shard::MOST) {
            for id in [StreamId::opened(5), StreamId::accepted(5)] {
                let owned = id.of_shard(shard);
                assert_eq!(owned.shard(), shard);
                assert_eq!(owned.is_accepted(), id.is_accepted());
                assert_eq!(owned == id, shard == Shard::default());
                assert_eq!(StreamId::from_u64(owned.as_u64()), owned);
            }
        }
    }

    #[test]
    fn a_note_is_read_by_who_knows_its_type() {
        let note = Note::new(7_u32);
        assert_eq!(note.get::<u32>(), Some(&7));
        assert_eq!(note.get::<u64>(), None);
    }
}
