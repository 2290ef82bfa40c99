//! The JSON Schemas of the documents, made from their types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::see::SeeDocument;
use super::{
    CheckDocument, DoctorDocument, ExplainDocument, HeadroomDocument, JournalDocument,
    PlanDocument, RehearsalDocument,
};

/// File name and schema of every document. Fields that may be added later are allowed: no schema
/// forbids what it does not name.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        (
            "dryport.headroom-1.json",
            schema::<HeadroomDocument<'static>>(),
        ),
        ("dryport.check-1.json", schema::<CheckDocument<'static>>()),
        (
            "dryport.explain-1.json",
            schema::<ExplainDocument<'static>>(),
        ),
        ("dryport.see-1.json", schema::<SeeDocument<'static>>()),
        ("dryport.doctor-1.json", schema::<DoctorDocument<'static>>()),
        ("dryport.plan-1.json", schema::<PlanDocument<'static>>()),
        (
            "dryport.rehearsal-1.json",
            schema::<RehearsalDocument<'static>>(),
        ),
        (
            "dryport.journal-1.json",
            schema::<JournalDocument<'static>>(),
        ),
    ]
}

/// By what is written, not by what would be read: then every field is required, `null` or not.
fn schema<Document: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}
