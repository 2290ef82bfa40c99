//! `dryport headroom DEST:PORT`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dryport_host::survey;
use dryport_host::{
    Namespace, OwnerWalk, device_index, device_name, must_be_local, read_limits, resolve, route_to,
};
use dryport_model::{Coverage, Family, Limits, Method, Owners, Protocol, Request, Thresholds};
use dryport_report::{HeadroomAnswer, NamespaceName, json, text};

use crate::args::HeadroomArgs;
use crate::destination::{Destination, Host};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::owners::owners_coverage;
use crate::reader::{Extent, Reader};

/// Answers the command.
pub fn run(args: &HeadroomArgs, output: &Output) -> Result<Exit, Failure> {
    // Names are resolved where the user is, not in the namespace that is looked at.
    let (address, scope) = resolved(&args.destination)?;
    if let Some(spec) = &args.netns {
        Namespace::enter(spec)?;
    }
    let read = read_limits(args.bind && !args.udp)?;
    let request = request(args, address, scope, &read.limits)?;
    let reader = Reader::choose(args.reader.kind(), Extent::Here, !args.no_owners)?;
    let table = reader.table(!args.no_owners);
    let survey = table.survey(
        |means| survey::headroom(&request, &read, means),
        |survey| &survey.coverage,
    )?;
    let (ledger, headroom) = (survey.classes.ledger(), survey.classes.headroom());
    let thresholds = Thresholds::from(args.thresholds);
    let (best, level) = (
        thresholds.at_best(&ledger, headroom),
        thresholds.at_worst(&ledger, headroom),
    );
    let namespace = Namespace::current()?;
    let mut coverage = survey.coverage;
    let owners = owners_of(args, &reader, &survey.holders, &mut coverage)?;
    let holders = owners
        .as_ref()
        .map(|owners| owners.holders(survey.holders.iter().copied()))
        .unwrap_or_default();
    let answer = HeadroomAnswer {
        request: &request,
        namespace: NamespaceName {
            inode: namespace.inode,
            name: namespace.name,
        },
        classes: &survey.classes,
        level,
        level_is_uncertain: best != level,
        time_wait_left_ms: survey.time_wait_left_ms,
        device_name: if request.device == 0 {
            None
        } else {
            device_name(request.device)
        },
        holders: &holders,
        owners: owners.as_ref(),
        coverage: &coverage,
        notes: notes(&request, &read.limits),
    };
    output.write(|mut out| match (output.json, output.quiet) {
        (true, _) => json::write_headroom(&mut out, &answer),
        (false, true) => out.write_all(text::headroom_line(&answer, output.screen).as_bytes()),
        (false, false) => out.write_all(text::headroom(&answer, output.screen).as_bytes()),
    })?;
    Ok(level.into())
}

/// Who holds the ports. Nobody is looked for where nothing is held.
fn owners_of(
    args: &HeadroomArgs,
    reader: &Reader,
    holders: &[(u16, u32)],
    coverage: &mut Vec<Coverage>,
) -> Result<Option<Owners>, Failure> {
    if args.no_owners || holders.is_empty() {
        return Ok(None);
    }
    let mut walk = reader.owners_here()?;
    let unowned = |walk: &OwnerWalk| {
        walk.owners
            .count_unowned(holders.iter().map(|(_, inode)| *inode).collect()) as u64
    };
    if walk.can_extend() && unowned(&walk) > 0 {
        walk = walk.extend();
    }
    coverage.push(owners_coverage(Some(&walk), unowned(&walk)));
    Ok(Some(walk.owners))
}

pub(crate) fn resolved(destination: &Destination) -> Result<(IpAddr, Option<String>), Failure> {
    Ok(match &destination.host {
        Host::Address(address, scope) => (*address, scope.clone()),
        Host::Name(name) => (resolve(name)?, None),
    })
}

