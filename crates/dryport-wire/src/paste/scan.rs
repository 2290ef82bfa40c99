//! The first half of reading: from bytes to whole lines, with the places of messages in them.
//!
//! It needs nothing of what the lines mean, so it can run ahead of the second half on a processor
//! of its own.

use alloc::vec::Vec;

use super::decode::{Encoding, NotText, SNIFF, Utf16, sniff};
use crate::message::Finder;

/// Bytes asked for at a time: a piece fits into a processor's cache.
const PIECE: usize = 256 * 1024;
/// A line longer than this is taken in pieces.
const LONGEST_LINE: usize = 1 << 20;

/// Whole lines, and where in them a message may stand.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    /// The lines, and behind them what the memory held before: zeroing it for each piece costs as
    /// much as reading.
    buffer: Vec<u8>,
    used: usize,
    pub(super) hits: Vec<usize>,
    pub(super) encoding: Encoding,
    /// Bytes of the input that it was made from.
    pub(super) bytes: u64,
    /// Nothing follows; the last line may have no end.
    pub(super) is_last: bool,
    /// It begins in the middle of a line that is too long for one piece.
    pub(super) continues: bool,
}

impl Piece {
    /// The lines.
    pub(super) fn text(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.truncate(self.used);
        self.buffer.extend_from_slice(bytes);
        self.used = self.buffer.len();
    }

    /// Reads behind what there is.
    fn fill<E>(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        let end = self.used + PIECE;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        let room = self.buffer.get_mut(self.used..end).unwrap_or_default();
        let most = room.len();
        let count = fill(room)?.min(most);
        self.used += count;
        Ok(count)
    }

    /// Whether the input ends with it.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.is_last
    }
}

/// Why an input could not be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError<E> {
    /// It could not be read.
    Read(E),
    /// It is no text.
    NotText(NotText),
}

/// Cuts one input into pieces.
pub struct Scanner {
    finder: Finder,
    /// What was read and has no end of line yet.
    carry: Vec<u8>,
    /// Told by the first bytes.
    encoding: Option<Encoding>,
    utf16: Utf16,
    raw: Piece,
    unused: Vec<Piece>,
    /// The last piece ended in the middle of a line.
    in_line: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// Ready for the first input.
    #[must_use]
    pub fn new() -> Self {
        Self {
            finder: Finder::new(),
            carry: Vec::new(),
            encoding: None,
            utf16: Utf16::default(),
            raw: Piece::default(),
            unused: Vec::new(),
            in_line: false,
        }
    }

    /// Begins an input.
    pub fn begin(&mut self) {
        self.carry.clear();
        self.encoding = None;
        self.in_line = false;
    }

    /// Takes a piece back, so that its memory can be used again.
    pub fn recycle(&mut self, piece: Piece) {
        self.unused.push(piece);
    }

    /// Reads once with `fill`, which gives the number of bytes it wrote, 0 at the end, and returns
    /// the lines that are whole now.
    ///
    /// # Errors
    /// What `fill` says, or that the input is no text.
    pub fn read<E>(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Piece, ScanError<E>> {
        let mut piece = self.unused.pop().unwrap_or_default();
        piece.hits.clear();
        piece.used = 0;
        let count = match self.encoding {
            Some(Encoding::Utf16Le | Encoding::Utf16Be) => self.fill_utf16(&mut piece, fill),
            _ => self.fill_bytes(&mut piece, fill),
        }
        .map_err(ScanError::Read)?;
        piece.bytes = count as u64;
        piece.is_last = count == 0;
        if self.encoding.is_none() {
            if piece.used < SNIFF && !piece.is_last {
                self.carry.extend_from_slice(piece.text());
                piece.used = 0;
                return Ok(piece);
            }
            self.begin_text(&mut piece).map_err(ScanError::NotText)?;
        }
        piece.encoding = self.encoding.unwrap_or_default();
        self.keep_the_rest(&mut piece);
        piece.continues = self.in_line;
        if let Some(last) = piece.text().last() {
            self.in_line = *last != b'\n';
        }
        let mut hits = core::mem::take(&mut piece.hits);
        self.finder.each_hit(piece.text(), |at| hits.push(at));
        piece.hits = hits;
        Ok(piece)
    }

    fn fill_bytes<E>(
        &mut self,
        piece: &mut Piece,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let before = self.carry.len();
        if piece.buffer.len() < before {
            piece.buffer.resize(before, 0);
        }
        for (to, from) in piece.buffer.iter_mut().zip(&self.carry) {
            *to = *from;
        }
        piece.used = before;
        self.carry.clear();
        piece.fill(fill)
    }

    fn fill_utf16<E>(
        &mut self,
        piece: &mut Piece,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut raw = core::mem::take(&mut self.raw);
        raw.used = 0;
        let filled = raw.fill(fill);
        let mut text = core::mem::take(&mut self.carry);
        self.utf16.decode(raw.text(), &mut text);
        if matches!(filled, Ok(0)) {
            self.utf16.end(&mut text);
        }
        piece.push(&text);
        self.raw = raw;
        filled
    }

    /// Tells the encoding by the first bytes, and decodes them.
    fn begin_text(&mut self, piece: &mut Piece) -> Result<(), NotText> {
        let text = piece.text();
        let (encoding, mark) = sniff(text.get(..SNIFF).unwrap_or(text))?;
        self.encoding = Some(encoding);
        if encoding == Encoding::Bytes && mark == 0 {
            return Ok(());
        }
        let rest = text.get(mark..).unwrap_or_default();
        let mut decoded = Vec::new();
        if encoding == Encoding::Bytes {
            decoded.extend_from_slice(rest);
        } else {
            self.utf16 = Utf16::new(encoding == Encoding::Utf16Be);
            self.utf16.decode(rest, &mut decoded);
            if piece.is_last {
                self.utf16.end(&mut decoded);
            }
        }
        piece.used = 0;
        piece.push(&decoded);
        Ok(())
    }

    /// The beginning of a line whose end has not come waits for the next piece.
    fn keep_the_rest(&mut self, piece: &mut Piece) {
        if piece.is_last {
            return;
        }
        let text = piece.text();
        let end = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        let rest = text.get(end..).unwrap_or_default();
        if rest.len() < LONGEST_LINE {
            self.carry.extend_from_slice(rest);
            piece.used = end;
        }
    }
}
