//! What messages add to the verdict.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::causes::{evidence, nat_remedies};
use super::remedies::{avoid, remedies_for};
use super::settings::{table_remedies, time_wait_overflow};
use super::{Findings, FoundMessage, MessageTold, RangeInForce};
use crate::{
    Call, Cause, CauseId, Complaint, Level, Meaning, Message, Platform, PortHolders, Remedy,
    grouped,
};

/// Destinations named in a summary.
const MOST_NAMED: usize = 3;

/// Adds the causes that messages point to, or strengthens those that the table shows.
pub(super) fn add(
    findings: &Findings,
    platform: Option<Platform>,
    ranges: &[RangeInForce],
    causes: &mut Vec<Cause>,
) -> Vec<MessageTold> {
    let meanings: Vec<(CauseId, Meaning)> = findings
        .messages
        .iter()
        .map(|found| found.message.cause(platform))
        .collect();
    let exhausted = meanings.iter().any(|(_, m)| *m == Meaning::Exhausted);
    let mut done: Vec<(CauseId, Complaint)> = Vec::new();
    for (found, (id, meaning)) in findings.messages.iter().zip(&meanings) {
        let complaint = found.message.complaint;
        // What may be a lack of ports is explained where one is told.
        let vague = *id == CauseId::WindowsTupleTimeWait && *meaning == Meaning::Possible;
        if done.contains(&(*id, complaint)) || (vague && exhausted) {
            continue;
        }
        done.push((*id, complaint));
        let of: Vec<&FoundMessage> = findings
            .messages
            .iter()
            .zip(&meanings)
            .filter(|(other, (cause, _))| cause == id && other.message.complaint == complaint)
            .map(|(found, _)| found)
            .collect();
        let meaning = findings
            .messages
            .iter()
            .zip(&meanings)
            .filter(|(other, (cause, _))| cause == id && other.message.complaint == complaint)
            .map(|(_, (_, meaning))| *meaning)
            .min()
            .unwrap_or(*meaning);
        let cause = cause(*id, meaning, &of, platform, ranges);
        match causes.iter_mut().find(|c| c.id == *id && is_of(c, &of)) {
            Some(known) => {
                known.level = known.level.max(cause.level);
                known.summary = format!("{} {}", known.summary, cause.summary);
                known.evidence.extend(cause.evidence);
            }
            None => causes.push(cause),
        }
    }
    let told = findings.messages.iter().zip(&meanings);
    told.map(|(found, (cause, _))| MessageTold {
        complaint: found.message.complaint,
        call: found.message.call,
        destination: found.message.destination.clone(),
        program: found.message.program,
        count: found.count,
        input: found.input,
        line: found.line,
        cause: *cause,
    })
    .collect()
}

/// Whether the messages speak of what a cause of the table is about: a pair is one destination's.
fn is_of(cause: &Cause, messages: &[&FoundMessage]) -> bool {
    let mut named = messages
        .iter()
        .filter_map(|found| found.message.destination.as_deref());
    cause.id != CauseId::ConnectTupleDry || named.all(|to| cause.summary.contains(to))
}

fn cause(
    id: CauseId,
    meaning: Meaning,
    messages: &[&FoundMessage],
    platform: Option<Platform>,
    ranges: &[RangeInForce],
) -> Cause {
    let count: u64 = messages.iter().map(|found| found.count).sum();
    if id == CauseId::ConnectTimeWaitOverflow {
        return time_wait_overflow(
            count,
            "The kernel dropped TIME_WAITs early, because there were more than tcp_max_tw_buckets.",
        );
    }
    let level = match meaning {
        Meaning::Exhausted => Level::Critical,
        Meaning::FalseAlarm => Level::Ok,
        Meaning::Possible => Level::Unknown,
        Meaning::Aside => Level::Warning,
    };
    let own = messages.iter().find_map(|found| found.message.platform);
    let platform = match platform {
        // A name that Windows gives all its versions: the input knows better.
        Some(known) => known,
        None => own.unwrap_or(match id {
            CauseId::WindowsRangeDry
            | CauseId::WindowsTupleTimeWait
            | CauseId::WindowsPortExcluded => Platform::Windows,
            _ => Platform::Linux,
        }),
    };
    Cause {
        id,
        level,
        summary: format!("{} {}", what(messages, count), meant(id, meaning, messages)),
        evidence: Vec::from([evidence("messages", count, "lines say so")]),
        owners: PortHolders::default(),
        remedies: remedies(id, platform, ranges),
        avoid: match meaning {
            Meaning::Exhausted if !matches!(id, CauseId::NatTupleDry | CauseId::NatTableFull) => {
                avoid(platform)
            }
            _ => Vec::new(),
        },
    }
}

