//! What the binary hands over of a plan, a rehearsal and the journal. Plain values; nothing is
//! computed here.

use dryport_model::plan::{Plan, Recipe};
use dryport_model::{Headroom, Level, Platform, Request};

use crate::NamespaceName;

/// The answer of `fix`.
pub struct Planned<'a> {
    /// Whose rules the plan follows.
    pub platform: Platform,
    /// Which namespace; `None` for a capture.
    pub namespace: Option<NamespaceName>,
    /// The request that the numbers are about; `None` for a capture.
    pub request: Option<&'a Request>,
    /// Its interface, where it is bound to one.
    pub device_name: Option<String>,
    /// The level before the change.
    pub level: Level,
    /// The plan.
    pub plan: &'a Plan,
    /// What the kernel said to it in a scratch namespace; `None` where it was not asked.
    pub rehearsal: Option<&'a RehearsalAnswer>,
    /// The change in other words: commands and files.
    pub recipes: &'a [Recipe],
    /// Show what was weighed.
    pub why: bool,
    /// What commands for the same namespace and journal end with: ` --netns blue`.
    pub command_suffix: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing needs to change.
    Nothing,
    /// It was only to be shown.
    Shown,
    /// It was not applied.
    NotApplied {
        /// Why, in a sentence.
        why: String,
        /// The command that would do it.
        command: Option<String>,
    },
    /// It is in force.
    Applied {
        /// Its entry in the journal.
        id: String,
        /// What a fresh census found left for the request.
        headroom: Option<Headroom>,
        /// The file that makes it last.
        file: Option<String>,
        /// Why it will not last, where it was meant to.
        does_not_last: Option<String>,
        /// Seconds until it is taken back unless it is confirmed.
        confirm_within_seconds: Option<u64>,
    },
}

/// What a rehearsal measured.
#[derive(Clone, Debug, PartialEq)]
pub struct RehearsalAnswer {
    /// What was tried, as people name it: `connect() to one destination`.
    pub subject: String,
    /// With the settings in force.
    pub before: MeasuredAnswer,
    /// With the change.
    pub after: MeasuredAnswer,
    /// What was predicted for both, where there is a prediction.
    pub predicted: Option<(Headroom, Headroom)>,
    /// What was changed: setting, from, to.
    pub changes: Vec<(String, Option<String>, String)>,
    /// What to know about the numbers, a sentence each.
    pub notes: Vec<String>,
}

/// One side of a rehearsal.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredAnswer {
    /// Sockets that the kernel granted until it refused.
    pub granted: u32,
    /// The error that it then gave.
    pub refused_with: Option<&'static str>,
    /// Connections per second that went on after the first burst; `None` where it was not
    /// measured or nothing came back in time.
    pub sustained_per_second: Option<f64>,
    /// What to say where there is no rate.
    pub sustained_note: Option<String>,
}

/// The answer of `undo` and `undo --list`.
pub struct JournalAnswer {
    /// What happened, in a sentence; empty for a list.
    pub done: Option<String>,
    /// The entries told, the newest first.
    pub entries: Vec<JournalLine>,
}

/// One change of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalLine {
    /// Its id; the file's name where it cannot be read.
    pub id: String,
    /// When, RFC 3339; `None` where it cannot be read.
    pub made: Option<String>,
    /// How far it came, or why it cannot be read.
    pub stage: String,
    /// Where it was made.
    pub namespace: Option<NamespaceName>,
    /// Whether that is the namespace that was looked at.
    pub is_here: bool,
    /// Setting, before, after.
    pub settings: Vec<(String, String, String)>,
    /// The file it wrote.
    pub file: Option<String>,
}
