//! What a line means after those before it: owners under their row, records of several lines,
//! values under a prompt, the second half of a broken row.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use dryport_model::capture::Row;
use dryport_model::explain::{Clue, Findings, FoundRange, Number};
use dryport_model::{Complaint, Family, Message, PortRange, Protocol, State};

use super::json::{Json, Object};
use super::rows::powershell::{Columns, Record};
use super::rows::{Found, Read, conntrack, lsof, powershell, proc_net, unix, windows};
use super::settings::{self, Key};
use super::words::{Words, holds, holds_ignoring_case, number, split_once, trimmed};
use super::{Format, Input, language, state};
use crate::message;
use crate::procfs::printable_up_to;

/// A line that is worth a look.
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    /// What stands before it, as far as it is at hand.
    pub(super) above: &'a [u8],
    pub(super) has_message: bool,
}

/// Lines after a message that may tell its call.
const FOLLOWING: u8 = 12;
/// Bytes above a row in which its header is looked for.
const HEADER: usize = 600;
/// Characters of a name that leaves.
const NAME: usize = 64;
/// Lines that a broken row may have.
const MOST_HALVES: usize = 3;

/// A row whose owner may still come.
struct Open {
    row: Row,
    pid: Option<u32>,
    name: Option<String>,
    format: Format,
}

/// A message whose call may still be told.
struct OpenMessage {
    message: Message,
    line: u64,
    left: u8,
}

/// Two numbers of `netsh`.
#[derive(Default)]
struct Netsh {
    first: Option<u64>,
    /// A line of dashes, or a command, announced them.
    announced: u8,
}

/// What a command line in the paste tells of what follows.
#[derive(Clone, Copy, Default)]
struct Command {
    protocol: Option<Protocol>,
    family: Option<Family>,
    /// It asked for excluded ranges.
    excluded: bool,
}

/// The state between lines.
#[derive(Default)]
pub(super) struct Context {
    open: Option<Open>,
    message: Option<OpenMessage>,
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
    awaited: Option<(Key, Option<dryport_model::Platform>)>,
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
    seen_rows: bool,
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
            if json.may_go_on(line.text) {
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
        if line.has_message && self.take_message(text, findings, input) {
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

    // Rows.

    fn row(
        &mut self,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        if let Some(begin) = windows_row(text) {
            return self.windows_rows(text, begin, line, findings, input);
        }
        let words = Words::of(text);
        let read = self.other_row(&words, text, findings);
        self.take_read(read, text, line, findings, input)
    }

    /// Rows of Windows, of which several can stand in one line, behind a prefix or not.
    fn windows_rows(
        &mut self,
        text: &[u8],
        begin: usize,
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        self.process_id_before(text.get(..begin).unwrap_or_default());
        let mut rest = text.get(begin..).unwrap_or_default();
        let mut any = false;
        loop {
            let words = Words::of(rest);
            let (read, count) = windows::read(&words, 0, &mut findings.names);
            match read {
                Read::Row(found) if self.is_cut(&found, &words, count) => {
                    input.note(input.lines, "the last row is not whole".into());
                    any = true;
                }
                read @ Read::Row(_) => any |= self.take_read(read, rest, line, findings, input),
                Read::Half => return self.take_read(Read::Half, rest, line, findings, input),
                _ if self.last_line_is_cut && input.formats.contains(&Format::WindowsNetstat) => {
                    input.note(input.lines, "the last row is not whole".into());
                    return true;
                }
                // A capture in which a row is no row is damaged; elsewhere it is prose.
                _ if any => input.note(input.lines, "a row could not be read".into()),
                _ => {}
            }
            rest = words.behind(count);
            let Some(next) = windows_row(rest) else {
                return any;
            };
            rest = rest.get(next..).unwrap_or_default();
        }
    }

    /// A process id that a line break parted from its row.
    fn process_id_before(&mut self, text: &[u8]) {
        if let Some(open) = &mut self.open
            && open.format == Format::WindowsNetstat
            && open.pid.is_none()
        {
            open.pid = number(trimmed(text));
        }
    }

    /// The last line of a capture that was cut off in the word for the state.
    fn is_cut(&self, found: &Found<'_>, words: &Words<'_>, end: usize) -> bool {
        self.last_line_is_cut
            && found.row.protocol == Protocol::Tcp
            && end >= words.len()
            && found.row.state.is_none()
            && found.pid.is_none()
    }

    fn other_row<'a>(
        &self,
        words: &Words<'a>,
        text: &'a [u8],
        findings: &mut Findings,
    ) -> Read<'a> {
        let names = &mut findings.names;
        if holds(text, b"src=") && holds(text, b"dst=") {
            return conntrack::read(words);
        }
        let tries: [Read<'a>; 1] = [unix::by_protocol(words, names)];
        if let [read @ (Read::Row(_) | Read::Half)] = tries {
            return read;
        }
        if words.at(0).and_then(state::ss).is_some() {
            return unix::ss(words, 0, self.asked.protocol, names);
        }
        if holds(text, b" 0t0 ") {
            return lsof::read(words, names);
        }
        let first = words.at(0).and_then(|word| word.first()).copied();
        match first {
            Some(b'0'..=b'9' | b'a'..=b'f' | b':') => {}
            _ => return Read::No,
        }
        match proc_net::read(words, self.udp) {
            Read::No => {}
            read => return read,
        }
        match powershell::table(words, self.columns, names) {
            Read::No => {}
            read => return read,
        }
        unix::ss_without_state(words, &self.asked, names)
    }

    fn take_read(
        &mut self,
        read: Read<'_>,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        match read {
            Read::No => return false,
            Read::Half => {
                self.close_row(findings);
                // The protocol alone is a word like any other: nothing is missed if no row follows.
                let parts = usize::from(Words::of(text).len() > 1);
                self.half = Some((text.to_vec(), input.lines, parts));
            }
            Read::Flow(flow) => {
                self.close_row(findings);
                input.format(Format::Conntrack);
                findings.clue(Clue::Capture, dryport_model::Platform::Linux);
                input.rows += 1;
                match flow {
                    Some(flow) => findings.tables.add_flow(&flow),
                    None => findings.tables.add_idle(),
                }
            }
            Read::Row(found) => self.found(&found, line, findings, input),
        }
        true
    }

