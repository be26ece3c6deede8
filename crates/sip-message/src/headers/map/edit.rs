//! Editing the header section.

use super::{Added, Headers, Line};
use crate::{HeaderField, HeaderName, HeaderValue, Shape, name, scan};

/// How many fields most responses add to what they take from their request.
const USUALLY_ADDED: usize = 6;

impl Headers {
    /// Replaces the first line of the field in its place and removes the others; where there is none, adds one in the customary place.
    pub fn set<H: HeaderField>(&mut self, field: H) {
        self.set_raw(H::NAME, field.into_value());
    }

    /// Adds a line after the last of its name, or in the customary place.
    pub fn push<H: HeaderField>(&mut self, field: H) {
        self.push_raw(H::NAME, field.into_value());
    }

    /// Adds a line before the first of its name, or in the customary place.
    pub fn push_front<H: HeaderField>(&mut self, field: H) {
        self.push_front_raw(H::NAME, field.into_value());
    }

    /// Removes every line of the field; answers whether there was one.
    pub fn remove<H: HeaderField>(&mut self) -> bool {
        self.remove_name(&H::NAME)
    }

    /// Takes the first value of the field away, be it a line or the first item of a line; the rest stays byte for byte.
    pub fn pop_front<H: HeaderField>(&mut self) -> Option<HeaderValue> {
        let place = self.first_place(&H::NAME)?;
        let line = self.lines[place];
        self.edited();
        let value = self.value_at(line);
        let text = value.as_bytes();
        let end = if H::SHAPE == Shape::List {
            scan::list_item_end(text, 0)
        } else {
            text.len()
        };
        let first = value.slice(0, scan::trim_end(text, 0, end));
        if end == text.len() {
            self.remove_at(place);
            return Some(first);
        }
        let rest = scan::skip_lws(text, end + 1);
        match line.index() {
            Some(index) => self.added[index].value = value.slice(rest, text.len()),
            // `rest` is inside a head of which all places fit.
            None => self.lines[place] = line.without_front(rest as u16),
        }
        Some(first)
    }

    /// Puts a new first value in the place of the first one, which may share its line with others.
    pub fn replace_front<H: HeaderField>(&mut self, field: H) {
        let Some(place) = self.first_place(&H::NAME) else {
            self.push(field);
            return;
        };
        let value = self.value_at(self.lines[place]);
        let text = value.as_bytes();
        let end = if H::SHAPE == Shape::List {
            scan::list_item_end(text, 0)
        } else {
            text.len()
        };
        let end = scan::trim_end(text, 0, end);
        let mut new = field.value().as_bytes().to_vec();
        new.extend_from_slice(&text[end..]);
        self.put(place, H::NAME, HeaderValue::from_wire(new.into()));
    }

    /// Adds a line after the last of its name, or in the customary place.
    pub fn push_raw(&mut self, name: HeaderName, value: HeaderValue) {
        let place = match self.first_place(&name) {
            None => self.customary_place(&name),
            Some(first) => self.places(&name).last().unwrap_or(first) + 1,
        };
        self.insert(place, name, value);
    }

    /// Adds a line before the first of its name, or in the customary place.
    pub fn push_front_raw(&mut self, name: HeaderName, value: HeaderValue) {
        let place = self
            .first_place(&name)
            .unwrap_or_else(|| self.customary_place(&name));
        self.insert(place, name, value);
    }

    /// Adds a line so that it becomes the one at `place`, counted from 0; behind the last, if there are not so many.
    pub fn insert_raw(&mut self, place: usize, name: HeaderName, value: HeaderValue) {
        self.insert(place.min(self.lines.len()), name, value);
    }

    /// Replaces the first line of this name in its place and removes the others, or adds one in the customary place.
    pub fn set_raw(&mut self, name: HeaderName, value: HeaderValue) {
        let Some(first) = self.first_place(&name) else {
            let place = self.customary_place(&name);
            self.insert(place, name, value);
            return;
        };
        if self.has_another(first, &name) {
            let mut kept = 0;
            let mut lines = std::mem::take(&mut self.lines);
            lines.retain(|line| {
                let named = self.is_named(*line, &name);
                kept += usize::from(named);
                !named || kept == 1
            });
            self.lines = lines;
            self.places.forget();
        }
        self.put(first, name, value);
    }

