//! From bytes of whatever encoding to bytes whose ASCII can be trusted.
//!
//! Every number, address and protocol word is ASCII. So UTF-16 is turned into UTF-8, a byte order
//! mark is dropped, and everything else stays as it is: a byte above 0x7F of some code page is
//! opaque.

use alloc::vec::Vec;

/// How a text is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// ASCII, UTF-8, or a code page that holds ASCII.
    #[default]
    Bytes,
    /// UTF-16, the low byte first: what Windows PowerShell writes.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

/// Why an input is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotText {
    /// Compressed: the program that wrote it.
    Compressed(&'static str),
    /// A picture.
    Picture,
    /// A document whose text is inside: `PDF`, `Word or Excel`, …
    Document(&'static str),
    /// A capture of packets.
    Packets,
    /// Something else with bytes that no text has.
    Binary,
}

/// Bytes that are looked at to tell the encoding.
pub(super) const SNIFF: usize = 4096;

/// Tells the encoding from the first bytes, and how many of them are a byte order mark.
pub(super) fn sniff(head: &[u8]) -> Result<(Encoding, usize), NotText> {
    match head {
        [0xff, 0xfe, ..] => return Ok((Encoding::Utf16Le, 2)),
        [0xfe, 0xff, ..] => return Ok((Encoding::Utf16Be, 2)),
        [0xef, 0xbb, 0xbf, ..] => return Ok((Encoding::Bytes, 3)),
        _ => {}
    }
    if let Some(kind) = known_binary(head) {
        return Err(kind);
    }
    let nul = |odd: usize| {
        head.iter()
            .skip(odd)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (even, odd) = (nul(0), nul(1));
    let pairs = head.len() / 2;
    if pairs >= 4 && odd * 4 >= pairs * 3 && even * 4 < pairs {
        return Ok((Encoding::Utf16Le, 0));
    }
    if pairs >= 4 && even * 4 >= pairs * 3 && odd * 4 < pairs {
        return Ok((Encoding::Utf16Be, 0));
    }
    // A few stray bytes are a damaged text; many are none.
    let strange = |byte: &&u8| **byte < 0x09 || (0x0e..0x20).contains(*byte) && **byte != 0x1b;
    match head.iter().filter(strange).count() {
        n if n > 8 && n * 20 > head.len() => Err(NotText::Binary),
        _ => Ok((Encoding::Bytes, 0)),
    }
}

fn known_binary(head: &[u8]) -> Option<NotText> {
    const MAGIC: [(&[u8], NotText); 14] = [
        (b"\x1f\x8b", NotText::Compressed("gunzip")),
        (b"\x28\xb5\x2f\xfd", NotText::Compressed("unzstd")),
        (b"BZh", NotText::Compressed("bunzip2")),
        (b"\xfd7zXZ\0", NotText::Compressed("unxz")),
        (b"PK\x03\x04", NotText::Compressed("unzip")),
        (b"\x89PNG", NotText::Picture),
        (b"\xff\xd8\xff", NotText::Picture),
        (b"GIF8", NotText::Picture),
        (b"%PDF-", NotText::Document("PDF")),
        (b"\xd0\xcf\x11\xe0", NotText::Document("Word or Excel")),
        (b"ElfFile\0", NotText::Document("Windows event log (.evtx)")),
        (b"\xd4\xc3\xb2\xa1", NotText::Packets),
        (b"\x0a\x0d\x0d\x0a", NotText::Packets),
        (b"\x7fELF", NotText::Binary),
    ];
    let known = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    known.map(|(_, kind)| *kind)
}

/// Turns UTF-16 into UTF-8, in pieces of any length.
#[derive(Clone, Debug, Default)]
pub(super) struct Utf16 {
    big_endian: bool,
    /// Half of a unit, at the end of the last piece.
    half: Option<u8>,
    /// The first unit of a pair.
    high: Option<u16>,
}

impl Utf16 {
    pub(super) const fn new(big_endian: bool) -> Self {
        Self {
            big_endian,
            half: None,
            high: None,
        }
    }

    /// Appends a piece.
    pub(super) fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            let Some(first) = self.half.take() else {
                self.half = Some(*byte);
                continue;
            };
            let unit = match self.big_endian {
                true => u16::from_be_bytes([first, *byte]),
                false => u16::from_le_bytes([first, *byte]),
            };
            self.unit(unit, out);
        }
    }

    /// Half a unit at the end of the input is no character.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if self.half.take().is_some() || self.high.take().is_some() {
            let replacement = char::REPLACEMENT_CHARACTER;
            out.extend_from_slice(replacement.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        let units = match self.high.take() {
            Some(high) => [high, unit],
            None if (0xd800..0xdc00).contains(&unit) => {
                self.high = Some(unit);
                return;
            }
            None => [0, unit],
        };
        let used = if units.first() == Some(&0) { 1 } else { 0 };
        for decoded in char::decode_utf16(units.into_iter().skip(used)) {
            let character = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::string::String;

    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let bytes = |unit: u16| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn utf16_is_read_in_pieces_of_any_length(text in "\\PC{0,60}", cut in 0_usize..130, big: bool) {
            let bytes = utf16(&text, big);
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut out = Vec::new();
            let mut decoder = Utf16::new(big);
            decoder.decode(head, &mut out);
            decoder.decode(tail, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_sniffed(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = sniff(&bytes);
        }
    }

    #[test]
    fn utf16_without_a_mark_is_known_by_its_zeros() {
        let text = "Active Connections\r\n";
        assert_eq!(sniff(&utf16(text, false)), Ok((Encoding::Utf16Le, 0)));
        assert_eq!(sniff(&utf16(text, true)), Ok((Encoding::Utf16Be, 0)));
        assert_eq!(sniff(text.as_bytes()), Ok((Encoding::Bytes, 0)));
    }

    #[test]
    fn a_file_that_is_no_text_is_named() {
        assert_eq!(
            sniff(b"\x1f\x8b\x08abc"),
            Err(NotText::Compressed("gunzip"))
        );
        assert_eq!(sniff(b"\x89PNG\r\n"), Err(NotText::Picture));
        assert_eq!(
            sniff(&[1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 14, 15, 16]),
            Err(NotText::Binary)
        );
        assert_eq!(
            sniff(b"one \x01 stray byte in a line of text"),
            Ok((Encoding::Bytes, 0))
        );
    }
}
