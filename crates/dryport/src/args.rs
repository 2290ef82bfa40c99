//! The command line. What is written here is the documentation: `--help`, the man page and the
//! completions are made from it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use dryport_host::NamespaceSpec;
use dryport_model::{Platform, PortRange, ReaderKind, SocketPortRange, Thresholds};

use crate::destination::Destination;

macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  0   ok (or done)
  1   warning: 80 % of a range is used (see --warn)
  2   critical: no port is left, or 95 % is used (see --crit)
  3   unknown: not enough could be seen, or the work failed
  64  wrong usage

Nothing needs root. What root would add is said in one line of the answer."
    };
}

const EXIT_CODES: &str = exit_codes!();

const CHECK_HELP: &str = concat!(
    "\
It covers every network namespace that may be entered, each with its own range and settings: those
of processes (containers among them) and those with a name (ip netns, Docker). The level is that of
the worst. Commands in the answer carry the --netns that they need.

",
    exit_codes!()
);

const EXPLAIN_HELP: &str = "\
Examples:
  netstat -ano | dryport explain
  dryport explain netstat.txt netsh.txt   (both of one machine)
  dryport explain --platform windows-2003 capture.txt
  dryport explain connect.tuple-dry       (the page of a cause)

It reads netstat, netsh, Get-NetTCPConnection, reg and events of Windows in every language and
encoding, ss, netstat, lsof, conntrack, sysctl, /proc/net and sockstat of Linux, netstat and sysctl
of macOS and the BSDs, logs and error messages of programs, and dryport's own JSON, in any mixture.

Exit codes:
  0   ok: no lack of ports, or a false alarm
  1   warning, 2 critical: by what the input shows (see --warn, --crit)
  3   unknown: the input does not tell, contradicts itself, or could not be read
  64  wrong usage";

const COLLECT_HELP: &str = "\
Examples:
  dryport collect --output collected.txt    on the machine with the trouble
  dryport explain collected.txt             anywhere else
  dryport collect | ssh HOST dryport explain

It holds the kernel's release, settings that bear on ports, counts, and every TCP and UDP socket
with its addresses, ports, process id and short name. It holds no host name, user name,
environment, argument of a command, or content of a connection. Nothing is sent anywhere.

Where dryport cannot run, scripts/collect.sh and scripts/collect.cmd write much the same.

Exit codes:
  0   done; a line that begins with `# ` tells what could not be read
  3   the file is there already, or could not be written
  64  wrong usage";

const DOCTOR_HELP: &str = "\
Each is tried, none is concluded from who you are or which kernel this is. Nothing is changed.

Exit codes:
  0   done
  64  wrong usage";

const FIX_HELP: &str = "\
Examples:
  dryport fix                             show the plan, ask, apply, verify
  dryport fix --dry-run                   show the plan only
  dryport fix --target-rate 2000/s        enough for 2,000 connections per second
  dryport fix --to 10.0.0.5:6379          for this destination
  dryport fix --yes --confirm-within 60s  taken back after 60 s unless confirmed
  dryport fix --set net.ipv4.ip_local_port_range='16384 60999'
  dryport fix netstat.txt --write fixes   for the machine of a capture: commands and files

Without a target: room for twice the present peak, and at least the kernel's default range. What
the application should do comes first; settings only where they suffice. Ports that a program
serves, and well-known ones, are reserved before the range covers them.

Exit codes:
  0   applied and verified, or nothing needs to change, or only shown
  1   the plan cannot reach the target; nothing was changed
  3   not applied, or taken back again
  64  wrong usage: an unknown setting, a value out of range, a setting that does nothing for ports";

const UNDO_HELP: &str = "\
Examples:
  dryport undo                take back the last change of this namespace, after asking
  dryport undo --yes          without asking
  dryport undo --list         every change that dryport made on this machine

It restores exactly the bytes that were there, reads them back, and only then says so. Where
somebody else has changed a value since, nothing is changed and all three values are shown.

Exit codes:
  0   taken back (or listed)
  3   not taken back
  64  wrong usage";

