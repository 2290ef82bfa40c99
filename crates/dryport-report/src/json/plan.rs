//! `dryport.plan/1`, `dryport.rehearsal/1` and `dryport.journal/1`.

use dryport_model::plan;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Headroom;
use super::parts::{Namespace, RequestPart};
use crate::{JournalAnswer, JournalLine, Outcome, Planned, RehearsalAnswer};

/// A change that suffices, what it meets and gives, and what became of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.plan/1")]
pub struct PlanDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.plan/1"))]
    schema: &'static str,
    /// The level before the change.
    #[schemars(extend("enum" = ["ok", "warning", "critical", "unknown"]))]
    level: &'static str,
    /// Whose rules the plan follows.
    platform: &'static str,
    /// What the numbers are about; null for a capture.
    request: Option<RequestPart<'a>>,
    /// Settings to change, in the order in which they are written.
    changes: Vec<Change<'a>>,
    /// What the changes meet.
    conflicts: Vec<Conflict<'a>>,
    /// What may be expected without and with the changes.
    expected: Expected,
    /// What the kernel said to it in a scratch namespace; null where it was not asked.
    rehearsal: Option<Rehearsal<'a>>,
    /// The command that takes the change back; null where there is nothing to take back.
    undo: Option<String>,
    /// Whether the changes reach what was asked for.
    reaches: bool,
    /// Ports that the target takes at once.
    needed: u32,
    /// What to do in the application, the safest first.
    advice: Vec<Advice<'a>>,
    /// What was asked for and is not done.
    refusals: Vec<Refusal<'a>>,
    /// What was assumed.
    assumptions: &'a [String],
    /// The change as commands and files.
    recipes: Vec<Recipe<'a>>,
    /// The ways that were weighed, the safest first; every step in between was tried too. Empty
    /// where there was no choice.
    considered: Vec<Considered<'a>>,
    /// What became of it.
    outcome: OutcomePart<'a>,
}

/// One of the ways that were weighed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Considered<'a> {
    /// What it is, in a few words.
    what: &'a str,
    /// Ports left with it.
    headroom: Headroom,
    /// Ports that can be held at once with it.
    capacity: u32,
    /// Connections per second that can go on for ever with it; null: not known, or not limited by
    /// ports.
    sustainable_per_second: Option<f64>,
    /// Whether it is enough.
    suffices: bool,
    /// Whether it is the one that was taken.
    is_chosen: bool,
}

/// One setting.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Change<'a> {
    /// Its name, as its system writes it.
    setting: &'static str,
    /// Its value now; null: absent, or not told.
    from: Option<&'a str>,
    /// Its value afterwards; empty for an empty list.
    to: &'a str,
    /// What it governs.
    #[schemars(extend("enum" = ["namespace", "machine"]))]
    scope: &'static str,
    /// Whether it survives a restart of the system.
    persists: bool,
    /// Whether the system has to be restarted for it to take effect.
    restart_needed: bool,
    /// Why.
    why: &'a str,
}

/// Something that a change meets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Conflict<'a> {
    /// What kind.
    kind: &'static str,
    /// In a sentence.
    text: &'a str,
}

/// Numbers without and with the change.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Expected {
    /// Ports left without it.
    headroom_before: Headroom,
    /// Ports left with it.
    headroom_after: Headroom,
    /// Connections per second that can go on for ever, without it; null: not known, or not limited
    /// by ports.
    sustainable_per_second_before: Option<f64>,
    /// The same with it.
    sustainable_per_second_after: Option<f64>,
    /// Ports that can be held at once, without it.
    capacity_before: u32,
    /// The same with it.
    capacity_after: u32,
}

/// What to do in the application.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Advice<'a> {
    /// Stable id, the same as that of a remedy.
    id: &'static str,
    /// In a sentence.
    summary: &'a str,
    /// How, for the programs that were recognised.
    snippets: Vec<Snippet>,
}

/// How something is done in one kind of program.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Snippet {
    /// The kind of program.
    client: &'static str,
    /// The lines to put in.
    text: &'static str,
}

/// Something that is not done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Refusal<'a> {
    /// What was asked for.
    what: &'a str,
    /// Why not.
    reason: &'a str,
    /// The page that explains it: `dryport explain PAGE`.
    page: &'static str,
}

/// The change as a command or a file.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Recipe<'a> {
    /// Stable id.
    id: &'static str,
    /// What it is.
    title: &'a str,
    /// A name for the file.
    file_name: &'static str,
    /// The text that applies it.
    apply: &'a str,
    /// The text that takes it back; null: nothing does.
    undo: Option<&'a str>,
    /// What to know.
    note: Option<&'a str>,
}

