//! Fitting text into columns.

use unicode_width::UnicodeWidthStr;

use super::{Screen, paint::Tone};

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// At most `most` columns of a text; what was cut shows as `…`.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_string();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if width(&kept) >= most {
            kept.pop();
            break;
        }
    }
    kept + "…"
}

/// Filled with blanks on the right.
pub(super) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", blanks(columns.saturating_sub(width(text))))
}

/// Filled with blanks on the left.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", blanks(columns.saturating_sub(width(text))))
}

/// That many blanks.
pub(super) fn blanks(columns: usize) -> String {
    " ".repeat(columns)
}

/// Lines of at most `columns`; a longer word stands alone on its line, whole. A no-break space
/// (U+00A0) holds words together and is written as a plain one.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let fits = lines
            .last()
            .is_some_and(|line| line.is_empty() || width(line) + 1 + width(word) <= columns);
        if !fits {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
        .into_iter()
        .map(|line| line.replace('\u{a0}', " "))
        .collect()
}

/// A text that grows by lines.
pub(super) struct Lines {
    pub(super) screen: Screen,
    text: String,
}

impl Lines {
    pub(super) fn new(screen: Screen) -> Self {
        Self {
            screen,
            text: String::new(),
        }
    }

    /// One line as it is.
    pub(super) fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// An empty line, unless there is one or nothing to part.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A wrapped text behind a head; the head stands in the first line, its width is kept free in
    /// the others. `painted` is the head with its colours.
    pub(super) fn hang(&mut self, head: &str, painted: &str, text: &str, tone: Option<Tone>) {
        let indent = width(head);
        let columns = self.screen.columns().saturating_sub(indent).max(20);
        for (index, line) in wrap(text, columns).iter().enumerate() {
            let line = match tone {
                Some(tone) => self.screen.paint(tone, line),
                None => line.clone(),
            };
            if index == 0 {
                self.line(&format!("{painted}{line}"));
            } else {
                self.line(&format!("{}{line}", blanks(indent)));
            }
        }
    }

    /// A list behind a head; it may be broken where a zero-width space (U+200B) stands.
    pub(super) fn list(&mut self, head: &str, painted: &str, text: &str) {
        let indent = width(head);
        let columns = self.screen.columns().saturating_sub(indent).max(20);
        let mut rows = vec![String::new()];
        for item in text.split('\u{200b}') {
            let fits = rows
                .last()
                .is_some_and(|row| row.is_empty() || width(row) + width(item) <= columns);
            if !fits {
                rows.push(String::new());
            }
            if let Some(row) = rows.last_mut() {
                row.push_str(item);
            }
        }
        for (index, row) in rows.iter().enumerate() {
            if index == 0 {
                self.line(&format!("{painted}{row}"));
            } else {
                self.line(&format!("{}{row}", blanks(indent)));
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_never_broken() {
        assert_eq!(
            wrap("one two incomprehensibly three", 8),
            ["one two", "incomprehensibly", "three"]
        );
    }

    #[test]
    fn a_cut_text_fits_and_shows_it() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(width(&cut("漢字漢字漢字", 6)), 5);
    }
}