const REHEARSE_HELP: &str = "\
Examples:
  dryport rehearse --like-now --set net.ipv4.ip_local_port_range='16384 60999'
  dryport rehearse --set net.ipv4.tcp_fin_timeout=5    (see that it gives no port)
  dryport rehearse --bind                              what bind(address, 0) gets

It makes a network namespace with this machine's settings, which nobody else sees, asks for
connections until the kernel refuses, changes the settings and asks again. Nothing outside of it is
touched. Needs no root where the kernel lets users make namespaces.

Exit codes:
  0   done
  3   it could not be rehearsed
  64  wrong usage";

/// Who holds this machine's TCP and UDP ports, and exactly how many are left.
///
/// Without a command, `dryport check` is run.
#[derive(Debug, Parser)]
#[command(name = "dryport", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = false)]
pub struct Args {
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How the answer is written.
#[derive(Clone, Debug, ClapArgs)]
pub struct OutputArgs {
    /// Write the answer as one JSON document (see docs/schema)
    #[arg(long, global = true)]
    pub json: bool,
    /// Use colour; `auto` means on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Write the first line of the answer only
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How sockets are read.
#[derive(Clone, Copy, Debug, Default, ClapArgs)]
pub struct ReaderArgs {
    /// How sockets and their owners are read. `bpf` takes privilege (see dryport doctor); it is the
    /// faster one where there are many, and alone sees a client's own IP_LOCAL_PORT_RANGE
    #[arg(long, value_enum, default_value_t = ReaderArg::Auto, value_name = "READER")]
    pub reader: ReaderArg,
}

/// A reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReaderArg {
    /// `bpf` where it may be used and there is anything to read, else `sock_diag`
    #[default]
    Auto,
    /// BPF iterators, or nothing
    Bpf,
    /// sock_diag, the kernel asked about doubtful ports, and /proc: needs no privilege
    #[value(name = "sock_diag")]
    SockDiag,
}

impl ReaderArgs {
    /// The reader asked for by name.
    pub fn kind(self) -> Option<ReaderKind> {
        match self.reader {
            ReaderArg::Auto => None,
            ReaderArg::Bpf => Some(ReaderKind::Bpf),
            ReaderArg::SockDiag => Some(ReaderKind::SockDiag),
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The verdict: which requests run dry, why, who holds the ports, what to do
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// The sockets that hold ports, as netstat shows them, and those it does not show
    See(SeeArgs),
    /// Exactly how many more connections to a destination will be granted
    #[command(after_help = EXIT_CODES)]
    Headroom(HeadroomArgs),
    /// The verdict on anything pasted: captures, logs, messages, of any platform and language
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// The smallest safe change of settings: planned, rehearsed, applied, verified
    #[command(after_help = FIX_HELP)]
    Fix(FixArgs),
    /// Take back what `fix` changed, exactly
    #[command(after_help = UNDO_HELP)]
    Undo(UndoArgs),
    /// Try settings on this kernel in a scratch namespace, and measure what they give
    #[command(after_help = REHEARSE_HELP)]
    Rehearse(RehearseArgs),
    /// What can be seen and done on this machine, what not, and what would change that
    #[command(after_help = DOCTOR_HELP)]
    Doctor,
    /// All that `explain` can use of this machine, as one text to look through and send
    #[command(after_help = COLLECT_HELP)]
    Collect(CollectArgs),
    /// Write shell completions to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output, or every page to a directory
    Man {
        /// Directory to write dryport.1, dryport-check.1, ... to
        directory: Option<PathBuf>,
    },
}

impl Default for Command {
    fn default() -> Self {
        Self::Check(CheckArgs {
            netns: None,
            pid: None,
            no_owners: false,
            reader: ReaderArgs::default(),
            thresholds: ThresholdArgs {
                warn: WARN,
                crit: CRIT,
            },
        })
    }
}

const WARN: f64 = 80.0;
const CRIT: f64 = 95.0;

/// From which use on a level is given.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct ThresholdArgs {
    /// Warn when this much of a request's range is used, in percent of its ports without the
    /// reserved ones
    #[arg(long, default_value_t = WARN, value_parser = percent, value_name = "PERCENT")]
    pub warn: f64,
    /// Call it critical from here on, in percent
    #[arg(long, default_value_t = CRIT, value_parser = percent, value_name = "PERCENT")]
    pub crit: f64,
}

impl From<ThresholdArgs> for Thresholds {
    fn from(args: ThresholdArgs) -> Self {
        Self {
            warning_percent: args.warn,
            critical_percent: args.crit,
        }
    }
}

/// Arguments of `check`.
#[derive(Clone, Debug, ClapArgs)]
pub struct CheckArgs {
    /// Look at one network namespace only: a name of `ip netns`, pid:N for that of a process, or
    /// `.` for this one
    #[arg(long, value_name = "NAME|pid:N|.", conflicts_with = "pid")]
    pub netns: Option<NamespaceSpec>,
    /// Why does this process fail: its namespace, requests, descriptor limit, connect hooks
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Do not look up which processes hold the sockets; faster
    #[arg(long)]
    pub no_owners: bool,
    #[command(flatten)]
    pub reader: ReaderArgs,
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
}

/// Arguments of `see`.
#[derive(Clone, Debug, ClapArgs)]
pub struct SeeArgs {
    /// Group the sockets and count their ports
    #[arg(long, value_enum, value_name = "KEY")]
    pub by: Option<GroupKey>,
    /// With --by: how many groups to show, the largest first; the rest are counted
    #[arg(long, default_value_t = 50, value_name = "N", requires = "by")]
    pub most: usize,
    /// Look up the names of remote addresses (asks your name service); numeric otherwise
    #[arg(long)]
    pub resolve: bool,
    /// TCP only
    #[arg(short = 't', long)]
    pub tcp: bool,
    /// UDP only
    #[arg(short = 'u', long)]
    pub udp: bool,
    /// Look at another network namespace: a name of `ip netns`, or pid:N for that of a process
    #[arg(long, value_name = "NAME|pid:N")]
    pub netns: Option<NamespaceSpec>,
    /// Do not look up which processes hold the sockets; faster
    #[arg(long)]
    pub no_owners: bool,
    /// Numeric addresses; the default, taken for the habit's sake
    #[arg(short = 'n', hide = true)]
    pub numeric: bool,
    /// All sockets; the default, taken for the habit's sake
    #[arg(short = 'a', hide = true)]
    pub all_states: bool,
    /// Show processes; the default, taken for the habit's sake
    #[arg(short = 'p', hide = true)]
    pub processes: bool,
}

/// What `see` groups by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GroupKey {
    /// Remote address and port.
    Destination,
    /// The process that holds the socket.
    Process,
    /// The container that the process is in: Docker, containerd, CRI-O, Podman, LXC, systemd-nspawn.
    Container,
    /// The systemd unit that the process is in.
    Unit,
    /// TCP state.
    State,
    /// Local address.
    Source,
    /// Network namespace.
    Namespace,
    /// Local port.
    Port,
}

/// Arguments of `headroom`.
#[derive(Clone, Debug, ClapArgs)]
pub struct HeadroomArgs {
    /// Where to: ADDRESS:PORT, `[IPV6]:PORT` or NAME:PORT (a name is resolved, its first address
    /// taken)
    #[arg(value_name = "DEST:PORT")]
    pub destination: Destination,
    /// Local address; the one that the route gives otherwise. For UDP it means that the program
    /// binds this address before it connects
    #[arg(long, value_name = "ADDR")]
    pub from: Option<IpAddr>,
    /// The program calls bind(ADDR, 0) before it connects, without IP_BIND_ADDRESS_NO_PORT: such
    /// a port is shared with no other destination
    #[arg(long)]
    pub bind: bool,
    /// UDP instead of TCP
    #[arg(long)]
    pub udp: bool,
    /// The program binds its socket to this interface (SO_BINDTODEVICE)
    #[arg(long, value_name = "IF")]
    pub device: Option<String>,
    /// The program narrows its ports (IP_LOCAL_PORT_RANGE); 0 leaves an end alone. Counts only
    /// inside the namespace's range
    #[arg(long, value_name = "LO-HI", value_parser = port_range)]
    pub port_range: Option<SocketPortRange>,
    /// The program's IPv6 socket is IPV6_V6ONLY
    #[arg(long)]
    pub v6only: bool,
    /// Look at another network namespace: a name of `ip netns`, or pid:N for that of a process
    #[arg(long, value_name = "NAME|pid:N")]
    pub netns: Option<NamespaceSpec>,
    /// Do not look up which processes hold the ports; faster
    #[arg(long)]
    pub no_owners: bool,
    #[command(flatten)]
    pub reader: ReaderArgs,
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
}

impl HeadroomArgs {
    /// A plain `connect()` to a destination.
    pub fn to(destination: Destination) -> Self {
        Self {
            destination,
            from: None,
            bind: false,
            udp: false,
            device: None,
            port_range: None,
            v6only: false,
            netns: None,
            no_owners: true,
            reader: ReaderArgs::default(),
            thresholds: ThresholdArgs {
                warn: WARN,
                crit: CRIT,
            },
        }
    }
}

/// Arguments of `explain`.
#[derive(Clone, Debug, ClapArgs)]
pub struct ExplainArgs {
    /// Files to read (`-`: standard input, which is also read when none is named), or the id of a
    /// cause, whose page is then printed
    #[arg(value_name = "FILE|CAUSE-ID")]
    pub inputs: Vec<PathBuf>,
    /// Where the capture comes from, if the input does not tell or is wrong; decides the default
    /// range and what can be advised
    #[arg(long, value_enum, value_name = "PLATFORM")]
    pub platform: Option<PlatformArg>,
    /// The dynamic port range in force, both ends included, instead of what the input or the
    /// platform says
    #[arg(long, value_name = "LOW-HIGH", value_parser = whole_range)]
    pub range: Option<PortRange>,
    /// List every cause with a sentence
    #[arg(long, conflicts_with_all = ["inputs", "platform", "range"])]
    pub list: bool,
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
}

/// Arguments of `collect`.
#[derive(Clone, Debug, ClapArgs)]
pub struct CollectArgs {
    /// Write to a new file instead of standard output; one that exists is not overwritten
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Leave out which processes hold the sockets
    #[arg(long)]
    pub no_owners: bool,
}

/// Where what dryport keeps is kept.
#[derive(Clone, Debug, ClapArgs)]
pub struct StateArgs {
    /// Directory of the journal; by default /var/lib/dryport, and for users who may not write there
    /// $XDG_STATE_HOME/dryport or ~/.local/state/dryport
    #[arg(long, value_name = "DIR", env = "DRYPORT_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Arguments of `fix`.
#[derive(Clone, Debug, ClapArgs)]
pub struct FixArgs {
    /// Plan for the machine of these captures (`-`: standard input) instead of this one; commands and
    /// files are shown, nothing is applied
    #[arg(value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    /// Where the captures come from, if they do not tell
    #[arg(long, value_enum, value_name = "PLATFORM", requires = "inputs")]
    pub platform: Option<PlatformArg>,
    /// The dynamic port range in force there, both ends included, if they do not tell
    #[arg(long, value_name = "LOW-HIGH", value_parser = whole_range, requires = "inputs")]
    pub range: Option<PortRange>,
    /// Connections per second that must go on for ever to one destination: 2000/s, 120/min or a
    /// number [default: room for twice the present peak]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub target_rate: Option<f64>,
    /// How long a connection is open, in seconds [default: estimated, or 0]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub hold: Option<f64>,
    /// Plan for this destination: ADDRESS:PORT, `[IPV6]:PORT` or NAME:PORT [default: what is shortest
    /// of ports]
    #[arg(long, value_name = "DEST:PORT", conflicts_with = "inputs")]
    pub to: Option<Destination>,
    /// Give a setting this value instead of planning one; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment, conflicts_with_all = ["inputs", "target_rate"])]
    pub set: Vec<(String, String)>,
    /// Work in another network namespace: a name of `ip netns`, or pid:N for that of a process
    #[arg(long, value_name = "NAME|pid:N", conflicts_with = "inputs")]
    pub netns: Option<NamespaceSpec>,
    /// Show the plan and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Show also what else was weighed, and what each would give
    #[arg(long, conflicts_with = "inputs")]
    pub why: bool,
    /// Apply without asking
    #[arg(short, long, conflicts_with_all = ["dry_run", "inputs"])]
    pub yes: bool,
    /// Write no file: the change ends with the next restart
    #[arg(long, conflicts_with = "inputs")]
    pub live_only: bool,
    /// Do not try the plan in a scratch namespace first
    #[arg(long, conflicts_with = "inputs")]
    pub no_rehearsal: bool,
    /// Apply also a plan that helps but does not reach the target
    #[arg(long, conflicts_with = "inputs")]
    pub best_effort: bool,
    /// Take everything back after this time unless `dryport fix --confirm` follows: 60s, 5m
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["dry_run", "inputs"])]
    pub confirm_within: Option<Duration>,
    /// Keep the change that waits for it (see --confirm-within), and make it last
    #[arg(long, conflicts_with_all = ["inputs", "target_rate", "set", "to", "dry_run", "yes", "confirm_within"])]
    pub confirm: bool,
    /// Write the plan as commands and files, with their undo, to a new directory
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
    /// Look for sysctl.d files, and write ours, below this directory instead of /
    #[arg(long, value_name = "DIR", conflicts_with = "inputs")]
    pub root: Option<PathBuf>,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub thresholds: ThresholdArgs,
    /// Waits for the confirmation of a change, and takes it back
    #[arg(long, hide = true, value_name = "ID")]
    pub guard: Option<String>,
}

