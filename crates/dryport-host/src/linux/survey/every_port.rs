//! The survey behind a plan: what every port from 1 to 65,535 would be for a request, whatever the
//! range, the reserved ports and the reuse of TIME_WAITs may become.

use dryport_model::plan::{PortViews, Service, ServicePort};
use dryport_model::{
    Family, HeadroomCount, Limits, PortRange, PortSet, Protocol, Request, Socket, TimeWaitReuse,
};

use super::Means;
use crate::error::Result;
use crate::linux::limits::LimitsRead;
use crate::linux::probe::Probe;
use crate::linux::sockets::SocketReader;
use crate::linux::table::retrying;

/// Every port that can be in a range.
const EVERY_PORT: PortRange = match PortRange::new(1, u16::MAX) {
    Some(range) => range,
    None => PortRange::LINUX_DEFAULT,
};

/// Classes of every port for one request, under the settings that a plan may choose between.
///
/// Ports of the present range are asked about as [`super::headroom()`] does. A port outside of it
/// cannot be asked about (`IP_LOCAL_PORT_RANGE` is clamped to the namespace's range); there, one
/// whose program chose it is locked for certain, and others stay uncertain.
///
/// # Errors
/// The table of sockets cannot be read.
pub fn every_port(request: &Request, read: &LimitsRead, means: Means<'_>) -> Result<PortViews> {
    let request = &Request {
        port_range: None,
        ..*request
    };
    let variants = variants(&read.limits);
    let mut counts = retrying(|| {
        let mut counts = variants
            .each_ref()
            .map(|limits| HeadroomCount::new(*request, limits));
        means
            .table
            .read(request.protocol, EVERY_PORT, &mut |seen| {
                for count in &mut counts {
                    count.observe(&seen.socket);
                    if let Some(state) = seen.bucket {
                        count.see_bucket(seen.socket.local.port(), state);
                    }
                }
            })?;
        Ok(counts)
    })?;
    prove(&mut counts, &read.limits, means);
    tell_timestamps(&mut counts)?;
    let [now, settled, reuse, reuse_settled] = counts.map(|count| count.classes());
    Ok(PortViews {
        now,
        settled,
        reuse,
        reuse_settled,
    })
}

/// As it is, once young TIME_WAITs are old enough, and both with `tcp_tw_reuse` = 1.
fn variants(limits: &Limits) -> [Limits; 4] {
    let whole = Limits {
        range: EVERY_PORT,
        reserved: PortSet::new(),
        ..limits.clone()
    };
    let settled = |limits: &Limits| Limits {
        tw_reuse_delay_ms: 0,
        ..limits.clone()
    };
    let reuse = Limits {
        tw_reuse: TimeWaitReuse::On,
        ..whole.clone()
    };
    [
        whole.clone(),
        settled(&whole),
        reuse.clone(),
        settled(&reuse),
    ]
}

/// What the sockets leave in doubt does not depend on the variant: asked once, told to each.
fn prove(counts: &mut [HeadroomCount<'_>; 4], limits: &Limits, means: Means<'_>) {
    let [first, ..] = counts;
    let doubtful = first.ports_to_probe();
    if doubtful.is_empty() {
        return;
    }
    let may_ask = |port: &u16| limits.range.contains(*port) && !limits.reserved.contains(*port);
    let probe = (means.probes && first.may_probe())
        .then(|| Probe::new(first.probe_kind()).ok())
        .flatten();
    let mut answers: Vec<(u16, Option<bool>)> = Vec::new();
    if let Some(probe) = &probe {
        let asked = doubtful.iter().filter(|port| may_ask(port));
        answers.extend(asked.map(|port| (*port, probe.ask(*port).granted())));
    }
    if first.request().protocol == Protocol::Tcp {
        answers.extend(fixed_ports().into_iter().map(|port| (port, Some(false))));
    }
    for count in counts {
        let still: PortSet = count.ports_to_probe().into_iter().collect();
        for (port, granted) in answers.iter().filter(|(port, _)| still.contains(*port)) {
            count.prove(*port, *granted);
        }
    }
}

/// Ports that programs chose themselves: their bind buckets are locked. A failure only leaves
/// ports untold that could have been told.
fn fixed_ports() -> Vec<u16> {
    SocketReader::retrying(|reader| {
        let mut ports = Vec::new();
        reader.tcp_fixed_ports(EVERY_PORT, false, |socket| {
            if socket.state != dryport_model::State::SynRecv {
                ports.push(socket.local.port());
            }
        })?;
        Ok(ports)
    })
    .unwrap_or_default()
}

fn tell_timestamps(counts: &mut [HeadroomCount<'_>; 4]) -> Result<()> {
    let [first, ..] = counts;
    let Some(destination) = first.request().destination else {
        return Ok(());
    };
    if !counts.iter().any(HeadroomCount::needs_timestamps) {
        return Ok(());
    }
    let told = SocketReader::retrying(|reader| reader.peer_timestamps(destination.ip()))?;
    if let Some(timestamps) = told {
        counts
            .iter_mut()
            .for_each(|count| count.set_timestamps(timestamps));
    }
    Ok(())
}

/// The ports that programs of this namespace serve, on any address: TCP sockets that listen on, or
/// are bound to, a port of their own choice, and UDP sockets outside the present range (inside it,
/// a client's socket looks the same).
///
/// # Errors
/// The table of sockets cannot be read.
pub fn service_ports(limits: &Limits) -> Result<Vec<ServicePort>> {
    let mut found = SocketReader::retrying(|reader| {
        let mut found = Vec::new();
        reader.tcp_fixed_ports(EVERY_PORT, true, |socket| found.push(service(socket)))?;
        Ok(found)
    })?;
    // TCP can be planned for all the same (the module udp_diag may be missing).
    let udp = SocketReader::retrying(|reader| {
        let mut udp = Vec::new();
        for family in [Family::V4, Family::V6] {
            reader.udp(family, Some(EVERY_PORT), |socket| {
                if !limits.range.contains(socket.local.port()) && socket.remote.port() == 0 {
                    udp.push(service(socket));
                }
            })?;
        }
        Ok(udp)
    });
    found.extend(udp.unwrap_or_default());
    found
        .sort_unstable_by_key(|port| (port.service.port, port.service.protocol.name(), port.inode));
    found.dedup_by_key(|port| (port.service.port, port.service.protocol));
    Ok(found)
}

fn service(socket: &Socket) -> ServicePort {
    ServicePort {
        service: Service {
            port: socket.local.port(),
            protocol: socket.protocol,
            program: None,
        },
        inode: socket.inode,
    }
}
