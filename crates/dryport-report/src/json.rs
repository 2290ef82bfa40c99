//! The JSON documents: `dryport.headroom/1`, `dryport.check/1`, `dryport.see/1`,
//! `dryport.explain/1`, `dryport.plan/1`, `dryport.rehearsal/1`, `dryport.journal/1` and `dryport.doctor/1`.
//!
//! Within a version fields are only ever added. What is not known is `null`, never 0; every field
//! is always there. The JSON Schemas are made from the types here ([`schemas`]).

mod answer;
mod check;
mod doctor;
mod explain;
mod headroom;
mod parts;
mod plan;
mod schema;
mod see;

use std::io::{self, Write};

pub use check::CheckDocument;
pub use doctor::DoctorDocument;
pub use explain::ExplainDocument;
pub use headroom::HeadroomDocument;
pub use plan::{JournalDocument, PlanDocument, RehearsalDocument};
pub use schema::schemas;
pub use see::SeeWriter;

use crate::{Check, Diagnosis, Explained, HeadroomAnswer, JournalAnswer, Planned, RehearsalAnswer};

/// Writes a `dryport.headroom/1` document and a newline.
///
/// # Errors
/// What the writer says.
pub fn write_headroom(out: &mut impl Write, answer: &HeadroomAnswer<'_>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &HeadroomDocument::new(answer))?;
    writeln!(out)
}

/// Writes a `dryport.check/1` document and a newline.
///
/// # Errors
/// What the writer says.
pub fn write_check(out: &mut impl Write, check: &Check<'_>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &CheckDocument::new(check))?;
    writeln!(out)
}

/// Writes a `dryport.explain/1` document and a newline.
///
/// # Errors
/// What the writer says.
pub fn write_explain(out: &mut impl Write, explained: &Explained<'_>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &ExplainDocument::new(explained))?;
    writeln!(out)
}

/// Writes a `dryport.plan/1` document and a newline.
///
/// # Errors
/// What the writer says.
pub fn write_plan(out: &mut impl Write, answer: &Planned<'_>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &PlanDocument::new(answer))?;
    writeln!(out)
}

/// Writes a `dryport.rehearsal/1` document and a newline.
///
/// # Errors
/// What the writer says.
pub fn write_rehearsal(out: &mut impl Write, answer: &RehearsalAnswer) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &RehearsalDocument::new(answer))?;
    writeln!(out)
}

/// Writes a `dryport.journal/1` document and a newline.
///
/// # Errors
/// What the writer says.
pub fn write_journal(out: &mut impl Write, answer: &JournalAnswer) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &JournalDocument::new(answer))?;
    writeln!(out)
}

/// Writes a `dryport.doctor/1` document and a newline.
///
/// # Errors
/// What the writer says.
pub fn write_doctor(out: &mut impl Write, diagnosis: &Diagnosis) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &DoctorDocument::new(diagnosis))?;
    writeln!(out)
}
