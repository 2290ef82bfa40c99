//! The screen of `fix`: what to do in the application, which settings change, what that gives and
//! meets, and what became of it.

use dryport_model::Level;
use dryport_model::plan::{Advice, Change, Plan, Setting};

use super::headline::level_word;
use super::layout::{Lines, left, right, width};
use super::number::{ends, grouped, plural};
use super::paint::Tone;
use super::{Screen, phrase, rehearsal};
use crate::{Outcome, Planned};

/// Longer values are folded below their setting.
const LONGEST_VALUE: usize = 24;
const OLD_ENOUGH: &str = "The rehearsal asks once TIME_WAITs are old enough to be taken over \
    (tcp_tw_reuse_delay); at this moment not all are.";
const BEFORE: &str = "now";
const AFTER: &str = "then";
/// Recipes told on the screen; `--write` and `--json` have all.
const MOST_RECIPES: usize = 1;

/// The first line alone, for `--quiet`.
#[must_use]
pub fn plan_line(planned: &Planned<'_>, screen: Screen) -> String {
    let (level, sentence) = headline(planned);
    format!(
        "{}  {}\n",
        screen.paint(Tone::Level(level), &level_word(level)),
        screen.paint(Tone::Strong, &sentence)
    )
}

/// The plan, before anything is asked or done.
#[must_use]
pub fn plan(planned: &Planned<'_>, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    let (level, sentence) = headline(planned);
    let word = level_word(level);
    let painted = screen.paint(Tone::Level(level), &word);
    lines.hang(
        &format!("{word}  "),
        &format!("{painted}  "),
        &sentence,
        Some(Tone::Strong),
    );
    write_advice(&mut lines, &planned.plan.advice);
    write_changes(&mut lines, planned.plan);
    if !planned.plan.changes.is_empty() {
        write_numbers(&mut lines, planned);
    }
    if planned.why {
        write_considered(&mut lines, planned.plan);
    }
    write_conditions(&mut lines, planned);
    write_recipes(&mut lines, planned);
    lines.finish()
}

/// What became of it.
#[must_use]
pub fn outcome(planned: &Planned<'_>, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    match &planned.outcome {
        Outcome::Nothing | Outcome::Shown => {}
        Outcome::NotApplied { why, command } => {
            // Apart from the plan, which stands above.
            lines.line("");
            lines.hang("", "", why, Some(Tone::Strong));
            if let Some(command) = command {
                lines.line(&format!("  {}", screen.paint(Tone::Command, command)));
            }
        }
        Outcome::Applied { .. } => write_applied(&mut lines, planned),
    }
    lines.finish()
}

fn write_applied(lines: &mut Lines, planned: &Planned<'_>) {
    let Outcome::Applied {
        headroom,
        file,
        does_not_last,
        confirm_within_seconds,
        ..
    } = &planned.outcome
    else {
        return;
    };
    let expected = planned.plan.after.headroom;
    let left = headroom.map_or_else(String::new, |headroom| {
        format!(
            ": {} {} left{}",
            ends(headroom),
            plural(u64::from(headroom.at_least), "port", "ports"),
            if headroom == expected {
                ", as expected".into()
            } else {
                format!(" ({} expected)", ends(expected))
            }
        )
    });
    lines.hang("", "", &format!("Done{left}."), Some(Tone::Strong));
    if let Some(seconds) = confirm_within_seconds {
        let text = format!(
            "It is taken back in {seconds} s unless you confirm it. Can you still reach this machine?"
        );
        lines.hang("", "", &text, None);
        command(
            lines,
            &format!("dryport fix --confirm{}", planned.command_suffix),
        );
        return;
    }
    match (file, does_not_last) {
        (_, Some(why)) => lines.hang("", "", &format!("It will not last: {why}"), None),
        (Some(file), None) => {
            lines.hang(
                "",
                "",
                &format!("It lasts after a restart, by {file}."),
                None,
            );
        }
        (None, None) => lines.hang("", "", "It lasts until a restart.", None),
    }
    command(lines, &format!("dryport undo{}", planned.command_suffix));
}

fn command(lines: &mut Lines, text: &str) {
    lines.line(&format!("  {}", lines.screen.paint(Tone::Command, text)));
}

/// What is wrong, and whether it can be mended here.
fn headline(planned: &Planned<'_>) -> (Level, String) {
    let plan = planned.plan;
    let subject = subject(planned);
    let before = plan.before.headroom;
    let ports = plural(u64::from(before.at_most), "port", "ports");
    let before = format!("{} {ports} left{subject}", ends(before));
    match &planned.outcome {
        Outcome::Nothing if planned.level <= Level::Ok => {
            (planned.level, format!("Nothing needs to change: {before}."))
        }
        Outcome::Nothing if plan.reaches => (
            planned.level,
            format!("{before}; no setting needs to change."),
        ),
        Outcome::Nothing => (
            planned.level.max(Level::Warning),
            format!("{before}; no setting helps, the application has to change."),
        ),
        _ if !plan.reaches => (
            planned.level.max(Level::Warning),
            match plan.refusals.first() {
                Some(refusal) => {
                    format!("{before}; no setting is enough for {}.", refusal.what)
                }
                None => format!("{before}; no setting is enough."),
            },
        ),
        _ if plan.after.headroom == plan.before.headroom && is_same_rate(plan) => (
            planned.level,
            format!("{before}; the change gives none, and does what is said below."),
        ),
        _ => {
            let changes = plan.changes.len() as u64;
            let settings = plural(changes, "setting", "settings");
            let gives = if plan.after.headroom == plan.before.headroom {
                format!(
                    "{} {} connections per second instead of {}",
                    plural(changes, "sustains", "sustain"),
                    rate(plan.after.sustainable_per_second),
                    rate(plan.before.sustainable_per_second)
                )
            } else {
                format!(
                    "{} it {}",
                    plural(changes, "makes", "make"),
                    ends(plan.after.headroom)
                )
            };
            (
                planned.level,
                format!("{before}; {changes} {settings} {gives}."),
            )
        }
    }
}

