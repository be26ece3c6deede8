//! Lines, kept as they came or written anew.

use crate::{Attribute, IllegalText};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;

/// One line of a description: a letter and a value (RFC 8866 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    content: &'a [u8],
}

impl<'a> Line<'a> {
    const fn new(content: &'a [u8]) -> Self {
        Self { content }
    }

    /// The letter before the equals sign; `None` on a blank line.
    pub fn letter(&self) -> Option<char> {
        match self.content {
            [letter, b'=', ..] => Some(char::from(*letter)),
            _ => None,
        }
    }

    /// What follows the equals sign.
    pub fn value(&self) -> &'a [u8] {
        self.content.get(2..).unwrap_or_default()
    }

    /// The value as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.value())
    }

    /// The attribute that an a= line carries.
    pub fn attribute(&self) -> Option<Attribute<'a>> {
        if self.is(b'a') {
            Attribute::of(self.value())
        } else {
            None
        }
    }

    /// The value, if it is UTF-8.
    pub(crate) fn as_str(&self) -> Option<&'a str> {
        str::from_utf8(self.value()).ok()
    }

    pub(crate) fn is(&self, letter: u8) -> bool {
        matches!(self.content, [first, b'=', ..] if *first == letter)
    }
}

/// The lines of a description's head or of one of its media.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    buffer: Bytes,
    entries: Vec<Entry>,
}

/// What becomes of a line.
pub(crate) enum Edit {
    Keep,
    Replace(String),
    Remove,
}

#[derive(Clone, Debug)]
enum Entry {
    /// In the buffer from `start` to `end`, the line ending up to `next`
    Kept { start: u32, end: u32, next: u32 },
    /// Without its line ending
    Written(Box<[u8]>),
}

impl Lines {
    pub(crate) fn of(buffer: &Bytes) -> Self {
        Self {
            buffer: buffer.clone(),
            entries: Vec::new(),
        }
    }

    /// Adds a line of the buffer; the parser's size limit keeps offsets below 4 GiB.
    pub(crate) fn keep(&mut self, start: usize, end: usize, next: usize) {
        self.entries.push(Entry::Kept {
            start: start as u32,
            end: end as u32,
            next: next as u32,
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Line<'_>> + Clone {
        self.entries.iter().map(|entry| view(&self.buffer, entry))
    }

    pub(crate) fn first(&self, letter: u8) -> Option<Line<'_>> {
        self.iter().find(|line| line.is(letter))
    }

    /// Replaces the first line with `letter`, or inserts one where RFC 8866 §5 wants it.
    pub(crate) fn set(&mut self, letter: u8, value: &str) -> Result<(), IllegalText> {
        let entry = written(letter, value)?;
        let place = self.iter().position(|line| line.is(letter));
        match place {
            Some(index) => self.entries[index] = entry,
            None => self.insert(letter, entry),
        }
        Ok(())
    }

    /// Adds a line behind those with the same letter, or where RFC 8866 §5 wants it.
    pub(crate) fn push(&mut self, letter: u8, value: &str) -> Result<(), IllegalText> {
        let entry = written(letter, value)?;
        self.insert(letter, entry);
        Ok(())
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Line<'_>) -> bool) {
        let Self { buffer, entries } = self;
        entries.retain(|entry| keep(view(buffer, entry)));
    }

    /// Replaces the values of lines where `edit` says so, or takes lines out; the others stay as they are.
    pub(crate) fn rewrite(
        &mut self,
        mut edit: impl FnMut(Line<'_>) -> Edit,
    ) -> Result<(), IllegalText> {
        let Self { buffer, entries } = self;
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries.drain(..) {
            let line = view(buffer, &entry);
            match (edit(line), line.letter()) {
                (Edit::Replace(value), Some(letter)) => kept.push(written(letter as u8, &value)?),
                (Edit::Remove, _) => {}
                _ => kept.push(entry),
            }
        }
        *entries = kept;
        Ok(())
    }

    pub(crate) fn write(&self, out: &mut BytesMut) {
        for entry in &self.entries {
            match entry {
                Entry::Kept { start, end, next } => {
                    let line = slice(&self.buffer, *start, *next);
                    if line.ends_with(b"\n") {
                        out.put_slice(line);
                    } else {
                        // The last line of a description may have come without an ending, or with half of one.
                        out.put_slice(slice(&self.buffer, *start, *end));
                        out.put_slice(b"\r\n");
                    }
                }
                Entry::Written(content) => {
                    out.put_slice(content);
                    out.put_slice(b"\r\n");
                }
            }
        }
    }

    fn insert(&mut self, letter: u8, entry: Entry) {
        let letter = char::from(letter);
        let last = |wanted: &dyn Fn(char) -> bool| {
            self.entries
                .iter()
                .rposition(|other| view(&self.buffer, other).letter().is_some_and(wanted))
        };
        let behind = last(&|other| other == letter)
            .or_else(|| {
                last(&|other| ORDER.contains(other) && ORDER.find(other) < ORDER.find(letter))
            })
            .map_or(0, |index| index + 1);
        self.entries.insert(behind, entry);
    }
}

/// Whether `text` can stand in a line: no control character that ends it or is forbidden (RFC 8866 §9, byte-string).
pub(crate) fn check_text(text: &str) -> Result<(), IllegalText> {
    if text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Err(IllegalText);
    }
    Ok(())
}

/// Whether `text` is one word: visible characters only, at least one.
pub(crate) fn check_word(text: &str) -> Result<(), IllegalText> {
    if text.is_empty() || text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(IllegalText);
    }
    Ok(())
}

fn view<'a>(buffer: &'a Bytes, entry: &'a Entry) -> Line<'a> {
    Line::new(match entry {
        Entry::Kept { start, end, .. } => slice(buffer, *start, *end),
        Entry::Written(content) => content,
    })
}

fn slice(buffer: &Bytes, start: u32, end: u32) -> &[u8] {
    buffer.get(start as usize..end as usize).unwrap_or_default()
}

fn written(letter: u8, value: &str) -> Result<Entry, IllegalText> {
    check_text(value)?;
    let mut content = Vec::with_capacity(value.len() + 2);
    content.extend_from_slice(&[letter, b'=']);
    content.extend_from_slice(value.as_bytes());
    Ok(Entry::Written(content.into_boxed_slice()))
}

/// The order of lines (RFC 8866 §5), that of a media description included.
const ORDER: &str = "mvosiuepcbtrzka";
