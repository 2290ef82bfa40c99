//! The settings of a rehearsal: written as a program that changes them would, tried out first, and
//! what they mean for the measurement.

use std::io;
use std::time::Duration;

use dryport_model::{PortRange, PortSet};
use dryport_wire::sysctl::{SysctlError, parse_number, parse_port_list, parse_range, parse_u32};

use super::{Rehearsal, RehearsedRequest};
use crate::{LabError, Namespace};

const RANGE: &str = "net.ipv4.ip_local_port_range";
const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
const REUSE: &str = "net.ipv4.tcp_tw_reuse";
const REUSE_DELAY: &str = "net.ipv4.tcp_tw_reuse_delay";
pub(super) const TIMESTAMPS: &str = "net.ipv4.tcp_timestamps";
/// Kernels without [`REUSE_DELAY`] compare whole seconds.
const DEFAULT_DELAY: Duration = Duration::from_millis(1000);

/// What a list of settings means for the measurement.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub range: PortRange,
    pub reserved: PortSet,
    /// How long until a TIME_WAIT of the request is taken over; `None`: never.
    pub reuse: Option<Duration>,
}

impl Rules {
    fn read(namespace: &Namespace, request: &RehearsedRequest) -> Result<Self, LabError> {
        let applies = match parsed(namespace, REUSE, parse_number)? {
            0 => false,
            2 => request.is_loopback(),
            _ => true,
        };
        let reuse = if applies && request.is_connection() {
            Some(delay(namespace)?)
        } else {
            None
        };
        Ok(Self {
            range: parsed(namespace, RANGE, parse_range)?,
            reserved: parsed(namespace, RESERVED, parse_port_list)?,
            reuse,
        })
    }

    /// The ports that the kernel walks for the request.
    pub fn ports(&self, request: &RehearsedRequest) -> PortRange {
        request.ports(self.range)
    }
}

fn delay(namespace: &Namespace) -> Result<Duration, LabError> {
    match parsed(namespace, REUSE_DELAY, parse_u32) {
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds.into())),
        Err(LabError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(DEFAULT_DELAY)
        }
        Err(error) => Err(error),
    }
}

fn parsed<T>(
    namespace: &Namespace,
    key: &str,
    parse: impl Fn(&str) -> Result<T, SysctlError>,
) -> Result<T, LabError> {
    parse(&namespace.get(key)?).map_err(|error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        LabError::file("read", key)(source)
    })
}

/// Writes both lists into a namespace of their own, so that a value that the kernel refuses is told
/// before anything else is built.
pub(super) fn try_out(rehearsal: &Rehearsal) -> Result<(Rules, Rules), LabError> {
    let namespace = Namespace::new()?;
    write(&namespace, &rehearsal.before)?;
    let before = Rules::read(&namespace, &rehearsal.request)?;
    write(&namespace, &rehearsal.after)?;
    Ok((before, Rules::read(&namespace, &rehearsal.request)?))
}

/// Writes settings in their order.
pub(super) fn write(namespace: &Namespace, settings: &[(String, String)]) -> Result<(), LabError> {
    settings
        .iter()
        .try_for_each(|(key, value)| set(namespace, key, value))
}

fn set(namespace: &Namespace, key: &str, value: &str) -> Result<(), LabError> {
    // Everything outside `net` is the machine's own.
    if !key.starts_with("net.") {
        return Err(LabError::NotOfTheNamespace(key.to_owned()));
    }
    namespace.set(key, value).map_err(|error| match error {
        LabError::File { source, .. } => LabError::Setting {
            key: key.to_owned(),
            value: value.to_owned(),
            source,
        },
        other => other,
    })
}

/// Does `work` while settings have other values, and puts back what stood there.
pub(super) fn with<T>(
    namespace: &Namespace,
    settings: &[(&str, &str)],
    work: impl FnOnce() -> Result<T, LabError>,
) -> Result<T, LabError> {
    let mut stood = Vec::new();
    let mut result = Ok(());
    for (key, value) in settings {
        match namespace.get(key) {
            Ok(old) => stood.push((key, old)),
            // Older kernels lack some, and hide others from an ordinary user.
            Err(_) => continue,
        }
        result = set(namespace, key, value);
        if result.is_err() {
            break;
        }
    }
    let done = result.and_then(|()| work());
    for (key, old) in stood.iter().rev() {
        set(namespace, key, old)?;
    }
    done
}

/// Does `work` while every one of these ports is to be had, whatever the settings are.
pub(super) fn with_every_port<T>(
    namespace: &Namespace,
    ports: PortRange,
    work: impl FnOnce() -> Result<T, LabError>,
) -> Result<T, LabError> {
    let ports = of_both_parities(ports);
    let open = [
        // First: the range may not begin below it.
        ("net.ipv4.ip_unprivileged_port_start", "0"),
        (RANGE, &*format!("{} {}", ports.low(), ports.high())),
        (RESERVED, ""),
        // A small machine's default is less than the ports there are; what is beyond it leaves no
        // TIME_WAIT.
        ("net.ipv4.tcp_max_tw_buckets", "262144"),
    ];
    with(namespace, &open, work)
}

/// A range whose ends are both odd or both even makes the kernel complain in its log
/// (`ipv4_local_port_range`), so it is made one port larger.
fn of_both_parities(range: PortRange) -> PortRange {
    let (low, high) = (range.low(), range.high());
    let larger = match (range.size() % 2, low, high) {
        (1, 2.., _) => PortRange::new(low - 1, high),
        (1, _, ..=0xfffe) => PortRange::new(low, high + 1),
        _ => None,
    };
    larger.unwrap_or(range)
}

/// A port for the server, in nobody's way: in neither range, or reserved in both.
pub(super) fn server_port(before: &Rules, after: &Rules) -> Result<u16, LabError> {
    let apart = |rules: &Rules, port| !rules.range.contains(port) || rules.reserved.contains(port);
    (1..=u16::MAX)
        .find(|port| apart(before, *port) && apart(after, *port))
        .ok_or(LabError::NoServerPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_opened_with_ends_of_both_parities() {
        let opened = |low, high| {
            let range = of_both_parities(PortRange::new(low, high).unwrap());
            (range.low(), range.high())
        };
        assert_eq!(opened(20000, 20007), (20000, 20007));
        assert_eq!(opened(20000, 20008), (19999, 20008));
        assert_eq!(opened(1, 9), (1, 10));
        assert_eq!(opened(1, 65535), (1, 65535));
    }
}
