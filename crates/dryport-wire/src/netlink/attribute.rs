//! Netlink attributes: a length, a kind, a value; they may stand inside one another.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::align;
use crate::WireError;

/// Kinds are 14 bits: the two above are `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const NLA_TYPE_MASK: u16 = 0x3fff;

pub(super) const ATTRIBUTE_HEADER: usize = size_of::<AttributeHeader>();

/// `struct nlattr`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct AttributeHeader {
    pub(super) length: u16,
    pub(super) kind: u16,
}

/// The attributes of a payload (without its fixed structure), in order. After an error the
/// iterator ends.
#[inline]
#[must_use]
pub const fn attributes(payload: &[u8]) -> Attributes<'_> {
    Attributes {
        rest: payload,
        offset: 0,
    }
}

/// Iterator of [`attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (rest, offset) = (self.rest, self.offset);
        self.rest = &[];
        Some(match split_attribute(rest, offset) {
            Ok((attribute, length)) => {
                let next = align(length);
                self.rest = rest.get(next..).unwrap_or(&[]);
                self.offset += next;
                Ok(attribute)
            }
            Err(error) => Err(error),
        })
    }
}

/// The first attribute and its unaligned length.
#[inline]
fn split_attribute(bytes: &[u8], offset: usize) -> Result<(Attribute<'_>, usize), WireError> {
    let what = "netlink attribute";
    let have = bytes.len();
    let Ok((header, _)) = AttributeHeader::read_from_prefix(bytes) else {
        return Err(WireError::Truncated {
            what,
            offset,
            need: ATTRIBUTE_HEADER,
            have,
        });
    };
    let length = usize::from(header.length);
    if length < ATTRIBUTE_HEADER {
        return Err(WireError::BadLength {
            what,
            offset,
            length,
        });
    }
    let value = bytes
        .get(ATTRIBUTE_HEADER..length)
        .ok_or(WireError::Truncated {
            what,
            offset,
            need: length,
            have,
        })?;
    Ok((
        Attribute {
            kind: header.kind & NLA_TYPE_MASK,
            value,
        },
        length,
    ))
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Its number, without the flags for nesting and byte order.
    pub kind: u16,
    /// Its bytes, without padding.
    pub value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The value as one byte; `None` where it is shorter.
    #[inline]
    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        self.value.first().copied()
    }

    /// The value as a number in the machine's byte order; `None` where it is shorter.
    #[inline]
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        u16::read_from_prefix(self.value)
            .ok()
            .map(|(number, _)| number)
    }

    /// The value as a number in the machine's byte order; `None` where it is shorter.
    #[inline]
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        u32::read_from_prefix(self.value)
            .ok()
            .map(|(number, _)| number)
    }

    /// The value as a number in the machine's byte order; `None` where it is shorter.
    #[inline]
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        u64::read_from_prefix(self.value)
            .ok()
            .map(|(number, _)| number)
    }

    /// The bytes up to the first NUL.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        let end = memchr::memchr(0, self.value).unwrap_or(self.value.len());
        self.value.get(..end).unwrap_or(&[])
    }

    /// The attributes inside.
    #[must_use]
    pub const fn nested(&self) -> Attributes<'a> {
        attributes(self.value)
    }
}
