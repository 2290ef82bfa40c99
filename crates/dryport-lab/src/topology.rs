//! The two topologies: one namespace that talks to itself, and a client and a server joined by a
//! veth pair.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use crate::{LabError, Namespace};

/// The ports of the lab's servers, on every address of both families. Outside every scenario's
/// range.
pub const SERVER_PORTS: std::ops::RangeInclusive<u16> = 9000..=9003;
/// The client's end of the veth pair.
pub const CLIENT_LINK: &str = "va";
/// The server's end of the veth pair.
pub const SERVER_LINK: &str = "vb";

/// Addresses by their last byte: 10.77.0.N/24 and fd77::N/64.
const CLIENT_HOSTS: [u8; 2] = [1, 3];
const SERVER_HOST: u8 = 2;

/// The namespaces of one experiment.
#[derive(Debug)]
pub struct Lab {
    client: Namespace,
    server: Option<Namespace>,
}

impl Lab {
    /// One namespace; servers are reached over its loopback interface.
    ///
    /// # Errors
    /// See [`Namespace::new`].
    pub fn loopback() -> Result<Self, LabError> {
        Ok(Self {
            client: Namespace::new()?,
            server: None,
        })
    }

    /// Two namespaces joined by a veth pair: the client has 10.77.0.1, 10.77.0.3, fd77::1 and
    /// fd77::3 on `va`, the server 10.77.0.2 and fd77::2 on `vb`. Without IPv6 only 10.77.0.*.
    ///
    /// # Errors
    /// See [`Namespace::new`]; or the kernel has no veth.
    pub fn veth() -> Result<Self, LabError> {
        let (client, server) = (Namespace::new()?, Namespace::new()?);
        client.add_veth(CLIENT_LINK, &server, SERVER_LINK)?;
        server.set_link(SERVER_LINK, true)?;
        client.set_link(CLIENT_LINK, true)?;
        server.wait_until_running(SERVER_LINK)?;
        client.wait_until_running(CLIENT_LINK)?;
        for host in CLIENT_HOSTS {
            add_host(&client, CLIENT_LINK, host)?;
        }
        add_host(&server, SERVER_LINK, SERVER_HOST)?;
        Ok(Self {
            client,
            server: Some(server),
        })
    }

    /// Where ports are asked for.
    #[must_use]
    pub const fn client(&self) -> &Namespace {
        &self.client
    }

    /// Where the servers are: the client's own namespace in the loopback topology.
    #[must_use]
    pub fn server(&self) -> &Namespace {
        self.server.as_ref().unwrap_or(&self.client)
    }

    /// Whether the server has a namespace of its own.
    #[must_use]
    pub const fn has_server(&self) -> bool {
        self.server.is_some()
    }
}

fn add_host(namespace: &Namespace, link: &str, host: u8) -> Result<(), LabError> {
    let v4 = Ipv4Addr::new(10, 77, 0, host);
    let v6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, host.into());
    namespace.add_address(link, IpAddr::V4(v4), 24)?;
    // The machine was started with ipv6.disable=1.
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return Ok(());
    }
    namespace.add_address(link, IpAddr::V6(v6), 64)?;
    namespace.wait_until_solicitable(v6)
}
