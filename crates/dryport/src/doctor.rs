//! `dryport doctor`: each fact is tried, none is concluded from a user id or a version.

use dryport_bpf::{BpfTable, Kernel};
use dryport_host::{
    LimitsRead, Namespace, Probe, ProbeAnswer, SocketReader, read_limits, read_owners,
};
use dryport_lab::Privilege;
use dryport_model::plan::Setting;
use dryport_model::{Family, PortRange, ProbeKind, ReaderReason, Seen};
use dryport_report::{Diagnosis, Finding, json, text};
use dryport_tune::{identity, sysctl};
use dryport_wire::procfs::printable;

use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reader::{Extent, Reader};

const AS_ROOT: &str = "run it as root";

/// Answers the command.
pub fn run(output: &Output) -> Result<Exit, Failure> {
    let read = read_limits(true);
    let mut findings = vec![sockets("tcp"), sockets("udp")];
    if let Ok(read) = &read {
        findings.extend([bound_idle(read), buckets(read), bind_buckets(read)]);
    }
    let kernel = Kernel::open();
    findings.extend([
        timestamps(kernel.is_ok()),
        settings(read.as_ref()),
        owners(),
        namespaces(),
    ]);
    findings.extend(bpf(kernel.as_ref()));
    findings.push(reader());
    findings.push(changes());
    // The last: an ordinary user is in a namespace of their own afterwards.
    findings.push(rehearsals());
    let diagnosis = Diagnosis {
        kernel: printable(rustix::system::uname().release().to_bytes()),
        findings,
    };
    output.write(|mut out| match (output.json, output.quiet) {
        (true, _) => json::write_doctor(&mut out, &diagnosis),
        (false, true) => out.write_all(text::doctor_line(&diagnosis, output.screen).as_bytes()),
        (false, false) => out.write_all(text::doctor(&diagnosis, output.screen).as_bytes()),
    })?;
    Ok(Exit::Ok)
}

fn yes(id: &'static str, what: &'static str, how: impl Into<String>) -> Finding {
    Finding {
        id,
        what,
        seen: Seen::Full,
        how: how.into(),
        why: None,
        change: None,
    }
}

/// Not in full: why, and what would change it.
fn but(finding: Finding, seen: Seen, why: impl Into<String>, change: Option<&str>) -> Finding {
    Finding {
        seen,
        why: Some(why.into()),
        change: change.map(Into::into),
        ..finding
    }
}

/// A dump of one port is enough to know whether it can be asked for.
fn sockets(protocol: &'static str) -> Finding {
    let one = PortRange::new(1, 1).unwrap_or(PortRange::LINUX_DEFAULT);
    let (id, what, module, dump) = if protocol == "tcp" {
        let dump = SocketReader::retrying(|reader| reader.tcp(Some(one), |_| {}));
        ("sockets_tcp", "TCP sockets", "modprobe tcp_diag", dump)
    } else {
        let dump = SocketReader::retrying(|reader| reader.udp(Family::V4, Some(one), |_| {}));
        ("sockets_udp", "UDP sockets", "modprobe udp_diag", dump)
    };
    let finding = yes(id, what, "sock_diag");
    match dump {
        Ok(_) => finding,
        Err(error) => but(finding, Seen::None, error.to_string(), Some(module)),
    }
}

fn bound_idle(read: &LimitsRead) -> Finding {
    let finding = yes("bound_idle", "bound, idle sockets", "sock_diag");
    match read.limits.features.shows_bound_idle {
        Some(true) => finding,
        _ => but(
            finding,
            Seen::None,
            "this kernel does not show sockets that are bound and neither listen nor connect",
            Some("Linux 6.8"),
        ),
    }
}

/// Whether the kernel answers about one port of the range.
fn buckets(read: &LimitsRead) -> Finding {
    let finding = yes(
        "bind_buckets",
        "locked ports",
        "asking the kernel, port by port (IP_LOCAL_PORT_RANGE)",
    );
    let probe = match Probe::new(ProbeKind::Connect) {
        Ok(probe) => probe,
        Err(error) => {
            let why = format!("this kernel cannot be asked: {error}");
            return but(finding, Seen::Partial, why, Some("Linux 6.3"));
        }
    };
    let mut ports = read
        .limits
        .range
        .ports()
        .filter(|p| !read.limits.reserved.contains(*p));
    match ports.next().map(|port| probe.ask(port)) {
        Some(ProbeAnswer::Silent) => but(
            finding,
            Seen::Partial,
            "the kernel's answer tells nothing",
            Some("`ip link set lo up`, and no firewall on loopback"),
        ),
        _ => finding,
    }
}

fn bind_buckets(read: &LimitsRead) -> Finding {
    let finding = yes(
        "bind_probes",
        "ports left for bind()",
        "asking the kernel, which leaves no trace",
    );
    match read.limits.features.bucket_recovery {
        Some(true) => finding,
        Some(false) => but(
            finding,
            Seen::Partial,
            "a port that is asked about could stay locked, so none is",
            Some("Linux 6.17.8 or 6.18"),
        ),
        None => but(
            finding,
            Seen::Partial,
            "the kernel's types cannot be read, so none is asked about",
            Some("a kernel with BTF (/sys/kernel/btf/vmlinux)"),
        ),
    }
}

