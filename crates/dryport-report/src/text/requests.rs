//! Requests as a table: a bar of the ledger, what is left, how much is used.

use dryport_model::explain::CapturedRequest;
use dryport_model::{Headroom, Ledger, Level, RequestVerdict};

use super::bar::{bar, legend};
use super::layout::{Lines, blanks, left, right, width};
use super::number::{ends, grouped, used};
use super::paint::Tone;

const NARROWEST_BAR: usize = 16;
const WIDEST_BAR: usize = 30;
const GAP: usize = 2;

/// One row.
pub(super) struct Row {
    name: String,
    ledger: Ledger,
    headroom: Headroom,
    level: Level,
    uncertain: bool,
    /// Sockets of the one process that the table is about.
    own: Option<u32>,
}

impl Row {
    /// A request of a capture.
    pub(super) const fn captured(name: String, request: &CapturedRequest) -> Self {
        Self {
            name,
            ledger: request.ledger,
            headroom: request.headroom,
            level: request.level,
            uncertain: request.unsure.is_some(),
            own: None,
        }
    }

    pub(super) fn new(name: String, verdict: &RequestVerdict, own: Option<u32>) -> Self {
        Self {
            name,
            ledger: verdict.ledger,
            headroom: verdict.headroom,
            level: verdict.level,
            uncertain: verdict.level_is_uncertain,
            own,
        }
    }

    fn numbers(&self) -> [String; 3] {
        [
            self.own.map(grouped).unwrap_or_default(),
            ends(self.headroom),
            used(&self.ledger),
        ]
    }
}

/// The width of every column.
struct Columns {
    name: usize,
    bar: usize,
    numbers: [usize; 3],
}

impl Columns {
    fn new(rows: &[Row], heads: [&str; 3], screen: usize) -> Self {
        let numbers: [usize; 3] = core::array::from_fn(|column| {
            let widths = rows
                .iter()
                .filter_map(|row| row.numbers().get(column).map(|text| width(text)));
            let head = heads.get(column).map_or(0, |head| width(head));
            widths.max().unwrap_or(0).max(head)
        });
        let taken: usize = numbers
            .iter()
            .filter(|columns| **columns > 0)
            .map(|columns| columns + GAP)
            .sum();
        let rest = screen.saturating_sub(GAP + GAP + taken);
        let most = rest.saturating_sub(NARROWEST_BAR);
        let name = rows
            .iter()
            .map(|row| width(&row.name))
            .filter(|columns| *columns <= most)
            .max()
            .unwrap_or(most / 2);
        Self {
            name,
            bar: rest.saturating_sub(name).clamp(NARROWEST_BAR, WIDEST_BAR),
            numbers,
        }
    }

    fn numbers(&self, texts: &[String; 3]) -> String {
        texts
            .iter()
            .zip(self.numbers)
            .filter(|(_, columns)| *columns > 0)
            .map(|(text, columns)| format!("{}{}", blanks(GAP), right(text, columns)))
            .collect()
    }
}

/// Writes the table under a line that tells the signs. Nothing for no rows.
pub(super) fn write(lines: &mut Lines, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let screen = lines.screen;
    let own = rows.iter().any(|row| row.own.is_some());
    let heads = [if own { "own" } else { "" }, "left", "used"];
    let columns = Columns::new(rows, heads, screen.columns());
    let (signs, taken) = legend(rows.iter().map(|row| &row.ledger), screen);
    let room = columns.name + GAP + columns.bar;
    let numbers = screen.paint(Tone::Faint, &columns.numbers(&heads.map(String::from)));
    if taken <= room {
        let fill = blanks(room - taken);
        lines.line(&format!("{}{signs}{fill}{numbers}", blanks(GAP)));
    } else {
        lines.line(&format!("{}{signs}", blanks(GAP)));
        lines.line(&format!("{}{numbers}", blanks(GAP + room)));
    }
    for row in rows {
        write_row(lines, row, &columns);
    }
}

fn write_row(lines: &mut Lines, row: &Row, columns: &Columns) {
    let screen = lines.screen;
    let alarm = row.level >= Level::Warning;
    let mark = match (alarm, row.uncertain) {
        (true, false) => "! ",
        (true, true) => "? ",
        (false, _) => "  ",
    };
    let numbers = columns.numbers(&row.numbers());
    let (mark, numbers) = if alarm {
        let tone = Tone::Level(row.level);
        (screen.paint(tone, mark), screen.paint(tone, &numbers))
    } else {
        (mark.to_string(), numbers)
    };
    let bar = bar(&row.ledger, columns.bar, screen);
    if width(&row.name) > columns.name {
        for (index, line) in name_lines(&row.name, screen.columns()).iter().enumerate() {
            let head = if index == 0 { &mark } else { "  " };
            lines.line(&format!("{head}{line}"));
        }
        lines.line(&format!(
            "{}{bar}{numbers}",
            blanks(GAP + columns.name + GAP)
        ));
    } else {
        let name = left(&row.name, columns.name + GAP);
        lines.line(&format!("{mark}{name}{bar}{numbers}"));
    }
}

/// The name in one line, or before and after its arrow.
fn name_lines(name: &str, columns: usize) -> Vec<String> {
    match name.split_once(" → ") {
        Some((source, rest)) if width(name) + GAP > columns => {
            vec![source.to_string(), format!("→ {rest}")]
        }
        _ => vec![name.to_string()],
    }
}