/// `"Cannot assign requested address" on connect to 10.0.0.5:6379 (3 lines, the first is line 7):`
fn what(messages: &[&FoundMessage], count: u64) -> String {
    // The address that is bound is another one than that to be reached.
    let binds = |found: &&FoundMessage| found.message.call == Some(Call::Bind);
    let towards = match messages.iter().all(binds) {
        true => "on the way to",
        false => "for",
    };
    let mut destinations: Vec<&str> = Vec::new();
    for destination in messages
        .iter()
        .filter_map(|found| found.message.destination.as_deref())
    {
        if !destinations.contains(&destination) {
            destinations.push(destination);
        }
    }
    let to = match destinations.as_slice() {
        [] => String::new(),
        all if all.len() <= MOST_NAMED => format!(" {towards} {}", all.join(", ")),
        all => format!(
            " {towards} {} and {} more",
            all.get(..MOST_NAMED).unwrap_or_default().join(", "),
            all.len() - MOST_NAMED
        ),
    };
    let Some(first) = messages.first() else {
        return String::new();
    };
    let own = match first.message.local_address {
        Some(own) if first.message.call == Some(Call::Bind) => format!(" for {own}"),
        _ => String::new(),
    };
    let lines = match count {
        1 => format!("line {}", first.line),
        n => format!("{} times, first on line {}", grouped(n), first.line),
    };
    format!("{}{own}{to} ({lines}):", said(&first.message))
}

fn said(message: &Message) -> &'static str {
    let windows = message.platform.is_some_and(Platform::is_windows);
    match (message.complaint, windows) {
        (Complaint::AddressNotAvailable, false) => "Cannot assign requested address",
        (Complaint::AddressNotAvailable, true) => "Error 10049",
        (Complaint::AddressInUse, false) => "Address already in use",
        (Complaint::AddressInUse, true) => "Error 10048",
        (Complaint::NoBufferSpace, _) => "Error 10055",
        (Complaint::AccessForbidden, _) => "Error 10013",
        (Complaint::TooManyFiles, _) => "Too many open files",
        (Complaint::Refused, _) => "Connection refused",
        (Complaint::TimedOut, _) => "Connection timed out",
        (Complaint::NoFreePorts, _) => "No free ports",
        (Complaint::Event4227, _) => "Event 4227",
        (Complaint::Event4231, _) => "Event 4231",
        (Complaint::Event4266, _) => "Event 4266",
        (Complaint::TimeWaitOverflow, _) => "Time wait bucket table overflow",
        (Complaint::ConntrackFull, _) => "nf_conntrack: table full",
        (Complaint::SnatExhausted, _) => "SNAT without a free port",
        (Complaint::ClosedOnSend, _) => "The underlying connection was closed",
        (Complaint::CannotConnect, _) => "Unable to connect to the remote server",
    }
}

fn meant(id: CauseId, meaning: Meaning, messages: &[&FoundMessage]) -> String {
    let first = messages.first().map(|found| &found.message);
    match id {
        CauseId::ConnectTupleDry if meaning == Meaning::Possible => {
            "either no local port was left, or this machine has no IPv6 address to reach it from, \
             which is more frequent: `ip -6 route get ADDRESS` tells."
        }
        CauseId::ConnectTupleDry => {
            "connect() found no local port for its destination (or bound sockets burn the range; \
             `dryport check` on the machine tells which)."
        }
        CauseId::BindRangeDry => {
            "a client that binds its source address found no port on that address, whatever the \
             destination."
        }
        CauseId::ConnectRangeDry => "connect() found no local port.",
        CauseId::UdpRangeDry => "no dynamic port is left for UDP.",
        CauseId::WindowsRangeDry => {
            "no dynamic port is left, for any destination; the message's own words about buffer \
             space or ports mean that."
        }
        CauseId::WindowsTupleTimeWait
            if first.is_some_and(|m| {
                matches!(
                    m.complaint,
                    Complaint::ClosedOnSend | Complaint::CannotConnect
                )
            }) =>
        {
            "may be a lack of ports, may be the other side or TLS: the inner exception tells (10048 \
             or 10055 mean ports)."
        }
        CauseId::WindowsTupleTimeWait => {
            "connect() met a port that was used to the same destination just before and is in \
             TIME_WAIT: connections are opened and closed too fast, or the range is nearly used up."
        }
        CauseId::WindowsPortExcluded => {
            "the port lies in an excluded port range (Hyper-V, WinNAT or an administrator took it), \
             or another program has it for itself."
        }
        CauseId::NatTupleDry => {
            "the NAT on the way has no port left for that destination; this machine's own ports do \
             not matter."
        }
        CauseId::NatTableFull => {
            "the connection tracking table is full and drops new connections; local ports do not \
             matter."
        }
        CauseId::NotExhaustionAddressNotLocal
            if first.is_some_and(|m| m.call == Some(Call::Connect)) =>
        {
            "that address cannot be reached from here or does not exist; ports have not run out."
        }
        CauseId::NotExhaustionAddressNotLocal => {
            "the program binds an address that this machine does not have; ports have not run out."
        }
        CauseId::NotExhaustionIpv6Off => {
            "::1 is not there because IPv6 is off; use 127.0.0.1. Ports have not run out."
        }
        CauseId::NotExhaustionFixedPortInUse => {
            return fixed_port(first);
        }
        CauseId::NotExhaustionDescriptorLimit => {
            "the process may open no more files; that is another limit than ports."
        }
        CauseId::NotExhaustionRefusedOrTimeout => {
            "the other side refused, did not answer, or a firewall stands between; the connection \
             had its local port."
        }
        _ => "see the page of this cause.",
    }
    .to_string()
}