fn timestamps(has_bpf: bool) -> Finding {
    let (id, what) = ("time_wait_timestamps", "timestamps of TIME_WAITs");
    if has_bpf {
        return yes(id, what, "BPF, where they decide");
    }
    but(
        yes(
            id,
            what,
            "live connections to the same peer; on loopback the setting",
        ),
        Seen::Partial,
        "sock_diag does not tell them, and they decide whether a TIME_WAIT can be taken over",
        Some(AS_ROOT),
    )
}

/// Each program is loaded, and let go.
fn bpf(kernel: Result<&Kernel, &dryport_bpf::Error>) -> [Finding; 2] {
    let sockets = yes(
        "bpf_sockets",
        "sockets by BPF",
        "iterators: bind buckets, timestamps, port ranges",
    );
    let owners = yes(
        "bpf_owners",
        "owners by BPF",
        "open files of every process in one pass",
    );
    let tried = |finding: Finding, tried: Result<(), &dryport_bpf::Error>| match tried {
        Ok(()) => finding,
        Err(error) => but(finding, Seen::None, error.to_string(), error.remedy()),
    };
    match kernel {
        Ok(kernel) => [
            tried(
                sockets,
                BpfTable::open(kernel, true).map(drop).as_ref().copied(),
            ),
            tried(
                owners,
                dryport_bpf::read_owners(kernel).map(drop).as_ref().copied(),
            ),
        ],
        Err(error) => [tried(sockets, Err(error)), tried(owners, Err(error))],
    }
}

/// Which of them `check` would use at this moment.
fn reader() -> Finding {
    let finding = |how: String| yes("reader", "reader used now", how);
    match Reader::choose(None, Extent::Everywhere, true) {
        Ok(reader) => {
            let name = reader.choice.kind.name();
            match reader.choice.reason {
                ReaderReason::Little => finding(format!("{name}: there is nothing to read")),
                ReaderReason::Much => finding(format!("{name}: there are sockets to read")),
                ReaderReason::Asked => finding(name.into()),
                ReaderReason::Unavailable(_) => finding(format!("{name}: BPF cannot be used")),
            }
        }
        Err(error) => but(finding(String::new()), Seen::None, error.to_string(), None),
    }
}

fn settings(read: Result<&LimitsRead, &dryport_host::Error>) -> Finding {
    let finding = yes("settings", "settings", "/proc/sys");
    match read {
        Ok(read) if read.assumptions.is_empty() => finding,
        Ok(read) => but(finding, Seen::Partial, read.assumptions.join("; "), None),
        Err(error) => but(finding, Seen::None, error.to_string(), None),
    }
}

fn owners() -> Finding {
    let finding = yes("owners", "who holds a socket", "/proc/PID/fd");
    match read_owners() {
        Ok(walk) if walk.forbidden == 0 => finding,
        Ok(walk) => but(
            finding,
            Seen::Partial,
            format!("{} processes may not be looked into", walk.forbidden),
            Some(AS_ROOT),
        ),
        Err(error) => but(finding, Seen::None, error.to_string(), Some("mount /proc")),
    }
}

fn namespaces() -> Finding {
    let found = identity::namespaces().unwrap_or_default();
    let count = found.inodes.len();
    let s = if count == 1 { "" } else { "s" };
    let finding = yes(
        "namespaces",
        "other network namespaces",
        format!("{count} network namespace{s} found; check covers all with a process or a name"),
    );
    match (Namespace::may_enter(), found.hidden, found.is_whole_machine) {
        (false, ..) => but(
            finding,
            Seen::Partial,
            "they may not be entered",
            Some(AS_ROOT),
        ),
        (true, 0, true) => finding,
        (true, 0, false) => but(
            finding,
            Seen::Partial,
            "this is a container: those outside of it cannot be seen",
            Some("run it on the host"),
        ),
        (true, hidden, _) => but(
            finding,
            Seen::Partial,
            format!("{hidden} descriptors or threads may not be looked at even so"),
            None,
        ),
    }
}

fn changes() -> Finding {
    let finding = yes("changes", "changing settings", "/proc/sys (fix, undo)");
    let refused = Setting::LINUX
        .iter()
        .find_map(|setting| sysctl::can_write(*setting).err());
    match refused {
        None => finding,
        Some(dryport_tune::Error::Absent { .. }) => finding,
        Some(error @ dryport_tune::Error::ReadOnly { .. }) => but(
            finding,
            Seen::None,
            error.to_string(),
            Some("set them where the container is started, or from the host"),
        ),
        Some(error) => but(finding, Seen::None, error.to_string(), Some(AS_ROOT)),
    }
}

fn rehearsals() -> Finding {
    let finding = yes(
        "rehearsals",
        "rehearsing settings",
        "scratch network namespaces",
    );
    match Privilege::enter() {
        Ok(Privilege::Capable) => finding,
        Ok(Privilege::UserNamespace) => Finding {
            how: "scratch network namespaces, in a user namespace".into(),
            ..finding
        },
        Err(error) => but(
            finding,
            Seen::None,
            error.to_string(),
            Some("root, or user namespaces for everybody"),
        ),
    }
}
