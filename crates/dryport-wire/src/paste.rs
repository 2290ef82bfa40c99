//! Anything that people paste: captures of sockets, settings, logs and messages, in any mixture,
//! language and encoding.
//!
//! Bytes go in ([`Paste::push`]), what they say goes to the model's [`Findings`], and what could not
//! be read becomes a [`Note`]. Every line is looked at for itself, so that a damaged one costs no
//! other. Most lines of a log can be passed over after a look at their first bytes; that is what
//! makes a log of many gigabytes a valid input.

use alloc::string::String;
use alloc::vec::Vec;

use dryport_model::explain::Findings;

use crate::message::Finder;

mod context;
mod decode;
mod end;
mod json;
mod language;
mod lines;
mod rows;
mod settings;
mod state;
mod words;

pub use decode::{Encoding, NotText};

use context::Context;
use decode::{SNIFF, Utf16, sniff};
use lines::Anchors;

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What a part of a paste is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Format { $($(#[$doc])* $name,)* }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

formats! {
    /// `netstat` of Windows.
    WindowsNetstat = "windows-netstat",
    /// `netsh int ipv4|ipv6 show dynamicport`.
    NetshDynamicPort = "netsh-dynamicport",
    /// `netsh int ipv4|ipv6 show excludedportrange`.
    NetshExcludedPortRange = "netsh-excludedportrange",
    /// `Get-NetTCPConnection` as a table.
    PowershellTable = "powershell-table",
    /// The same as a list.
    PowershellList = "powershell-list",
    /// The same as CSV.
    PowershellCsv = "powershell-csv",
    /// The same as JSON.
    PowershellJson = "powershell-json",
    /// `Tcpip\Parameters`.
    Registry = "registry",
    /// Events 4227, 4231 and 4266.
    WindowsEvent = "windows-event",
    /// `ss`.
    Ss = "ss",
    /// `ss -s`.
    SsSummary = "ss-summary",
    /// `netstat` of net-tools.
    Netstat = "netstat",
    /// `netstat` of macOS and the BSDs.
    BsdNetstat = "bsd-netstat",
    /// `/proc/net/tcp` and its like.
    ProcNet = "proc-net",
    /// `/proc/net/sockstat`.
    Sockstat = "sockstat",
    /// `sysctl`.
    Sysctl = "sysctl",
    /// `lsof -i`.
    Lsof = "lsof",
    /// `conntrack -L`.
    Conntrack = "conntrack",
    /// `nstat`.
    Nstat = "nstat",
    /// A document of dryport itself.
    DryportJson = "dryport-json",
    /// Log lines and error messages.
    Message = "message",
}

/// What could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub note: String,
}

/// Notes kept for each input; the rest is counted.
const MOST_NOTES: usize = 20;

/// One input: a file, or what came through standard input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Which, counted from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What it holds, in the order of first appearance.
    pub formats: Vec<Format>,
    /// Language of its captures (BCP 47), where their words tell.
    pub language: Option<&'static str>,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Rows of sockets.
    pub rows: u64,
    /// Lines.
    pub lines: u64,
    /// Bytes.
    pub bytes: u64,
    /// What could not be read.
    pub notes: Vec<Note>,
    /// Further notes.
    pub notes_omitted: u64,
}

impl Input {
    const fn new(index: usize, name: String) -> Self {
        Self {
            index,
            name,
            formats: Vec::new(),
            language: None,
            encoding: Encoding::Bytes,
            rows: 0,
            lines: 0,
            bytes: 0,
            notes: Vec::new(),
            notes_omitted: 0,
        }
    }

    pub(self) fn note(&mut self, line: u64, note: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(Note { line, note });
        } else {
            self.notes_omitted += 1;
        }
    }

    pub(self) fn format(&mut self, format: Format) {
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
    }
}

/// A line longer than this is taken in pieces.
const LONGEST_LINE: usize = 1 << 20;

/// Reads a paste: for each input [`begin`](Self::begin), [`push`](Self::push) as often as there are
/// bytes, [`end`](Self::end).
pub struct Paste {
    findings: Findings,
    inputs: Vec<Input>,
    finder: Finder,
    anchors: Anchors,
    context: Context,
    /// First bytes of an input, until the encoding is told.
    head: Option<Vec<u8>>,
    utf16: Option<Utf16>,
    decoded: Vec<u8>,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    hits: Vec<usize>,
}