fn fixed_port(first: Option<&Message>) -> String {
    match first.and_then(|message| message.local_port) {
        Some(port) if port != 0 => format!(
            "a program wants port {port}, which another one (or its own older self) has; ports have \
             not run out."
        ),
        _ => {
            "a program wants a certain port, which another one has; ports have not run out. (If it \
              was a client that binds its source address, it is bind.range-dry.)"
                .into()
        }
    }
}

fn remedies(id: CauseId, platform: Platform, ranges: &[RangeInForce]) -> Vec<Remedy> {
    let advice = |id, summary: &str, command: Option<&str>| Remedy {
        id,
        summary: summary.into(),
        command: command.map(String::from),
        restart_needed: false,
    };
    let protocol = match id {
        CauseId::UdpRangeDry => crate::Protocol::Udp,
        _ => crate::Protocol::Tcp,
    };
    let known = ranges.iter().find(|range| range.protocol == protocol);
    let range = known.map_or(platform.default_range(), |range| range.range);
    let bsd = matches!(platform, Platform::MacOs | Platform::FreeBsd);
    match id {
        CauseId::ConnectTupleDry
        | CauseId::ConnectRangeDry
        | CauseId::WindowsRangeDry
        | CauseId::WindowsTupleTimeWait => remedies_for(platform, range, true),
        CauseId::BindRangeDry => {
            let mut remedies = Vec::from([super::remedies::no_port_option()]);
            remedies.extend(remedies_for(platform, range, false));
            remedies
        }
        CauseId::UdpRangeDry => {
            super::remedies::widen(platform, crate::Protocol::Udp, crate::Family::V4, range)
                .into_iter()
                .collect()
        }
        CauseId::WindowsPortExcluded => Vec::from([advice(
            "see-excluded",
            "See the excluded ranges, and move the service's port out of them or restart winnat \
             after excluding the port for it.",
            Some("netsh int ipv4 show excludedportrange protocol=tcp"),
        )]),
        CauseId::NatTupleDry => nat_remedies(),
        CauseId::NatTableFull => table_remedies(None),
        CauseId::NotExhaustionAddressNotLocal => Vec::from([advice(
            "see-addresses",
            "Compare the address in the program's settings with those of the machine.",
            Some(match platform {
                _ if platform.is_windows() => "ipconfig",
                _ if bsd => "ifconfig",
                _ => "ip address",
            }),
        )]),
        CauseId::NotExhaustionIpv6Off => Vec::from([advice(
            "use-ipv4",
            "Let the program use 127.0.0.1 instead of localhost or ::1, or switch IPv6 on.",
            None,
        )]),
        CauseId::NotExhaustionFixedPortInUse => Vec::from([advice(
            "see-holder",
            "See who has the port.",
            Some(match platform {
                _ if platform.is_windows() => "netstat -anob",
                _ if bsd => "lsof -nP -iTCP -sTCP:LISTEN",
                _ => "ss -tlnp",
            }),
        )]),
        CauseId::NotExhaustionDescriptorLimit => Vec::from([advice(
            "raise-limit",
            "See what the process leaves open, then raise its limit (LimitNOFILE= of the unit, \
             ulimit -n).",
            None,
        )]),
        CauseId::NotExhaustionRefusedOrTimeout => Vec::from([advice(
            "see-server",
            "Look at the server: does it listen, does a firewall drop?",
            None,
        )]),
        _ => Vec::new(),
    }
}