/// What the program in question would ask of the kernel.
pub(crate) fn request(
    args: &HeadroomArgs,
    address: IpAddr,
    scope: Option<String>,
    limits: &Limits,
) -> Result<Request, Failure> {
    // A connect() to a link-local address binds the socket to the interface of its scope.
    let device = args
        .device
        .clone()
        .or(scope)
        .map(|name| device_index(&name))
        .transpose()?;
    let device = device.unwrap_or(0);
    let family = if address.is_ipv6() {
        Family::V6
    } else {
        Family::V4
    };
    let given = args.from.map(|from| from.to_canonical());
    let specific = given.filter(|from| !from.is_unspecified());
    let address = reached(address.to_canonical(), specific);
    needs_scope(address, device)?;
    let destination = SocketAddr::new(address, args.destination.port);
    check_families(given, address)?;
    specific.map_or(Ok(()), must_be_local)?;
    let protocol = if args.udp {
        Protocol::Udp
    } else {
        Protocol::Tcp
    };
    let source = match (protocol, args.bind, given) {
        // The bound address is what counts, wildcard included.
        (_, true, Some(from)) => Some(from),
        (Protocol::Udp, false, _) => specific,
        _ => match specific {
            Some(from) => Some(from),
            None => {
                let route = route_to(protocol, destination, device)?;
                route.source.map(|source| source.to_canonical())
            }
        },
    };
    let family = match source {
        // bind() to :: for an IPv4 destination is an IPv6 socket.
        Some(IpAddr::V6(_)) => Family::V6,
        _ => family,
    };
    Ok(Request {
        protocol,
        method: if args.bind {
            Method::Bind
        } else {
            Method::Connect
        },
        family,
        source,
        source_bound: specific.is_some() || args.bind,
        destination: Some(destination),
        device,
        port_range: args.port_range,
        // What a socket starts with, unless the program says otherwise.
        v6only: args.v6only || (limits.bindv6only && family == Family::V6 && destination.is_ipv6()),
    })
}

/// Where a `connect()` to the unspecified address goes: to this machine, over IPv4 to the bound
/// source address if there is one (`ip_route_output_key`), over IPv6 to `::1`.
fn reached(destination: IpAddr, source: Option<IpAddr>) -> IpAddr {
    match destination {
        _ if !destination.is_unspecified() => destination,
        IpAddr::V4(_) => source.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

/// A link-local address means nothing without its interface: `connect()` fails with EINVAL.
fn needs_scope(destination: IpAddr, device: u32) -> Result<(), Failure> {
    match destination {
        IpAddr::V6(address) if address.is_unicast_link_local() && device == 0 => {
            Err(Failure::Usage(format!(
                "{address} is link-local and needs its interface: write [{address}%IF]:PORT"
            )))
        }
        _ => Ok(()),
    }
}

fn check_families(from: Option<IpAddr>, destination: IpAddr) -> Result<(), Failure> {
    match from {
        Some(from) if !from.is_unspecified() && from.is_ipv4() != destination.is_ipv4() => {
            Err(Failure::Usage(format!(
                "--from {from} and {destination} are of different families"
            )))
        }
        _ => Ok(()),
    }
}

fn notes(request: &Request, limits: &Limits) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(own) = request.port_range {
        let (low, high) = (
            limits.range.contains(own.low),
            limits.range.contains(own.high),
        );
        let ignored = |end: u16, counts: bool| end != 0 && !counts;
        if ignored(own.low, low) || ignored(own.high, high) {
            notes.push(format!(
                "An end of --port-range counts only inside the namespace's range ({}): the kernel \
                 ignores it otherwise. Asked about: {}.",
                limits.range,
                request.range(limits)
            ));
        }
    }
    if limits.autobind_reuse && request.method == Method::Bind {
        notes.push(
            "net.ipv4.ip_autobind_reuse is 1: bind() to port 0 may share ports between sockets \
             with SO_REUSEADDR beyond this number, and connect() then fails at random."
                .into(),
        );
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unspecified_address_reaches_this_machine() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(reached(ip("0.0.0.0"), None), ip("127.0.0.1"));
        assert_eq!(
            reached(ip("0.0.0.0"), Some(ip("127.0.0.2"))),
            ip("127.0.0.2")
        );
        assert_eq!(reached(ip("::"), None), ip("::1"));
        assert_eq!(reached(ip("10.0.0.1"), None), ip("10.0.0.1"));
    }
}
