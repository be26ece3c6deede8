//! The header section: an ordered multimap over the bytes that came.

mod edit;
mod line;
mod places;
mod write;

pub(crate) use line::{Line, Lines};
pub(crate) use places::Places;
pub(crate) use write::Pieces;

use std::sync::OnceLock;

use bytes::Bytes;
use line::Added;
use smallvec::SmallVec;

use super::{HeaderField, Shape, ViewField, via::Parts as ViaParts};
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
    lines: Lines,
    /// Fields that did not come over the wire.
    added: Vec<Added>,
    modified: bool,
    places: Places,
    /// Where the parts of the top Via are, once it was read: three layers ask for it of each request, and to read it takes
    /// 450 instructions.
    top_via: OnceLock<ViaParts>,
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        Self {
            wire: self.wire.clone(),
            // In one copy, not line by line.
            lines: SmallVec::from_slice(&self.lines),
            added: self.added.clone(),
            modified: self.modified,
            places: self.places,
            top_via: self.top_via.clone(),
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
            places: Places::default(),
            top_via: OnceLock::new(),
        }
    }

    /// Reads the lines from `start` up to the empty line.
    #[inline(never)]
    pub(crate) fn read(&mut self, start: usize, limits: &Limits) -> Result<BodyAt, ParseError> {
        parse::header_lines(&self.wire, start, limits, &mut self.lines, &mut self.places)
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

    pub(crate) const fn top_via(&self) -> &OnceLock<ViaParts> {
        &self.top_via
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
        let name = name_of::<H>();
        let place = self.first_place(name)?;
        if H::SHAPE == Shape::Joined && self.has_another(place, name) {
            return Some(self.joined::<H>());
        }
        let line = self.lines[place];
        if name::may_be_empty(name.id()) && self.text_at(line).is_empty() {
            return self.all::<H>().next();
        }
        Some(
            H::first_of(self.value_at(line))
                .map_err(|error| error.within(name, self.offset_of(line))),
        )
    }

    /// The first value of a field, borrowing from the message: for readers that look and do not keep.
    #[inline]
    pub fn view<H: ViewField>(&self) -> Option<Result<H::View<'_>, ParseError>> {
        let line = self.lines[self.first_place(name_of::<H>())?];
        Some(match H::view_first(self, self.text_at(line)) {
            Ok((view, _)) => Ok(view),
            Err(error) => Err(self.located::<H>(error, line, 0)),
        })
    }

    /// As [`Headers::require`], borrowing from the message.
    #[inline]
    pub(crate) fn require_view<H: ViewField>(&self) -> Result<H::View<'_>, ParseError> {
        self.view::<H>().unwrap_or_else(|| Err(missing::<H>()))
    }

    /// Every value of a field, borrowing from the message.
    pub fn views<H: ViewField>(&self) -> impl Iterator<Item = Result<H::View<'_>, ParseError>> {
        let mut end_of_lines = 0;
        let mut place = 0;
        if let Some(first) = self.first_place(name_of::<H>()) {
            (place, end_of_lines) = (first, self.end(name_of::<H>()));
        }
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = self.lines.get(place..end_of_lines)?;
            place += rest
                .iter()
                .position(|line| self.is_named(*line, name_of::<H>()))?;
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
            Some(match read {
                Ok((view, _)) => Ok(view),
                Err(error) => Err(self.located::<H>(error, line, start)),
            })
        })
    }

    /// An error of a value with its field and its place in the message.
    #[cold]
    #[inline(never)]
    fn located<H: HeaderField>(&self, error: ParseError, line: Line, start: usize) -> ParseError {
        error.within(name_of::<H>(), self.offset_of(line) + start)
    }

    #[inline(always)]
    fn first_place(&self, name: &HeaderName) -> Option<usize> {
        match self.places.first(name.id()) {
            Some(first) => first,
            None => self.look_for(name),
        }
    }

    /// A place behind the last line of the field, or as near behind it as is known.
    #[inline(always)]
    fn end(&self, name: &HeaderName) -> usize {
        let length = self.lines.len();
        self.places
            .end(name.id())
            .map_or(length, |end| end.min(length))
    }

    #[inline(never)]
    fn look_for(&self, name: &HeaderName) -> Option<usize> {
        match name.id() {
            name::UNKNOWN => self
                .lines
                .iter()
                .position(|&line| self.is_named(line, name)),
            id => self.lines.iter().position(|line| line.id() == id),
        }
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
        for place in self.places(name_of::<H>()) {
            let value = self.value_at(self.lines[place]);
            if value.is_empty() {
                continue;
            }
            if !text.is_empty() {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(value.as_bytes());
        }
        H::parse(&HeaderValue::from_wire(text.into()))
            .map_err(|error| error.within(name_of::<H>(), 0))
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
        self.get::<H>().unwrap_or_else(|| Err(missing::<H>()))
    }

    /// Whether there is a line of this field.
    pub fn contains<H: HeaderField>(&self) -> bool {
        self.first_place(name_of::<H>()).is_some()
    }

    /// Whether the field is there, and every value of it can be read.
    #[inline]
    pub(crate) fn is_readable<H: ViewField>(&self) -> bool {
        self.is_one_value::<H>()
            || self.contains::<H>() && self.views::<H>().all(|view| view.is_ok())
    }

    /// Whether the field has one line only, all of which is one value that can be read.
    #[inline]
    pub(crate) fn is_one_value<H: ViewField>(&self) -> bool {
        let Some(place) = self.first_place(name_of::<H>()) else {
            return false;
        };
        let text = self.text_at(self.lines[place]);
        !self.has_another(place, name_of::<H>())
            && H::view_first(self, text).is_ok_and(|(_, end)| end == text.len())
    }

    /// Whether there is more than one line of the field.
    #[inline]
    pub(crate) fn is_repeated<H: HeaderField>(&self) -> bool {
        let first = self.first_place(name_of::<H>());
        first.is_some_and(|first| self.has_another(first, name_of::<H>()))
    }

    /// How many values the field has.
    pub fn count<H: HeaderField>(&self) -> usize {
        self.items(H::NAME, H::SHAPE == Shape::List).count()
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

    /// As [`Headers::raw`], borrowing.
    #[inline]
    pub(crate) fn raw_bytes(&self, name: &HeaderName) -> Option<&[u8]> {
        let place = self.first_place(name)?;
        Some(self.text_at(self.lines[place]))
    }

    /// The values of all lines of this name, one for each line.
    pub fn raw_all<'s>(&'s self, name: &HeaderName) -> impl Iterator<Item = HeaderValue> + use<'s> {
        self.places(name)
            .map(|place| self.value_at(self.lines[place]))
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

    // ---- inside ------------------------------------------------------------------------------------------------------

    pub(crate) fn places<'s>(&'s self, name: &HeaderName) -> impl Iterator<Item = usize> + use<'s> {
        let first = self.first_place(name);
        let range = first.map_or(0..0, |first| first..self.end(name));
        let name = name.clone();
        range.filter(move |&place| self.is_named(self.lines[place], &name))
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
    fn has_another(&self, first: usize, name: &HeaderName) -> bool {
        let (next, end) = (first + 1, self.end(name));
        end > next
            && self.lines[next..end]
                .iter()
                .any(|&line| self.is_named(line, name))
    }

    /// Every value and its offset in the message.
    fn items(&self, name: HeaderName, split: bool) -> impl Iterator<Item = (usize, HeaderValue)> {
        let mut places = self.places(&name);
        let mut place = places.next();
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let line = self.lines[place?];
                let text = self.text_at(line);
                if text.is_empty() && name::may_be_empty(name.id()) {
                    place = places.next();
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
                    place = places.next();
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
}

/// The name of a field, which a constant would make anew, and drop, at each use.
#[inline(always)]
const fn name_of<H: HeaderField>() -> &'static HeaderName {
    const { &H::NAME }
}

#[cold]
fn missing<H: HeaderField>() -> ParseError {
    ParseError::header(ParseErrorKind::Missing, H::NAME, 0)
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