/// What the kernel said in a scratch namespace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Rehearsal<'a> {
    /// Sockets granted with the settings in force.
    measured_before: u32,
    /// Sockets granted with the change.
    measured_after: u32,
    /// Connections per second that went on after the first burst, before; null: not measured, or
    /// nothing came back in time.
    sustained_per_second_before: Option<f64>,
    /// The same after.
    sustained_per_second_after: Option<f64>,
    /// The error when it was dry, before.
    refused_with_before: Option<&'static str>,
    /// The same after.
    refused_with_after: Option<&'static str>,
    /// What was predicted before; null: nothing.
    predicted_before: Option<Headroom>,
    /// The same after.
    predicted_after: Option<Headroom>,
    /// What was tried.
    subject: &'a str,
    /// What to know about the numbers.
    notes: &'a [String],
}

/// What became of the plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct OutcomePart<'a> {
    /// In a word.
    #[schemars(extend("enum" = ["nothing_to_do", "shown", "not_applied", "applied"]))]
    state: &'static str,
    /// Why it was not applied, or why it will not last; null otherwise.
    why: Option<&'a str>,
    /// The command that would apply it; null otherwise.
    command: Option<&'a str>,
    /// Its id in the journal; null where it was not applied.
    id: Option<&'a str>,
    /// What a fresh census found left; null where it was not applied.
    headroom: Option<Headroom>,
    /// The file that makes it last; null: none.
    file: Option<&'a str>,
    /// Seconds until it is taken back unless it is confirmed; null: it stays.
    confirm_within_seconds: Option<u64>,
}

impl<'a> PlanDocument<'a> {
    pub(super) fn new(planned: &'a Planned<'a>) -> Self {
        let plan = planned.plan;
        let is_applied = matches!(planned.outcome, Outcome::Applied { .. });
        Self {
            schema: "dryport.plan/1",
            level: planned.level.name(),
            platform: planned.platform.name(),
            request: planned
                .request
                .zip(planned.namespace.as_ref())
                .map(|(request, namespace)| {
                    RequestPart::new(request, namespace, planned.device_name.as_deref())
                }),
            changes: plan.changes.iter().map(Change::new).collect(),
            conflicts: plan
                .conflicts
                .iter()
                .map(|conflict| Conflict {
                    kind: conflict.kind.name(),
                    text: &conflict.text,
                })
                .collect(),
            expected: Expected::new(plan),
            rehearsal: planned.rehearsal.map(Rehearsal::new),
            undo: is_applied.then(|| format!("dryport undo{}", planned.command_suffix)),
            reaches: plan.reaches,
            needed: plan.needed,
            advice: plan.advice.iter().map(Advice::new).collect(),
            refusals: plan
                .refusals
                .iter()
                .map(|refusal| Refusal {
                    what: &refusal.what,
                    reason: &refusal.reason,
                    page: refusal.page.name(),
                })
                .collect(),
            assumptions: &plan.assumptions,
            recipes: planned
                .recipes
                .iter()
                .map(|recipe| Recipe {
                    id: recipe.id,
                    title: &recipe.title,
                    file_name: recipe.file_name,
                    apply: &recipe.apply,
                    undo: recipe.undo.as_deref(),
                    note: recipe.note.as_deref(),
                })
                .collect(),
            considered: plan.considered.iter().map(Considered::new).collect(),
            outcome: OutcomePart::new(&planned.outcome),
        }
    }
}

impl<'a> Change<'a> {
    fn new(change: &'a plan::Change) -> Self {
        Self {
            setting: change.setting.name(),
            from: change.from.as_deref(),
            to: &change.to,
            scope: change.scope.name(),
            persists: change.persists,
            restart_needed: change.restart_needed,
            why: &change.why,
        }
    }
}

impl<'a> Considered<'a> {
    fn new(considered: &'a plan::Considered) -> Self {
        Self {
            what: &considered.what,
            headroom: Headroom::new(considered.expected.headroom),
            capacity: considered.expected.capacity,
            sustainable_per_second: considered.expected.sustainable_per_second,
            suffices: considered.suffices,
            is_chosen: considered.is_chosen,
        }
    }
}

impl Expected {
    fn new(plan: &plan::Plan) -> Self {
        Self {
            headroom_before: Headroom::new(plan.before.headroom),
            headroom_after: Headroom::new(plan.after.headroom),
            sustainable_per_second_before: plan.before.sustainable_per_second,
            sustainable_per_second_after: plan.after.sustainable_per_second,
            capacity_before: plan.before.capacity,
            capacity_after: plan.after.capacity,
        }
    }
}

impl<'a> Advice<'a> {
    fn new(advice: &'a plan::Advice) -> Self {
        Self {
            id: advice.id,
            summary: &advice.summary,
            snippets: advice
                .snippets
                .iter()
                .map(|snippet| Snippet {
                    client: snippet.client,
                    text: snippet.text,
                })
                .collect(),
        }
    }
}

