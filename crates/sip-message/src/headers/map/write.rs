//! Writing the header section.

use bytes::{BufMut, BytesMut};

use super::{Headers, Line};
use crate::scan;

impl Headers {
    /// How many bytes [`Headers::write`] needs, roughly.
    pub(crate) fn size_hint(&self) -> usize {
        let line = |line: &Line| match line.index() {
            Some(index) => {
                self.added[index].name.as_str().len() + self.added[index].value.len() + 4
            }
            None => usize::from(line.end) - usize::from(line.start) + 4,
        };
        self.lines.iter().map(line).sum()
    }

    /// Writes all lines; lines that are as they came are copied in runs.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let mut lines = self.lines.iter().peekable();
        while let Some(&line) = lines.next() {
            if line.is_intact() {
                let start = usize::from(line.start);
                let mut last = line;
                // Lines that follow each other here as they did on the wire; an odd line end only ends the run.
                while let Some(next) =
                    lines.next_if(|next| next.is_intact() && next.start == last.end.wrapping_add(2))
                {
                    last = *next;
                }
                out.put_slice(&self.wire[start..self.line_end(last)]);
                continue;
            }
            out.put_slice(self.name_text(line));
            out.put_slice(b": ");
            match line.index() {
                Some(index) => {
                    out.put_slice(self.added[index].value.as_bytes());
                    out.put_slice(b"\r\n");
                }
                None => out.put_slice(&self.wire[usize::from(line.value)..self.line_end(line)]),
            }
        }
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
    fn line_end(&self, line: Line) -> usize {
        let mut at = usize::from(line.end);
        if let Some([b'\r', b'\n', next, ..]) = self.wire.get(at..)
            && !matches!(next, b' ' | b'\t')
        {
            return at + 2;
        }
        // Trailing white space may be folded: the line ends where no white space follows.
        while let Some(length) = memchr::memchr(b'\n', &self.wire[at..]) {
            at += length + 1;
            if !matches!(scan::byte(&self.wire, at), b' ' | b'\t') {
                return at;
            }
        }
        self.wire.len()
    }
}
