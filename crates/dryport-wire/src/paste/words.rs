//! A line as words, and words as numbers. Bytes, not text: a paste may be in any encoding.

/// Words of a line that are looked at.
const MOST: usize = 32;

/// The words of a line, parted by blanks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    list: [&'a [u8]; MOST],
    len: usize,
    /// The whole line.
    line: &'a [u8],
}

impl<'a> Words<'a> {
    /// The first words of a line.
    pub(super) fn of(line: &'a [u8]) -> Self {
        let mut words = Self {
            list: [&[]; MOST],
            len: 0,
            line,
        };
        let mut rest = line;
        while let Some(slot) = words.list.get_mut(words.len) {
            let Some(start) = rest.iter().position(|byte| *byte > b' ') else {
                break;
            };
            rest = rest.get(start..).unwrap_or_default();
            let end = rest
                .iter()
                .position(|byte| *byte <= b' ')
                .unwrap_or(rest.len());
            let (word, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            *slot = word;
            words.len += 1;
            rest = tail;
        }
        words
    }

    /// The word at a place.
    pub(super) fn at(&self, index: usize) -> Option<&'a [u8]> {
        self.all().get(index).copied()
    }

    /// All words.
    pub(super) fn all(&self) -> &[&'a [u8]] {
        self.list.get(..self.len).unwrap_or_default()
    }

    /// All words from a place on.
    pub(super) fn from(&self, index: usize) -> &[&'a [u8]] {
        self.all().get(index..).unwrap_or_default()
    }

    /// Number of words.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The line behind a number of words.
    pub(super) fn behind(&self, words: usize) -> &'a [u8] {
        let mut rest = self.line;
        for word in self.all().iter().take(words) {
            let blanks = rest.iter().take_while(|byte| **byte <= b' ').count();
            rest = rest.get(blanks + word.len()..).unwrap_or_default();
        }
        rest
    }

    /// The last word.
    pub(super) fn last(&self) -> Option<&'a [u8]> {
        self.all().last().copied()
    }
}

/// Digits only.
pub(super) fn number<T: TryFrom<u64>>(word: &[u8]) -> Option<T> {
    if word.is_empty() || word.len() > 19 {
        return None;
    }
    let mut value: u64 = 0;
    for byte in word {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
    }
    value.try_into().ok()
}

/// Hexadecimal digits only, without a prefix.
pub(super) fn hex(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 16 {
        return None;
    }
    word.iter().try_fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

/// Without blanks at both ends.
pub(super) const fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// Splits at the first place of a byte.
pub(super) fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, text)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Splits at the last place of a byte.
pub(super) fn split_last(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memrchr(at, text)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Whether a text stands in another, whatever the case of ASCII letters.
pub(super) fn holds_ignoring_case(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len())
        .any(|window| window.eq_ignore_ascii_case(wanted))
}

/// Whether a text stands in another.
pub(super) fn holds(text: &[u8], wanted: &[u8]) -> bool {
    memchr::memmem::find(text, wanted).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_nothing_but_digits() {
        assert_eq!(number::<u16>(b"65535"), Some(65535));
        for wrong in [
            &b"65536"[..],
            b"",
            b"+1",
            b"-1",
            b"1 ",
            b"0x1",
            b"99999999999999999999",
        ] {
            assert_eq!(number::<u16>(wrong), None, "{wrong:?}");
        }
        assert_eq!(hex(b"0100007F"), Some(0x0100_007f));
        assert_eq!(hex(b"0x1"), None);
    }

    #[test]
    fn words_are_parted_by_any_blank() {
        let words = Words::of(b"  TCP\t1.2.3.4:5   x \r");
        assert_eq!(words.all(), [&b"TCP"[..], b"1.2.3.4:5", b"x"]);
        assert_eq!(words.last(), Some(&b"x"[..]));
        assert_eq!(Words::of(&[b'a', b' '].repeat(100)).len(), MOST);
    }
}
