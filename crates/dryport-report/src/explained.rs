//! What `explain` hands over to be shown.

use dryport_model::explain::Explanation;

/// The answer of `explain`.
pub struct Explained<'a> {
    /// The verdict.
    pub explanation: &'a Explanation,
    /// What was read, in order.
    pub inputs: Vec<ExplainedInput>,
}

/// One input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainedInput {
    /// Its name, printable; `standard input`.
    pub name: String,
    /// What it holds.
    pub formats: Vec<&'static str>,
    /// Language of its captures (BCP 47), where told.
    pub language: Option<&'static str>,
    /// Rows of sockets.
    pub rows: u64,
    /// Lines.
    pub lines: u64,
    /// Line and note: what could not be read.
    pub notes: Vec<(u64, String)>,
    /// Further notes.
    pub notes_omitted: u64,
}
