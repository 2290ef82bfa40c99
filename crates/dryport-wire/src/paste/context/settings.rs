//! Settings, and values that a prompt asked for.

use dryport_model::Platform;
use dryport_model::explain::{Clue, Findings, Number};

use super::super::rows::unix;
use super::super::settings::{self, Key};
use super::super::words::{Words, holds_ignoring_case, trimmed};
use super::super::{Format, Input};
use super::Context;

impl Context {
    pub(super) fn setting(
        &mut self,
        text: &[u8],
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
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
                findings.clue(Clue::Setting, Platform::Windows);
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

    pub(super) fn registry_value(
        &mut self,
        number: Number,
        value: Option<u64>,
        findings: &mut Findings,
        input: &mut Input,
    ) {
        input.format(Format::Registry);
        findings.clue(Clue::Setting, Platform::Windows);
        match value {
            _ if self.old_registry => input.note(
                input.lines,
                "this control set is not the one in force (CurrentControlSet is)".into(),
            ),
            Some(value) => findings.set(number, value),
            None => input.note(input.lines, "the value could not be read".into()),
        }
    }

    pub(super) fn sysctl(
        &mut self,
        line: &[u8],
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
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
    pub(super) fn awaited_value(
        &mut self,
        text: &[u8],
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
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
pub(super) fn uname(text: &[u8], findings: &mut Findings) {
    let platform = match Words::of(text).at(0) {
        Some(b"Linux") => Platform::Linux,
        Some(b"Darwin") => Platform::MacOs,
        Some(b"FreeBSD") => Platform::FreeBsd,
        _ => return,
    };
    findings.clue(Clue::Version, platform);
}
