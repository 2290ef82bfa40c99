//! Raw BTF, the kernel's description of its own types: is there a name, has a struct a member.
//!
//! Just enough to detect kernel rules without loading a program; what a loader needs of it is cut
//! out in `cut`. Format: `Documentation/bpf/btf.rst`; either byte order. Every offset is checked;
//! nothing is allocated here but a list of anonymous members.

mod cut;

use alloc::vec::Vec;

use memchr::memmem;

pub use self::cut::{Cut, Wanted, cut, cut_without};
use crate::WireError;

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// `struct btf_type`: name, kind and count, size or type.
const TYPE: usize = 12;
/// `struct btf_member`: name, type, offset.
const MEMBER: usize = 12;
const KIND_STRUCT: u8 = 4;
const KIND_UNION: u8 = 5;
/// Anonymous structs and unions inside one another; the kernel's own go three deep.
const MOST_NESTING: usize = 8;

/// Whether a whole name stands in the string section: of a type, member, function, or constant.
/// False for what is not BTF.
#[must_use]
pub fn contains_name(btf: &[u8], name: &str) -> bool {
    let Ok(sections) = Sections::of(btf) else {
        return false;
    };
    if name.is_empty() || name.contains('\0') {
        return false;
    }
    // Names are not merged at their ends (`btf__dedup`), so that one starts behind a NUL.
    memmem::find_iter(sections.strings, name.as_bytes()).any(|at| {
        let before = at
            .checked_sub(1)
            .and_then(|before| sections.strings.get(before));
        before == Some(&0) && sections.strings.get(at + name.len()) == Some(&0)
    })
}

/// Whether a struct (or union) of that name has a member of that name, members of anonymous
/// structs inside it included. `Ok(None)`: there is no such struct. Of several structs with the
/// name, one with the member is enough.
///
/// # Errors
/// The bytes are not BTF, or hold a type whose length is not known.
pub fn struct_has_member(
    btf: &[u8],
    struct_name: &str,
    member: &str,
) -> Result<Option<bool>, WireError> {
    let sections = Sections::of(btf)?;
    let mut anonymous = Vec::new();
    let (mut found, mut has) = (false, false);
    sections.each_composite(|_, name, members| {
        if sections.is_named(name, struct_name) {
            found = true;
            has |= sections.find_member(members, member, &mut anonymous);
        }
    })?;
    for _ in 0..MOST_NESTING {
        if has || anonymous.is_empty() {
            break;
        }
        let mut deeper = Vec::new();
        anonymous.sort_unstable();
        sections.each_composite(|id, _, members| {
            if !has && anonymous.binary_search(&id).is_ok() {
                has = sections.find_member(members, member, &mut deeper);
            }
        })?;
        anonymous = deeper;
    }
    Ok(found.then_some(has))
}

/// The two sections behind the header.
struct Sections<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    big_endian: bool,
}

impl<'a> Sections<'a> {
    fn of(btf: &'a [u8]) -> Result<Self, WireError> {
        let have = btf.len();
        let short = WireError::Truncated {
            what: "BTF header",
            offset: 0,
            need: HEADER,
            have,
        };
        let [first, second, version, _, ..] = *btf else {
            return Err(short);
        };
        let big_endian = match u16::from_le_bytes([first, second]) {
            MAGIC => false,
            other if other.swap_bytes() == MAGIC => true,
            other => {
                return Err(WireError::BadBtfHeader {
                    field: "magic",
                    value: other.into(),
                });
            }
        };
        if version != 1 {
            return Err(WireError::BadBtfHeader {
                field: "version",
                value: version.into(),
            });
        }
        let field = |at| u32_at(btf, at, big_endian).ok_or(short);
        let header = field(4)?;
        if (header as usize) < HEADER {
            return Err(WireError::BadBtfHeader {
                field: "hdr_len",
                value: header,
            });
        }
        Ok(Self {
            types: section(btf, "BTF types", header, field(8)?, field(12)?)?,
            strings: section(btf, "BTF strings", header, field(16)?, field(20)?)?,
            big_endian,
        })
    }

