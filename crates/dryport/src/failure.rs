//! Exit codes, and the one kind of failure that a user sees.

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode as ProcessExit;

use dryport_host::Error as HostError;
use dryport_model::Level;
use thiserror::Error;

/// The exit codes: Nagios' convention, and `EX_USAGE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well, or the work is done.
    Ok = 0,
    /// It is getting tight.
    Warning = 1,
    /// Dry, or nearly.
    Critical = 2,
    /// Not enough could be seen, or the work failed.
    Unknown = 3,
    /// The arguments are wrong.
    Usage = 64,
}

impl From<Exit> for ProcessExit {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Level> for Exit {
    fn from(level: Level) -> Self {
        match level {
            Level::Ok => Self::Ok,
            Level::Warning => Self::Warning,
            Level::Critical => Self::Critical,
            Level::Unknown => Self::Unknown,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, Error)]
pub enum Failure {
    /// The system could not be asked.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    /// The command line cannot be read.
    #[error("{wrong}")]
    CommandLine {
        /// What is wrong with it, in one line.
        wrong: String,
        /// What to do instead.
        hint: String,
    },
    /// An input of `explain` could not be read.
    #[error("{name} could not be read: {source}")]
    Input {
        /// The file, as shown.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// An input of `explain` is a directory.
    #[error("{name} is a directory")]
    Directory {
        /// The directory, as shown.
        name: String,
    },
    /// An input of `explain` is no text.
    #[error("{name} is {what}, not text")]
    NotText {
        /// The file, as shown.
        name: String,
        /// What it is.
        what: &'static str,
        /// What to do.
        hint: String,
    },
    /// There is nothing in the inputs of `explain`.
    #[error("there is nothing in {name}")]
    Empty {
        /// The inputs, as shown.
        name: String,
    },
    /// The inputs of `explain` hold nothing that it knows.
    #[error("{name} holds nothing that is known here, in {lines} line{}", if *lines == 1 { "" } else { "s" })]
    UnknownInput {
        /// The inputs, as shown.
        name: String,
        /// How many lines there are.
        lines: u64,
    },
    /// A file could not be written.
    #[error("{name}: {source}")]
    Output {
        /// The file, as shown.
        name: String,
        /// What the system says, or why we do not.
        source: io::Error,
    },
    /// The answer could not be written.
    #[error("the answer could not be written: {0}")]
    Write(#[from] io::Error),
}

impl Failure {
    /// Tells the user on standard error and gives the exit code. A closed pipe is no failure.
    pub fn report(&self) -> Exit {
        if let Self::Write(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            return Exit::Ok;
        }
        tell(&format!("dryport: {self}"));
        tell(&format!("hint: {}", self.hint()));
        match self {
            Self::Usage(_) | Self::CommandLine { .. } => Exit::Usage,
            Self::Host(_)
            | Self::Write(_)
            | Self::Input { .. }
            | Self::Output { .. }
            | Self::Directory { .. }
            | Self::NotText { .. }
            | Self::Empty { .. }
            | Self::UnknownInput { .. } => Exit::Unknown,
        }
    }

    fn hint(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::CommandLine { hint, .. } => hint,
            Self::Usage(_) => "`dryport --help` tells how it is written",
            Self::Input { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    "a file, `-` for standard input, or a cause's id (`dryport explain --list`)"
                }
                io::ErrorKind::PermissionDenied => "may you read it?",
                _ => "is the file whole, and does it stay where it is?",
            },
            Self::Output { source, .. } => match source.kind() {
                io::ErrorKind::AlreadyExists => "a file is never overwritten",
                io::ErrorKind::NotFound => "is there such a directory?",
                io::ErrorKind::PermissionDenied => "may you write there?",
                _ => "is the disk full, or the file system read-only?",
            },
            Self::Directory { .. } => "name the files in it",
            Self::NotText { hint, .. } => hint,
            Self::Empty { .. } | Self::UnknownInput { .. } => {
                "run this on that machine and paste all of it: on Windows `netstat -anob` and \
                 `netsh int ipv4 show dynamicport tcp`, on Linux `ss -tanp` and `sysctl \
                 net.ipv4.ip_local_port_range`; or the message itself"
            }
            Self::Write(_) => "is the disk full, or the file not writable?",
            Self::Host(error) => match error {
                HostError::NoNamespace { .. } => {
                    "`ip netns list` names those there are; pid:N means that of a process"
                }
                HostError::NamespaceForbidden { .. } => "run it as root, or from inside",
                HostError::NoProcess { .. } => {
                    "has it ended? `dryport see --by process` lists owners"
                }
                HostError::SockDiag { .. } => {
                    "is the module tcp_diag (udp_diag) there? `modprobe tcp_diag` as root loads it"
                }
                HostError::BrokenDump { .. } => "the table changes fast; try again",
                HostError::NoRoute { .. } => {
                    "this is no lack of ports: see `ip route get`, and name the source with --from"
                }
                HostError::NotLocal { .. } => {
                    "a connect() from it fails with EADDRNOTAVAIL, though not for want of a port"
                }
                HostError::NoSuchHost { .. } => "give an address instead of the name",
                HostError::NoDevice { .. } => "`ip link` names those there are",
                HostError::Setting { .. } => {
                    "the file is not as Linux writes it; is /proc/sys real?"
                }
                _ => "is /proc mounted?",
            },
        })
    }
}

/// One line on standard error. Where nobody can read it any more, nobody is left to be told:
/// `eprintln!` would panic.
pub fn tell(line: &str) {
    let _ = anstream::stderr().write_all(format!("{line}\n").as_bytes());
}
