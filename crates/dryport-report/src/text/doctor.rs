//! The screen of `doctor`: what can be seen and done here, what not, and what would change that.

use dryport_model::{Level, Seen};

use super::Screen;
use super::layout::{Lines, left, width};
use super::number::plural;
use super::paint::Tone;
use crate::{Diagnosis, Finding};

/// The first line alone, for `--quiet`.
#[must_use]
pub fn doctor_line(diagnosis: &Diagnosis, screen: Screen) -> String {
    format!("{}\n", screen.paint(Tone::Strong, &sentence(diagnosis)))
}

/// The whole screen.
#[must_use]
pub fn doctor(diagnosis: &Diagnosis, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    lines.hang("", "", &sentence(diagnosis), Some(Tone::Strong));
    lines.gap();
    let names = diagnosis.findings.iter().map(|finding| width(finding.what));
    let widest = names.max().unwrap_or(0) + 2;
    for finding in &diagnosis.findings {
        write_finding(&mut lines, finding, widest);
    }
    lines.finish()
}

fn write_finding(lines: &mut Lines, finding: &Finding, widest: usize) {
    let (word, level) = match finding.seen {
        Seen::Full => ("yes", Level::Ok),
        Seen::Partial => ("in part", Level::Warning),
        Seen::None => ("no", Level::Critical),
    };
    let name = left(finding.what, widest);
    let head = format!("{name}{}", left(word, 9));
    let painted = format!(
        "{name}{}",
        lines.screen.paint(Tone::Level(level), &left(word, 9))
    );
    lines.hang(&head, &painted, &finding.how, None);
    let indent = " ".repeat(widest + 9);
    if let Some(why) = &finding.why {
        lines.hang(&indent, &indent, why, None);
    }
    if let Some(change) = &finding.change {
        lines.hang(&indent, &indent, &format!("→ {change}"), Some(Tone::Faint));
    }
}

fn sentence(diagnosis: &Diagnosis) -> String {
    let short = diagnosis
        .findings
        .iter()
        .filter(|finding| finding.seen != Seen::Full);
    let kernel = &diagnosis.kernel;
    match short.count() as u64 {
        0 => format!("Linux {kernel}: everything can be seen and done here."),
        count => format!(
            "Linux {kernel}: {count} {} cannot be seen or done in full.",
            plural(count, "thing", "things")
        ),
    }
}
