//! The small part of C in which `record.h` is written: numbers by name, and structs of fixed-width
//! members without padding. Whatever is none of these is an error, told with its line.

mod tokens;

use tokens::{Spanned, Token, tokens};

/// What the header says, in its order.
pub type Header = Vec<Item>;

#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A comment above a group of numbers.
    Heading(Comment),
    Constant(Constant),
    Record(Record),
}

/// Its lines, without the stars.
pub type Comment = Vec<String>;

#[derive(Debug, PartialEq, Eq)]
pub struct Constant {
    pub comment: Comment,
    pub name: String,
    /// In Rust.
    pub integer: &'static str,
    /// As written.
    pub value: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    pub comment: Comment,
    pub name: String,
    pub members: Vec<Member>,
    pub size: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    pub comment: Comment,
    pub name: String,
    /// In Rust.
    pub integer: &'static str,
    pub length: Option<u16>,
}

/// The first thing that was not understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// From 1.
    pub line: usize,
    pub what: String,
}

/// C, Rust, and bytes.
const INTEGERS: [(&str, &str, u64); 8] = [
    ("__u8", "u8", 1),
    ("__s8", "i8", 1),
    ("__u16", "u16", 2),
    ("__s16", "i16", 2),
    ("__u32", "u32", 4),
    ("__s32", "i32", 4),
    ("__u64", "u64", 8),
    ("__s64", "i64", 8),
];

/// A number has no type in C. What the names begin with, the type in Rust, and its highest value.
const GROUPS: [(&str, &str, u64); 1] = [("SOCKET_", "u8", u8::MAX as u64)];

/// What no struct and no member may be called.
#[rustfmt::skip]
const RUST_WORDS: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Keeps every name inside a line of Rust.
const LONGEST_NAME: usize = 40;

pub fn parse(text: &str) -> Result<Header, Trouble> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens, at: 0 };
    reader.header()
}

