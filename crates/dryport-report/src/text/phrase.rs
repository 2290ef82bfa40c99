//! Requests, namespaces and processes in words.

use core::net::IpAddr;

use dryport_model::{Family, Method, Owner, Protocol, Request};

use super::layout::cut;
use crate::{CheckedNamespace, NamespaceName};

/// Names that others chose are cut at this many columns.
const LONGEST_NAME: usize = 24;
const LONGEST_PLACE: usize = 32;
const LONGEST_DESCRIPTION: usize = 40;
const LONGEST_CONTAINER: usize = 12;

/// A request in a list: `10.0.0.1 → 10.0.0.2:443`.
pub(super) fn row(request: &Request, device: Option<&str>) -> String {
    let name = match (
        request.protocol,
        request.method,
        request.source,
        request.destination,
    ) {
        (Protocol::Udp, Method::Connect, source, _) => {
            match source.filter(|_| request.source_bound) {
                None => format!("UDP sockets ({})", family(request.family)),
                Some(source) => format!("UDP sockets from {source}"),
            }
        }
        (protocol, Method::Bind, source, _) => format!("{}bind({}, 0)", udp(protocol), any(source)),
        (_, _, Some(source), Some(remote)) => format!("{source} → {remote}"),
        (_, _, None, Some(remote)) => format!("any → {remote}"),
        (_, _, Some(source), None) => format!("{source} → any new destination"),
        (_, _, None, None) => "any new destination".to_string(),
    };
    name + &place(request, device)
}

/// A request in a sentence, after "ports left": `from 10.0.0.1 to 10.0.0.2:443`.
pub(super) fn clause(request: &Request, device: Option<&str>) -> String {
    let name = match (
        request.protocol,
        request.method,
        request.source,
        request.destination,
    ) {
        (Protocol::Tcp, Method::Connect, Some(source), Some(remote)) => {
            format!("from {source} to {remote}")
        }
        (Protocol::Tcp, Method::Connect, None, Some(remote)) => format!("to {remote}"),
        (Protocol::Tcp, Method::Connect, Some(source), None) => {
            format!("from {source} to any new destination")
        }
        (Protocol::Tcp, Method::Connect, None, None) => "for any new destination".to_string(),
        _ => return format!("for {}", row(request, device)),
    };
    name + &place(request, device)
}

/// What is counted, after "more": `connections from 10.0.0.1 to 10.0.0.2:443`.
pub(super) fn counted(request: &Request, device: Option<&str>, one: bool) -> String {
    let s = if one { "" } else { "s" };
    match (request.protocol, request.method, request.destination) {
        (Protocol::Tcp, Method::Connect, None) if request.source.is_none() => {
            format!(
                "connection{s} to any new destination{}",
                place(request, device)
            )
        }
        (Protocol::Tcp, Method::Connect, _) => {
            format!("connection{s} {}", clause(request, device))
        }
        (Protocol::Udp, Method::Connect, _) => {
            let row = row(request, device);
            if one {
                row.replacen("sockets", "socket", 1)
            } else {
                row
            }
        }
        (_, Method::Bind, _) => format!("socket{s} with {}", row(request, device)),
    }
}

fn place(request: &Request, device: Option<&str>) -> String {
    let device = match (request.device, device) {
        (0, _) => String::new(),
        (_, Some(name)) => format!(" on {}", cut(name, LONGEST_NAME)),
        (index, None) => format!(" on interface {index}"),
    };
    let end = |port: u16| match port {
        0 => String::new(),
        port => port.to_string(),
    };
    let range = request.port_range.map_or_else(String::new, |own| {
        format!(", ports {}–{}", end(own.low), end(own.high))
    });
    device + &range
}

const fn udp(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "UDP ",
    }
}

fn any(source: Option<IpAddr>) -> String {
    source.map_or_else(|| "*".to_string(), |source| source.to_string())
}

const fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// A namespace: its name, else `net:[4026531840]` as `ls -l /proc/PID/ns` shows it.
pub(super) fn namespace(namespace: &NamespaceName) -> String {
    match &namespace.name {
        Some(name) => cut(name, LONGEST_PLACE),
        None => format!("net:[{}]", namespace.inode),
    }
}

/// The same of one that was looked at: without a name, whose it is.
pub(crate) fn namespace_of(checked: &CheckedNamespace<'_>) -> String {
    match (&checked.namespace.name, &checked.described) {
        (None, Some(described)) => cut(described, LONGEST_DESCRIPTION),
        _ => namespace(&checked.namespace),
    }
}

/// In a sentence: `in namespace web`.
pub(super) fn in_namespace(checked: &CheckedNamespace<'_>) -> String {
    let name = namespace_of(checked);
    match (&checked.namespace.name, &checked.described) {
        (None, Some(_)) => format!("in the namespace of {name}"),
        _ => format!("in namespace {name}"),
    }
}

/// A process: `nginx (pid 812, nginx.service)`.
pub(super) fn process(owner: &Owner) -> String {
    let home = match (&owner.container, &owner.unit) {
        (Some(container), _) => {
            let short: String = container.chars().take(LONGEST_CONTAINER).collect();
            format!(", container {short}")
        }
        (None, Some(unit)) => format!(", {}", cut(unit, LONGEST_PLACE)),
        (None, None) => String::new(),
    };
    format!("{} (pid {}{home})", program(owner), owner.pid)
}

/// The name of a process, or `?`.
pub(super) fn program(owner: &Owner) -> String {
    if owner.name.is_empty() {
        "?".to_string()
    } else {
        cut(&owner.name, LONGEST_NAME)
    }
}