    /// Removes every line of this name; answers whether there was one.
    pub fn remove_name(&mut self, name: &HeaderName) -> bool {
        let before = self.lines.len();
        let mut lines = std::mem::take(&mut self.lines);
        lines.retain(|line| !self.is_named(*line, name));
        self.lines = lines;
        let removed = self.lines.len() < before;
        if removed {
            self.edited();
            self.places.forget();
        }
        removed
    }

    /// Adds every line of this name that another message has, unchanged; answers how many.
    pub fn copy_from(&mut self, other: &Self, name: &HeaderName) -> usize {
        let mut copied = 0;
        for value in other.raw_all(name) {
            self.push_raw(name.clone(), value);
            copied += 1;
        }
        copied
    }

    /// Puts the lines of some fields of another section behind its own; both stand in the same buffer.
    ///
    /// `ids` are those of the fields, in the order in which the lines shall stand.
    pub(crate) fn copy_lines(&mut self, other: &Self, ids: &[u8]) {
        self.edited();
        let theirs = other.lines.as_slice();
        for &id in ids {
            let place = other.places.first(id);
            let first = place.unwrap_or_else(|| theirs.iter().position(|line| line.id() == id));
            let Some(first) = first else {
                continue;
            };
            let end = other.places.end(id).unwrap_or(theirs.len());
            for line in theirs[first..end].iter().filter(|line| line.id() == id) {
                self.places.pushed(id, self.lines.len());
                match line.index() {
                    None => self.lines.push(*line),
                    Some(index) => {
                        let line = self.add(other.added[index].clone());
                        self.lines.push(line);
                    }
                }
            }
        }
    }

    // ---- inside ------------------------------------------------------------------------------------------------------

    /// Notes that the section is not as it came.
    fn edited(&mut self) {
        self.modified = true;
        self.top_via.take();
    }

    /// Before the first line that customarily comes later.
    fn customary_place(&self, name: &HeaderName) -> usize {
        let rank = name::RANKS[usize::from(name.id())];
        if rank == name::LAST_RANK {
            return self.lines.len();
        }
        self.lines
            .iter()
            .position(|line| name::RANKS[usize::from(line.id())] > rank)
            .unwrap_or(self.lines.len())
    }

    fn insert(&mut self, place: usize, name: HeaderName, value: HeaderValue) {
        self.edited();
        let line = self.add(Added { name, value });
        if place == self.lines.len() {
            self.places.pushed(line.id(), place);
            self.lines.push(line);
        } else {
            self.places.inserted(line.id(), place);
            self.lines.insert(place, line);
        }
    }

    fn put(&mut self, place: usize, name: HeaderName, value: HeaderValue) {
        self.edited();
        match self.lines[place].index() {
            Some(index) => self.added[index] = Added { name, value },
            None => self.lines[place] = self.add(Added { name, value }),
        }
    }

    #[inline(always)]
    fn add(&mut self, added: Added) -> Line {
        if self.added.len() > 64 && self.added.len() > 2 * self.lines.len() {
            self.forget_removed();
        }
        if self.added.capacity() == 0 {
            // What most responses add, without growing on the way.
            self.added.reserve(USUALLY_ADDED);
        }
        let line = Line::added(self.added.len(), added.name.id());
        self.added.push(added);
        line
    }

    /// Drops added fields that no line refers to, so that editing for ever does not grow for ever.
    fn forget_removed(&mut self) {
        let mut kept = Vec::with_capacity(self.lines.len());
        for line in &mut self.lines {
            if let Some(index) = line.index() {
                let id = line.id();
                kept.push(self.added[index].clone());
                *line = Line::added(kept.len() - 1, id);
            }
        }
        self.added = kept;
    }

    fn remove_at(&mut self, place: usize) {
        self.edited();
        let line = self.lines.remove(place);
        self.places.forget();
        if line
            .index()
            .is_some_and(|index| index + 1 == self.added.len())
        {
            self.added.pop();
        }
    }
}