    /// Calls `see` with the id, the name's offset and the members of every struct and union.
    fn each_composite(&self, mut see: impl FnMut(u32, u32, &'a [u8])) -> Result<(), WireError> {
        self.each_type(|id, _, of| {
            if matches!(of.kind, KIND_STRUCT | KIND_UNION) {
                see(id, of.name, of.more);
            }
        })
    }

    /// Calls `see` with the id and the offset of every type.
    fn each_type(&self, mut see: impl FnMut(u32, usize, Type<'a>)) -> Result<(), WireError> {
        let mut offset = 0;
        // Type 0 is void and is not written down.
        let mut id: u32 = 1;
        while offset < self.types.len() {
            let found = self.type_at(offset)?;
            see(id, offset, found);
            offset += TYPE + found.more.len();
            id = id.saturating_add(1);
        }
        Ok(())
    }

    /// The type that starts at an offset of the type section.
    #[inline]
    fn type_at(&self, offset: usize) -> Result<Type<'a>, WireError> {
        let rest = self.types.get(offset..).unwrap_or_default();
        let truncated = |need| WireError::Truncated {
            what: "BTF type",
            offset,
            need,
            have: rest.len(),
        };
        let (head, rest) = rest.split_first_chunk::<TYPE>().ok_or(truncated(TYPE))?;
        let word = |at| u32_at(head, at, self.big_endian).unwrap_or_default();
        let what = word(4);
        let (kind, count) = ((what >> 24 & 0x1f) as u8, (what & 0xffff) as usize);
        let more = trailing(kind, count).ok_or(WireError::UnknownBtfKind { offset, kind })?;
        Ok(Type {
            name: word(0),
            kind,
            what,
            size_or_type: word(8),
            more: rest.get(..more).ok_or(truncated(TYPE + more))?,
        })
    }

    /// Whether one of the members has the name; the types of those without one are noted.
    fn find_member(&self, members: &[u8], name: &str, anonymous: &mut Vec<u32>) -> bool {
        for member in members.chunks_exact(MEMBER) {
            match u32_at(member, 0, self.big_endian) {
                Some(0) => anonymous.extend(u32_at(member, 4, self.big_endian)),
                Some(offset) if self.is_named(offset, name) => return true,
                _ => {}
            }
        }
        false
    }

    /// Whether the string at an offset is the name.
    fn is_named(&self, offset: u32, name: &str) -> bool {
        starts_with_name(self.text_at(offset), name)
    }

    /// The strings from an offset on. Offset 0 is "nameless", whatever a damaged file has there.
    #[inline]
    fn text_at(&self, offset: u32) -> &'a [u8] {
        let named = offset != 0;
        let text = self.strings.get(offset as usize..).filter(|_| named);
        text.unwrap_or_default()
    }
}

/// Whether text starts with the name and its NUL. No name is empty.
fn starts_with_name(text: &[u8], name: &str) -> bool {
    let rest = text.strip_prefix(name.as_bytes());
    rest.and_then(|rest| rest.first()) == Some(&0) && !name.is_empty() && !name.contains('\0')
}

/// One `struct btf_type` and what stands behind it.
#[derive(Clone, Copy)]
struct Type<'a> {
    /// Offset of its name; 0 is nameless.
    name: u32,
    kind: u8,
    /// The whole second word: kind, count in the low half, a flag in the highest bit.
    what: u32,
    /// A size or a type's id, by kind.
    size_or_type: u32,
    /// Members, an array's three words and so on, by kind.
    more: &'a [u8],
}

/// A section's bytes; offsets count from the header's end.
fn section<'a>(
    btf: &'a [u8],
    what: &'static str,
    header: u32,
    offset: u32,
    length: u32,
) -> Result<&'a [u8], WireError> {
    let start = (header as usize).saturating_add(offset as usize);
    let need = length as usize;
    btf.get(start..start.saturating_add(need))
        .ok_or(WireError::Truncated {
            what,
            offset: start,
            need,
            have: btf.len().saturating_sub(start),
        })
}

/// Bytes behind `struct btf_type`, by kind (`include/uapi/linux/btf.h`, 6.18).
const fn trailing(kind: u8, count: usize) -> Option<usize> {
    Some(match kind {
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 4,
        // ARRAY
        3 => 12,
        // STRUCT, UNION, DATASEC, ENUM64
        KIND_STRUCT | KIND_UNION | 15 | 19 => count * 12,
        // ENUM, FUNC_PROTO
        6 | 13 => count * 8,
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=12 | 16 | 18 => 0,
        _ => return None,
    })
}

#[inline]
fn u32_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let word: [u8; 4] = bytes.get(at..)?.first_chunk().copied()?;
    Some(if big_endian {
        u32::from_be_bytes(word)
    } else {
        u32::from_le_bytes(word)
    })
}

#[cfg(test)]
mod tests;
