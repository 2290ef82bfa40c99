//! `check --pid`: the one process.

use super::layout::{Lines, left};
use super::number::grouped;
use super::paint::Tone;
use super::{phrase, requests};
use crate::ProcessFindings;

const LABEL: usize = 17;

/// Writes what was found. The first finding stands in the headline already.
pub(super) fn write(lines: &mut Lines, found: &ProcessFindings<'_>) {
    lines.gap();
    let name = lines
        .screen
        .paint(Tone::Strong, &phrase::process(found.process));
    lines.line(&name);
    if let Some(executable) = &found.process.executable {
        row(lines, "executable", executable);
    }
    if let Some(cgroup) = &found.process.cgroup {
        row(lines, "cgroup", cgroup);
    }
    row(lines, "namespace", &phrase::namespace(&found.namespace));
    row(lines, "open files", &open_files(found));
    row(lines, "connect hooks", &hooks(found));
    if !found.requests.is_empty() {
        lines.gap();
    }
    let rows: Vec<requests::Row> = found
        .requests
        .iter()
        .map(|own| {
            let name = phrase::row(&own.verdict.request, None);
            requests::Row::new(name, own.verdict, Some(own.sockets))
        })
        .collect();
    requests::write(lines, &rows);
    if found.findings.len() > 1 {
        lines.gap();
    }
    for finding in found.findings.iter().skip(1) {
        lines.hang("  - ", "  - ", finding, None);
    }
}

fn row(lines: &mut Lines, name: &str, text: &str) {
    let head = left(&format!("  {name}"), LABEL);
    let painted = lines.screen.paint(Tone::Faint, &head);
    lines.hang(&head, &painted, text, None);
}

fn open_files(found: &ProcessFindings<'_>) -> String {
    let open = found
        .open_files
        .map_or_else(|| "not seen".to_string(), grouped);
    match found.open_files_limit {
        None => format!("{open}; the limit could not be read"),
        Some(limit) if limit.soft == limit.hard => format!("{open} of {}", grouped(limit.soft)),
        Some(limit) => format!(
            "{open} of {} (the program may raise it to {})",
            grouped(limit.soft),
            grouped(limit.hard)
        ),
    }
}

fn hooks(found: &ProcessFindings<'_>) -> String {
    match &found.connect_hooks {
        Ok(hooks) if hooks.is_empty() => "none".to_string(),
        Ok(hooks) => hooks.join(", "),
        Err(why) => format!("not seen: {why}"),
    }
}