struct Reader<'a> {
    tokens: Vec<Spanned<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn header(&mut self) -> Result<Header, Trouble> {
        // In front of the guard they speak of the file.
        while self.comment().is_some() {}
        self.guard()?;
        let mut items = Header::new();
        loop {
            let above = self.above()?;
            match self.peek() {
                Some(Token::Sign('#')) if self.tells("endif") => {
                    belongs_to_nothing(above)?;
                    break;
                }
                Some(Token::Sign('#')) => {
                    items.extend(above.map(|above| Item::Heading(above.comment)));
                    items.push(Item::Constant(self.constant()?));
                }
                Some(Token::Word("struct")) => items.push(Item::Record(self.record(above)?)),
                _ => return Err(self.unexpected("#define, struct or #endif")),
            }
        }
        self.directive("endif")?;
        while self.comment().is_some() {}
        match self.peek() {
            None => Ok(items),
            Some(_) => Err(self.unexpected("the end of the file")),
        }
    }

    fn guard(&mut self) -> Result<(), Trouble> {
        let line = self.directive("ifndef")?;
        let (guard, _) = self.word_on(line, "the name of a guard")?;
        self.line_ends(line)?;
        let line = self.directive("define")?;
        self.keyword_on(line, guard)?;
        self.line_ends(line)
    }

    fn constant(&mut self) -> Result<Constant, Trouble> {
        let line = self.directive("define")?;
        let (name, _) = self.word_on(line, "a name")?;
        check_name(name, line, u8::is_ascii_uppercase)?;
        let group = GROUPS.iter().find(|(start, ..)| name.starts_with(start));
        let Some((_, integer, highest)) = group else {
            let what = format!("which type has {name}? GROUPS in xtask's bpf/header.rs tells");
            return Err(trouble(line, what));
        };
        let (value, _) = self.word_on(line, "a number")?;
        if number(value).ok_or_else(|| not_a_number(value, line))? > *highest {
            return Err(trouble(
                line,
                format!("{value} is more than {integer} holds"),
            ));
        }
        let last = self.tokens.get(self.at).map_or(line, |token| token.last);
        let comment = self.beside(line).ok_or_else(|| uncommented(name, line))?;
        self.line_ends(last)?;
        Ok(Constant {
            comment,
            name: name.to_owned(),
            integer,
            value: value.to_owned(),
        })
    }

    fn record(&mut self, above: Option<Above>) -> Result<Record, Trouble> {
        self.keyword("struct")?;
        let (name, line) = self.word("the name of a struct")?;
        check_name(name, line, u8::is_ascii_lowercase)?;
        let above = above.ok_or_else(|| uncommented(name, line))?;
        self.sign('{')?;
        let mut members = Vec::new();
        let mut layout = Layout::default();
        let end = loop {
            let above = self.above()?;
            if let Some(Token::Sign('}')) = self.peek() {
                belongs_to_nothing(above)?;
                break self.sign('}')?;
            }
            members.push(self.member(above, &mut layout)?);
        };
        self.sign(';')?;
        Ok(Record {
            comment: above.comment,
            name: name.to_owned(),
            members,
            size: layout.end(name, end)?,
        })
    }

    fn member(&mut self, above: Option<Above>, layout: &mut Layout) -> Result<Member, Trouble> {
        let (kind, line) = self.word("a member's type")?;
        let integer = INTEGERS.iter().find(|(c, ..)| *c == kind);
        let Some((_, integer, bytes)) = integer else {
            let what = format!("{kind} is no integer of a fixed width (__u8 to __s64)");
            return Err(trouble(line, what));
        };
        let (name, line) = self.word("a member's name")?;
        check_name(name, line, u8::is_ascii_lowercase)?;
        let length = self.length()?;
        layout.add(name, line, *bytes, u64::from(length.unwrap_or(1)))?;
        let end = self.sign(';')?;
        let comment = match (above, self.beside(end)) {
            (Some(above), None) => above.comment,
            (None, Some(beside)) => beside,
            (None, None) => return Err(uncommented(name, line)),
            (Some(_), Some(_)) => {
                return Err(trouble(line, format!("{name} has two comments")));
            }
        };
        Ok(Member {
            comment,
            name: name.to_owned(),
            integer,
            length,
        })
    }

    fn length(&mut self) -> Result<Option<u16>, Trouble> {
        let Some(Token::Sign('[')) = self.peek() else {
            return Ok(None);
        };
        self.sign('[')?;
        let (text, line) = self.word("a number")?;
        let length = number(text).ok_or_else(|| not_a_number(text, line))?;
        let length = u16::try_from(length).ok().filter(|length| *length > 0);
        self.sign(']')?;
        length.map(Some).ok_or_else(|| {
            let what = format!("an array of {text}: 1 to 65535 are possible");
            trouble(line, what)
        })
    }

    /// A comment that is the first thing on its line.
    fn above(&mut self) -> Result<Option<Above>, Trouble> {
        let Some(next @ Spanned { line, .. }) = self.tokens.get(self.at) else {
            return Ok(None);
        };
        let before = self.at.checked_sub(1).map(|at| self.tokens[at].last);
        if next.is_comment() && before == Some(*line) {
            return Err(nothing(*line));
        }
        let line = *line;
        Ok(self.comment().map(|comment| Above { comment, line }))
    }

    /// A comment that begins on the line of the item that it follows.
    fn beside(&mut self, line: usize) -> Option<Comment> {
        let next = self.tokens.get(self.at)?;
        (next.line == line).then(|| self.comment()).flatten()
    }

    fn comment(&mut self) -> Option<Comment> {
        let Some(Token::Comment(comment)) = self.peek() else {
            return None;
        };
        let comment = comment.clone();
        self.at += 1;
        Some(comment)
    }

    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    /// Is the word after the next token this one?
    fn tells(&self, word: &str) -> bool {
        let next = self.tokens.get(self.at + 1);
        next.is_some_and(|next| next.token == Token::Word(word))
    }

    /// `#` and a word; its line.
    fn directive(&mut self, name: &str) -> Result<usize, Trouble> {
        let line = self.sign('#')?;
        self.keyword_on(line, name)?;
        Ok(line)
    }

    fn sign(&mut self, sign: char) -> Result<usize, Trouble> {
        match self.tokens.get(self.at) {
            Some(next) if next.token == Token::Sign(sign) => {
                self.at += 1;
                Ok(next.line)
            }
            _ => Err(self.unexpected(&sign.to_string())),
        }
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), Trouble> {
        match self.peek() {
            Some(Token::Word(word)) if *word == keyword => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.unexpected(keyword)),
        }
    }

    fn word(&mut self, what: &str) -> Result<(&'a str, usize), Trouble> {
        match self.tokens.get(self.at) {
            Some(Spanned {
                token: Token::Word(word),
                line,
                ..
            }) => {
                self.at += 1;
                Ok((word, *line))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn keyword_on(&mut self, line: usize, keyword: &str) -> Result<(), Trouble> {
        self.line_goes_on(line, keyword)?;
        self.keyword(keyword)
    }

    fn word_on(&mut self, line: usize, what: &str) -> Result<(&'a str, usize), Trouble> {
        self.line_goes_on(line, what)?;
        self.word(what)
    }

    /// A line of the preprocessor has an end, unlike the rest of C.
    fn line_goes_on(&self, line: usize, what: &str) -> Result<(), Trouble> {
        match self.tokens.get(self.at) {
            Some(next) if next.line == line => Ok(()),
            _ => Err(trouble(
                line,
                format!("the line ends where {what} should be"),
            )),
        }
    }

    fn line_ends(&self, line: usize) -> Result<(), Trouble> {
        match self.tokens.get(self.at) {
            Some(next) if next.line == line => Err(self.unexpected("the end of the line")),
            _ => Ok(()),
        }
    }

    fn unexpected(&self, wanted: &str) -> Trouble {
        match self.tokens.get(self.at) {
            Some(Spanned { token, line, .. }) => {
                trouble(*line, format!("{token} where {wanted} should be"))
            }
            None => {
                let line = self.tokens.last().map_or(1, |token| token.last);
                trouble(line, format!("the file ends where {wanted} should be"))
            }
        }
    }
}

struct Above {
    comment: Comment,
    line: usize,
}

/// Where the next member comes to stand. A hole would be bytes that nobody wrote; without holes a
/// struct has one layout wherever it is compiled, also where a `u64` is aligned to 4.
#[derive(Default)]
struct Layout {
    size: u64,
    alignment: u64,
}

impl Layout {
    fn add(&mut self, name: &str, line: usize, bytes: u64, count: u64) -> Result<(), Trouble> {
        let over = self.size % bytes;
        if over != 0 {
            let hole = bytes - over;
            let what = format!("a hole of {hole} bytes in front of {name}: fill it with members");
            return Err(trouble(line, what));
        }
        self.size += bytes * count;
        self.alignment = self.alignment.max(bytes);
        Ok(())
    }

    fn end(&self, name: &str, line: usize) -> Result<u64, Trouble> {
        if self.size == 0 {
            return Err(trouble(line, format!("{name} has no member")));
        }
        let over = self.size % self.alignment;
        if over != 0 {
            let hole = self.alignment - over;
            let what = format!("a hole of {hole} bytes at the end of {name}: fill it with members");
            return Err(trouble(line, what));
        }
        Ok(self.size)
    }
}

/// Numbers have names in capitals, all others in small letters, as in the kernel.
fn check_name(name: &str, line: usize, letter: fn(&u8) -> bool) -> Result<(), Trouble> {
    let good = |byte: &u8| letter(byte) || byte.is_ascii_digit() || *byte == b'_';
    let what = if name.len() > LONGEST_NAME {
        format!("{name} is longer than {LONGEST_NAME} letters")
    } else if RUST_WORDS.contains(&name) {
        format!("{name} is a word of Rust")
    } else if !name.as_bytes().iter().all(good) || !name.as_bytes().first().is_some_and(letter) {
        format!("{name} is no name: NUMBERS_ARE_LARGE, structs_and_members_are_small")
    } else {
        return Ok(());
    };
    Err(trouble(line, what))
}

/// Decimal or `0x`; what begins with another 0 is octal in C alone.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => None,
        None => text.parse().ok(),
    }
}

fn trouble(line: usize, what: String) -> Trouble {
    Trouble { line, what }
}

fn not_a_number(text: &str, line: usize) -> Trouble {
    trouble(line, format!("{text} is no plain number (decimal or 0x)"))
}

fn uncommented(name: &str, line: usize) -> Trouble {
    trouble(
        line,
        format!("{name} has no comment to become its documentation"),
    )
}

fn belongs_to_nothing(above: Option<Above>) -> Result<(), Trouble> {
    above.map_or(Ok(()), |above| Err(nothing(above.line)))
}

fn nothing(line: usize) -> Trouble {
    trouble(line, "this comment belongs to nothing".to_owned())
}
