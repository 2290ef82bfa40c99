//! Many phrases sought in one line at once. Owns the search, not the phrases.
//!
//! [`Finder`](super::Finder) finds the few lines that matter in a large text; this is for such a
//! line. A table of phrases is turned at compile time into a filter over their first four bytes,
//! so that a place where none begins costs one multiplication and one bit.

const FILTER_BITS: u32 = 16;
const FILTER_WORDS: usize = 1 << (FILTER_BITS - 6);

/// Phrases of four bytes or more, and what each tells. Where two begin at one place, the one that
/// stands first in the table is found.
pub(super) struct Phrases<T: 'static> {
    rows: &'static [(&'static str, T)],
    filter: [u64; FILTER_WORDS],
}

/// A phrase in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit<T> {
    /// Where it begins.
    pub(super) at: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// What it tells.
    pub(super) tells: T,
}

impl<T: Copy> Phrases<T> {
    /// Evaluated by the compiler: an index out of range, or a phrase under four bytes, would not
    /// compile.
    pub(super) const fn new(rows: &'static [(&'static str, T)]) -> Self {
        let mut filter = [0; FILTER_WORDS];
        let mut row = 0;
        while row < rows.len() {
            let phrase = rows[row].0.as_bytes();
            let (word, bit) = slot([phrase[0], phrase[1], phrase[2], phrase[3]]);
            filter[word] |= bit;
            row += 1;
        }
        Self { rows, filter }
    }

    /// Every phrase in `line`, from left to right. Takes time in proportion to the line's length.
    pub(super) fn hits<'a>(&'static self, line: &'a [u8]) -> impl Iterator<Item = Hit<T>> + 'a {
        line.windows(4).enumerate().filter_map(move |(at, window)| {
            let prefix = window.first_chunk()?;
            let (word, bit) = slot(*prefix);
            if self.filter.get(word)? & bit == 0 {
                return None;
            }
            let rest = line.get(at..)?;
            let (phrase, tells) = self
                .rows
                .iter()
                // The first comparison is one of two registers and rules out nearly every row.
                .filter(|(phrase, _)| phrase.as_bytes().first_chunk() == Some(prefix))
                .find(|(phrase, _)| rest.starts_with(phrase.as_bytes()))?;
            Some(Hit {
                at,
                end: at + phrase.len(),
                tells: *tells,
            })
        })
    }

    /// The phrases themselves.
    #[cfg(test)]
    pub(super) fn texts(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().map(|(phrase, _)| *phrase)
    }
}

/// Fibonacci hashing: the upper bits of the product are well mixed.
const fn slot(prefix: [u8; 4]) -> (usize, u64) {
    let hash = u32::from_le_bytes(prefix).wrapping_mul(0x9e37_79b1) >> (u32::BITS - FILTER_BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

/// The place of `needle` in `text`.
pub(super) fn find(text: &[u8], needle: &str) -> Option<usize> {
    memchr::memmem::find(text, needle.as_bytes())
}

/// Whether `text` holds any of `needles`.
pub(super) fn holds_any(text: &[u8], needles: &[&str]) -> bool {
    needles.iter().any(|needle| find(text, needle).is_some())
}

/// What stands in `text` before `at`, the last `most` bytes of it.
pub(super) fn before(text: &[u8], at: usize, most: usize) -> &[u8] {
    text.get(at.saturating_sub(most)..at).unwrap_or(&[])
}

/// What stands in `text` from `end` on, the first `most` bytes of it.
pub(super) fn after(text: &[u8], end: usize, most: usize) -> &[u8] {
    let rest = text.get(end..).unwrap_or(&[]);
    rest.get(..most).unwrap_or(rest)
}

/// Whether the text from `at` to `end` stands for itself, not within a word or a number.
pub(super) fn stands_alone(text: &[u8], at: usize, end: usize) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !before(text, at, 1).iter().any(inner) && !after(text, end, 1).iter().any(inner)
}

/// The digits of the greatest `u32`.
const MOST_DIGITS: usize = 10;

/// The decimal number that `text` begins with, and its length. `None` where there is none, or one
/// that does not fit.
pub(super) fn leading_number(text: &[u8]) -> Option<(u32, usize)> {
    // No more digits than are too many: a line may be a mebibyte of them, and each be asked.
    let length = text
        .iter()
        .take(MOST_DIGITS + 1)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let digits = core::str::from_utf8(text.get(..length)?).ok()?;
    Some((digits.parse().ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    static TABLE: Phrases<u8> = Phrases::new(&[("abcdef", 1), ("abcd", 2), ("bcde", 3)]);

    #[test]
    fn phrases_are_found_from_left_to_right_and_the_first_row_wins() {
        let found: Vec<_> = TABLE
            .hits(b"xabcd abcdef")
            .map(|hit| (hit.at, hit.end, hit.tells))
            .collect();
        assert_eq!(found, [(1, 5, 2), (6, 12, 1), (7, 11, 3)]);
        assert_eq!(TABLE.hits(b"abc").count(), 0);
    }

    #[test]
    fn a_number_ends_where_its_digits_end() {
        assert_eq!(leading_number(b"99)"), Some((99, 2)));
        assert_eq!(leading_number(b"x"), None);
        assert_eq!(leading_number(b"99999999999"), None);
        assert!(stands_alone(b"(99)", 1, 3));
        assert!(!stands_alone(b"(990)", 1, 3));
    }
}
