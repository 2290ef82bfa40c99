//! The netlink envelope: messages, their framing in a receive buffer, and attributes.
//!
//! Owns no protocol: what stands in a payload belongs to `sock_diag` and `route`. Headers and
//! lengths are in the machine's byte order; everything is aligned to 4 bytes
//! (`include/uapi/linux/netlink.h`). Nothing is allocated while reading.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::WireError;

mod attribute;
mod message;

pub use attribute::{Attribute, Attributes, attributes};
pub use message::Message;

/// This is a request.
pub const NLM_F_REQUEST: u16 = 0x001;
/// The message is one of several, ended by `NLMSG_DONE`.
pub const NLM_F_MULTI: u16 = 0x002;
/// Answer with an acknowledgement: a `NLMSG_ERROR` with errno 0.
pub const NLM_F_ACK: u16 = 0x004;
/// What was walked changed meanwhile, so rows may be missing or doubled.
pub const NLM_F_DUMP_INTR: u16 = 0x010;
/// Give every row (`NLM_F_ROOT | NLM_F_MATCH`).
pub const NLM_F_DUMP: u16 = 0x300;
/// Refuse if it exists (`EEXIST`).
pub const NLM_F_EXCL: u16 = 0x200;
/// Create it if it does not exist.
pub const NLM_F_CREATE: u16 = 0x400;
/// An error message without a copy of the whole request.
const NLM_F_CAPPED: u16 = 0x100;
/// An error message is followed by attributes.
const NLM_F_ACK_TLVS: u16 = 0x200;

const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLMSGERR_ATTR_MSG: u16 = 1;

const HEADER: usize = size_of::<Header>();

/// `struct nlmsghdr`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    length: u32,
    kind: u16,
    flags: u16,
    sequence: u32,
    port_id: u32,
}

/// The next multiple of 4 (`NLMSG_ALIGN`, `NLA_ALIGN`).
#[inline]
const fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// The messages of a receive buffer, in order. After an error the iterator ends, because the
/// start of the next message is not known.
#[inline]
#[must_use]
pub const fn messages(buffer: &[u8]) -> Messages<'_> {
    Messages {
        rest: buffer,
        offset: 0,
    }
}

/// Iterator of [`messages`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Frame<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (rest, offset) = (self.rest, self.offset);
        self.rest = &[];
        Some(match split_message(rest, offset) {
            Ok((frame, length)) => {
                let next = align(length);
                self.rest = rest.get(next..).unwrap_or(&[]);
                self.offset += next;
                Ok(frame)
            }
            Err(error) => Err(error),
        })
    }
}

/// The first message and its unaligned length.
#[inline]
fn split_message(bytes: &[u8], offset: usize) -> Result<(Frame<'_>, usize), WireError> {
    let what = "netlink message";
    let have = bytes.len();
    let Ok((header, _)) = Header::read_from_prefix(bytes) else {
        return Err(WireError::Truncated {
            what,
            offset,
            need: HEADER,
            have,
        });
    };
    let length = header.length as usize;
    if length < HEADER {
        return Err(WireError::BadLength {
            what,
            offset,
            length,
        });
    }
    let payload = bytes.get(HEADER..length).ok_or(WireError::Truncated {
        what,
        offset,
        need: length,
        have,
    })?;
    let Header {
        kind,
        flags,
        sequence,
        port_id,
        ..
    } = header;
    Ok((
        Frame {
            kind,
            flags,
            sequence,
            port_id,
            payload,
        },
        length,
    ))
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// The request's sequence number.
    pub sequence: u32,
    /// Netlink port (not a TCP port) of the asking socket.
    pub port_id: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// A message of netlink itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Nothing; skip it.
    Noop,
    /// The answer to a request without rows.
    Error {
        /// Positive error number; 0 is the acknowledgement.
        errno: i32,
    },
    /// The end of a dump.
    Done {
        /// Positive error number where the dump ended early; else 0.
        errno: i32,
    },
    /// Data was lost.
    Overrun,
}

impl<'a> Frame<'a> {
    /// Whether the kernel says that the table changed during the walk.
    #[inline]
    #[must_use]
    pub const fn is_dump_interrupted(&self) -> bool {
        self.flags & NLM_F_DUMP_INTR != 0
    }

    /// What netlink itself says; `None` for a message with a row.
    #[inline]
    #[must_use]
    pub fn control(&self) -> Option<Control> {
        match self.kind {
            NLMSG_NOOP => Some(Control::Noop),
            NLMSG_ERROR => Some(Control::Error {
                errno: self.errno(i32::MAX),
            }),
            NLMSG_DONE => Some(Control::Done {
                errno: self.errno(0),
            }),
            NLMSG_OVERRUN => Some(Control::Overrun),
            _ => None,
        }
    }

    /// The kernel's own words for an error (`NLMSGERR_ATTR_MSG`), told to sockets that set
    /// `NETLINK_EXT_ACK`.
    #[must_use]
    pub fn error_text(&self) -> Option<&'a str> {
        if self.kind != NLMSG_ERROR || self.flags & NLM_F_ACK_TLVS == 0 {
            return None;
        }
        let (errno_and_request, length) = (self.payload.get(4..)?, self.payload.get(4..8)?);
        // The request's header is always echoed, its payload only without NLM_F_CAPPED.
        let length = u32::from_ne_bytes(length.try_into().ok()?) as usize;
        let echoed = if self.flags & NLM_F_CAPPED != 0 {
            HEADER
        } else {
            align(length)
        };
        let text = attributes(errno_and_request.get(echoed..)?)
            .map_while(Result::ok)
            .find(|attribute| attribute.kind == NLMSGERR_ATTR_MSG)?;
        core::str::from_utf8(text.text()).ok()
    }

    /// The negative number at the front as a positive one. An error message without it is no
    /// acknowledgement, so the caller says what absence means.
    fn errno(&self, absent: i32) -> i32 {
        match i32::read_from_prefix(self.payload) {
            Ok((number, _)) => number.saturating_neg().max(0),
            Err(_) => absent,
        }
    }
}

#[cfg(test)]
mod tests;
