//! Writing a netlink message.

use alloc::vec::Vec;

use zerocopy::{Immutable, IntoBytes};

use super::attribute::{ATTRIBUTE_HEADER, AttributeHeader};
use super::{Header, align};

const NLA_F_NESTED: u16 = 0x8000;

/// A message being written.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Starts a message with its header; `kind` and `flags` as in the kernel's headers.
    #[must_use]
    pub fn new(kind: u16, flags: u16, sequence: u32) -> Self {
        let header = Header {
            length: 0,
            kind,
            flags,
            sequence,
            port_id: 0,
        };
        Self {
            bytes: Vec::from(header.as_bytes()),
        }
    }

    /// Appends bytes and pads to 4.
    pub fn push_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends a fixed structure and pads to 4.
    pub fn push(&mut self, value: &(impl IntoBytes + Immutable)) -> &mut Self {
        self.push_bytes(value.as_bytes())
    }

    /// Appends an attribute. A value is cut to the 65,531 bytes that its length field can tell;
    /// every attribute written by this crate has a far lower limit in the kernel, which then
    /// refuses the message.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let room = usize::from(u16::MAX) - ATTRIBUTE_HEADER;
        let value = value.get(..room).unwrap_or(value);
        let length = (ATTRIBUTE_HEADER + value.len()) as u16;
        self.push(&AttributeHeader { length, kind });
        self.push_bytes(value)
    }

    /// Appends an attribute made of what `fill` appends (`NLA_F_NESTED` is set). One that grows
    /// above 65,535 bytes gets a length that the kernel refuses.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.push(&AttributeHeader {
            length: 0,
            kind: kind | NLA_F_NESTED,
        });
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(0);
        self.overwrite(start, &length.to_ne_bytes());
        self
    }

    /// Fills in the length and gives the bytes, ready to send.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.overwrite(0, &length.to_ne_bytes());
        self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(align(self.bytes.len()), 0);
    }

    fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}
