//! What the faces show, on scenes made with the model itself.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of #[test] functions"
)]

mod documents;
mod plan_documents;
mod plan_screens;
mod plans;
mod scenes;
mod screens;
