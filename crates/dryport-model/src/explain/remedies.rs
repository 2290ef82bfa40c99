//! What to do, in the order of the classic guidance: use fewer connections, then the range, then
//! the wait. Each with the command or registry value of the platform, its limits, and whether a
//! restart is needed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Family, Platform, PortRange, Protocol, Remedy};

/// A range that grows by less than this is not worth a change.
const LITTLE: u32 = 1000;

const PARAMETERS: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";

/// Remedies for a lack of TCP ports on a platform. `wait`: TIME_WAITs hold many of them.
#[must_use]
pub fn remedies_for(platform: Platform, range: PortRange, wait: bool) -> Vec<Remedy> {
    let mut remedies = Vec::from([reuse(platform)]);
    if platform == Platform::Linux {
        remedies.push(spread());
    }
    remedies.extend(widen(platform, Protocol::Tcp, Family::V4, range));
    if wait {
        remedies.extend(shorten(platform));
    }
    remedies
}

fn remedy(id: &'static str, summary: String, command: Option<String>, restart: bool) -> Remedy {
    Remedy {
        id,
        summary,
        command,
        restart_needed: restart,
    }
}

/// Fewer connections.
pub(super) fn reuse(platform: Platform) -> Remedy {
    let how = if platform.is_windows() {
        "Keep connections open and reuse them: one HttpClient for the process instead of one for \
         each request, connection pools, keep-alive. Each request then costs no port."
    } else {
        "Keep connections open and reuse them (keep-alive, a pool): each request then costs no port."
    };
    remedy("reuse-connections", how.into(), None, true)
}

fn spread() -> Remedy {
    let how = "Spread the connections over more destination addresses or ports, or over more source \
               addresses: each pair has a range of its own.";
    remedy("spread", how.into(), None, true)
}

/// A client that binds its source address.
pub(super) fn no_port_option() -> Remedy {
    let how = "Let the program set IP_BIND_ADDRESS_NO_PORT before it binds its source address (nginx \
               proxy_bind and HAProxy source do so themselves): its ports are then shared again.";
    remedy("bind-address-no-port", how.into(), None, true)
}

/// A larger range; `None` where it cannot grow.
pub(super) fn widen(
    platform: Platform,
    protocol: Protocol,
    family: Family,
    range: PortRange,
) -> Option<Remedy> {
    let (summary, command, restart) = match platform {
        Platform::Linux => {
            let (low, high) = (range.low().min(16384), range.high().max(60999) | 1);
            let low = low & !1;
            if u32::from(high - low) < range.size() + LITTLE {
                return None;
            }
            (
                "Widen net.ipv4.ip_local_port_range, at once and without a restart (both ends from \
                 1 to 65535, the lower one not below ip_unprivileged_port_start, one even and one \
                 odd), and reserve the service ports that it would swallow in \
                 ip_local_reserved_ports first."
                    .into(),
                format!(
                    "sysctl -w net.ipv4.ip_local_port_range=\"{low} {high}\""
                ),
                false,
            )
        }
        Platform::Windows => {
            let start = range.low().min(10000);
            let count = 65536 - u32::from(start);
            if count <= range.size() + LITTLE {
                return None;
            }
            let family = match family {
                Family::V4 => "ipv4",
                Family::V6 => "ipv6",
            };
            (
                "Widen the dynamic port range, at once and without a restart (start 1025 or above, \
                 at least 255 ports, the last one at most 65535); check first that no service has \
                 its port inside."
                    .into(),
                format!(
                    "netsh int {family} set dynamicport {} start={start} num={count}",
                    protocol.name()
                ),
                false,
            )
        }
        Platform::Windows2003 | Platform::WindowsXp if range.high() >= 65534 => return None,
        Platform::Windows2003 | Platform::WindowsXp => (
            "Raise MaxUserPort (5000 to 65534; 5000 where it is absent): the range is then 1025 to \
             that port. Restart Windows."
                .into(),
            format!("reg add {PARAMETERS} /v MaxUserPort /t REG_DWORD /d 65534 /f"),
            true,
        ),
        Platform::MacOs | Platform::FreeBsd if range.low() <= 16384 => return None,
        Platform::MacOs => (
            "Lower the first port of the range, at once (1024 or above; connect() takes first to \
             last, some programs hifirst to hilast)."
                .into(),
            "sysctl -w net.inet.ip.portrange.first=16384 net.inet.ip.portrange.hifirst=16384".into(),
            false,
        ),
        Platform::FreeBsd => (
            "Lower the first port of the range, at once (1024 or above).".into(),
            "sysctl net.inet.ip.portrange.first=10000".into(),
            false,
        ),
    };
    Some(remedy("widen-range", summary, Some(command), restart))
}

/// A shorter wait.
pub(super) fn shorten(platform: Platform) -> Vec<Remedy> {
    let close = remedy(
        "close-on-the-other-side",
        "Let the server close first: TIME_WAIT then stands on its side, where it holds no port of \
         ours."
            .into(),
        None,
        true,
    );
    let wait = match platform {
        Platform::Linux => remedy(
            "tw-reuse",
            "Set net.ipv4.tcp_tw_reuse=1 (0, 1, or 2 for loopback only; needs TCP timestamps on both \
             sides; not behind a NAT that mixes hosts): a TIME_WAIT is then taken over after 1 s."
                .into(),
            Some("sysctl -w net.ipv4.tcp_tw_reuse=1".into()),
            false,
        ),
        Platform::Windows => remedy(
            "shorten-wait",
            "Lower TcpTimedWaitDelay (30 to 300 seconds). Restart Windows.".into(),
            Some(format!(
                "reg add {PARAMETERS} /v TcpTimedWaitDelay /t REG_DWORD /d 30 /f"
            )),
            true,
        ),
        Platform::Windows2003 | Platform::WindowsXp => remedy(
            "shorten-wait",
            "Lower TcpTimedWaitDelay (30 to 300 seconds; the classic guidance gives 30 to 240; 240 \
             where it is absent). Restart Windows."
                .into(),
            Some(format!(
                "reg add {PARAMETERS} /v TcpTimedWaitDelay /t REG_DWORD /d 30 /f"
            )),
            true,
        ),
        Platform::MacOs | Platform::FreeBsd => remedy(
            "shorten-wait",
            "Lower net.inet.tcp.msl (milliseconds; TIME_WAIT lasts twice as long), at once.".into(),
            Some("sysctl -w net.inet.tcp.msl=5000".into()),
            false,
        ),
    };
    Vec::from([close, wait])
}

/// What is often tried in vain there.
pub(super) fn avoid(platform: Platform) -> Vec<String> {
    let texts: &[&str] = match platform {
        Platform::Linux => &[
            "tcp_fin_timeout does not shorten TIME_WAIT; tcp_tw_recycle is gone since Linux 4.12.",
        ],
        Platform::Windows => {
            &["MaxUserPort does nothing on Vista, 2008 and later: netsh sets the range there."]
        }
        Platform::Windows2003 | Platform::WindowsXp => {
            &["netsh has no dynamicport there: it came with Vista and 2008."]
        }
        Platform::MacOs | Platform::FreeBsd => {
            &["Raising the descriptor limit gives no port back."]
        }
    };
    texts.iter().map(|text| String::from(*text)).collect()
}