fn is_same_rate(plan: &Plan) -> bool {
    plan.after.sustainable_per_second == plan.before.sustainable_per_second
}

fn subject(planned: &Planned<'_>) -> String {
    planned.request.map_or_else(String::new, |request| {
        format!(
            " {}",
            phrase::clause(request, planned.device_name.as_deref())
        )
    })
}

fn write_advice(lines: &mut Lines, advice: &[Advice]) {
    if advice.is_empty() {
        return;
    }
    heading(lines, "In the application first");
    for (index, one) in advice.iter().enumerate() {
        let number = format!("{}. ", index + 1);
        lines.hang("     ", &format!("  {number}"), &one.summary, None);
        for snippet in &one.snippets {
            for line in snippet.text.lines() {
                let painted = lines.screen.paint(Tone::Command, line);
                lines.line(&format!("     {painted}"));
            }
        }
    }
}

fn write_changes(lines: &mut Lines, plan: &Plan) {
    if plan.changes.is_empty() {
        return;
    }
    heading(lines, "Settings");
    for change in &plan.changes {
        write_change(lines, change);
    }
}

fn write_change(lines: &mut Lines, change: &Change) {
    let restart = if change.restart_needed {
        "  (needs a restart of the system)"
    } else {
        ""
    };
    let unknown = match change.setting {
        // The others are always there: the input does not tell them.
        Setting::MaxUserPort | Setting::TcpTimedWaitDelay => "not set",
        _ => "not told",
    };
    let from = change.from.as_deref().map_or_else(|| unknown.into(), shown);
    write_values(
        lines,
        change.setting.name(),
        (&from, &shown(&change.to)),
        restart,
    );
    lines.hang("    ", "    ", &change.why, Some(Tone::Faint));
}

/// A setting with both values: on its line where they fit, else below it.
pub(super) fn write_values(
    lines: &mut Lines,
    setting: &str,
    (from, to): (&str, &str),
    remark: &str,
) {
    let name = lines.screen.paint(Tone::Strong, setting);
    let line = format!("  {name}  {from} → {to}{remark}");
    let columns = width(setting) + width(from) + width(to) + width(remark) + 7;
    if width(from).max(width(to)) <= LONGEST_VALUE && columns <= lines.screen.columns() {
        lines.line(&line);
        return;
    }
    lines.line(&format!("  {name}{remark}"));
    for (head, value) in [(BEFORE, from), (AFTER, to)] {
        let head = format!("    {}", left(head, 6));
        let painted = lines.screen.paint(Tone::Faint, &head);
        lines.list(&head, &painted, &folded(value));
    }
}

/// Lists are written with commas and no blanks; they may be broken after one.
pub(super) fn folded(list: &str) -> String {
    list.replace(',', ",\u{200b}")
}

/// On one line; what is empty says so.
pub(super) fn shown(value: &str) -> String {
    match value.split_ascii_whitespace().collect::<Vec<_>>().join(" ") {
        text if text.is_empty() => "(empty)".into(),
        text => text,
    }
}

fn write_numbers(lines: &mut Lines, planned: &Planned<'_>) {
    let plan = planned.plan;
    let mut rows = Vec::from([(
        "ports left".to_string(),
        ends(plan.before.headroom),
        ends(plan.after.headroom),
    )]);
    rows.extend(rehearsal::rows(planned.rehearsal));
    rows.push((
        "connections/s that ports allow".into(),
        rate(plan.before.sustainable_per_second),
        rate(plan.after.sustainable_per_second),
    ));
    lines.gap();
    table(lines, "Gives", &rows);
}

/// Three columns: what, now, then.
pub(super) fn table(lines: &mut Lines, title: &str, rows: &[(String, String, String)]) {
    let first = first_column(title, rows);
    let second = column(rows.iter().map(|row| &row.1), BEFORE);
    let third = column(rows.iter().map(|row| &row.2), AFTER);
    lines.line(&format!(
        "{}  {}  {}",
        lines.screen.paint(Tone::Strong, &left(title, first)),
        lines.screen.paint(Tone::Faint, &right(BEFORE, second)),
        lines.screen.paint(Tone::Faint, &right(AFTER, third)),
    ));
    for (what, before, after) in rows {
        lines.line(&format!(
            "{}  {}  {}",
            left(&format!("  {what}"), first),
            right(before, second),
            right(after, third),
        ));
    }
}