    fn found(
        &mut self,
        found: &Found<'_>,
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) {
        self.close_row(findings);
        if self.fresh || !self.seen_rows {
            self.announce(found.format, line, findings, input);
        }
        self.open = Some(Open {
            row: found.row,
            pid: found.pid,
            name: found.name.map(|name| printable_up_to(name, NAME)),
            format: found.format,
        });
        input.rows += 1;
    }

    /// The first row after other text: what it is, and in which language.
    fn announce(
        &mut self,
        format: Format,
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) {
        self.fresh = false;
        self.seen_rows = true;
        input.format(format);
        if let Some(platform) = unix::platform(format) {
            findings.clue(Clue::Capture, platform);
        }
        if format == Format::WindowsNetstat {
            self.tell_language(line, input);
        }
    }

    fn tell_language(&self, line: &Line<'_>, input: &mut Input) {
        if input.language.is_none() {
            let from = line.above.len().saturating_sub(HEADER);
            input.language = language::of(line.above.get(from..).unwrap_or_default());
        }
    }

    fn close_row(&mut self, findings: &mut Findings) {
        let Some(open) = self.open.take() else { return };
        // A TIME_WAIT has no process any more; Windows says 0.
        let pid = open.pid.filter(|pid| *pid != 0);
        let process = findings.processes.id(pid, open.name.as_deref());
        self.udp = open.format == Format::ProcNet && open.row.protocol == Protocol::Udp;
        if !unix::holds_a_port(&open.row) {
            findings.tables.add_idle();
            return;
        }
        findings.tables.add(&open.row, process);
    }

