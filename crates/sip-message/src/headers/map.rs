//! The header section: an ordered multimap over the bytes that came.

mod write;

pub(crate) use write::Pieces;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{HeaderField, Shape, ViewField};
use crate::{
    HeaderName, HeaderValue, Limits, ParseError, ParseErrorKind, name,
    parse::{self, BodyAt},
    scan,
};

/// The header fields of a message, in order, as they came and as they were edited.
///
/// Lines that were not touched are written byte for byte as they came.
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{Request, headers::{Contact, MaxForwards}};
///
/// let mut request = Request::parse(Bytes::from_static(
///     b"OPTIONS sip:a@b SIP/2.0\r\nmAX-forwards : 70\r\nm: <sip:a@c>,\r\n  \"x, y\" <sip:d@e>\r\n\r\n",
/// ))?;
/// assert_eq!(request.headers().all::<Contact>().count(), 2);
/// request.headers_mut().set(MaxForwards(69));
/// # Ok::<(), sip_message::ParseError>(())
/// ```
#[derive(Default)]
pub struct Headers {
    /// The message that the lines stand in.
    wire: Bytes,
    lines: SmallVec<[Line; 32]>,
    /// Fields that did not come over the wire.
    added: Vec<Added>,
    modified: bool,
    /// Where the first line of each common field stands, counted from 1: 0 says that there is none, 255 that it must be looked for.
    first: First,
}

/// Places of the first lines of the fields whose ids are small.
pub(crate) type First = [u8; 16];

/// One header line: places in the message, or the index of an added field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    start: u16,
    value: u16,
    end: u16,
    /// 255 stands for "255 or more".
    name_len: u8,
    /// The id of the name; with [`EDITED`], what the other fields say depends on `name_len`.
    id: u8,
}

/// The line is not as it came: with a name length of 0 it was added, otherwise values were taken from its front.
const EDITED: u8 = 0x80;

#[derive(Clone)]
struct Added {
    name: HeaderName,
    value: HeaderValue,
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

    const fn added(index: usize, id: u8) -> Self {
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
    const fn index(self) -> Option<usize> {
        if self.id & EDITED != 0 && self.name_len == 0 {
            Some(self.start as usize | (self.value as usize) << 16)
        } else {
            None
        }
    }

    #[inline]
    const fn is_intact(self) -> bool {
        self.id & EDITED == 0
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        Self {
            wire: self.wire.clone(),
            // In one copy, not line by line.
            lines: SmallVec::from_slice(&self.lines),
            added: self.added.clone(),
            modified: self.modified,
            first: self.first,
        }
    }
}

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The section of a message of which the lines are not read yet.
    #[inline]
    pub(crate) fn from_wire(wire: Bytes) -> Self {
        Self {
            wire,
            lines: SmallVec::new(),
            added: Vec::new(),
            modified: false,
            first: [0; 16],
        }
    }

    /// Reads the lines from `start` up to the empty line.
    #[inline]
    pub(crate) fn read(&mut self, start: usize, limits: &Limits) -> Result<BodyAt, ParseError> {
        parse::header_lines(&self.wire, start, limits, &mut self.lines, &mut self.first)
    }

    /// Cuts off what follows the body, and answers the body.
    pub(crate) fn end_body(&mut self, start: usize, length: usize) -> Bytes {
        self.wire.truncate(start + length);
        if length == 0 {
            Bytes::new()
        } else {
            self.wire.slice(start..)
        }
    }

    pub(crate) const fn is_modified(&self) -> bool {
        self.modified
    }

    pub(crate) const fn wire(&self) -> &Bytes {
        &self.wire
    }

    // ---- typed -------------------------------------------------------------------------------------------------------

    /// The first value of a field: absent, malformed, or there.
    ///
    /// For fields whose lines add up to one list (Supported, Allow, …) it is the list of all lines, which may be empty. An
    /// empty list of a field that is read value by value (`Accept:` alone, RFC 3261 §20.1) has no first value;
    /// [`Headers::contains`] tells it from a field that is absent.
    pub fn get<H: HeaderField>(&self) -> Option<Result<H, ParseError>> {
        let name = H::NAME;
        let place = self.first_place(&name)?;
        if H::SHAPE == Shape::Joined && self.is_repeated(place, &name) {
            return Some(self.joined::<H>());
        }
        let line = self.lines[place];
        if name::may_be_empty(name.id()) && self.text_at(line).is_empty() {
            return self.all::<H>().next();
        }
        Some(
            H::first_of(self.value_at(line))
                .map_err(|error| error.within(&name, self.offset_of(line))),
        )
    }

