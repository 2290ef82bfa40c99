//! Exit codes, and the one kind of failure that a user sees.

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode as ProcessExit;

use dryport_fix::{EntryError, FixError};
use dryport_host::Error as HostError;
use dryport_model::{Headroom, Level};
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
    /// BPF was asked for by name and cannot be had.
    #[error("the BPF reader cannot be used: {0}")]
    NoBpf(dryport_bpf::Error),
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
    /// A change was not made, or not taken back.
    #[error(transparent)]
    Fix(Box<FixError>),
    /// A setting that does nothing for ports, or harm.
    #[error("{what} is refused. {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why not.
        reason: String,
        /// The page that explains it.
        page: &'static str,
    },
    /// The plan could not be rehearsed.
    #[error("the rehearsal failed: {0}")]
    NoRehearsal(String),
    /// The kernel did not do in the rehearsal what was predicted; nothing was changed.
    #[error(
        "in the rehearsal the kernel granted {} before and {} after, where {} and {} were predicted; \
         nothing was changed",
        measured.0, measured.1, ends(predicted.0), ends(predicted.1)
    )]
    Rehearsal {
        /// Before and after.
        measured: (u32, u32),
        /// Before and after.
        predicted: (Headroom, Headroom),
    },
    /// Nothing can be planned from a capture.
    #[error("nothing can be planned: {0}")]
    NothingToPlan(String),
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
            Self::Usage(_) | Self::CommandLine { .. } | Self::Refused { .. } => Exit::Usage,
            Self::Host(_)
            | Self::NoBpf(_)
            | Self::Write(_)
            | Self::Input { .. }
            | Self::Output { .. }
            | Self::Directory { .. }
            | Self::NotText { .. }
            | Self::Empty { .. }
            | Self::Fix(_)
            | Self::NoRehearsal(_)
            | Self::Rehearsal { .. }
            | Self::NothingToPlan(_)
            | Self::UnknownInput { .. } => Exit::Unknown,
        }
    }

    fn hint(&self) -> Cow<'_, str> {
        Cow::Borrowed(match self {
            Self::CommandLine { hint, .. } => hint,
            Self::NoBpf(error) => error
                .remedy()
                .unwrap_or("`--reader auto` answers all the same; `dryport doctor` tells more"),
            Self::Usage(_) => "`dryport --help` tells how it is written",
            Self::Input { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => {
                    "name a file, or `-` for standard input; `dryport explain --list` lists causes"
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
            Self::Refused { page, .. } => {
                return Cow::Owned(format!(
                    "`dryport explain {page}` tells more; `dryport rehearse --set` shows what it does"
                ));
            }
            Self::NoRehearsal(_) => {
                "it takes the right to make network namespaces; `fix --no-rehearsal` goes without it"
            }
            Self::Rehearsal { .. } => {
                "please report this with `dryport collect`; --no-rehearsal applies it all the same"
            }
            Self::NothingToPlan(_) => {
                "name the system with --platform and its range with --range, and give its table of \
                 sockets (`netstat -ano`, `ss -tan`)"
            }
            Self::Fix(error) => fix_hint(error),
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
                    "this is no lack of ports: see `ip route get`; `headroom --from` names the source"
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

fn fix_hint(error: &FixError) -> &'static str {
    match error {
        FixError::Busy { .. } => "wait for it, then run this again",
        FixError::Entry { source, .. } => match source {
            EntryError::Newer(_) => "use the dryport that wrote it",
            EntryError::Damaged(_) => {
                "it is a text file: look at it, put right by hand what it names, and move it away"
            }
        },
        FixError::NotOurs { .. } => {
            "what stands there is written back as it is: use a directory of your own (--state-dir)"
        }
        FixError::Covered { .. } => "take that back first: `dryport undo`",
        FixError::Journal { .. } | FixError::Directory { .. } => {
            "run it as root, or name a directory with --state-dir; is the disk full?"
        }
        FixError::Moved { .. } => "run it again: it plans anew",
        FixError::ChangedSince(_) => {
            "who changed it? Set it by hand with `sysctl -w`, then close the entry: `dryport undo \
             --list`, `dryport undo --forget ID`"
        }
        FixError::WaitsForConfirmation { .. } => {
            "`dryport fix --confirm` keeps it, `dryport undo` takes it back"
        }
        FixError::Nothing(_) => "`dryport undo --list` shows what there is",
        FixError::Elsewhere { .. } => "run it there: --netns NAME or --netns pid:N",
        FixError::NotTakenBack { .. } => {
            "`dryport undo` tries again; `dryport undo --list` shows the old values"
        }
        FixError::TakenBack { .. } => "nothing is left changed",
        _ => "`dryport undo --list` shows what there is",
    }
}

fn ends(headroom: Headroom) -> String {
    if headroom.is_exact() {
        headroom.at_least.to_string()
    } else {
        format!("{} to {}", headroom.at_least, headroom.at_most)
    }
}

/// One line on standard error. Where nobody can read it any more, nobody is left to be told:
/// `eprintln!` would panic.
pub fn tell(line: &str) {
    let _ = anstream::stderr().write_all(format!("{line}\n").as_bytes());
}
