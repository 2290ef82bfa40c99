//! Why a chore failed: every failure that a person can meet, once.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

#[derive(Debug, Error)]
pub enum Failure {
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },

    #[error("{command} ended with {status}{}", tail(stderr))]
    Program {
        command: String,
        status: String,
        stderr: String,
    },

    #[error("{call} failed: {source}")]
    System {
        call: &'static str,
        source: io::Error,
    },

    #[error(transparent)]
    Host(#[from] dryport_host::Error),

    #[error("the BPF reader cannot be used: {0}")]
    Bpf(#[from] dryport_bpf::Error),

    #[error("cargo metadata: {0}")]
    Metadata(#[from] cargo_metadata::Error),

    #[error("the workspace has no package named {0}")]
    NoPackage(&'static str),

    #[error("{program} said something else than expected: {said}")]
    Answer { program: &'static str, said: String },

    #[error("SOURCE_DATE_EPOCH is not a number of seconds: {0}")]
    SourceDate(String),

    #[error("{} is not a static 64-bit ELF file: {why}", path.display())]
    NotStatic { path: PathBuf, why: String },

    #[error("the binary does not run in an empty root: {0}")]
    EmptyRoot(String),

    #[error("{0} is required here (DRYPORT_REQUIRE), but: {1}")]
    Required(&'static str, String),

    #[error("schemas in docs/schema differ from the types (run cargo xtask schema):\n  {}", .0.join("\n  "))]
    StaleSchemas(Vec<String>),

    #[error("cargo xtask bpf needs {0}, which is not installed (Debian: apt install clang llvm)")]
    NoClang(&'static str),

    #[error("{clang} needs an llvm-strip of its own version, and this one is of {strip}")]
    UnlikeClang { clang: String, strip: String },

    #[error("{name} --version names no version: {said}")]
    NoVersion { name: String, said: String },

    #[error(
        "these objects were made by clang {recorded}, and here is {found}: install the other (Debian: apt install clang-{recorded} llvm-{recorded}) or make them anew with cargo xtask bpf"
    )]
    OtherClang { recorded: u32, found: String },

    #[error("{path}:{line}: {what}")]
    Header {
        path: String,
        line: usize,
        what: String,
    },

    #[error("{} holds no *.bpf.c", .0.display())]
    NoSource(PathBuf),

    #[error("crates/dryport-bpf is not what its sources say (run cargo xtask bpf):\n  {}", .0.join("\n  "))]
    StaleBpf(Vec<String>),

    #[error("bounds not met: {}", .0.join("; "))]
    Bounds(Vec<String>),

    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// For `map_err`: what was done to which file.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// For `map_err`: which system call.
    pub fn system<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System {
            call,
            source: source.into(),
        }
    }
}

fn tail(stderr: &str) -> String {
    let stderr = stderr.trim();
    if stderr.is_empty() {
        String::new()
    } else {
        format!(":\n{stderr}")
    }
}
