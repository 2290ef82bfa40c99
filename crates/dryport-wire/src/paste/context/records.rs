//! Records of named fields: lists and CSV of PowerShell, and JSON.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use dryport_model::Platform;
use dryport_model::explain::{Clue, Findings};

use super::super::json::Object;
use super::super::rows::powershell::{Columns, Record};
use super::super::rows::unix;
use super::super::words::{holds, split_once, trimmed};
use super::super::{Format, Input};
use super::Context;

impl Context {
    /// `LocalAddress : 192.0.2.10`, a header of columns, or a row of CSV.
    pub(super) fn field(
        &mut self,
        text: &[u8],
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
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

    pub(super) const fn is_ipv6_table(&self, line: &[u8]) -> bool {
        self.columns.is_some() && !matches!(line.first(), Some(b'A'..=b'Z'))
    }

    pub(super) fn header(
        &mut self,
        line: &[u8],
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
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

    pub(super) fn end_record(&mut self, findings: &mut Findings, input: &mut Input) {
        if self.record.is_empty() {
            return;
        }
        let record = core::mem::take(&mut self.record);
        let alone = record.remote.is_none() && record.state.is_none() && input.rows > 0;
        let cut =
            self.last_line_is_cut && record.state.is_none() && (alone || record.remote.is_some());
        if cut || !self.take_record(&record, Format::PowershellList, findings, input) {
            input.note(self.record_line, "the record is not whole".into());
        }
    }

    pub(super) fn take_record(
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

    pub(super) fn is_json(&self, text: &[u8]) -> bool {
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

    pub(super) fn json_line(&mut self, text: &[u8], findings: &mut Findings, input: &mut Input) {
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
                findings.clue(Clue::Capture, Platform::Linux);
                findings.report(report);
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