impl<'a> Rehearsal<'a> {
    fn new(rehearsal: &'a RehearsalAnswer) -> Self {
        let (before, after) = (&rehearsal.before, &rehearsal.after);
        let predicted = rehearsal.predicted;
        Self {
            measured_before: before.granted,
            measured_after: after.granted,
            sustained_per_second_before: before.sustained_per_second,
            sustained_per_second_after: after.sustained_per_second,
            refused_with_before: before.refused_with,
            refused_with_after: after.refused_with,
            predicted_before: predicted.map(|(before, _)| Headroom::new(before)),
            predicted_after: predicted.map(|(_, after)| Headroom::new(after)),
            subject: &rehearsal.subject,
            notes: &rehearsal.notes,
        }
    }
}

impl<'a> OutcomePart<'a> {
    fn new(outcome: &'a Outcome) -> Self {
        let empty = |state| Self {
            state,
            why: None,
            command: None,
            id: None,
            headroom: None,
            file: None,
            confirm_within_seconds: None,
        };
        match outcome {
            Outcome::Nothing => empty("nothing_to_do"),
            Outcome::Shown => empty("shown"),
            Outcome::NotApplied { why, command } => Self {
                why: Some(why),
                command: command.as_deref(),
                ..empty("not_applied")
            },
            Outcome::Applied {
                id,
                headroom,
                file,
                does_not_last,
                confirm_within_seconds,
            } => Self {
                id: Some(id),
                headroom: headroom.map(Headroom::new),
                file: file.as_deref(),
                why: does_not_last.as_deref(),
                confirm_within_seconds: *confirm_within_seconds,
                ..empty("applied")
            },
        }
    }
}

/// Settings tried on the kernel in a scratch namespace.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.rehearsal/1")]
pub struct RehearsalDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.rehearsal/1"))]
    schema: &'static str,
    /// What was changed between the two.
    changes: Vec<Tried<'a>>,
    #[serde(flatten)]
    rehearsal: Rehearsal<'a>,
}

/// One setting that was tried.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Tried<'a> {
    /// Its name.
    setting: &'a str,
    /// Its value on this machine; null: it has none.
    from: Option<&'a str>,
    /// The value that was tried.
    to: &'a str,
}

impl<'a> RehearsalDocument<'a> {
    pub(super) fn new(answer: &'a RehearsalAnswer) -> Self {
        Self {
            schema: "dryport.rehearsal/1",
            changes: answer
                .changes
                .iter()
                .map(|(setting, from, to)| Tried {
                    setting,
                    from: from.as_deref(),
                    to,
                })
                .collect(),
            rehearsal: Rehearsal::new(answer),
        }
    }
}

/// What dryport changed on this machine.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.journal/1")]
pub struct JournalDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.journal/1"))]
    schema: &'static str,
    /// What happened, in a sentence; null for a list.
    done: Option<&'a str>,
    /// The changes, the newest first.
    entries: Vec<JournalEntry<'a>>,
}

/// One change.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct JournalEntry<'a> {
    /// Its id.
    id: &'a str,
    /// When, RFC 3339; null where the entry cannot be read.
    time: Option<&'a str>,
    /// How far it came: `prepared`, `unconfirmed`, `applied`, `undoing`, `undone`, `gone`, or why it
    /// cannot be read.
    state: &'a str,
    /// Where it was made; null where the entry cannot be read.
    namespace: Option<Namespace<'a>>,
    /// Whether that is the namespace that was looked at.
    is_here: bool,
    /// What it changed.
    changes: Vec<Made<'a>>,
    /// The file it wrote; null: none.
    file: Option<&'a str>,
}

/// One setting of a change.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Made<'a> {
    /// Its name.
    setting: &'a str,
    /// Before.
    from: &'a str,
    /// After.
    to: &'a str,
}

impl<'a> JournalDocument<'a> {
    pub(super) fn new(answer: &'a JournalAnswer) -> Self {
        Self {
            schema: "dryport.journal/1",
            done: answer.done.as_deref(),
            entries: answer.entries.iter().map(JournalEntry::new).collect(),
        }
    }
}

impl<'a> JournalEntry<'a> {
    fn new(line: &'a JournalLine) -> Self {
        Self {
            id: &line.id,
            time: line.made.as_deref(),
            state: &line.stage,
            namespace: line.namespace.as_ref().map(Namespace::new),
            is_here: line.is_here,
            changes: line
                .settings
                .iter()
                .map(|(setting, from, to)| Made { setting, from, to })
                .collect(),
            file: line.file.as_deref(),
        }
    }
}
