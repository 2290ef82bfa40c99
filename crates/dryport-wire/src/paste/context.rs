//! What a line means after those before it: owners under their row, records of several lines,
//! values under a prompt, the second half of a broken row.

use alloc::string::String;
use alloc::vec::Vec;

use dryport_model::capture::Row;
use dryport_model::explain::Findings;
use dryport_model::{Complaint, Platform};

use super::json::Json;
use super::rows::powershell::{Columns, Record};
use super::rows::unix;
use super::settings::Key;
use super::words::{holds, trimmed};
use super::{Format, Input};

mod messages;
mod netsh;
mod plain;
mod records;
mod rows;
mod settings;

use messages::OpenMessage;
use netsh::{Command, Netsh};
use plain::{asks_for_owners, plain};

/// A line that is worth a look.
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    /// What stands before it, as far as it is at hand.
    pub(super) above: &'a [u8],
    pub(super) has_message: bool,
    /// It is the rest of a line that is too long for one piece.
    pub(super) is_continuation: bool,
}

/// Bytes above a row in which its header is looked for.
const HEADER: usize = 600;
/// Characters of a name that leaves.
const NAME: usize = 64;

/// A row whose owner may still come.
struct Open {
    row: Row,
    pid: Option<u32>,
    name: Option<String>,
    format: Format,
}

/// The state between lines.
#[derive(Default)]
pub(super) struct Context {
    open: Option<Open>,
    message: Option<OpenMessage>,
    /// The last event of Windows: which, by its number, and on which line.
    event: Option<(Complaint, bool, u64)>,
    half: Option<(Vec<u8>, u64, usize)>,
    json: Option<Json>,
    json_line: u64,
    json_begun: bool,
    record: Record,
    record_line: u64,
    /// The records of a list come one after another.
    listing: bool,
    /// `netstat -b` was called.
    asked_owners: bool,
    csv: Option<(u8, Vec<String>)>,
    columns: Option<Columns>,
    netsh: Netsh,
    /// Rows of an excluded range are expected.
    excluded: bool,
    command: Command,
    /// A prompt asked for the value of this key.
    awaited: Option<(Key, Option<Platform>)>,
    /// The registry key that was named last is an older set.
    old_registry: bool,
    /// Rows of `/proc/net/udp` came last.
    udp: bool,
    /// What `ss` was asked for.
    asked: unix::Asked,
    /// The next line is the answer of `uname`.
    awaits_uname: bool,
    /// A document of JSON has just ended.
    after_json: bool,
    /// The last line of the input has no end.
    pub(super) last_line_is_cut: bool,
    /// Text was passed since the last row, so a header may stand above the next.
    fresh: bool,
    /// The format of the last rows.
    announced: Option<Format>,
    /// An empty line came after rows: a header may follow.
    after_rows: bool,
}

impl Context {
    /// Whether the next line matters whatever it is.
    pub(super) const fn waits(&self) -> bool {
        self.open.is_some()
            || self.message.is_some()
            || self.half.is_some()
            || self.json.is_some()
            || !self.record.is_empty()
            || self.csv.is_some()
            || self.columns.is_some()
            || self.netsh.first.is_some()
            || self.netsh.announced > 0
            || self.excluded
            || self.awaited.is_some()
            || self.after_rows
            || self.awaits_uname
    }

    /// Takes a line.
    pub(super) fn line(&mut self, line: &Line<'_>, findings: &mut Findings, input: &mut Input) {
        if let Some(json) = &self.json {
            if line.is_continuation || json.may_go_on(line.text) {
                return self.json_line(line.text, findings, input);
            }
            self.json = None;
            input.note(input.lines, "the JSON above ends in the middle".into());
        }
        let text = plain(line.text);
        let text = text.as_ref();
        if trimmed(text).is_empty() {
            return self.blank(findings, input);
        }
        self.after_rows = false;
        if self.follows_message(text, findings, input) {
            return;
        }
        if self.is_json(text) {
            self.json = Some(Json::default());
            self.json_begun = true;
            self.json_line = input.lines;
            return self.json_line(text, findings, input);
        }
        if self.half.is_some() && self.second_half(text, line, findings, input) {
            return;
        }
        // Rows come by the million, and no row is a message.
        if self.row(text, line, findings, input) {
            return;
        }
        if line.has_message && self.take_message(text, line.above, findings, input) {
            return;
        }
        if self.setting(text, findings, input) {
            return;
        }
        if self.belongs_to_row(text) || self.awaited_value(text, findings, input) {
            return;
        }
        if self.field(text, findings, input) || self.netsh(text, line, findings, input) {
            return;
        }
        self.other(text, findings);
    }

    /// An empty line ends what has several lines.
    fn blank(&mut self, findings: &mut Findings, input: &mut Input) {
        self.after_rows |= self.open.is_some();
        self.close_row(findings);
        // Tables are not parted by an empty line alone: `netstat -b` of Windows XP writes one after
        // each row. A header parts them.
        if self.record.is_empty() {
            self.csv = None;
        } else {
            self.listing = true;
            self.end_record(findings, input);
        }
        self.fresh = true;
        if self.netsh.first.take().is_some() {
            self.netsh.announced = 0;
        }
    }

    /// Text stands between the rows before and those that follow.
    fn part(&mut self, findings: &mut Findings) {
        self.close_row(findings);
        findings.tables.part();
        self.fresh = true;
    }

    /// The end of an input ends everything.
    pub(super) fn end(&mut self, findings: &mut Findings, input: &mut Input) {
        self.close_row(findings);
        self.end_record(findings, input);
        self.close_message(findings, input);
        if let Some((_, line, parts)) = self.half.take()
            && parts > 0
        {
            input.note(line, "the row is not whole".into());
        }
        if self.json.take().is_some() {
            input.note(input.lines, "the JSON ends in the middle".into());
        }
        if self.asked_owners && input.rows == 0 {
            input.note(
                input.lines,
                "netstat -b printed no table: it needs a console that runs as administrator".into(),
            );
        }
        findings.tables.part();
    }

    /// Text of no use. A header parts what stands before from what follows: it has no digit, unlike
    /// a line of a log that came in between. So does a prompt.
    fn other(&mut self, text: &[u8], findings: &mut Findings) {
        self.asked_owners |= asks_for_owners(text);
        if let Some(asked) = unix::Asked::of(text) {
            self.asked = asked;
        }
        if core::mem::take(&mut self.awaits_uname) {
            settings::uname(text, findings);
        }
        self.awaits_uname = holds(text, b"uname -");
        if holds(text, b"/proc/net/udp") {
            self.udp = true;
        } else if holds(text, b"/proc/net/tcp") {
            self.udp = false;
        }
        self.after_json = false;
        let is_header = !text.iter().any(u8::is_ascii_digit);
        if is_header || holds(text, b"netstat ") || holds(text, b"ss -") || self.listing {
            self.listing = false;
            self.part(findings);
        }
        self.fresh = true;
    }
}
