//! The kernel's release, its settings and its counts of sockets.

use std::io::{self, Write};
use std::path::Path;

use dryport_host::read_in_one_call;
use dryport_wire::procfs::printable_up_to;

use super::section;

/// Settings that bear on ports, as files below `/proc/sys`.
const SETTINGS: [&str; 10] = [
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv4/ip_unprivileged_port_start",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv4/tcp_tw_reuse_delay",
    "net/ipv4/tcp_timestamps",
    "net/ipv4/tcp_fin_timeout",
    "net/ipv4/tcp_max_tw_buckets",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
];

/// `/proc/net/netstat` has some hundred counters; this one tells of ports.
const OVERFLOW: &str = "TCPTimeWaitOverflow";

/// Writes these parts.
pub fn write(out: &mut dyn Write) -> io::Result<()> {
    release(out)?;
    section(out, "sysctl -a    (only what bears on ports)")?;
    for file in SETTINGS {
        setting(out, file)?;
    }
    for file in ["/proc/net/sockstat", "/proc/net/sockstat6"] {
        section(out, &format!("cat {file}"))?;
        match read(file) {
            Ok(text) => out.write_all(text.as_bytes())?,
            Err(error) => not_read(out, file, &error)?,
        }
    }
    overflow(out)
}

fn release(out: &mut dyn Write) -> io::Result<()> {
    section(out, "uname -s -r")?;
    let files = ["/proc/sys/kernel/ostype", "/proc/sys/kernel/osrelease"];
    match files.map(read) {
        [Ok(name), Ok(release)] => writeln!(out, "{} {}", name.trim_end(), release.trim_end()),
        [Err(error), _] | [_, Err(error)] => not_read(out, "the kernel's release", &error),
    }
}

fn setting(out: &mut dyn Write, file: &str) -> io::Result<()> {
    let key = file.replace('/', ".");
    match read(&format!("/proc/sys/{file}")) {
        Ok(text) => writeln!(out, "{key} = {}", text.trim_end()),
        Err(error) => not_read(out, &key, &error),
    }
}

/// As `nstat` writes it.
fn overflow(out: &mut dyn Write) -> io::Result<()> {
    section(out, "nstat -az TcpExtTCPTimeWaitOverflow")?;
    match read("/proc/net/netstat") {
        Ok(text) => match counter(&text, "TcpExt:", OVERFLOW) {
            Some(value) => {
                let name = format!("TcpExt{OVERFLOW}");
                writeln!(out, "{name:<31} {value:<18} 0.0")
            }
            None => writeln!(out, "# {OVERFLOW}: this kernel does not count it"),
        },
        Err(error) => not_read(out, "/proc/net/netstat", &error),
    }
}

/// One line with the names, and one with the values, under the same first word.
fn counter(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|word| word == name)?;
    values.split_whitespace().nth(at)?.parse().ok()
}

fn not_read(out: &mut dyn Write, what: &str, error: &io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => writeln!(out, "# {what}: not on this system"),
        _ => writeln!(out, "# {what} could not be read: {error}"),
    }
}

/// A file of `/proc`, in one call: a list of ports (`proc_do_large_bitmap`) ends at the second
/// one, and `std::fs::read` begins with 32 bytes. The others here are made in one piece too.
fn read(path: &str) -> io::Result<String> {
    let bytes = read_in_one_call(Path::new(path))?;
    let mut text = String::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        // Tabs part the two ends of a range; anything else would be no text of the kernel.
        let parts = line.split(|byte| *byte == b'\t' || *byte == b'\n');
        let parts = parts.map(|part| printable_up_to(part, bytes.len()));
        let shown = parts.collect::<Vec<_>>().join("\t");
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name_in_its_group() {
        let text = "TcpExt: A TCPTimeWaitOverflow B\nTcpExt: 1 22 3\nIpExt: A\nIpExt: 9\n";
        assert_eq!(counter(text, "TcpExt:", OVERFLOW), Some(22));
        assert_eq!(counter(text, "IpExt:", "A"), Some(9));
        assert_eq!(counter(text, "TcpExt:", "C"), None);
        assert_eq!(counter("TcpExt: A\n", "TcpExt:", "A"), None);
        assert_eq!(counter("TcpExt: A B\nTcpExt: 1\n", "TcpExt:", "B"), None);
    }

    #[test]
    fn what_is_absent_is_said_in_a_comment() {
        let mut out = Vec::new();
        setting(&mut out, "net/ipv4/no_such_setting").unwrap();
        assert_eq!(out, b"# net.ipv4.no_such_setting: not on this system\n");
    }
}