impl Default for Paste {
    fn default() -> Self {
        Self::new()
    }
}

impl Paste {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            findings: Findings::default(),
            inputs: Vec::new(),
            finder: Finder::new(),
            anchors: Anchors::new(),
            context: Context::default(),
            head: None,
            utf16: None,
            decoded: Vec::new(),
            partial: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Begins an input.
    pub fn begin(&mut self, name: String) {
        self.inputs.push(Input::new(self.inputs.len(), name));
        self.head = Some(Vec::new());
        self.utf16 = None;
        self.context = Context::default();
        self.findings.tables.part();
    }

    /// Reads the next bytes of an input.
    ///
    /// # Errors
    /// It is no text. What was read before stays.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), NotText> {
        if let Some(input) = self.inputs.last_mut() {
            input.bytes += bytes.len() as u64;
        }
        match self.head.take() {
            None => self.bytes(bytes),
            Some(mut head) => {
                head.extend_from_slice(bytes);
                if head.len() < SNIFF {
                    self.head = Some(head);
                } else {
                    self.begin_text(&head)?;
                }
            }
        }
        Ok(())
    }

    /// Ends an input.
    ///
    /// # Errors
    /// It is no text.
    pub fn end(&mut self) -> Result<(), NotText> {
        if let Some(head) = self.head.take() {
            self.begin_text(&head)?;
        }
        let partial = core::mem::take(&mut self.partial);
        if !partial.is_empty() {
            self.context.last_line_is_cut = true;
            self.whole_lines(&partial);
        }
        if let Some(input) = self.inputs.last_mut() {
            self.context.end(&mut self.findings, input);
        }
        Ok(())
    }

    /// What was found, and of each input what it is.
    #[must_use]
    pub fn finish(self) -> (Findings, Vec<Input>) {
        (self.findings, self.inputs)
    }

    fn begin_text(&mut self, head: &[u8]) -> Result<(), NotText> {
        let (encoding, mark) = sniff(head.get(..SNIFF).unwrap_or(head))?;
        if let Some(input) = self.inputs.last_mut() {
            input.encoding = encoding;
        }
        self.utf16 = match encoding {
            Encoding::Bytes => None,
            Encoding::Utf16Le => Some(Utf16::new(false)),
            Encoding::Utf16Be => Some(Utf16::new(true)),
        };
        self.bytes(head.get(mark..).unwrap_or_default());
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let Some(utf16) = &mut self.utf16 else {
            return self.text(bytes);
        };
        let mut decoded = core::mem::take(&mut self.decoded);
        decoded.clear();
        utf16.decode(bytes, &mut decoded);
        self.text(&decoded);
        self.decoded = decoded;
    }

    /// Finds whole lines. Only a line that two pieces share is copied.
    fn text(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if !self.partial.is_empty() {
            let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
            let (head, tail) = rest
                .split_at_checked(end.unwrap_or(rest.len()))
                .unwrap_or((rest, &[]));
            self.partial.extend_from_slice(head);
            rest = tail;
            if end.is_none() && self.partial.len() < LONGEST_LINE {
                return;
            }
            let line = core::mem::take(&mut self.partial);
            self.whole_lines(&line);
            self.partial = line;
            self.partial.clear();
        }
        let end = memchr::memrchr(b'\n', rest).map_or(0, |at| at + 1);
        let (lines, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        self.whole_lines(lines);
        if tail.len() >= LONGEST_LINE {
            self.whole_lines(tail);
        } else {
            self.partial.extend_from_slice(tail);
        }
    }

    fn whole_lines(&mut self, text: &[u8]) {
        let Some(input) = self.inputs.last_mut() else {
            return;
        };
        let hits = &mut self.hits;
        hits.clear();
        self.finder.each_hit(text, |at| hits.push(at));
        let messages = hits.len();
        self.anchors.each_hit(text, |at| hits.push(at));
        lines::each(
            text,
            hits.split_at(messages),
            &mut self.context,
            &mut self.findings,
            input,
        );
    }
}
