//! Where the lines of the common fields are.

/// The first and the last line of each field whose id is small, so that nobody walks through all lines to find one.
///
/// Places count from 1: 0 says that there is no line, 255 that it must be looked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Places {
    first: [u8; 16],
    last: [u8; 16],
}

const UNKNOWN: u8 = u8::MAX;

impl Places {
    /// Notes that a line was put behind all others; answers whether the field had none, or whether nothing is noted of it.
    #[inline]
    pub(crate) fn pushed(&mut self, id: u8, place: usize) -> bool {
        let number = number(place);
        let (Some(first), Some(last)) = (
            self.first.get_mut(usize::from(id)),
            self.last.get_mut(usize::from(id)),
        ) else {
            return true;
        };
        *last = number;
        if *first > 0 {
            return false;
        }
        *first = number;
        true
    }

    /// Notes that a line was put between others.
    pub(super) fn inserted(&mut self, id: u8, place: usize) {
        let number = number(place);
        shift(&mut self.first, number);
        shift(&mut self.last, number);
        let id = usize::from(id);
        if let (Some(first), Some(last)) = (self.first.get_mut(id), self.last.get_mut(id)) {
            // What must be looked for stays so; it is the largest number there is.
            *last = number.max(*last);
            if *first != UNKNOWN {
                *first = if *first == 0 {
                    number
                } else {
                    number.min(*first)
                };
            }
        }
    }

    /// Forgets all places, for lines were removed.
    pub(super) const fn forget(&mut self) {
        self.first = [UNKNOWN; 16];
        self.last = [UNKNOWN; 16];
    }

    /// The first line of a field, if it has one; nothing at all, if that must be looked for.
    #[inline(always)]
    pub(super) fn first(&self, id: u8) -> Option<Option<usize>> {
        match self.first.get(usize::from(id)) {
            Some(&first) if first < UNKNOWN => Some(usize::from(first).checked_sub(1)),
            _ => None,
        }
    }

    /// Behind the last line of a field; nothing, if that must be looked for.
    #[inline(always)]
    pub(super) fn end(&self, id: u8) -> Option<usize> {
        let last = *self.last.get(usize::from(id))?;
        (last < UNKNOWN).then_some(usize::from(last))
    }
}

/// Makes room for a line.
#[inline]
fn shift(places: &mut [u8; 16], number: u8) {
    for place in places {
        *place = place.saturating_add(u8::from(*place >= number));
    }
}

#[inline]
fn number(place: usize) -> u8 {
    u8::try_from(place + 1).unwrap_or(UNKNOWN)
}
