//! What people and programs read: text screens and JSON documents.
//!
//! A face: pure functions from what the model found to text. Nothing here reads the system, the
//! clock or the environment; the width of the terminal and whether it has colours are arguments
//! ([`text::Screen`]). The binary fills [`Check`], [`HeadroomAnswer`] and [`SeenSocket`], and
//! hands them to [`text`] or [`json`].
#![forbid(unsafe_code)]

mod answer;
mod diagnosis;
mod explained;
mod group;
pub mod json;
mod note;
pub mod page;
mod place;
mod planned;
pub mod text;

pub use answer::{
    Check, CheckedNamespace, HeadroomAnswer, NamespaceName, OpenFilesLimit, ProcessFindings,
    ProcessRequest, Reach, SeenSocket,
};
pub use diagnosis::{Diagnosis, Finding};
pub use explained::{Explained, ExplainedInput};
pub use group::{By, Group, Groups};
pub use note::request_notes;
pub use planned::{JournalAnswer, JournalLine, MeasuredAnswer, Outcome, Planned, RehearsalAnswer};
