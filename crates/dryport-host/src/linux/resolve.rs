//! Names of hosts. They are resolved only where a person gave one.

use std::net::IpAddr;
use std::process::Command;

use crate::error::{Error, Result};

/// The first address of a name, as the system's resolver orders them.
///
/// # Errors
/// [`Error::NoSuchHost`].
pub fn resolve(name: &str) -> Result<IpAddr> {
    let failed = |reason: String| Error::NoSuchHost {
        name: name.into(),
        reason,
    };
    let addresses = lookup(name).map_err(failed)?;
    addresses
        .into_iter()
        .next()
        .ok_or_else(|| failed("it has no address".into()))
}

#[cfg(not(target_feature = "crt-static"))]
fn lookup(name: &str) -> std::result::Result<Vec<IpAddr>, String> {
    use std::net::ToSocketAddrs;
    let mut found: Vec<IpAddr> = (name, 0)
        .to_socket_addrs()
        .map_err(|e| e.to_string())?
        .map(|a| a.ip())
        .collect();
    found.dedup();
    Ok(found)
}

/// The name of an address, made printable; `None` where it has none. The machine's own `getent`
/// is asked, one process for each address.
#[must_use]
pub fn name_of_address(address: IpAddr) -> Option<String> {
    let output = Command::new("getent")
        .args(["hosts", &address.to_string()])
        .output()
        .ok()?;
    let line = output.stdout.split(|byte| *byte == b'\n').next()?;
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    words.nth(1).map(dryport_wire::procfs::printable)
}

/// A static glibc cannot load the machine's name service modules, so the machine's own `getent`
/// is asked.
#[cfg(target_feature = "crt-static")]
fn lookup(name: &str) -> std::result::Result<Vec<IpAddr>, String> {
    let output = Command::new("getent")
        .args(["ahosts", "--", name])
        .output()
        .map_err(|error| format!("getent: {error}; give an address instead"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    found.dedup();
    if found.is_empty() {
        Err("getent does not know it".into())
    } else {
        Ok(found)
    }
}
