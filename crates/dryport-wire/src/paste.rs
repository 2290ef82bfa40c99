//! Anything that people paste: captures of sockets, settings, logs and messages, in any mixture,
//! language and encoding.
//!
//! Bytes go in (a [`Scanner`] cuts them into lines, [`Paste::take`] reads those), what they say goes to the model's [`Findings`], and what could not
//! be read becomes a [`Note`]. Every line is looked at for itself, so that a damaged one costs no
//! other. Most lines of a log can be passed over after a look at their first bytes; that is what
//! makes a log of many gigabytes a valid input.

use alloc::string::String;
use alloc::vec::Vec;

use dryport_model::explain::Findings;

mod context;
mod decode;
mod end;
mod json;
mod language;
mod lines;
mod rows;
mod scan;
mod settings;
mod state;
mod words;

pub use decode::{Encoding, NotText};
pub use scan::{Piece, ScanError, Scanner};

use context::Context;
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

/// Reads a paste: for each input [`begin`](Self::begin), [`take`](Self::take) for each piece that a
/// [`Scanner`] cuts, [`end`](Self::end).
pub struct Paste {
    findings: Findings,
    inputs: Vec<Input>,
    anchors: Anchors,
    context: Context,
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
            anchors: Anchors::new(),
            context: Context::default(),
            hits: Vec::new(),
        }
    }

    /// Begins an input.
    pub fn begin(&mut self, name: String) {
        self.inputs.push(Input::new(self.inputs.len(), name));
        self.context = Context::default();
        self.findings.tables.part();
    }

    /// Reads the next lines of an input.
    pub fn take(&mut self, piece: &Piece) {
        let Some(input) = self.inputs.last_mut() else {
            return;
        };
        input.bytes += piece.bytes;
        input.encoding = piece.encoding;
        let hits = &mut self.hits;
        hits.clear();
        self.anchors.each_hit(piece.text(), |at| hits.push(at));
        lines::each(
            piece.text(),
            (&piece.hits, hits),
            (piece.continues, piece.is_last),
            &mut self.context,
            &mut self.findings,
            input,
        );
    }

    /// Ends an input.
    pub fn end(&mut self) {
        if let Some(input) = self.inputs.last_mut() {
            self.context.end(&mut self.findings, input);
        }
    }

    /// Reads a whole input that is in memory, `step` bytes at a time.
    ///
    /// # Errors
    /// It is no text.
    pub fn read(
        &mut self,
        scanner: &mut Scanner,
        name: String,
        bytes: &[u8],
        step: usize,
    ) -> Result<(), NotText> {
        self.begin(name);
        scanner.begin();
        let mut rest = bytes;
        loop {
            let scanned = scanner.read(|room| {
                let count = rest.len().min(step.max(1)).min(room.len());
                let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
                for (to, from) in room.iter_mut().zip(now) {
                    *to = *from;
                }
                rest = later;
                Ok::<usize, core::convert::Infallible>(count)
            });
            let piece = match scanned {
                Ok(piece) => piece,
                Err(ScanError::NotText(kind)) => return Err(kind),
                Err(ScanError::Read(never)) => match never {},
            };
            self.take(&piece);
            if piece.is_last {
                self.end();
                return Ok(());
            }
            scanner.recycle(piece);
        }
    }

    /// What was found, and of each input what it is.
    #[must_use]
    pub fn finish(mut self) -> (Findings, Vec<Input>) {
        self.findings.tables.close();
        (self.findings, self.inputs)
    }
}
