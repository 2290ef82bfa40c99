//! The words of one line of a scenario, read from left to right.

use std::str::{FromStr, SplitWhitespace};

/// A word that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadWord {
    pub word: String,
    pub problem: String,
}

impl BadWord {
    pub fn new(word: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            word: word.into(),
            problem: problem.into(),
        }
    }
}

/// What is left of a line.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a> {
    rest: std::iter::Peekable<SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    pub fn new(line: &'a str) -> Self {
        Self {
            rest: line.split_whitespace().peekable(),
        }
    }

    pub fn next(&mut self) -> Option<&'a str> {
        self.rest.next()
    }

    pub fn peek(&mut self) -> Option<&'a str> {
        self.rest.peek().copied()
    }

    /// Takes the next word if it is this one.
    pub fn take(&mut self, word: &str) -> bool {
        self.rest.next_if(|next| *next == word).is_some()
    }

    /// Takes the next word if it can be read as a `T`.
    pub fn take_parsed<T: FromStr>(&mut self) -> Option<T> {
        let value = self.peek()?.parse().ok()?;
        self.rest.next();
        Some(value)
    }

    /// The next word, which must be there.
    pub fn expect(&mut self, what: &str) -> Result<&'a str, BadWord> {
        self.next()
            .ok_or_else(|| BadWord::new("", format!("the line ends where {what} belongs")))
    }

    /// The next word as a `T`.
    pub fn parsed<T: FromStr>(&mut self, what: &str) -> Result<T, BadWord> {
        let word = self.expect(what)?;
        word.parse()
            .map_err(|_| BadWord::new(word, format!("is not {what}")))
    }

    /// Nothing may be left.
    pub fn end(&mut self) -> Result<(), BadWord> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(BadWord::new(word, "is one word too many")),
        }
    }
}

/// Two numbers around a dash: `20000-20007`.
pub(crate) fn pair_of_ports(word: &str) -> Result<(u16, u16), BadWord> {
    word.split_once('-')
        .and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)))
        .ok_or_else(|| BadWord::new(word, "is not a range of ports such as 20000-20007"))
}

/// An address and a prefix length: `10.9.9.9/32`.
pub(crate) fn address_and_prefix(word: &str) -> Result<(std::net::IpAddr, u8), BadWord> {
    word.split_once('/')
        .and_then(|(address, prefix)| Some((address.parse().ok()?, prefix.parse().ok()?)))
        .ok_or_else(|| BadWord::new(word, "is not an address such as 10.9.9.9/32"))
}
