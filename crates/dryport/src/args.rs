//! The command line. What is written here is the documentation: `--help`, the man page and the
//! completions are made from it.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use dryport_host::NamespaceSpec;
use dryport_model::{Platform, PortRange, SocketPortRange, Thresholds};

use crate::destination::Destination;

const EXIT_CODES: &str = "\
Exit codes:
  0   ok (or done)
  1   warning: 80 % of a range is used (see --warn)
  2   critical: no port is left, or 95 % is used (see --crit)
  3   unknown: not enough could be seen, or the work failed
  64  wrong usage

Nothing needs root. What root would add is said in one line of the answer.";

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

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The verdict: which requests run dry, why, who holds the ports, what to do
    #[command(after_help = EXIT_CODES)]
    Check(CheckArgs),
    /// The sockets that hold ports, as netstat shows them, and those it does not show
    See(SeeArgs),
    /// Exactly how many more connections to a destination will be granted
    #[command(after_help = EXIT_CODES)]
    Headroom(HeadroomArgs),
    /// The verdict on anything pasted: captures, logs, messages, of any platform and language
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
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
    /// Look at another network namespace: a name of `ip netns`, or pid:N for that of a process
    #[arg(long, value_name = "NAME|pid:N", conflicts_with = "pid")]
    pub netns: Option<NamespaceSpec>,
    /// Why does this process fail: its namespace, requests, descriptor limit, connect hooks
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Do not look up which processes hold the sockets; faster
    #[arg(long)]
    pub no_owners: bool,
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
    pub thresholds: ThresholdArgs,
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
