//! `dryport.doctor/1`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::Diagnosis;

/// What can be seen and done on this machine.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.doctor/1")]
pub struct DoctorDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.doctor/1"))]
    schema: &'static str,
    /// The kernel's release.
    kernel: &'a str,
    /// What was looked for.
    findings: Vec<Finding<'a>>,
}

/// One thing that can be seen or done, or not.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Finding<'a> {
    /// Stable id.
    id: &'static str,
    /// In words.
    what: &'static str,
    /// How far.
    #[schemars(extend("enum" = ["full", "partial", "none"]))]
    seen: &'static str,
    /// By what.
    how: &'a str,
    /// What is missing; null where nothing is.
    why: Option<&'a str>,
    /// What would change that; null where nothing would.
    change: Option<&'a str>,
}

impl<'a> DoctorDocument<'a> {
    pub(super) fn new(diagnosis: &'a Diagnosis) -> Self {
        let findings = diagnosis.findings.iter().map(|finding| Finding {
            id: finding.id,
            what: finding.what,
            seen: finding.seen.name(),
            how: &finding.how,
            why: finding.why.as_deref(),
            change: finding.change.as_deref(),
        });
        Self {
            schema: "dryport.doctor/1",
            kernel: &diagnosis.kernel,
            findings: findings.collect(),
        }
    }
}