/// Arguments of `undo`.
#[derive(Clone, Debug, ClapArgs)]
pub struct UndoArgs {
    /// Which change, by its id (see --list) [default: the last one of this namespace]
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// List the changes that dryport made on this machine
    #[arg(long, conflicts_with_all = ["id", "yes", "forget"])]
    pub list: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Close this change in the journal without changing anything, where it was put right by hand
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "yes"])]
    pub forget: Option<String>,
    /// Work in another network namespace: a name of `ip netns`, or pid:N for that of a process
    #[arg(long, value_name = "NAME|pid:N")]
    pub netns: Option<NamespaceSpec>,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Arguments of `rehearse`.
#[derive(Clone, Debug, ClapArgs)]
pub struct RehearseArgs {
    /// Change this setting between the two measurements; any sysctl of a network namespace; may be
    /// repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// Put in a stand-in for what holds ports on this machine now
    #[arg(long)]
    pub like_now: bool,
    /// Towards this destination: ADDRESS:PORT, `[IPV6]:PORT` or NAME:PORT. Decides the load that is
    /// stood in for, and whether it is loopback [default: what is shortest of ports]
    #[arg(long, value_name = "DEST:PORT")]
    pub to: Option<Destination>,
    /// Programs that call bind(address, 0) before they connect
    #[arg(long, conflicts_with = "udp")]
    pub bind: bool,
    /// UDP instead of TCP
    #[arg(long)]
    pub udp: bool,
    /// Most seconds spent on measuring the rate that goes on, before and after
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "3s")]
    pub window: Duration,
    /// With the settings and load of another network namespace: a name of `ip netns`, or pid:N for
    /// that of a process
    #[arg(long, value_name = "NAME|pid:N")]
    pub netns: Option<NamespaceSpec>,
}