    /// A line that is no row: an owner under its row, more of `ss`, or a process id alone.
    fn belongs_to_row(&mut self, text: &[u8]) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        let line = trimmed(text);
        match open.format {
            Format::WindowsNetstat => {
                if let Some(image) = line.strip_prefix(b"[").and_then(|l| l.strip_suffix(b"]")) {
                    if open.row.state != Some(State::TimeWait) {
                        open.name = Some(printable_up_to(image, NAME));
                    }
                    return true;
                }
                if open.pid.is_none()
                    && let Some(pid) = number::<u32>(line)
                {
                    open.pid = Some(pid);
                    return true;
                }
                // A component, a module's path, or a sentence that there is no owner.
                text.first().is_some_and(u8::is_ascii_whitespace)
            }
            Format::Ss if unix::continues_ss(text) => {
                if let Some((pid, name)) = unix::users(text) {
                    open.pid = open.pid.or(pid);
                    let name = name.map(|name| printable_up_to(name, NAME));
                    open.name = open.name.take().or(name);
                }
                for word in Words::of(text).all() {
                    if let Some(left) = unix::ss_timer(word) {
                        open.row.wait_left_ms = Some(left);
                    }
                }
                true
            }
            _ => false,
        }
    }

    /// The first part of a row was kept: does this line make it whole?
    fn second_half(
        &mut self,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        let Some((mut half, at, parts)) = self.half.take() else {
            return false;
        };
        if !self.is_whole_row(text, &half, findings) {
            half.push(b' ');
            half.extend_from_slice(text);
            if self.row(&half, line, findings, input) {
                // Still the same row, and not another one that begins at the end of this line.
                if let Some((now, line, count)) = &mut self.half
                    && *now == half
                {
                    (*line, *count) = (at, parts + 1);
                    if *count > MOST_HALVES {
                        self.half = None;
                        input.note(at, "the row is not whole".into());
                    }
                }
                return true;
            }
        }
        if parts > 0 {
            input.note(at, "the row is not whole".into());
        }
        false
    }

    /// Whether a line needs no other one to be a row. Behind half a row that begins with a word,
    /// one that begins with a number is its end rather than one without a state.
    fn is_whole_row(&self, text: &[u8], half: &[u8], findings: &mut Findings) -> bool {
        let number_led = |text: &[u8]| {
            let word = Words::of(text).at(0);
            word.is_some_and(|word| word.iter().all(|byte| !byte.is_ascii_alphabetic()) && !word.ends_with(b":"))
        };
        if number_led(text) && !number_led(half) {
            return false;
        }
        let read = match windows_row(text) {
            // One that begins further on stands behind the end of the half.
            Some(begin) if !trimmed(text.get(..begin).unwrap_or_default()).is_empty() => {
                return false;
            }
            Some(begin) => {
                let words = Words::of(text.get(begin..).unwrap_or_default());
                windows::read(&words, 0, &mut findings.names).0
            }
            None => self.other_row(&Words::of(text), text, findings),
        };
        matches!(read, Read::Row(_) | Read::Flow(_))
    }

    // Settings.

    fn setting(&mut self, text: &[u8], findings: &mut Findings, input: &mut Input) -> bool {
        let line = trimmed(text);
        if let Some(platform) = settings::windows_version(line) {
            findings.clue(Clue::Version, platform);
            self.part(findings);
            return true;
        }
        if let Some(current) = settings::registry_key(line) {
            self.old_registry = !current;
            if holds_ignoring_case(line, b"\\Tcpip\\Parameters") {
                input.format(Format::Registry);
                findings.clue(Clue::Setting, dryport_model::Platform::Windows);
            }
            return true;
        }
        if let Some((number, value)) = settings::registry(line) {
            self.registry_value(number, value, findings, input);
            return true;
        }
        let words = Words::of(line);
        if let Some(format) = settings::counters(&words, line, findings) {
            input.format(format);
            if let Some(platform) = unix::platform(format) {
                findings.clue(Clue::Setting, platform);
            }
            self.close_row(findings);
            self.part(findings);
            return true;
        }
        self.sysctl(line, findings, input)
    }

    fn registry_value(
        &mut self,
        number: Number,
        value: Option<u64>,
        findings: &mut Findings,
        input: &mut Input,
    ) {
        input.format(Format::Registry);
        findings.clue(Clue::Setting, dryport_model::Platform::Windows);
        match value {
            _ if self.old_registry => input.note(
                input.lines,
                "this control set is not the one in force (CurrentControlSet is)".into(),
            ),
            Some(value) => findings.set(number, value),
            None => input.note(input.lines, "the value could not be read".into()),
        }
    }

    fn sysctl(&mut self, line: &[u8], findings: &mut Findings, input: &mut Input) -> bool {
        let Some((name, value)) = settings::key_and_value(line) else {
            return false;
        };
        let Some(key) = settings::key(name) else {
            return false;
        };
        input.format(Format::Sysctl);
        self.part(findings);
        if value.is_empty() && matches!(key.0, Key::Range) {
            self.awaited = Some(key);
            return true;
        }
        if let Err(wrong) = settings::take(findings, key, value) {
            input.note(input.lines, wrong);
        }
        true
    }

    /// A prompt with `cat /proc/sys/…` or `sysctl -n …`, and the value in the next line.
    fn awaited_value(&mut self, text: &[u8], findings: &mut Findings, input: &mut Input) -> bool {
        if let Some(key) = self.awaited.take() {
            let mut trial = Findings::default();
            if settings::take(&mut trial, key, trimmed(text)).is_ok() {
                input.format(Format::Sysctl);
                let _ = settings::take(findings, key, trimmed(text));
                return true;
            }
        }
        let Some(name) = asked_key(text) else {
            return false;
        };
        self.part(findings);
        self.awaited = settings::key(name).filter(|(key, _)| *key != Key::Other);
        true
    }

    // Records of several lines.

    /// `LocalAddress : 192.0.2.10`, a header of columns, or a row of CSV.
    fn field(&mut self, text: &[u8], findings: &mut Findings, input: &mut Input) -> bool {
        let line = trimmed(text);
        if let Some((separator, columns)) = &self.csv {
            let cells = cells(line, *separator);
            if self.last_line_is_cut && cells.len() < columns.len() {
                input.note(input.lines, "the last row is not whole".into());
                return true;
            }
            if cells.len() >= columns.len().min(4) && !columns.is_empty() {
                let mut record = Record::default();
                for (column, cell) in columns.iter().zip(&cells) {
                    record.take(column.as_bytes(), cell);
                }
                return self.take_record(&record, Format::PowershellCsv, findings, input);
            }
            self.csv = None;
        }
        if let Some((name, value)) = split_once(line, b':')
            && !self.is_ipv6_table(line)
        {
            let name = trimmed(name);
            if name == b"LocalAddress" {
                self.end_record(findings, input);
                self.close_row(findings);
                self.record_line = input.lines;
            }
            let value = String::from_utf8_lossy(trimmed(value));
            let known = self.record.take(name, &value);
            // Other properties stand between those that are known.
            return known || (!self.record.is_empty() && !name.contains(&b' '));
        }
        self.header(line, findings, input)
    }

    const fn is_ipv6_table(&self, line: &[u8]) -> bool {
        self.columns.is_some() && !matches!(line.first(), Some(b'A'..=b'Z'))
    }

    fn header(&mut self, line: &[u8], findings: &mut Findings, input: &mut Input) -> bool {
        if !holds(line, b"LocalAddress") || !holds(line, b"LocalPort") {
            // The end of a header that was too wide.
            if self.columns.is_some() && holds(line, b"OwningProcess") {
                if let Some(columns) = &mut self.columns {
                    columns.process = true;
                }
                return true;
            }
            return false;
        }
        self.close_row(findings);
        self.end_record(findings, input);
        self.part(findings);
        let separator = [b',', b';', b'\t']
            .into_iter()
            .find(|separator| line.contains(separator));
        match separator {
            Some(separator) => {
                self.csv = Some((separator, cells(line, separator)));
                self.columns = None;
            }
            None => {
                self.columns = Some(Columns {
                    remote: holds(line, b"RemoteAddress"),
                    process: holds(line, b"OwningProcess"),
                });
            }
        }
        true
    }

    fn end_record(&mut self, findings: &mut Findings, input: &mut Input) {
        if self.record.is_empty() {
            return;
        }
        let record = core::mem::take(&mut self.record);
        let cut = self.last_line_is_cut && record.state.is_none() && record.remote.is_some();
        let alone = record.remote.is_none() && record.state.is_none() && input.rows > 0;
        let odd = alone && self.last_line_is_cut;
        if cut || odd {
            input.note(self.record_line, "the record is not whole".into());
        } else if !self.take_record(&record, Format::PowershellList, findings, input) {
            input.note(self.record_line, "the record is not whole".into());
        }
    }

    fn take_record(
        &mut self,
        record: &Record,
        format: Format,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        let Some(row) = record.row(&mut findings.names) else {
            return false;
        };
        self.close_row(findings);
        input.format(format);
        if let Some(platform) = unix::platform(format) {
            findings.clue(Clue::Capture, platform);
        }
        input.rows += 1;
        let pid = record.pid.filter(|pid| *pid != 0);
        let process = findings.processes.id(pid, record.name.as_deref());
        if unix::holds_a_port(&row) {
            findings.tables.add(&row, process);
        } else {
            findings.tables.add_idle();
        }
        true
    }

    // JSON.

    fn is_json(&self, text: &[u8]) -> bool {
        let line = trimmed(text);
        match line.first() {
            Some(b'{' | b'[') => {
                line.len() <= 2
                    || holds(line, b"\"LocalPort\"")
                    || holds(line, b"\"local_port\"")
                    || holds(line, b"\"dryport.")
                    || line == b"[{"
            }
            _ => false,
        }
    }

    fn json_line(&mut self, text: &[u8], findings: &mut Findings, input: &mut Input) {
        let Some(mut json) = self.json.take() else {
            return;
        };
        if self.json_begun {
            self.json_begun = false;
            self.close_row(findings);
            // Objects that follow one another, a line each, are one table.
            if !core::mem::take(&mut self.after_json) {
                findings.tables.part();
            }
        }
        let mut failed = false;
        let done = json.feed(text, &mut |object| match object {
            Object::Record(record) => {
                let format = match record.own {
                    true => Format::DryportJson,
                    false => Format::PowershellJson,
                };
                failed |= !self.take_record(&record, format, findings, input);
            }
            Object::Report(report) => {
                input.format(Format::DryportJson);
                findings.clue(Clue::Capture, dryport_model::Platform::Linux);
                findings.reports.push(report);
            }
        });
        if failed {
            input.note(input.lines, "a record is not whole".into());
        }
        if done {
            self.after_json = true;
        } else {
            self.json = Some(json);
        }
    }

    // Messages.

    fn take_message(&mut self, text: &[u8], findings: &mut Findings, input: &mut Input) -> bool {
        // A command that asks for events is none.
        if holds(text, b"wevtutil qe") || holds(text, b"Get-WinEvent -") {
            return false;
        }
        let Some(message) = message::read_line(trimmed(text)) else {
            return false;
        };
        self.close_message(findings, input);
        self.part(findings);
        input.format(match message.complaint {
            Complaint::Event4227 | Complaint::Event4231 | Complaint::Event4266 => {
                Format::WindowsEvent
            }
            _ => Format::Message,
        });
        if message.call.is_some() {
            add_message(message, input.lines, 1, findings, input);
        } else {
            self.message = Some(OpenMessage {
                message,
                line: input.lines,
                left: FOLLOWING,
            });
        }
        true
    }

    /// A stack frame after a message may tell which call failed.
    fn follows_message(&mut self, text: &[u8], findings: &mut Findings, input: &mut Input) -> bool {
        let Some(open) = &mut self.message else {
            return false;
        };
        let Some(follow) = message::read_following(text) else {
            open.left -= 1;
            if open.left == 0 {
                self.close_message(findings, input);
            }
            return false;
        };
        open.left -= 1;
        let message = &mut open.message;
        message.local_port = message.local_port.or(follow.local_port);
        if message.destination.is_none() {
            message.destination_address = follow
                .destination
                .as_deref()
                .and_then(|destination| destination.parse().ok());
            message.destination = follow.destination;
        }
        message.call = follow.call;
        if message.call.is_some() || open.left == 0 {
            self.close_message(findings, input);
        }
        true
    }

    fn close_message(&mut self, findings: &mut Findings, input: &Input) {
        if let Some(open) = self.message.take() {
            add_message(open.message, open.line, 1, findings, input);
        }
    }

    // netsh.

    fn netsh(
        &mut self,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        let text = trimmed(text);
        if is_command(text) {
            self.close_row(findings);
            self.part(findings);
            self.command = command_of(text);
            self.netsh.announced = u8::from(holds(text, b"dynamicport")) * 6;
            self.command.excluded = holds(text, b"excludedportrange");
            self.in_one_line(text, line, findings, input);
            return true;
        }
        if is_dashes(text) {
            let groups = Words::of(text).len();
            self.excluded = groups == 2 && self.columns.is_none();
            if self.excluded && self.command.excluded {
                input.format(Format::NetshExcludedPortRange);
                findings.clue(Clue::Setting, dryport_model::Platform::Windows);
                self.tell_language(line, input);
            }
            self.netsh.announced = u8::from(groups == 1 && text.len() >= 20) * 3;
            if self.netsh.announced > 0 && self.command.protocol.is_none() {
                self.command.protocol = protocol_above(line.above);
            }
            return true;
        }
        if self.excluded && self.excluded_range(text, line, findings, input) {
            return true;
        }
        self.dynamic_range(text, line, findings, input)
    }

    /// All of it in one line, where line ends were lost: what stands behind the dashes.
    fn in_one_line(
        &mut self,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) {
        const DASHES: &[u8] = b"--------------------";
        let Some(at) = memchr::memmem::rfind(text, DASHES) else {
            return;
        };
        let words = Words::of(text.get(at + DASHES.len()..).unwrap_or_default());
        let mut numbers = words.all().windows(2).filter_map(|pair| match pair {
            [label, value] if label.ends_with(b":") => number::<u64>(value),
            _ => None,
        });
        if let (Some(first), Some(count)) = (numbers.next(), numbers.next()) {
            self.netsh.first = Some(first);
            let value = alloc::format!("x : {count}");
            self.dynamic_range(value.as_bytes(), line, findings, input);
        }
    }

    fn dynamic_range(
        &mut self,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        self.netsh.announced = self.netsh.announced.saturating_sub(1);
        let announced = self.netsh.announced > 0;
        let Some(value) = settings::label_and_number(text, announced) else {
            self.netsh.first = None;
            return false;
        };
        let Some(first) = self.netsh.first.take() else {
            self.netsh.first = (value >= 1 && value <= 65535).then_some(value);
            return self.netsh.first.is_some();
        };
        let Some(range) = settings::start_and_count(first, value) else {
            self.netsh.first = Some(value).filter(|value| *value <= 65535);
            return true;
        };
        self.part(findings);
        input.format(Format::NetshDynamicPort);
        findings.clue(Clue::Setting, dryport_model::Platform::Windows);
        self.tell_language(line, input);
        let command = core::mem::take(&mut self.command);
        findings.range(FoundRange {
            protocol: command.protocol.or_else(|| protocol_above(line.above)),
            family: command.family,
            range,
        });
        self.netsh.announced = 0;
        true
    }

    fn excluded_range(
        &mut self,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        let words = Words::of(text);
        let ends = [words.at(0), words.at(1)].map(|word| word.and_then(number::<u16>));
        let [Some(low), Some(high)] = ends else {
            // The footer, or other text: the table has ended.
            self.excluded = false;
            self.command = Command::default();
            return text.starts_with(b"*");
        };
        let Some(range) = PortRange::new(low, high) else {
            input.note(input.lines, "the excluded range is upside down".into());
            return true;
        };
        input.format(Format::NetshExcludedPortRange);
        findings.clue(Clue::Setting, dryport_model::Platform::Windows);
        self.tell_language(line, input);
        let protocol = self.command.protocol.or_else(|| protocol_above(line.above));
        findings.excluded.push(FoundRange {
            protocol,
            family: self.command.family,
            range,
        });
        true
    }

    /// Text of no use. A header parts what stands before from what follows: it has no digit, unlike
    /// a line of a log that came in between. So does a prompt.
    fn other(&mut self, text: &[u8], findings: &mut Findings) {
        self.asked_owners |= asks_for_owners(text);
        if let Some(asked) = unix::Asked::of(text) {
            self.asked = asked;
        }
        if core::mem::take(&mut self.awaits_uname) {
            uname(text, findings);
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

/// The row of Windows that begins in a line, behind whatever stands before it.
fn windows_row(text: &[u8]) -> Option<usize> {
    let starts = |at: usize| {
        let word = text.get(at..at + 3);
        let parted = text.get(at + 3).is_none_or(|byte| *byte <= b' ');
        matches!(word, Some(b"TCP" | b"UDP")) && parted
    };
    let first = text.iter().position(|byte| *byte > b' ')?;
    if starts(first) {
        return Some(first);
    }
    // `lsof` and `conntrack` have the words in other places.
    if holds(text, b" 0t0 ") {
        return None;
    }
    memchr::memchr2_iter(b'T', b'U', text).find(|at| {
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        starts(*at)
            && before.is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'`' | b'|'))
            && Words::of(text.get(*at..).unwrap_or_default())
                .at(1)
                .is_none_or(|word| word.contains(&b':'))
    })
}

