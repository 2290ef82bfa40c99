//! Settings that are changed in vain, or to harm, when ports run out.

use alloc::format;
use alloc::string::String;

use super::Refusal;
use crate::{CauseId, Platform};

/// Why a setting is not changed, by its name and the value that it should get. Names may be
/// written with dots or slashes, in full or short, and in any case; of a command or a registry path
/// the last part counts. `None`: nothing speaks against it.
///
/// Judged as of systems in use: see [`refuse_on`] for Windows before Vista.
#[must_use]
pub fn refuse(setting_name: &str, value: &str) -> Option<Refusal> {
    refuse_on(None, setting_name, value)
}

/// [`refuse`] for a certain system: `MaxUserPort` is right on Windows before Vista.
#[must_use]
pub fn refuse_on(platform: Option<Platform>, setting_name: &str, value: &str) -> Option<Refusal> {
    let name = short_name(setting_name);
    let (page, reason) = of_range(&name, value)
        .or_else(|| of_windows(platform, &name, value))
        .or_else(|| by_value(&name, value))
        .or_else(|| always(&name))?;
    Some(Refusal {
        what: format!("{}={}", printable(setting_name), printable(value)),
        reason: reason.into(),
        page,
    })
}

type Reason = (CauseId, &'static str);

const fn in_vain(reason: &'static str) -> Option<Reason> {
    Some((CauseId::SettingNoEffect, reason))
}

/// The name in small letters, without the family of sysctl or the path of registry.
fn short_name(name: &str) -> String {
    let name = name.trim().trim_matches('"');
    let name = name.rsplit('\\').next().unwrap_or(name);
    let name = name.replace('/', ".").to_ascii_lowercase();
    let mut short = name.trim_start_matches('.');
    for family in [
        "proc.sys.",
        "net.ipv4.",
        "net.ipv6.",
        "net.core.",
        "net.netfilter.",
        "net.",
    ] {
        short = short.strip_prefix(family).unwrap_or(short);
    }
    short.into()
}

/// What a hostile paste cannot use to draw on a terminal.
fn printable(text: &str) -> String {
    let shown = text.trim().chars().filter(|c| !c.is_control());
    shown.take(80).collect()
}

fn number(value: &str) -> Option<u64> {
    value.trim().parse().ok()
}

fn of_range(name: &str, value: &str) -> Option<Reason> {
    let low = match name {
        "ip_local_port_range" => number(value.split_whitespace().next()?)?,
        "inet.ip.portrange.first" | "inet.ip.portrange.hifirst" => number(value)?,
        _ => return None,
    };
    (low < 1024).then_some((
        CauseId::RangeOverlapsListener,
        "Ports below 1024 belong to services (ssh, HTTP, DNS): one that restarts would find its port \
         taken by a client.",
    ))
}

fn of_windows(platform: Option<Platform>, name: &str, value: &str) -> Option<Reason> {
    let is_old = platform.is_some_and(Platform::is_old_windows);
    match name {
        "maxuserport" if is_old => {
            let fits = number(value).is_none_or(|port| (5000..=65534).contains(&port));
            if fits {
                None
            } else {
                in_vain("MaxUserPort takes 5000 to 65534.")
            }
        }
        "maxuserport" => in_vain(
            "MaxUserPort does nothing on Vista, Server 2008 and later, where `netsh int ipv4 set \
             dynamicport tcp` sets the range; it is for Windows before Vista.",
        ),
        "tcptimedwaitdelay" if number(value).is_some_and(|seconds| seconds < 30) => in_vain(
            "TcpTimedWaitDelay takes 30 to 300 seconds: a shorter wait is not kept, and would let \
             stray segments into new connections.",
        ),
        "maxfreetcbs" | "maxhashtablesize" | "numtcbtablepartitions" | "maxfreetwtcbs" => {
            in_vain("It sized tables of old Windows: tables are not what runs out, ports are.")
        }
        "tcpnumconnections" => in_vain(
            "It bounds connections, of which Windows allows 16,777,214 by itself; ports run out long \
             before.",
        ),
        "enabledynamicbacklog" | "minimumdynamicbacklog" | "maximumdynamicbacklog" => {
            in_vain("It is the queue of connections that come in; outgoing ones take the ports.")
        }
        _ if name.contains("autotuning") || name.contains("chimney") || is_rss(name) => {
            in_vain("It is about throughput of connections that exist: it gives no port.")
        }
        _ => None,
    }
}

fn is_rss(name: &str) -> bool {
    name == "rss" || name.contains("set global rss")
}

fn by_value(name: &str, value: &str) -> Option<Reason> {
    match (name, number(value)) {
        ("tcp_timestamps", Some(0)) => Some((
            CauseId::ConnectTimeWait,
            "Without timestamps no TIME_WAIT is ever taken over: it makes exhaustion worse.",
        )),
        ("ip_autobind_reuse", value) if value != Some(0) => in_vain(
            "It lets only SO_REUSEADDR sockets share ports at bind(), a quarter of the range, and \
             connect() then fails at random.",
        ),
        ("tcp_max_tw_buckets", Some(most)) if most < LARGE_TW_BUCKETS => Some((
            CauseId::ConnectTimeWaitOverflow,
            "It frees ports by dropping TIME_WAITs early, without protection from stray segments of \
             the old connection.",
        )),
        _ => None,
    }
}

/// What Linux starts with on a machine with some gigabytes of memory: less means lowering it.
const LARGE_TW_BUCKETS: u64 = 262_144;

fn always(name: &str) -> Option<Reason> {
    match name {
        "tcp_fin_timeout" => in_vain(
            "It does not shorten TIME_WAIT, which lasts 60 s at all times; it is for FIN_WAIT2 of \
             closed sockets.",
        ),
        "tcp_tw_recycle" => {
            in_vain("It dropped connections of clients behind a NAT, and is gone since Linux 4.12.")
        }
        "tcp_tw_len" | "tcp_timewait_len" => {
            in_vain("TIME_WAIT lasts 60 s by the kernel's source: there is no such setting.")
        }
        "tcp_max_orphans" | "tcp_orphan_retries" => in_vain(
            "It bounds sockets whose program is gone; each of them holds no more than its port.",
        ),
        "somaxconn"
        | "kern.ipc.somaxconn"
        | "kern.ipc.soacceptqueue"
        | "tcp_max_syn_backlog"
        | "tcp_abort_on_overflow"
        | "tcp_syncookies"
        | "netdev_max_backlog" => {
            in_vain("It is the queue of connections that come in; outgoing ones take the ports.")
        }
        "tcp_rmem" | "tcp_wmem" | "tcp_mem" | "rmem_max" | "wmem_max" => {
            in_vain("It is about the memory of connections: it gives no port.")
        }
        _ if name.starts_with("tcp_keepalive_") || name.starts_with("keepalive") => in_vain(
            "It finds dead peers of idle connections after minutes or hours; it neither shortens \
             TIME_WAIT nor ends CLOSE_WAIT of living peers.",
        ),
        _ if name.starts_with("nf_conntrack_") || name.starts_with("ip_conntrack_") => Some((
            CauseId::NatTableFull,
            "Connection tracking has a table of its own: its size and times free no local port.",
        )),
        _ if is_descriptor_limit(name) => Some((
            CauseId::NotExhaustionDescriptorLimit,
            "Descriptors and ports are different limits: running out of descriptors says EMFILE or \
             \"Too many open files\", and more of them give no port.",
        )),
        _ => None,
    }
}

fn is_descriptor_limit(name: &str) -> bool {
    matches!(
        name,
        "nofile"
            | "limitnofile"
            | "defaultlimitnofile"
            | "fs.file-max"
            | "fs.nr_open"
            | "file-max"
            | "kern.maxfiles"
            | "kern.maxfilesperproc"
            | "worker_rlimit_nofile"
    ) || name == "ulimit"
        || name.starts_with("ulimit ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str, value: &str) -> Option<CauseId> {
        refuse(name, value).map(|refusal| refusal.page)
    }

    #[test]
    fn what_does_nothing_is_refused_however_it_is_written() {
        for (name, value) in [
            ("net.ipv4.tcp_fin_timeout", "15"),
            ("net/ipv4/tcp_fin_timeout", "15"),
            ("/proc/sys/net/ipv4/tcp_fin_timeout", "15"),
            ("tcp_fin_timeout", "15"),
            ("net.ipv4.tcp_tw_recycle", "1"),
            ("net.core.somaxconn", "65535"),
            ("net.ipv4.tcp_max_syn_backlog", "65535"),
            ("net.ipv4.tcp_max_orphans", "1"),
            ("net.ipv4.tcp_keepalive_time", "60"),
            ("net.ipv4.ip_autobind_reuse", "1"),
            ("MAXUSERPORT", "65534"),
            (
                r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\MaxUserPort",
                "65534",
            ),
            ("TcpTimedWaitDelay", "5"),
            ("MaxFreeTcbs", "65536"),
            ("MaxHashTableSize", "65536"),
            ("netsh int tcp set global autotuninglevel", "disabled"),
            ("autotuninglevel", "disabled"),
        ] {
            assert_eq!(page(name, value), Some(CauseId::SettingNoEffect), "{name}");
        }
    }

    #[test]
    fn each_has_the_page_that_explains_it() {
        for (name, value, id) in [
            ("net.ipv4.tcp_timestamps", "0", CauseId::ConnectTimeWait),
            (
                "net.ipv4.tcp_max_tw_buckets",
                "5000",
                CauseId::ConnectTimeWaitOverflow,
            ),
            (
                "net.netfilter.nf_conntrack_max",
                "1048576",
                CauseId::NatTableFull,
            ),
            (
                "fs.file-max",
                "1000000",
                CauseId::NotExhaustionDescriptorLimit,
            ),
            (
                "ulimit -n",
                "1000000",
                CauseId::NotExhaustionDescriptorLimit,
            ),
            (
                "LimitNOFILE",
                "1000000",
                CauseId::NotExhaustionDescriptorLimit,
            ),
            (
                "net.ipv4.ip_local_port_range",
                "1 65535",
                CauseId::RangeOverlapsListener,
            ),
            (
                "net.inet.ip.portrange.first",
                "600",
                CauseId::RangeOverlapsListener,
            ),
        ] {
            assert_eq!(page(name, value), Some(id), "{name}");
        }
    }

    #[test]
    fn what_helps_is_not_refused() {
        for (name, value) in [
            ("net.ipv4.tcp_tw_reuse", "1"),
            ("net.ipv4.ip_local_port_range", "1024 65535"),
            ("net.ipv4.ip_local_port_range", "nonsense"),
            ("net.ipv4.ip_local_reserved_ports", "8080"),
            ("net.ipv4.tcp_timestamps", "1"),
            ("net.ipv4.tcp_max_tw_buckets", "1000000"),
            ("TcpTimedWaitDelay", "30"),
            ("net.inet.tcp.msl", "5000"),
            ("", ""),
        ] {
            assert_eq!(refuse(name, value), None, "{name}");
        }
    }

    #[test]
    fn max_user_port_is_right_before_vista() {
        let on = |platform, value| refuse_on(Some(platform), "MaxUserPort", value).is_some();
        assert!(!on(Platform::Windows2003, "65534"));
        assert!(!on(Platform::WindowsXp, "5000"));
        assert!(on(Platform::Windows2003, "65535"));
        assert!(on(Platform::Windows, "65534"));
    }

    #[test]
    fn what_was_asked_for_is_told_without_control_characters() {
        let refusal = refuse("tcp_fin_timeout", "\u{1b}[31m5\n").unwrap();
        assert_eq!(refusal.what, "tcp_fin_timeout=[31m5");
    }
}
