//! What can go wrong in the lab.

use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;

use crate::errno_name;

/// The lab could not be built, or a scenario's step did not do what it says.
#[derive(Debug, Error)]
pub enum LabError {
    /// A system call was refused.
    #[error("{call} {object}: {} ({source})", errno_name(*source))]
    System {
        /// The system call, socket option or netlink message.
        call: &'static str,
        /// What it was applied to.
        object: String,
        /// The kernel's answer.
        source: Errno,
    },
    /// A file (of `/proc`, or a scenario file) could not be read or written.
    #[error("{call} {}: {source}", path.display())]
    File {
        /// `read` or `write`.
        call: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The kernel refuses the value of a setting, or has no such setting.
    #[error("{key} = {value}: {source}")]
    Setting {
        /// Its name as `sysctl` writes it.
        key: String,
        /// What was written.
        value: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Only settings of the network namespace can be tried in one.
    #[error("{0} is a setting of the whole machine")]
    NotOfTheNamespace(String),
    /// The ranges leave no port on which the rehearsal's server could listen.
    #[error("every port is in the range, so that none is left for a server")]
    NoServerPort,
    /// The kernel's netlink answer could not be understood.
    #[error("the answer to {object}: {source}")]
    Netlink {
        /// What was asked for.
        object: String,
        /// What is wrong with it.
        source: dryport_wire::WireError,
    },
    /// The kernel did not acknowledge a netlink message.
    #[error("no acknowledgement for {object}")]
    Unanswered {
        /// What was asked for.
        object: String,
    },
    /// A helper thread could not be started.
    #[error("starting a thread: {0}")]
    Thread(std::io::Error),
    /// A condition did not come about in time.
    #[error("waited {:.1} s for {condition}", waited.as_secs_f64())]
    Deadline {
        /// What was waited for.
        condition: String,
        /// How long.
        waited: Duration,
    },
    /// A step names sockets that no step before it holds.
    #[error("no sockets are held as `{0}`")]
    NoSuchGroup(String),
    /// The scenario asks for the server's side, but has none of its own.
    #[error("this topology has no server namespace of its own")]
    NoServer,
    /// The scenario counts nothing.
    #[error("the scenario has no request")]
    NoRequest,
    /// A `try` step gave something else than the scenario says.
    #[error("got {got}, expected {expected}")]
    Unexpected {
        /// What the scenario says.
        expected: String,
        /// What happened.
        got: String,
    },
    /// A step failed.
    #[error("step `{step}`: {source}")]
    Step {
        /// The step as it stands in the scenario.
        step: String,
        /// Why.
        source: Box<LabError>,
    },
    /// A scenario file is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

impl LabError {
    /// A refused system call, for `map_err`.
    pub(crate) fn system(
        call: &'static str,
        object: impl Into<String>,
    ) -> impl FnOnce(Errno) -> Self {
        let object = object.into();
        move |source| Self::System {
            call,
            object,
            source,
        }
    }

    /// A refused file operation, for `map_err`.
    pub(crate) fn file(
        call: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { call, path, source }
    }
}

/// A mistake in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}: scenario {id}: `{word}`: {problem}")]
pub struct ScenarioError {
    /// The file, as it was named by the caller.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// The scenario's id; `?` where the file is not even TOML.
    pub id: String,
    /// The word that is wrong; empty where one is missing.
    pub word: String,
    /// What is wrong with it.
    pub problem: String,
}
