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
    pub(super) text: Vec<u8>,
    pub(super) hits: Vec<usize>,
    pub(super) encoding: Encoding,
    /// Bytes of the input that it was made from.
    pub(super) bytes: u64,
    /// Nothing follows; the last line may have no end.
    pub(super) is_last: bool,
}

impl Piece {
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
    raw: Vec<u8>,
    unused: Vec<Piece>,
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
            raw: Vec::new(),
            unused: Vec::new(),
        }
    }

    /// Begins an input.
    pub fn begin(&mut self) {
        self.carry.clear();
        self.encoding = None;
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
        piece.text.clear();
        piece.hits.clear();
        piece.text.append(&mut self.carry);
        let count = match self.encoding {
            Some(Encoding::Utf16Le | Encoding::Utf16Be) => self.fill_utf16(&mut piece, fill),
            _ => fill_bytes(&mut piece.text, fill),
        }
        .map_err(ScanError::Read)?;
        piece.bytes = count as u64;
        piece.is_last = count == 0;
        if self.encoding.is_none() {
            if piece.text.len() < SNIFF && !piece.is_last {
                self.carry.append(&mut piece.text);
                return Ok(piece);
            }
            self.begin_text(&mut piece).map_err(ScanError::NotText)?;
        }
        piece.encoding = self.encoding.unwrap_or_default();
        self.keep_the_rest(&mut piece);
        let Piece { text, hits, .. } = &mut piece;
        self.finder.each_hit(text, |at| hits.push(at));
        Ok(piece)
    }

    fn fill_utf16<E>(
        &mut self,
        piece: &mut Piece,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.raw.clear();
        let count = fill_bytes(&mut self.raw, fill)?;
        self.utf16.decode(&self.raw, &mut piece.text);
        if count == 0 {
            self.utf16.end(&mut piece.text);
        }
        Ok(count)
    }

    /// Tells the encoding by the first bytes, and decodes them.
    fn begin_text(&mut self, piece: &mut Piece) -> Result<(), NotText> {
        let head = piece.text.get(..SNIFF).unwrap_or(&piece.text);
        let (encoding, mark) = sniff(head)?;
        self.encoding = Some(encoding);
        if encoding == Encoding::Bytes {
            piece.text.drain(..mark);
            return Ok(());
        }
        self.utf16 = Utf16::new(encoding == Encoding::Utf16Be);
        let raw = core::mem::take(&mut piece.text);
        self.utf16
            .decode(raw.get(mark..).unwrap_or_default(), &mut piece.text);
        if piece.is_last {
            self.utf16.end(&mut piece.text);
        }
        Ok(())
    }

    /// The beginning of a line whose end has not come waits for the next piece.
    fn keep_the_rest(&mut self, piece: &mut Piece) {
        if piece.is_last {
            return;
        }
        let end = memchr::memrchr(b'\n', &piece.text).map_or(0, |at| at + 1);
        let rest = piece.text.get(end..).unwrap_or_default();
        if rest.len() < LONGEST_LINE {
            self.carry.extend_from_slice(rest);
            piece.text.truncate(end);
        }
    }
}

fn fill_bytes<E>(
    text: &mut Vec<u8>,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<usize, E> {
    let start = text.len();
    text.resize(start + PIECE, 0);
    let room = text.get_mut(start..).unwrap_or_default();
    let length = room.len();
    let filled = fill(room);
    let count = filled.as_ref().map_or(0, |count| *count).min(length);
    text.truncate(start + count);
    filled.map(|_| count)
}
