//! A line as it was before it was pasted: without the escapes of a terminal, marks of quotation,
//! and blanks that are no ASCII.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::super::lines::BYTE_ORDER_MARK;
use super::super::words::Words;

/// Without the escapes of a terminal, marks of quotation, and blanks that are no ASCII.
pub(super) fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let line = unquoted(line);
    let special = |byte: &u8| matches!(byte, 0x1b | 0xc2 | 0xe3);
    if !line.iter().any(special) {
        return Cow::Borrowed(line);
    }
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, tail)) = rest.split_first() {
        rest = match (byte, tail) {
            (0x1b, [b'[', tail @ ..]) => {
                let end = tail.iter().position(u8::is_ascii_alphabetic);
                end.and_then(|end| tail.get(end + 1..)).unwrap_or_default()
            }
            // A link: up to the bell, or the string's end.
            (0x1b, [b']', tail @ ..]) => {
                let end = tail.iter().position(|byte| matches!(byte, 0x07 | b'\\'));
                end.and_then(|end| tail.get(end + 1..)).unwrap_or_default()
            }
            // No-break space, and the ideographic one.
            (0xc2, [0xa0, tail @ ..]) | (0xe3, [0x80, 0x80, tail @ ..]) => {
                out.push(b' ');
                tail
            }
            _ => {
                out.push(*byte);
                tail
            }
        };
    }
    Cow::Owned(out)
}

/// `> ` of mails, and back quotes, asterisks and bars around a row.
fn unquoted(line: &[u8]) -> &[u8] {
    let mut rest = line;
    loop {
        let trimmed = rest.trim_ascii_start();
        rest = match trimmed {
            [b'>' | b'|' | b'`', tail @ ..] => tail,
            [b'*' | b'-' | b'+', b' ', tail @ ..] if begins_row(tail) => tail,
            _ => break,
        };
    }
    match rest.trim_ascii_end() {
        [head @ .., b'`' | b'|'] if rest.len() < line.len() => head,
        _ => rest,
    }
}

fn begins_row(tail: &[u8]) -> bool {
    let tail = tail.trim_ascii_start();
    let tail = tail.strip_prefix(b"`").unwrap_or(tail);
    [
        &b"TCP"[..],
        b"UDP",
        b"tcp",
        b"udp",
        b"ESTAB",
        b"TIME-WAIT",
        b"LISTEN",
    ]
    .iter()
    .any(|word| tail.starts_with(word))
}

/// `netstat -b`, alone or among other letters.
pub(super) fn asks_for_owners(text: &[u8]) -> bool {
    let words = Words::of(text);
    let named = words.all().iter().any(|word| word.ends_with(b"netstat"));
    named
        && words
            .all()
            .iter()
            .any(|word| word.first() == Some(&b'-') && word.contains(&b'b'))
}