    /// The first value of a field, borrowing from the message: for readers that look and do not keep.
    pub fn view<H: ViewField>(&self) -> Option<Result<H::View<'_>, ParseError>> {
        let name = H::NAME;
        let line = self.lines[self.first_place(&name)?];
        Some(match H::view(self.text_at(line)) {
            Ok((view, _)) => Ok(view),
            Err(error) => Err(error.within(&name, self.offset_of(line))),
        })
    }

    /// Every value of a field, borrowing from the message.
    pub fn views<H: ViewField>(&self) -> impl Iterator<Item = Result<H::View<'_>, ParseError>> {
        let first = self.first_place(&H::NAME);
        let mut place = first.unwrap_or(self.lines.len());
        let mut at = 0;
        let name = H::NAME;
        std::iter::from_fn(move || {
            while !self.is_named(*self.lines.get(place)?, &name) {
                place += 1;
            }
            let line = self.lines[place];
            let text = self.text_at(line);
            let start = scan::skip_lws(text, at).min(text.len());
            let read = H::view(&text[start..]);
            let end = match &read {
                // Behind the value stands a comma, or nothing.
                Ok((_, end)) => scan::skip_lws(text, start + end),
                Err(_) if H::SHAPE == Shape::List => scan::list_item_end(text, start),
                Err(_) => text.len(),
            };
            if end < text.len() {
                at = end + 1;
            } else {
                place += 1;
                at = 0;
            }
            Some(
                read.map(|(view, _)| view)
                    .map_err(|error| error.within(&name, self.offset_of(line) + start)),
            )
        })
    }

    #[inline]
    fn first_place(&self, name: &HeaderName) -> Option<usize> {
        let id = name.id();
        if let Some(&first) = self.first.get(usize::from(id))
            && first < u8::MAX
        {
            return usize::from(first).checked_sub(1);
        }
        if id == name::UNKNOWN {
            return self.places(name).next();
        }
        self.lines.iter().position(|line| line.id() == id)
    }

    /// The value of a line, with its commas.
    #[inline]
    fn text_at(&self, line: Line) -> &[u8] {
        match line.index() {
            Some(index) => self.added[index].value.as_bytes(),
            None => &self.wire[usize::from(line.value)..usize::from(line.end)],
        }
    }

    #[cold]
    fn joined<H: HeaderField>(&self) -> Result<H, ParseError> {
        let mut text = Vec::new();
        for place in self.places(&H::NAME) {
            let value = self.value_at(self.lines[place]);
            if value.is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(value.as_bytes());
        }
        H::parse(&HeaderValue::from_wire(text.into())).map_err(|error| error.within(&H::NAME, 0))
    }

    /// Every value of a field, whether on one line with commas or on several.
    pub fn all<H: HeaderField>(&self) -> impl Iterator<Item = Result<H, ParseError>> {
        let name = H::NAME;
        self.items(H::NAME, H::SHAPE == Shape::List)
            .map(move |(offset, value)| H::take(value).map_err(|error| error.within(&name, offset)))
    }

    /// The first value; its absence is an error of kind [`ParseErrorKind::Missing`].
    ///
    /// # Errors
    /// If the field is absent or malformed.
    pub fn require<H: HeaderField>(&self) -> Result<H, ParseError> {
        self.get::<H>()
            .unwrap_or_else(|| Err(ParseError::header(ParseErrorKind::Missing, H::NAME, 0)))
    }

    /// Whether there is a line of this field.
    pub fn contains<H: HeaderField>(&self) -> bool {
        self.first_place(&H::NAME).is_some()
    }

    /// How many values the field has.
    pub fn count<H: HeaderField>(&self) -> usize {
        self.items(H::NAME, H::SHAPE == Shape::List).count()
    }

    /// Replaces the first line of the field in its place and removes the others; where there is none, adds one in the customary place.
    pub fn set<H: HeaderField>(&mut self, field: H) {
        self.set_raw(H::NAME, field.value());
    }

    /// Adds a line after the last of its name, or in the customary place.
    pub fn push<H: HeaderField>(&mut self, field: H) {
        self.push_raw(H::NAME, field.value());
    }

    /// Adds a line before the first of its name, or in the customary place.
    pub fn push_front<H: HeaderField>(&mut self, field: H) {
        self.push_front_raw(H::NAME, field.value());
    }

    /// Removes every line of the field; answers whether there was one.
    pub fn remove<H: HeaderField>(&mut self) -> bool {
        self.remove_name(&H::NAME)
    }

    /// Takes the first value of the field away, be it a line or the first item of a line; the rest stays byte for byte.
    pub fn pop_front<H: HeaderField>(&mut self) -> Option<HeaderValue> {
        let place = self.first_place(&H::NAME)?;
        let line = self.lines[place];
        self.modified = true;
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
            None => {
                // `rest` is inside a head of which all places fit.
                let line = &mut self.lines[place];
                line.value += rest as u16;
                line.id |= EDITED;
            }
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

    // ---- by name -----------------------------------------------------------------------------------------------------

    /// Whether there is a line of this name.
    pub fn contains_name(&self, name: &HeaderName) -> bool {
        self.first_place(name).is_some()
    }

    /// The value of the first line of this name, with its commas.
    pub fn raw(&self, name: &HeaderName) -> Option<HeaderValue> {
        let place = self.first_place(name)?;
        Some(self.value_at(self.lines[place]))
    }

    /// The values of all lines of this name, one for each line.
    pub fn raw_all<'s>(&'s self, name: &HeaderName) -> impl Iterator<Item = HeaderValue> + use<'s> {
        self.places(name)
            .map(|place| self.value_at(self.lines[place]))
    }

    /// Adds a line after the last of its name, or in the customary place.
    pub fn push_raw(&mut self, name: HeaderName, value: HeaderValue) {
        let last = self
            .lines
            .iter()
            .rposition(|&line| self.is_named(line, &name));
        let place = last.map_or_else(|| self.customary_place(&name), |place| place + 1);
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
        if self.is_repeated(first, &name) {
            let mut kept = 0;
            let mut lines = std::mem::take(&mut self.lines);
            lines.retain(|line| {
                let named = self.is_named(*line, &name);
                kept += usize::from(named);
                !named || kept == 1
            });
            self.lines = lines;
            self.forget_places();
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
        self.modified |= removed;
        if removed {
            self.forget_places();
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

    /// Every line in order: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        self.lines
            .iter()
            .map(|&line| (self.name_at(line), self.value_at(line)))
    }

    /// Every line in order, with its name as it is written: compact form, case and all.
    pub fn iter_written(&self) -> impl Iterator<Item = (&str, HeaderValue)> {
        self.lines
            .iter()
            .map(|&line| (scan::ascii(self.name_text(line)), self.value_at(line)))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no lines.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// A section that starts with the lines of some fields of another one, sharing its buffer.
    ///
    /// `names` are ids in the order in which the lines shall stand.
    pub(crate) fn of_lines(other: &Self, ids: &[u8]) -> Self {
        let mut section = Self::from_wire(other.wire.clone());
        section.modified = true;
        for &id in ids {
            let Some(first) = other.first_place(&HeaderName::from_id(id)) else {
                continue;
            };
            // The parser lets no second one pass.
            let only = !other.modified && parse::is_single(id);
            for &line in &other.lines[first..] {
                if line.id() != id {
                    continue;
                }
                let line = match line.index() {
                    Some(index) => {
                        let added = other.added[index].clone();
                        section.add(added.name, added.value)
                    }
                    None => line,
                };
                section.lines.push(line);
                section.note_inserted(section.lines.len() - 1, id);
                if only {
                    break;
                }
            }
        }
        section
    }

    // ---- inside ------------------------------------------------------------------------------------------------------

    pub(crate) fn places<'s>(&'s self, name: &HeaderName) -> impl Iterator<Item = usize> + use<'s> {
        let id = name.id();
        let name = name.clone();
        self.lines
            .iter()
            .enumerate()
            .filter(move |(_, line)| {
                line.id() == id && (id != name::UNKNOWN || self.is_named(**line, &name))
            })
            .map(|(place, _)| place)
    }

    #[inline]
    fn is_named(&self, line: Line, name: &HeaderName) -> bool {
        match line.id() {
            name::UNKNOWN => {
                name.id() == name::UNKNOWN
                    && self
                        .name_text(line)
                        .eq_ignore_ascii_case(name.as_str().as_bytes())
            }
            id => id == name.id(),
        }
    }

    /// Whether another line of the name comes after the first one.
    #[inline]
    fn is_repeated(&self, first: usize, name: &HeaderName) -> bool {
        let mut others = self.lines[first + 1..].iter();
        match name.id() {
            name::UNKNOWN => others.any(|&line| self.is_named(line, name)),
            id => others.any(|line| line.id() == id),
        }
    }

    /// Every value and its offset in the message.
    fn items(&self, name: HeaderName, split: bool) -> impl Iterator<Item = (usize, HeaderValue)> {
        let mut place = self.first_place(&name).unwrap_or(self.lines.len());
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                while !self.is_named(*self.lines.get(place)?, &name) {
                    place += 1;
                }
                let line = self.lines[place];
                let text = self.text_at(line);
                if text.is_empty() && name::may_be_empty(name.id()) {
                    place += 1;
                    continue;
                }
                let start = scan::skip_lws(text, at).min(text.len());
                let end = if split {
                    scan::list_item_end(text, start)
                } else {
                    text.len()
                };
                if end < text.len() {
                    at = end + 1;
                } else {
                    place += 1;
                    at = 0;
                }
                let value = self
                    .value_at(line)
                    .slice(start, scan::trim_end(text, start, end));
                return Some((self.offset_of(line) + start, value));
            }
        })
    }

    #[inline]
    fn value_at(&self, line: Line) -> HeaderValue {
        match line.index() {
            Some(index) => self.added[index].value.clone(),
            None => HeaderValue::from_wire(
                self.wire
                    .slice(usize::from(line.value)..usize::from(line.end)),
            ),
        }
    }

    #[inline]
    fn offset_of(&self, line: Line) -> usize {
        if line.index().is_some() {
            0
        } else {
            usize::from(line.value)
        }
    }

    fn name_text(&self, line: Line) -> &[u8] {
        match line.index() {
            Some(index) => self.added[index].name.as_str().as_bytes(),
            None => {
                let start = usize::from(line.start);
                let end = match line.name_len {
                    255 => scan::run(&self.wire, start, scan::TOKEN),
                    length => start + usize::from(length),
                };
                &self.wire[start..end]
            }
        }
    }

    fn name_at(&self, line: Line) -> HeaderName {
        match line.index() {
            Some(index) => self.added[index].name.clone(),
            None if line.id() != name::UNKNOWN => HeaderName::from_id(line.id()),
            None => HeaderName::from_wire(self.name_text(line)),
        }
    }

    /// Before the first line that customarily comes later.
    fn customary_place(&self, name: &HeaderName) -> usize {
        let rank = name::rank(name.id());
        if rank == name::LAST_RANK {
            return self.lines.len();
        }
        self.lines
            .iter()
            .position(|line| name::rank(line.id()) > rank)
            .unwrap_or(self.lines.len())
    }

    fn insert(&mut self, place: usize, name: HeaderName, value: HeaderValue) {
        self.modified = true;
        let line = self.add(name, value);
        self.lines.insert(place, line);
        self.note_inserted(place, line.id());
    }

    /// Keeps the places of first lines right after a line was inserted.
    fn note_inserted(&mut self, place: usize, id: u8) {
        let number = u8::try_from(place + 1).unwrap_or(u8::MAX);
        for first in &mut self.first {
            *first = first.saturating_add(u8::from(*first >= number));
        }
        if let Some(first) = self.first.get_mut(usize::from(id))
            && (*first == 0 || (*first > number && *first < u8::MAX))
        {
            *first = number;
        }
    }

    /// After lines were removed, first lines are looked for.
    const fn forget_places(&mut self) {
        self.first = [u8::MAX; 16];
    }

    fn put(&mut self, place: usize, name: HeaderName, value: HeaderValue) {
        self.modified = true;
        match self.lines[place].index() {
            Some(index) => self.added[index] = Added { name, value },
            None => self.lines[place] = self.add(name, value),
        }
    }

    fn add(&mut self, name: HeaderName, value: HeaderValue) -> Line {
        if self.added.len() > 64 && self.added.len() > 2 * self.lines.len() {
            self.forget_removed();
        }
        let line = Line::added(self.added.len(), name.id());
        self.added.push(Added { name, value });
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
        self.modified = true;
        let line = self.lines.remove(place);
        self.forget_places();
        if line
            .index()
            .is_some_and(|index| index + 1 == self.added.len())
        {
            self.added.pop();
        }
    }
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
