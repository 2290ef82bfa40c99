//! What the binary hands over of what can be seen on a machine.

use dryport_model::Seen;

/// The answer of `doctor`.
pub struct Diagnosis {
    /// The kernel's release.
    pub kernel: String,
    /// What was found, in the order of the report.
    pub findings: Vec<Finding>,
}

/// One thing that can be seen or done, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable id.
    pub id: &'static str,
    /// In words.
    pub what: &'static str,
    /// How far.
    pub seen: Seen,
    /// By what.
    pub how: String,
    /// What is missing, where not all is seen.
    pub why: Option<String>,
    /// What would change that.
    pub change: Option<String>,
}
