//! What the faces show, on scenes made with the model itself.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, outside of #[test] functions"
)]

mod documents;
mod scenes;
mod screens;
