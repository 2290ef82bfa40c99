//! A destination as a person writes it.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Where a connection goes, not yet resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Address or name.
    pub host: Host,
    /// Port, 1 to 65535.
    pub port: u16,
}

/// Address or name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address, and for a link-local one the interface after `%`.
    Address(IpAddr, Option<String>),
    /// A name.
    Name(String),
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("the ] is missing")?;
                (bracketed(host)?, port.strip_prefix(':'))
            }
            None => match text.rsplit_once(':') {
                // Two colons and no brackets: an IPv6 address, with or without a port.
                Some((before, _)) if before.contains(':') => {
                    return Err(format!("write an IPv6 destination as [{text}]:PORT"));
                }
                Some((host, port)) => (plain(host)?, Some(port)),
                None => (plain(text)?, None),
            },
        };
        let port = port
            .filter(|port| !port.is_empty())
            .ok_or("the port is missing: write DEST:PORT")?;
        match port.parse() {
            Ok(0) => Err("port 0 is no destination".into()),
            Ok(port) => Ok(Self { host, port }),
            Err(_) => Err(format!("{port:?} is not a port (1 to 65535)")),
        }
    }
}

fn plain(host: &str) -> Result<Host, String> {
    if let Ok(address) = host.parse() {
        return Ok(Host::Address(IpAddr::V4(address), None));
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let digits_only = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if host.is_empty() {
        Err("the address is missing: write DEST:PORT".into())
    } else if digits_only || !host.chars().all(is_name) {
        Err(format!("{host:?} is neither an address nor a name"))
    } else {
        Ok(Host::Name(host.into()))
    }
}

fn bracketed(host: &str) -> Result<Host, String> {
    let (address, device) = match host.split_once('%') {
        Some((address, device)) if !device.is_empty() => (address, Some(device.to_owned())),
        _ => (host, None),
    };
    let parsed: Ipv6Addr = address
        .parse()
        .map_err(|_| format!("{address:?} is not an IPv6 address"))?;
    Ok(Host::Address(IpAddr::V6(parsed), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Destination, String> {
        text.parse()
    }

    #[test]
    fn a_destination_is_an_address_or_a_name_with_a_port() {
        let address = |text: &str| Host::Address(text.parse().unwrap(), None);
        assert_eq!(
            parse("10.0.0.1:80"),
            Ok(Destination {
                host: address("10.0.0.1"),
                port: 80
            })
        );
        assert_eq!(
            parse("[::1]:80"),
            Ok(Destination {
                host: address("::1"),
                port: 80
            })
        );
        assert_eq!(
            parse("db-1.local:5432").unwrap().host,
            Host::Name("db-1.local".into())
        );
        let scoped = Host::Address("fe80::1".parse().unwrap(), Some("eth0".into()));
        assert_eq!(parse("[fe80::1%eth0]:80").unwrap().host, scoped);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, what) in [
            ("10.0.0.1", "port is missing"),
            ("10.0.0.1:", "port is missing"),
            ("10.0.0.1:0", "port 0"),
            ("10.0.0.1:70000", "not a port"),
            ("10.0.0.300:80", "neither"),
            ("::1:80", "[::1:80]:PORT"),
            ("[::1:80", "] is missing"),
            ("[::1]80", "port is missing"),
            ("[x]:80", "not an IPv6"),
            (":80", "address is missing"),
            ("a b:80", "neither"),
            ("", "address is missing"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
