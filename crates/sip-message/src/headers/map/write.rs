//! Writing the header section.

use bytes::{BufMut, BytesMut};

use smallvec::SmallVec;

use super::{Added, Headers, Line};
use crate::scan;

/// A message as it is written, in pieces that borrow from it.
pub(crate) type Pieces<'a> = SmallVec<[&'a [u8]; 24]>;

const CRLF: &[u8] = b"\r\n";

impl Headers {
    /// Hands out what the section, the empty line and the body are written as, piece by piece.
    ///
    /// Lines that are as they came stand in runs; a run takes the line end before it, the empty line and the body along
    /// where they stand beside it.
    #[inline]
    pub(crate) fn each_piece<'a>(&'a self, body: &'a [u8], out: &mut impl FnMut(&'a [u8])) {
        let wire = &self.wire[..];
        // A line was written of which the line end is still to come.
        let mut open = false;
        let mut rest = self.lines.as_slice();
        while let Some((&line, mut after)) = rest.split_first() {
            if line.is_intact() {
                let mut last = line;
                // Lines that follow each other here as they did on the wire; an odd line end only ends the run.
                while let Some((&next, more)) = after.split_first()
                    && next.is_intact()
                    && next.start == last.end.wrapping_add(2)
                {
                    last = next;
                    after = more;
                }
                let mut start = usize::from(line.start);
                if open {
                    if wire[..start].ends_with(CRLF) {
                        start -= CRLF.len();
                    } else {
                        out(CRLF);
                    }
                }
                let end = self.line_end(last);
                if after.is_empty() && ends_in(&wire[end..], body) {
                    out(&wire[start..]);
                    return;
                }
                out(&wire[start..end]);
                open = false;
            } else {
                open = self.edited_pieces(line, open, out);
            }
            rest = after;
        }
        out(if open { b"\r\n\r\n" } else { CRLF });
        if !body.is_empty() {
            out(body);
        }
    }

    /// Hands out an edited line, after the line end before it if that is `open`; answers whether its own is still to come.
    #[inline]
    fn edited_pieces<'a>(&'a self, line: Line, open: bool, out: &mut impl FnMut(&'a [u8])) -> bool {
        let added = line.index().map(|index| &self.added[index]);
        if let Some(added) = added
            && let Some(start) = added.name.line_start()
        {
            out(&start.as_bytes()[if open { 0 } else { CRLF.len() }..]);
            out(added.value.as_bytes());
            return true;
        }
        if open {
            out(CRLF);
        }
        out(self.name_text(line));
        out(b": ");
        match added {
            Some(added) => out(added.value.as_bytes()),
            None => out(&self.wire[usize::from(line.value)..self.line_end(line)]),
        }
        added.is_some()
    }

    /// More bytes than the lines have: those of the message that they stand in, and those of added fields.
    pub(crate) fn size_bound(&self) -> usize {
        let added = |field: &Added| field.name.as_str().len() + field.value.len() + 4;
        self.wire.len() + self.added.iter().map(added).sum::<usize>() + 4
    }

    /// Writes all lines with names in compact form, where there is one.
    pub(crate) fn write_compact(&self, out: &mut BytesMut) {
        for &line in &self.lines {
            match self.name_at(line).compact() {
                Some(letter) => out.put_u8(letter as u8),
                None => out.put_slice(self.name_text(line)),
            }
            out.put_slice(b": ");
            out.put_slice(self.text_at(line));
            out.put_slice(b"\r\n");
        }
    }

    /// Behind the line end of a line that came over the wire.
    #[inline]
    fn line_end(&self, line: Line) -> usize {
        let at = usize::from(line.end);
        match self.wire.get(at..) {
            Some([b'\r', b'\n', next, ..]) if !matches!(next, b' ' | b'\t') => at + 2,
            _ => self.odd_line_end(at),
        }
    }

    /// Trailing white space may be folded: the line ends where no white space follows.
    #[inline(never)]
    fn odd_line_end(&self, at: usize) -> usize {
        let mut at = at;
        while let Some(length) = memchr::memchr(b'\n', &self.wire[at..]) {
            at += length + 1;
            if !matches!(scan::byte(&self.wire, at), b' ' | b'\t') {
                return at;
            }
        }
        self.wire.len()
    }
}

/// Whether what follows the last line is the empty line and this very body.
fn ends_in(rest: &[u8], body: &[u8]) -> bool {
    rest.strip_prefix(CRLF)
        .is_some_and(|rest| std::ptr::eq(rest, body) || (rest.is_empty() && body.is_empty()))
}
