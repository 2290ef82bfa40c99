//! `netsh int ipv4|ipv6 show dynamicport` and `show excludedportrange`, by structure alone.

use dryport_model::explain::{Clue, Findings, FoundRange};
use dryport_model::{Family, Platform, PortRange, Protocol};

use super::super::settings;
use super::super::words::{Words, holds, holds_ignoring_case, number, trimmed};
use super::super::{Format, Input};
use super::{Context, HEADER, Line};

/// Two numbers of `netsh`.
#[derive(Default)]
pub(super) struct Netsh {
    pub(super) first: Option<u64>,
    /// A line of dashes, or a command, announced them.
    pub(super) announced: u8,
}

/// What a command line in the paste tells of what follows.
#[derive(Clone, Copy, Default)]
pub(super) struct Command {
    protocol: Option<Protocol>,
    family: Option<Family>,
    /// It asked for excluded ranges.
    excluded: bool,
}

impl Context {
    pub(super) fn netsh(
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
                findings.clue(Clue::Setting, Platform::Windows);
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
    pub(super) fn in_one_line(
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

    pub(super) fn dynamic_range(
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
            self.netsh.first = (1..=65535).contains(&value).then_some(value);
            return self.netsh.first.is_some();
        };
        let Some(range) = settings::start_and_count(first, value) else {
            self.netsh.first = Some(value).filter(|value| *value <= 65535);
            return true;
        };
        self.part(findings);
        input.format(Format::NetshDynamicPort);
        findings.clue(Clue::Setting, Platform::Windows);
        self.tell_language(line, input);
        let command = core::mem::take(&mut self.command);
        findings.range(FoundRange {
            protocol: command.protocol.or_else(|| protocol_above(line.above)),
            family: command.family,
            range,
            of_windows: true,
        });
        self.netsh.announced = 0;
        true
    }

    pub(super) fn excluded_range(
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
        findings.clue(Clue::Setting, Platform::Windows);
        self.tell_language(line, input);
        let protocol = self.command.protocol.or_else(|| protocol_above(line.above));
        findings.exclude(FoundRange {
            protocol,
            family: self.command.family,
            range,
            of_windows: true,
        });
        true
    }
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
