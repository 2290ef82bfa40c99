//! Rows of sockets: in which format, whole or not, and what belongs to them.

use dryport_model::explain::{Clue, Findings};
use dryport_model::{Platform, Protocol, State};

use super::super::rows::{Found, Read, conntrack, lsof, powershell, proc_net, unix, windows};
use super::super::words::{Words, holds, number, trimmed};
use super::super::{Format, Input, language, state};
use super::{Context, HEADER, Line, NAME, Open};
use crate::procfs::printable_up_to;

/// Lines that a broken row may have.
const MOST_HALVES: usize = 3;

impl Context {
    pub(super) fn row(
        &mut self,
        text: &[u8],
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        if let Some(begin) = windows_row(text, false) {
            return self.windows_rows(text, begin, line, findings, input);
        }
        let words = Words::of(text);
        let read = self.other_row(&words, text, findings);
        self.take_read(read, text, line, findings, input)
    }

    /// Rows of Windows, of which several can stand in one line, behind a prefix or not.
    pub(super) fn windows_rows(
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
                _ if self.last_line_is_cut
                    && input.formats.contains(&Format::WindowsNetstat)
                    && windows_row(words.behind(count), true).is_none() =>
                {
                    input.note(input.lines, "the last row is not whole".into());
                    return true;
                }
                // A capture in which a row is no row is damaged; elsewhere it is prose.
                _ if any => input.note(input.lines, "a row could not be read".into()),
                _ => {}
            }
            rest = words.behind(count);
            let Some(next) = windows_row(rest, true) else {
                return any;
            };
            rest = rest.get(next..).unwrap_or_default();
        }
    }

    /// A process id that a line break parted from its row.
    pub(super) fn process_id_before(&mut self, text: &[u8]) {
        if let Some(open) = &mut self.open
            && open.format == Format::WindowsNetstat
            && open.pid.is_none()
        {
            open.pid = number(trimmed(text));
        }
    }

    /// The last line of a capture that was cut off in the word for the state.
    pub(super) fn is_cut(&self, found: &Found<'_>, words: &Words<'_>, end: usize) -> bool {
        self.last_line_is_cut
            && found.row.protocol == Protocol::Tcp
            && end >= words.len()
            && found.row.state.is_none()
            && found.pid.is_none()
    }

    pub(super) fn other_row<'a>(
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

    pub(super) fn take_read(
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
                findings.clue(Clue::Capture, Platform::Linux);
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

    pub(super) fn found(
        &mut self,
        found: &Found<'_>,
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) {
        self.close_row(findings);
        if self.fresh || self.announced != Some(found.format) {
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
    pub(super) fn announce(
        &mut self,
        format: Format,
        line: &Line<'_>,
        findings: &mut Findings,
        input: &mut Input,
    ) {
        self.fresh = false;
        self.announced = Some(format);
        input.format(format);
        if let Some(platform) = unix::platform(format) {
            findings.clue(Clue::Capture, platform);
        }
        if format == Format::WindowsNetstat {
            self.tell_language(line, input);
        }
    }

    pub(super) fn tell_language(&self, line: &Line<'_>, input: &mut Input) {
        if input.language.is_none() {
            let from = line.above.len().saturating_sub(HEADER);
            input.language = language::of(line.above.get(from..).unwrap_or_default());
        }
    }

    pub(super) fn close_row(&mut self, findings: &mut Findings) {
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
    pub(super) fn belongs_to_row(&mut self, text: &[u8]) -> bool {
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
    pub(super) fn second_half(
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
    pub(super) fn is_whole_row(&self, text: &[u8], half: &[u8], findings: &mut Findings) -> bool {
        let number_led = |text: &[u8]| {
            let word = Words::of(text).at(0);
            word.is_some_and(|word| {
                word.iter().all(|byte| !byte.is_ascii_alphabetic()) && !word.ends_with(b":")
            })
        };
        if number_led(text) && !number_led(half) {
            return false;
        }
        let read = match windows_row(text, false) {
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
}

/// The row of Windows that begins in a line, behind whatever stands before it.
/// `after_rows`: a row stands before it in the line, so it is of no other format.
pub(super) fn windows_row(text: &[u8], after_rows: bool) -> Option<usize> {
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
    if !after_rows && holds(text, b" 0t0 ") {
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
