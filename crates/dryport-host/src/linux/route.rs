//! Routes and interfaces of the calling thread's network namespace.

use std::io;
use std::net::SocketAddr;

use dryport_model::{Method, Protocol, Request};
use dryport_wire::route::{Link, Route, decode_link, decode_route, links_request, route_request};

use super::netlink::{Failure, Netlink};
use crate::error::{Error, Result};

/// The route that a connection would take; its source address is the one that `connect()` would
/// use. Works when no UDP port is left, which a `connect()` on a UDP socket would need. Policy
/// rules on protocol and port are followed, those on marks cannot be.
///
/// # Errors
/// [`Error::NoRoute`] with the kernel's reason.
pub fn route_to(protocol: Protocol, destination: SocketAddr, device: u32) -> Result<Route> {
    let address = destination.ip().to_canonical();
    let no_route = |source: io::Error| Error::NoRoute {
        destination: address,
        source,
    };
    let mut netlink = Netlink::route().map_err(no_route)?;
    let flow = Some((protocol, destination.port()));
    let request = route_request(1, address, None, (device != 0).then_some(device), flow);
    let mut route = None;
    netlink
        .exchange(&request, false, |frame| {
            route = decode_route(frame.payload).ok();
        })
        .map_err(|failure| no_route(failure.into_io()))?;
    route.ok_or_else(|| no_route(io::Error::other("the kernel's answer was not understood")))
}

/// The request with the source address that the route gives it, where it has none of its own and
/// the answer depends on it (TCP `connect`).
///
/// # Errors
/// As [`route_to`].
pub fn with_route_source(request: Request) -> Result<Request> {
    let is_open = request.source.is_none_or(|source| source.is_unspecified());
    match (request.protocol, request.method, request.destination) {
        (Protocol::Tcp, Method::Connect, Some(destination)) if is_open => {
            let route = route_to(Protocol::Tcp, destination, request.device)?;
            Ok(Request {
                source: route.source.map(|source| source.to_canonical()),
                ..request
            })
        }
        _ => Ok(request),
    }
}

/// Index and printable name of every interface.
///
/// # Errors
/// The kernel refuses to list them.
pub fn device_names() -> Result<Vec<(u32, String)>> {
    Ok(links()?
        .into_iter()
        .map(|link| (link.index, printable(&link.name)))
        .collect())
}

/// The index of the interface with this name.
///
/// # Errors
/// [`Error::NoDevice`].
pub fn device_index(name: &str) -> Result<u32> {
    links()?
        .into_iter()
        .find(|link| link.name == name)
        .map(|link| link.index)
        .ok_or_else(|| Error::NoDevice {
            name: printable(name),
        })
}

/// The printable name of an interface, where it still exists.
#[must_use]
pub fn device_name(index: u32) -> Option<String> {
    let links = links().ok()?;
    links
        .into_iter()
        .find(|link| link.index == index)
        .map(|link| printable(&link.name))
}

fn printable(name: &str) -> String {
    dryport_wire::procfs::printable(name.as_bytes())
}

fn links() -> Result<Vec<Link>> {
    let failed = |failure: Failure| Error::system("list interfaces", failure.into_io());
    let mut netlink = Netlink::route().map_err(|error| Error::system("netlink route", error))?;
    let mut links = Vec::new();
    netlink
        .exchange(&links_request(1), true, |frame| {
            links.extend(decode_link(frame.payload).ok());
        })
        .map_err(failed)?;
    Ok(links)
}
