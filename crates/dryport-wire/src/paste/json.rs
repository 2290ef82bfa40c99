//! JSON, byte by byte: records of sockets, and dryport's own documents.
//!
//! A library would refuse a text that was cut off, and would want all of it in memory. Here each
//! object is given out when it closes, whatever comes after it, and only fields with known names
//! are kept.

use alloc::string::String;
use alloc::vec::Vec;

use dryport_model::Level;
use dryport_model::explain::FoundReport;

use super::rows::powershell::Record;
use crate::procfs::printable_up_to;

/// Objects inside of objects that are followed.
const DEEPEST: usize = 64;
/// Bytes of a string that are kept.
const LONGEST: usize = 512;
/// Characters of a text that leaves.
const SHOWN: usize = 400;

/// What an object was, or what the document is when it ends.
#[derive(Debug)]
pub(super) enum Object {
    /// A socket.
    Record(Record),
    /// A document of dryport.
    Report(FoundReport),
}

#[derive(Clone, Debug, Default)]
struct Frame {
    array: bool,
    key: Vec<u8>,
    record: Record,
    schema: Option<String>,
    id: Option<String>,
    level: Option<String>,
    summary: Option<String>,
}

/// Reads one document.
#[derive(Clone, Debug, Default)]
pub(super) struct Json {
    frames: Vec<Frame>,
    /// Frames beyond the deepest.
    beyond: usize,
    text: Vec<u8>,
    in_string: bool,
    escape: Escape,
    /// A string was read that may be a key.
    ready: bool,
    scalar: Vec<u8>,
    causes: Vec<(String, Level, String)>,
    records: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Unicode(u8, u16),
}

impl Json {
    /// Whether everything that was opened is closed.
    pub(super) const fn is_done(&self) -> bool {
        self.frames.is_empty() && self.beyond == 0
    }

    /// Whether a line can belong to it: inside of a string anything can, else it begins with
    /// punctuation, or is one scalar.
    pub(super) fn may_go_on(&self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        let scalar = |word: &[u8]| {
            let word = word.strip_suffix(b",").unwrap_or(word);
            let number = word
                .iter()
                .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
            number || matches!(word, b"true" | b"false" | b"null")
        };
        match line.first() {
            _ if self.in_string => true,
            None | Some(b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':') => true,
            Some(_) => scalar(line),
        }
    }

    /// Reads on; true when the document has ended.
    pub(super) fn feed(&mut self, bytes: &[u8], on_object: &mut dyn FnMut(Object)) -> bool {
        for byte in bytes {
            if self.in_string {
                self.string_byte(*byte);
                continue;
            }
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.text.clear();
                }
                b'{' | b'[' => self.open(*byte == b'['),
                b'}' | b']' => {
                    self.value(on_object);
                    self.close(on_object);
                    if self.is_done() {
                        return true;
                    }
                }
                b':' => {
                    let text = core::mem::take(&mut self.text);
                    self.ready = false;
                    if let Some(frame) = self.frames.last_mut() {
                        frame.key = text;
                    }
                }
                b',' => self.value(on_object),
                byte if byte.is_ascii_whitespace() => {}
                byte if self.scalar.len() < LONGEST => self.scalar.push(*byte),
                _ => {}
            }
        }
        self.is_done()
    }

    fn string_byte(&mut self, byte: u8) {
        match self.escape {
            Escape::None => match byte {
                b'"' => (self.in_string, self.ready) = (false, true),
                b'\\' => self.escape = Escape::Begun,
                byte => self.keep(&[byte]),
            },
            Escape::Begun => {
                self.escape = Escape::None;
                match byte {
                    b'u' => self.escape = Escape::Unicode(0, 0),
                    b'n' | b'r' | b't' | b'b' | b'f' => self.keep(b" "),
                    byte => self.keep(&[byte]),
                }
            }
            Escape::Unicode(count, value) => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0) as u16;
                let value = value << 4 | digit;
                self.escape = Escape::Unicode(count + 1, value);
                if count == 3 {
                    self.escape = Escape::None;
                    let character = char::from_u32(value.into()).unwrap_or('?');
                    self.keep(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.text.len() < LONGEST {
            self.text.extend_from_slice(bytes);
        }
    }

    fn open(&mut self, array: bool) {
        self.ready = false;
        self.scalar.clear();
        if self.frames.len() >= DEEPEST {
            self.beyond += 1;
            return;
        }
        self.frames.push(Frame {
            array,
            ..Frame::default()
        });
    }

    /// A string or another scalar ends here.
    fn value(&mut self, _on_object: &mut dyn FnMut(Object)) {
        let scalar = core::mem::take(&mut self.scalar);
        let ready = core::mem::take(&mut self.ready);
        if self.beyond > 0 {
            return;
        }
        let (text, is_null) = match ready {
            true => (printable_up_to(&self.text, SHOWN), false),
            false => (printable_up_to(&scalar, SHOWN), scalar == b"null"),
        };
        if text.is_empty() || is_null {
            return;
        }
        let Some(frame) = self.frames.last_mut().filter(|frame| !frame.array) else {
            return;
        };
        frame.take(text);
    }

    fn close(&mut self, on_object: &mut dyn FnMut(Object)) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        let Some(frame) = self.frames.pop().filter(|frame| !frame.array) else {
            return;
        };
        if frame.record.local_port.is_some() {
            self.records += 1;
            on_object(Object::Record(frame.record));
            return;
        }
        if let Some(schema) = frame.schema.filter(|schema| schema.starts_with("dryport.")) {
            on_object(Object::Report(FoundReport {
                schema,
                level: frame.level.as_deref().and_then(level),
                causes: core::mem::take(&mut self.causes),
            }));
            return;
        }
        if let (Some(id), Some(level), Some(summary)) = (
            frame.id,
            frame.level.as_deref().and_then(level),
            frame.summary,
        ) && self.causes.len() < 64
        {
            self.causes.push((id, level, summary));
            return;
        }
        // The owner of a socket is an object in a list in the socket's own.
        let outer = self.frames.iter_mut().rev().find(|frame| !frame.array);
        if let Some(outer) = outer.filter(|outer| outer.record.own && outer.record.pid.is_none()) {
            outer.record.pid = frame.record.pid;
            outer.record.name = frame.record.name;
        }
    }
}

impl Frame {
    fn take(&mut self, text: String) {
        if self.record.take(&self.key, &text) {
            return;
        }
        let record = &mut self.record;
        match self.key.as_slice() {
            b"local" => record.local = Some(text),
            b"local_port" => {
                record.local_port = Some(text);
                record.own = true;
            }
            b"remote" => record.remote = Some(text),
            b"remote_port" => record.remote_port = Some(text),
            b"protocol" => record.protocol = Some(text),
            b"state" => record.state = Some(text),
            b"pid" => record.pid = text.parse().ok(),
            b"name" => record.name = Some(text),
            b"time_wait_left_seconds" => {
                let seconds = text.split('.').next().unwrap_or_default();
                record.wait_left_ms = seconds
                    .parse::<u32>()
                    .ok()
                    .and_then(|s| s.checked_mul(1000));
            }
            b"schema" => self.schema = Some(text),
            b"id" => self.id = Some(text),
            b"level" => self.level = Some(text),
            b"summary" => self.summary = Some(text),
            _ => {}
        }
    }
}

fn level(word: &str) -> Option<Level> {
    [Level::Ok, Level::Unknown, Level::Warning, Level::Critical]
        .into_iter()
        .find(|level| level.name() == word)
}