/// `netstat -b`, alone or among other letters.
fn asks_for_owners(text: &[u8]) -> bool {
    let words = Words::of(text);
    let named = words.all().iter().any(|word| word.ends_with(b"netstat"));
    named
        && words
            .all()
            .iter()
            .any(|word| word.first() == Some(&b'-') && word.contains(&b'b'))
}

fn add_message(message: Message, line: u64, count: u64, findings: &mut Findings, input: &Input) {
    if let Some(platform) = message.platform {
        findings.clue(Clue::Message, platform);
    }
    findings.message(message, input.index, line, count);
}

/// Without the escapes of a terminal, marks of quotation, and blanks that are no ASCII.
fn plain(line: &[u8]) -> Cow<'_, [u8]> {
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
    [&b"TCP"[..], b"UDP", b"tcp", b"udp", b"ESTAB", b"TIME-WAIT", b"LISTEN"]
        .iter()
        .any(|word| tail.starts_with(word))
}

/// The name of a setting that a prompt asks for: `cat /proc/sys/net/…`, `sysctl -n net.…`.
fn asked_key(text: &[u8]) -> Option<&[u8]> {
    let words = Words::of(text);
    let last = words.last()?;
    if let Some(name) = last.strip_prefix(b"/proc/sys/") {
        return Some(name);
    }
    let asks = words.all().iter().any(|word| word.ends_with(b"sysctl"));
    (asks && last.starts_with(b"net.")).then_some(last)
}

