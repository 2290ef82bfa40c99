//! `dryport.headroom/1`.

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Answer, AnswerFacts};
use super::parts::{Owner, OwnerGroup};
use crate::{HeadroomAnswer, request_notes};

/// How many more times one request is granted, and why.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "dryport.headroom/1")]
pub struct HeadroomDocument<'a> {
    /// Name and version of this document.
    #[schemars(extend("const" = "dryport.headroom/1"))]
    schema: &'static str,
    #[serde(flatten)]
    answer: Answer<'a>,
    /// Who holds the ports, the largest share first; null where nobody looked.
    owners: Option<Vec<Owner<'a>>>,
    /// The same by container, else pod, unit or program; null where nobody looked.
    owner_groups: Option<Vec<OwnerGroup<'a>>>,
}

impl<'a> HeadroomDocument<'a> {
    /// The document of an answer.
    #[must_use]
    pub fn new(answer: &'a HeadroomAnswer<'a>) -> Self {
        let (ledger, headroom) = (answer.classes.ledger(), answer.classes.headroom());
        let mut notes = answer.notes.clone();
        notes.extend(request_notes(answer.request, &ledger, headroom));
        Self {
            schema: "dryport.headroom/1",
            answer: Answer::new(AnswerFacts {
                request: answer.request,
                namespace: &answer.namespace,
                device_name: answer.device_name.as_deref(),
                range: answer.classes.range(),
                ledger,
                headroom,
                level: answer.level,
                level_is_uncertain: answer.level_is_uncertain,
                time_wait_left_ms: answer.time_wait_left_ms,
                coverage: answer.coverage,
                notes,
            }),
            owners: Owner::list(answer.owners, answer.holders),
            owner_groups: OwnerGroup::list(answer.owners, answer.holders),
        }
    }
}
