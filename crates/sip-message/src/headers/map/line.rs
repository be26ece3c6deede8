//! Header lines as the section keeps them: eight bytes each.

use smallvec::SmallVec;

use crate::{HeaderName, HeaderValue};

/// The lines of a section, the first of which need no allocation: so many that the INVITE of a carrier has room.
pub(crate) type Lines = SmallVec<[Line; 32]>;

/// One header line: places in the message, or the index of an added field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(super) start: u16,
    pub(super) value: u16,
    pub(super) end: u16,
    /// 255 stands for "255 or more".
    pub(super) name_len: u8,
    /// The id of the name; with [`EDITED`], what the other fields say depends on `name_len`.
    id: u8,
}

/// The line is not as it came: with a name length of 0 it was added, otherwise values were taken from its front.
const EDITED: u8 = 0x80;

/// A field that did not come over the wire.
#[derive(Clone)]
pub(super) struct Added {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl Line {
    pub(crate) const fn wire(start: u16, name_len: usize, value: u16, end: u16, id: u8) -> Self {
        Self {
            start,
            value,
            end,
            name_len: if name_len > 255 { 255 } else { name_len as u8 },
            id,
        }
    }

    pub(super) const fn added(index: usize, id: u8) -> Self {
        Self {
            start: index as u16,
            value: (index >> 16) as u16,
            end: 0,
            name_len: 0,
            id: id | EDITED,
        }
    }

    #[inline]
    pub(crate) const fn id(self) -> u8 {
        self.id & !EDITED
    }

    #[inline]
    pub(super) const fn index(self) -> Option<usize> {
        if self.id & EDITED != 0 && self.name_len == 0 {
            Some(self.start as usize | (self.value as usize) << 16)
        } else {
            None
        }
    }

    #[inline]
    pub(super) const fn is_intact(self) -> bool {
        self.id & EDITED == 0
    }

    /// The line without the first bytes of its value, of which there are more.
    pub(super) const fn without_front(mut self, length: u16) -> Self {
        self.value += length;
        self.id |= EDITED;
        self
    }
}