/// The first two of them, where nothing changes.
pub(super) fn table_now(lines: &mut Lines, title: &str, rows: &[(String, String, String)]) {
    let first = first_column(title, rows);
    let second = column(rows.iter().map(|row| &row.1), "");
    lines.line(&lines.screen.paint(Tone::Strong, title));
    for (what, now, _) in rows {
        lines.line(&format!(
            "{}  {}",
            left(&format!("  {what}"), first),
            right(now, second)
        ));
    }
}

fn first_column(title: &str, rows: &[(String, String, String)]) -> usize {
    column(rows.iter().map(|row| &row.0), title) + 2
}

fn column<'a>(cells: impl Iterator<Item = &'a String>, head: &str) -> usize {
    let longest = cells.map(|cell| width(cell)).max().unwrap_or(0);
    longest.max(width(head))
}

/// Connections per second; a slow one with a decimal.
pub(super) fn rate(per_second: Option<f64>) -> String {
    match per_second {
        None => "not known".into(),
        Some(rate) if rate < 0.1 => "<0.1".into(),
        Some(rate) if rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => grouped(rate as u64),
    }
}

/// The ways that were weighed, the one that was taken marked.
fn write_considered(lines: &mut Lines, plan: &Plan) {
    if plan.considered.is_empty() {
        return;
    }
    lines.gap();
    let rows: Vec<[String; 4]> = plan
        .considered
        .iter()
        .map(|one| {
            let mark = if one.is_chosen { "→ " } else { "  " };
            let enough = if one.suffices { "enough" } else { "not enough" };
            [
                format!("{mark}{}", one.what),
                ends(one.expected.headroom),
                rate(one.expected.sustainable_per_second),
                enough.into(),
            ]
        })
        .collect();
    let heads = ["Weighed, the safest first", "left", "per second", ""];
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let head = heads.get(column).map_or(0, |head| width(head));
        cells.map(|cell| width(cell)).max().unwrap_or(0).max(head)
    };
    let row = |cells: [&str; 4]| {
        let [what, left_over, second, enough] = cells;
        format!(
            "{}  {}  {}  {enough}",
            left(what, widest(0)),
            right(left_over, widest(1)),
            right(second, widest(2))
        )
    };
    lines.line(&lines.screen.paint(Tone::Strong, row(heads).trim_end()));
    for cells in &rows {
        lines.line(&row(cells.each_ref().map(String::as_str)));
    }
}

fn write_conditions(lines: &mut Lines, planned: &Planned<'_>) {
    let plan = planned.plan;
    if planned.outcome == Outcome::Nothing && plan.reaches {
        return;
    }
    let mut texts: Vec<String> = plan.conflicts.iter().map(|c| c.text.clone()).collect();
    texts.extend(plan.assumptions.iter().map(|text| assumed(text)));
    if let Some(rehearsal) = planned.rehearsal {
        // What is left at this moment and what was rehearsed are told one below the other.
        if rehearsal
            .predicted
            .is_some_and(|(before, _)| before != plan.before.headroom)
        {
            texts.push(OLD_ENOUGH.into());
        }
        texts.extend(rehearsal.notes.iter().cloned());
    }
    texts.extend(plan.refusals.iter().map(|refusal| {
        format!(
            "Not done: {}. {} (dryport\u{a0}explain\u{a0}{})",
            refusal.what,
            refusal.reason,
            refusal.page.name()
        )
    }));
    if texts.is_empty() {
        return;
    }
    heading(lines, "To know");
    for text in texts {
        lines.hang("  - ", "  - ", &text, None);
    }
}

/// Assumptions come as sentences and as parts of one.
fn assumed(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    let stop = if text.ends_with('.') { "" } else { "." };
    format!(
        "Assumed: {}{}{stop}",
        first.unwrap_or_default(),
        letters.as_str()
    )
}

/// For a capture, the commands are what the reader came for.
fn write_recipes(lines: &mut Lines, planned: &Planned<'_>) {
    if planned.namespace.is_some() {
        return;
    }
    for recipe in planned.recipes.iter().take(MOST_RECIPES) {
        heading(lines, &recipe.title);
        for line in recipe.apply.lines() {
            command(lines, line);
        }
        if let Some(note) = &recipe.note {
            lines.hang("  ", "  ", note, Some(Tone::Faint));
        }
        if let Some(undo) = &recipe.undo {
            heading(lines, "And back");
            for line in undo.lines() {
                command(lines, line);
            }
        }
    }
    let others: Vec<&str> = planned
        .recipes
        .iter()
        .skip(MOST_RECIPES)
        .map(|recipe| recipe.file_name)
        .collect();
    if !others.is_empty() {
        lines.gap();
        let text = format!(
            "`--write DIR` writes that and {} as files.",
            others.join(", ")
        );
        lines.hang("", "", &text, None);
    }
}

fn heading(lines: &mut Lines, text: &str) {
    lines.gap();
    lines.line(&lines.screen.paint(Tone::Strong, text));
}
