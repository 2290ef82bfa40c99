//! Settings and identities, asked of the running kernel in scratch namespaces; files on file systems
//! that are full or read-only; and files of settings applied by the programs that do it at boot.
//! What cannot run says SKIPPED, and fails where `DRYPORT_REQUIRE` names what it needs.
#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a scratch namespace that does not work fails the test"
)]

mod boot;
mod disks;
mod identities;
mod scratch;
mod settings;