/// The answer of `uname`, whose first word is the system.
fn uname(text: &[u8], findings: &mut Findings) {
    let platform = match Words::of(text).at(0) {
        Some(b"Linux") => dryport_model::Platform::Linux,
        Some(b"Darwin") => dryport_model::Platform::MacOs,
        Some(b"FreeBSD") => dryport_model::Platform::FreeBsd,
        _ => return,
    };
    findings.clue(Clue::Version, platform);
}

fn is_dashes(line: &[u8]) -> bool {
    line.len() >= 8 && line.iter().all(|byte| matches!(byte, b'-' | b' ' | b'\t'))
}

/// `netsh int ipv4 show dynamicport tcp`, behind a prompt or not.
fn is_command(line: &[u8]) -> bool {
    holds(line, b"netsh")
        || holds(line, b"show dynamicport")
        || holds(line, b"show excludedportrange")
}

fn command_of(line: &[u8]) -> Command {
    let has = |word: &[u8]| holds_ignoring_case(line, word);
    Command {
        protocol: match (has(b"tcp"), has(b"udp")) {
            (true, false) => Some(Protocol::Tcp),
            (false, true) => Some(Protocol::Udp),
            _ => None,
        },
        family: match (has(b"ipv4"), has(b"ipv6")) {
            (true, false) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            _ => None,
        },
        excluded: false,
    }
}

/// `netsh` names the protocol in its title, untranslated: the nearest line above that does.
fn protocol_above(above: &[u8]) -> Option<Protocol> {
    let from = above.len().saturating_sub(HEADER);
    let near = above.get(from..)?;
    near.rsplit(|byte| *byte == b'\n')
        .take(12)
        .find_map(|line| {
            let has = |word: &[u8]| holds_ignoring_case(line, word);
            match (has(b"tcp"), has(b"udp")) {
                (true, false) => Some(Protocol::Tcp),
                (false, true) => Some(Protocol::Udp),
                _ => None,
            }
        })
}

/// The cells of a line of CSV.
fn cells(line: &[u8], separator: u8) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = Vec::new();
    let mut quoted = false;
    for byte in line {
        match byte {
            b'"' => quoted = !quoted,
            byte if *byte == separator && !quoted => {
                cells.push(String::from_utf8_lossy(&cell).trim().to_string());
                cell.clear();
            }
            byte => cell.push(*byte),
        }
    }
    cells.push(String::from_utf8_lossy(&cell).trim().to_string());
    cells
}
