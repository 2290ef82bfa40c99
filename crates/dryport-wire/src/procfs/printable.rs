//! Names as text that can be shown: no byte of them may move a cursor or turn the writing around.

use alloc::string::String;
use core::fmt::Write as _;

/// The most characters that [`printable`] gives.
pub const PRINTABLE_LIMIT: usize = 256;

/// Bytes as text for people, at most [`PRINTABLE_LIMIT`] characters; see [`printable_up_to`].
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    printable_up_to(bytes, PRINTABLE_LIMIT)
}

/// Bytes as text for people, at most `limit` characters, the last one `…` where something was cut.
///
/// Invalid UTF-8 and ASCII controls become `\x1b`, other controls, marks that turn the writing
/// direction, invisible characters and line separators `\u{202e}`. A backslash stays as it is
/// (systemd's names are full of them), so an escape can be imitated by a name that spells one,
/// which does no harm. What was made printable stays as it is when made so again.
#[must_use]
pub fn printable_up_to(bytes: &[u8], limit: usize) -> String {
    let mut text = Limited::new(limit);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            let fits = match character {
                '\0'..='\x1f' | '\x7f' => text.push_byte(character as u8),
                _ if is_deceptive(character) => text.push_escape(character),
                _ => text.push(character),
            };
            if !fits {
                return text.cut();
            }
        }
        if !chunk.invalid().iter().all(|byte| text.push_byte(*byte)) {
            return text.cut();
        }
    }
    text.out
}

/// Characters that are not seen, or that change how others are seen (Unicode's `Bidi_Control`,
/// `Cc`, zero-width ones, separators, tags).
const fn is_deceptive(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text that stops growing at a number of characters.
struct Limited {
    out: String,
    characters: usize,
    limit: usize,
    /// Length in bytes at the last whole piece that leaves room for `…`.
    roomy: usize,
}

impl Limited {
    const fn new(limit: usize) -> Self {
        Self {
            out: String::new(),
            characters: 0,
            limit,
            roomy: 0,
        }
    }

    /// False where the piece does not fit.
    fn push(&mut self, character: char) -> bool {
        self.room_for(1) && {
            self.out.push(character);
            self.note()
        }
    }

    fn push_byte(&mut self, byte: u8) -> bool {
        // Writing to a String cannot fail.
        self.room_for(4) && write!(self.out, "\\x{byte:02x}").is_ok() && self.note()
    }

    fn push_escape(&mut self, character: char) -> bool {
        let escape = character.escape_unicode();
        self.room_for(escape.len()) && write!(self.out, "{escape}").is_ok() && self.note()
    }

    fn room_for(&mut self, characters: usize) -> bool {
        self.characters = self.characters.saturating_add(characters);
        self.characters <= self.limit
    }

    const fn note(&mut self) -> bool {
        if self.characters < self.limit {
            self.roomy = self.out.len();
        }
        true
    }

    fn cut(mut self) -> String {
        self.out.truncate(self.roomy);
        if self.limit > 0 {
            self.out.push('…');
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_cannot_forge_terminal_output() {
        let name = b"ok\x1b]0;owned\x07\r\n\x9b31m\xff\0";
        assert_eq!(
            printable(name),
            "ok\\x1b]0;owned\\x07\\x0d\\x0a\\x9b31m\\xff\\x00"
        );
        assert_eq!(
            printable("a\u{202e}b\u{85}c\u{200b}".as_bytes()),
            "a\\u{202e}b\\u{85}c\\u{200b}"
        );
    }

    #[test]
    fn letters_of_every_language_stay() {
        for text in [
            "nginx: worker process",
            "überläufer",
            "サーバー",
            "ポート",
            "שרת",
            "a\\x2db",
        ] {
            assert_eq!(printable(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_long_name_ends_with_a_sign_that_it_was_cut() {
        assert_eq!(printable_up_to(b"abcdef", 6), "abcdef");
        assert_eq!(printable_up_to(b"abcdefg", 6), "abcde…");
        assert_eq!(printable_up_to(b"abcd\x1bg", 6), "abcd…");
        assert_eq!(printable_up_to(b"ab\x1b", 6), "ab\\x1b");
        assert_eq!(printable_up_to(b"ab\x1bx", 6), "ab…");
        assert_eq!(printable_up_to(b"a", 0), "");
    }

    proptest! {
        #[test]
        fn what_is_printable_stays(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0_usize..90) {
            let once = printable_up_to(&bytes, limit);
            prop_assert!(once.chars().count() <= limit);
            prop_assert!(!once.chars().any(char::is_control));
            prop_assert_eq!(&printable_up_to(once.as_bytes(), limit), &once);
        }

        #[test]
        fn no_text_keeps_a_deceptive_character(text in any::<String>()) {
            prop_assert!(!printable(text.as_bytes()).chars().any(is_deceptive));
        }
    }
}
