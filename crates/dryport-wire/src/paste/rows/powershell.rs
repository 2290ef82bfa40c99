//! `Get-NetTCPConnection` and `Get-NetUDPEndpoint`: tables, and records of named fields (lists, CSV
//! and JSON).

use alloc::string::String;

use dryport_model::capture::{End, Host, Names, PortShown, Row};
use dryport_model::{Family, Protocol, State};

use super::{Found, Read};
use crate::paste::words::{Words, number};
use crate::paste::{Format, end, state};

/// What the header of a table tells.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::paste) struct Columns {
    /// There is a remote end: TCP.
    pub(in crate::paste) remote: bool,
    /// The last column is the process id.
    pub(in crate::paste) process: bool,
}

/// A row of a table: `address port address port state [setting] [pid]`, or `address port` for UDP.
pub(in crate::paste) fn table<'a>(
    words: &Words<'a>,
    columns: Option<Columns>,
    names: &mut Names,
) -> Read<'a> {
    let Some((local, family)) = pair(words, 0, names) else {
        return Read::No;
    };
    let has_remote = columns.is_none_or(|columns| columns.remote);
    if !has_remote {
        let pid = words.at(2).and_then(number);
        return found(
            Protocol::Udp,
            family,
            Some(State::Close),
            local,
            End::NONE,
            pid,
        );
    }
    let remote = pair(words, 2, names);
    let (Some((remote, _)), Some(state)) = (remote, words.at(4).and_then(word_state)) else {
        // Without a header, two words are any two words.
        return if columns.is_some() {
            Read::Half
        } else {
            Read::No
        };
    };
    let with_process = columns.is_none_or(|columns| columns.process);
    let pid = words
        .last()
        .filter(|_| with_process && words.len() >= 6)
        .and_then(number);
    found(Protocol::Tcp, family, Some(state), local, remote, pid)
}

/// In a table the state is a word.
fn word_state(word: &[u8]) -> Option<State> {
    state::powershell(word).filter(|_| word.first().is_some_and(u8::is_ascii_alphabetic))
}

fn pair(words: &Words<'_>, at: usize, names: &mut Names) -> Option<(End, Family)> {
    let address = words.at(at)?;
    let cut = address.ends_with(b"...");
    let address = address.strip_suffix(b"...").unwrap_or(address);
    let port = words.at(at + 1)?;
    number::<u16>(port)?;
    let port = end::port_of(port, names)?;
    let is_address =
        cut || end::ipv4(address).is_some() || end::ipv6(without_scope(address)).is_some();
    if !is_address {
        return None;
    }
    let (host, family) = match cut {
        true => (
            Host::Cut(names.id(&String::from_utf8_lossy(address))),
            Some(Family::V6),
        ),
        false => end::host_of(address, names)?,
    };
    Some((End { host, port }, family.unwrap_or(Family::V4)))
}

fn without_scope(address: &[u8]) -> &[u8] {
    address
        .split(|byte| *byte == b'%')
        .next()
        .unwrap_or(address)
}

fn found<'a>(
    protocol: Protocol,
    family: Family,
    state: Option<State>,
    local: End,
    remote: End,
    pid: Option<u32>,
) -> Read<'a> {
    let row = Row {
        protocol,
        family,
        state,
        local,
        remote,
        wait_left_ms: None,
    };
    Read::Row(Found {
        row,
        pid,
        name: None,
        format: Format::PowershellTable,
    })
}

/// A record of named fields, of PowerShell or of dryport itself.
#[derive(Clone, Debug, Default)]
pub(in crate::paste) struct Record {
    pub(in crate::paste) local: Option<String>,
    pub(in crate::paste) local_port: Option<String>,
    pub(in crate::paste) remote: Option<String>,
    pub(in crate::paste) remote_port: Option<String>,
    pub(in crate::paste) state: Option<String>,
    pub(in crate::paste) pid: Option<u32>,
    pub(in crate::paste) name: Option<String>,
    pub(in crate::paste) protocol: Option<String>,
    pub(in crate::paste) wait_left_ms: Option<u32>,
    /// A document of dryport.
    pub(in crate::paste) own: bool,
}

impl Record {
    /// Takes a field; false where its name is none of a record.
    pub(in crate::paste) fn take(&mut self, name: &[u8], value: &str) -> bool {
        let value = value.trim();
        let text = || Some(String::from(value)).filter(|text| !text.is_empty());
        match name {
            b"LocalAddress" => self.local = text(),
            b"LocalPort" => self.local_port = text(),
            b"RemoteAddress" => self.remote = text(),
            b"RemotePort" => self.remote_port = text(),
            b"State" => self.state = text(),
            b"OwningProcess" => self.pid = value.parse().ok(),
            _ => return false,
        }
        true
    }

    /// Whether nothing was taken.
    pub(in crate::paste) const fn is_empty(&self) -> bool {
        self.local.is_none() && self.local_port.is_none()
    }

    /// The row of the record; `None` where it is not whole.
    pub(in crate::paste) fn row(&self, names: &mut Names) -> Option<Row> {
        let (local, family) =
            named_end(self.local.as_deref()?, self.local_port.as_deref()?, names)?;
        let remote = match (&self.remote, &self.remote_port) {
            (Some(host), Some(port)) => named_end(host, port, names)?.0,
            _ => End::NONE,
        };
        let udp = match &self.protocol {
            Some(protocol) => protocol == "udp",
            None => self.remote_port.is_none() && self.state.is_none(),
        };
        let state = match (&self.state, udp) {
            (_, true) => Some(State::Close),
            (Some(word), false) if self.own => state::own(word.as_bytes()),
            (Some(word), false) => state::powershell(word.as_bytes()),
            (None, false) => return None,
        };
        Some(Row {
            protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
            family,
            state,
            local,
            remote,
            wait_left_ms: self.wait_left_ms,
        })
    }
}

fn named_end(host: &str, port: &str, names: &mut Names) -> Option<(End, Family)> {
    let (host, family) = end::host_of(host.as_bytes(), names)?;
    let port = match end::port_of(port.as_bytes(), names)? {
        PortShown::Name(_) => return None,
        port => port,
    };
    Some((End { host, port }, family.unwrap_or(Family::V4)))
}