/// A platform on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlatformArg {
    /// Linux: 32768-60999
    Linux,
    /// Windows Vista, Server 2008 and later: 49152-65535
    Windows,
    /// Windows Server 2003 and 2000: 1025-5000
    #[value(name = "windows-2003")]
    Windows2003,
    /// Windows XP: 1025-5000
    WindowsXp,
    /// macOS: 49152-65535
    Macos,
    /// FreeBSD: 10000-65535
    Freebsd,
}

impl From<PlatformArg> for Platform {
    fn from(platform: PlatformArg) -> Self {
        match platform {
            PlatformArg::Linux => Self::Linux,
            PlatformArg::Windows => Self::Windows,
            PlatformArg::Windows2003 => Self::Windows2003,
            PlatformArg::WindowsXp => Self::WindowsXp,
            PlatformArg::Macos => Self::MacOs,
            PlatformArg::Freebsd => Self::FreeBsd,
        }
    }
}

fn whole_range(text: &str) -> Result<PortRange, String> {
    let range = port_range(text)?;
    let whole = (range.low != 0).then(|| PortRange::new(range.low, range.high));
    whole
        .flatten()
        .ok_or_else(|| "both ends lie between 1 and 65535".into())
}

fn rate(text: &str) -> Result<f64, String> {
    let (number, per_second) = match text.split_once('/') {
        None => (text, 1.0),
        Some((number, "s" | "sec" | "second")) => (number, 1.0),
        Some((number, "m" | "min" | "minute")) => (number, 60.0),
        Some((number, "h" | "hour")) => (number, 3600.0),
        Some((_, unit)) => return Err(format!("{unit:?} is not a time: write 2000/s or 120/min")),
    };
    let number: f64 = number
        .replace(['_', ','], "")
        .parse()
        .map_err(|_| format!("{number:?} is not a number"))?;
    let rate = number / per_second;
    if rate > 0.0 && rate <= 10_000_000.0 {
        Ok(rate)
    } else {
        Err("a rate lies above 0 and is at most 10,000,000/s".into())
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .trim_end_matches('s')
        .parse()
        .map_err(|_| format!("{text:?} is not a number of seconds"))?;
    if (0.0..=864_000.0).contains(&number) {
        Ok(number)
    } else {
        Err("it lies between 0 and 864000 seconds".into())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => match text.chars().last() {
            Some('s') => (text.trim_end_matches('s'), 1.0),
            Some('m') => (text.trim_end_matches('m'), 60.0),
            Some('h') => (text.trim_end_matches('h'), 3600.0),
            _ => (text, 1.0),
        },
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a time: write 60s or 5m"))?;
    let seconds = number * unit;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("it lies between 0.1 s and an hour".into())
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write it as KEY=VALUE, as in net.ipv4.tcp_tw_reuse=1")?;
    let key = key.trim().replace('/', ".");
    let is_name = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if is_name && !key.split('.').any(str::is_empty) {
        Ok((key, value.trim().into()))
    } else {
        Err(format!("{key:?} is not the name of a setting"))
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text
        .trim_end_matches('%')
        .parse()
        .map_err(|_| format!("{text:?} is not a number"))?;
    if (0.0..=100.0).contains(&number) {
        Ok(number)
    } else {
        Err("a percentage lies between 0 and 100".into())
    }
}

fn port_range(text: &str) -> Result<SocketPortRange, String> {
    let (low, high) = text
        .split_once('-')
        .ok_or("write it as LOW-HIGH, as in 40000-40999")?;
    let port = |text: &str| {
        text.parse::<u16>()
            .map_err(|_| format!("{text:?} is not a port (0 to 65535)"))
    };
    let range = SocketPortRange {
        low: port(low)?,
        high: port(high)?,
    };
    if range.high != 0 && range.low > range.high {
        return Err(format!("{} is above {}", range.low, range.high));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_port_range_has_two_ends_in_order() {
        assert_eq!(port_range("5-9"), Ok(SocketPortRange { low: 5, high: 9 }));
        assert_eq!(port_range("5-0"), Ok(SocketPortRange { low: 5, high: 0 }));
        for wrong in ["", "5", "9-5", "1-70000", "a-b"] {
            assert!(port_range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_percentage_is_a_percentage() {
        assert_eq!(percent("80%"), Ok(80.0));
        for wrong in ["-1", "101", "many", "NaN", "inf"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
