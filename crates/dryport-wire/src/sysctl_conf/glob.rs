//! glob(7) on names with slashes. The time is bounded by the product of the lengths: of several
//! stars only the last one is tried again, since an earlier one can gain nothing by taking more.

use alloc::vec::Vec;

enum Token {
    One(char),
    AnyOne,
    Any,
    Set { items: Vec<Item>, is_negated: bool },
}

enum Item {
    Range(char, char),
    Class(fn(&char) -> bool),
}

/// Whether the pattern stands for the name. Separators match separators only.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = name.split('/');
    for part in pattern.split('/') {
        let is_same = parts.next().is_some_and(|name| {
            let name: Vec<char> = name.chars().collect();
            matches_part(&tokens(part), &name)
        });
        if !is_same {
            return false;
        }
    }
    parts.next().is_none()
}

fn matches_part(tokens: &[Token], name: &[char]) -> bool {
    let (mut token, mut at) = (0, 0);
    // The token behind the last star, and how far that star reaches.
    let mut star = None;
    while at < name.len() || token < tokens.len() {
        match tokens.get(token) {
            Some(Token::Any) => {
                token += 1;
                star = Some((token, at));
            }
            Some(one) if at < name.len() && one.takes(name[at]) => {
                token += 1;
                at += 1;
            }
            _ => match star {
                Some((behind, reach)) if reach < name.len() => {
                    star = Some((behind, reach + 1));
                    (token, at) = (behind, reach + 1);
                }
                _ => return false,
            },
        }
    }
    true
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::One(one) => *one == character,
            Self::AnyOne | Self::Any => true,
            Self::Set { items, is_negated } => {
                items.iter().any(|item| item.takes(character)) != *is_negated
            }
        }
    }
}

impl Item {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Range(low, high) => (*low..=*high).contains(&character),
            Self::Class(holds) => holds(&character),
        }
    }
}

fn tokens(part: &str) -> Vec<Token> {
    let part: Vec<char> = part.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    // Once a bracket has no end, no later one has: looking each time would be quadratic.
    let mut may_end = true;
    while let Some(character) = part.get(at) {
        at += 1;
        tokens.push(match character {
            '*' => Token::Any,
            '?' => Token::AnyOne,
            '\\' if at < part.len() => {
                at += 1;
                Token::One(part[at - 1])
            }
            '[' if may_end => match set(&part[at..]) {
                Some((set, length)) => {
                    at += length;
                    set
                }
                None => {
                    may_end = false;
                    Token::One('[')
                }
            },
            other => Token::One(*other),
        });
    }
    tokens
}

/// The set behind a `[`, and its length with the `]`. `None`: it has no end, and the bracket is a
/// character like others.
fn set(rest: &[char]) -> Option<(Token, usize)> {
    let is_negated = matches!(rest.first(), Some('!' | '^'));
    let mut at = usize::from(is_negated);
    let first = at;
    let mut items = Vec::new();
    loop {
        match *rest.get(at)? {
            ']' if at > first => return Some((Token::Set { items, is_negated }, at + 1)),
            '[' if rest.get(at + 1) == Some(&':') && class(&rest[at..]).is_some() => {
                let (item, length) = class(&rest[at..])?;
                items.push(item);
                at += length;
            }
            _ => {
                let (item, length) = range(&rest[at..])?;
                items.push(item);
                at += length;
            }
        }
    }
}

/// A character or `a-z`, and its length. A `-` before the end of the set is a character.
fn range(rest: &[char]) -> Option<(Item, usize)> {
    let (low, length) = character(rest)?;
    let behind = &rest[length..];
    if behind.first() == Some(&'-') && behind.get(1).is_some_and(|next| *next != ']') {
        let (high, more) = character(&behind[1..])?;
        return Some((Item::Range(low, high), length + 1 + more));
    }
    Some((Item::Range(low, low), length))
}

fn character(rest: &[char]) -> Option<(char, usize)> {
    match (rest.first()?, rest.get(1)) {
        ('\\', Some(escaped)) => Some((*escaped, 2)),
        (plain, _) => Some((*plain, 1)),
    }
}

/// `[:digit:]` and its like, and the length.
fn class(rest: &[char]) -> Option<(Item, usize)> {
    type Class = (&'static str, fn(&char) -> bool);
    const CLASSES: [Class; 11] = [
        ("alnum", char::is_ascii_alphanumeric),
        ("alpha", char::is_ascii_alphabetic),
        ("blank", |c| matches!(c, ' ' | '\t')),
        ("cntrl", char::is_ascii_control),
        ("digit", char::is_ascii_digit),
        ("graph", char::is_ascii_graphic),
        ("lower", char::is_ascii_lowercase),
        ("punct", char::is_ascii_punctuation),
        ("space", char::is_ascii_whitespace),
        ("upper", char::is_ascii_uppercase),
        ("xdigit", char::is_ascii_hexdigit),
    ];
    CLASSES.iter().find_map(|(name, holds)| {
        let written = "[:".chars().chain(name.chars()).chain(":]".chars());
        let length = name.len() + 4;
        let is_it = rest.len() >= length && written.zip(rest).all(|(a, b)| a == *b);
        is_it.then_some((Item::Class(*holds), length))
    })
}
