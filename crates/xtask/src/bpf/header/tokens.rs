//! The words, signs and comments of a header, with their lines.

use std::fmt;

use super::{Comment, Trouble, trouble};

#[derive(Debug, PartialEq, Eq)]
pub enum Token<'a> {
    Comment(Comment),
    /// A name or a number.
    Word(&'a str),
    /// Anything else, a character at a time.
    Sign(char),
}

#[derive(Debug)]
pub struct Spanned<'a> {
    pub token: Token<'a>,
    /// Where it begins, and where it ends.
    pub line: usize,
    pub last: usize,
}

impl Spanned<'_> {
    pub fn is_comment(&self) -> bool {
        matches!(self.token, Token::Comment(_))
    }
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comment(_) => write!(f, "a comment"),
            Self::Word(word) => write!(f, "{word}"),
            Self::Sign(sign) => write!(f, "{sign}"),
        }
    }
}

pub fn tokens(text: &str) -> Result<Vec<Spanned<'_>>, Trouble> {
    plain_ascii(text)?;
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let is_comment = rest.starts_with("/*") || rest.starts_with("//");
        let length = match first {
            '/' if is_comment => comment_length(rest).ok_or_else(|| {
                let what = "a comment is written /* like this */ and has an end";
                trouble(line, what.to_owned())
            })?,
            first if in_word(first) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
            _ => 1,
        };
        let (piece, after) = rest.split_at(length);
        let last = line + piece.matches('\n').count();
        let token = match first {
            ' ' | '\t' | '\n' => None,
            '/' if is_comment => Some(Token::Comment(comment(piece, line)?)),
            first if in_word(first) => Some(Token::Word(piece)),
            sign => Some(Token::Sign(sign)),
        };
        tokens.extend(token.map(|token| Spanned { token, line, last }));
        line = last;
        rest = after;
    }
    Ok(tokens)
}

/// Other characters could stand in comments alone, where some of them upset rustc.
fn plain_ascii(text: &str) -> Result<(), Trouble> {
    let plain = |c: char| c == '\t' || c == ' ' || c.is_ascii_graphic();
    let mut lines = text.split('\n').zip(1..);
    let odd = lines.find_map(|(text, line)| Some((text.chars().find(|c| !plain(*c))?, line)));
    match odd {
        Some((odd, line)) => Err(trouble(
            line,
            format!("{odd:?} is no plain ASCII character"),
        )),
        None => Ok(()),
    }
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn comment_length(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix("/*")?;
    Some(inside.find("*/")? + "/**/".len())
}

fn comment(piece: &str, line: usize) -> Result<Comment, Trouble> {
    let inside = piece[2..piece.len() - 2].trim_matches('*');
    let (first, others) = inside.split_once('\n').unwrap_or((inside, ""));
    let mut lines = vec![first.trim().replace('\t', " ")];
    lines.extend(others.lines().map(comment_line));
    let is_text = |line: &String| !line.is_empty();
    let (Some(first), Some(last)) = (
        lines.iter().position(is_text),
        lines.iter().rposition(is_text),
    ) else {
        return Err(trouble(line, "this comment is empty".to_owned()));
    };
    Ok(lines[first..=last].to_vec())
}

/// Without the star, but with what a list is indented by.
fn comment_line(line: &str) -> String {
    let line = line.trim();
    let line = line.strip_prefix('*').unwrap_or(line);
    let line = line.strip_prefix([' ', '\t']).unwrap_or(line);
    line.trim_end().replace('\t', " ")
}
