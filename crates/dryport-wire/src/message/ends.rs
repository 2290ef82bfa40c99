//! Which endpoint of a line is the destination, and which the local one.

use alloc::string::String;
use core::net::IpAddr;

use dryport_model::Call;

use super::complaint::Found;
use super::endpoint::{self, Endpoint};
use super::phrase::{Phrases, after, before, find, leading_number};

/// The two ends of a connection, as far as a line tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) local_port: Option<u16>,
    pub(super) local_address: Option<IpAddr>,
    pub(super) destination: Option<String>,
    pub(super) destination_address: Option<IpAddr>,
}

impl Ends {
    fn towards(&mut self, end: &Endpoint<'_>) {
        self.destination = Some(end.printed());
        self.destination_address = end.address();
    }

    fn towards_parts(&mut self, host: &[u8], port: Option<u16>) {
        self.destination = Some(endpoint::joined(host, port));
        self.destination_address = endpoint::address(host);
    }
}

/// What follows the phrase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Where to.
    Destination,
    /// The own address, or `port 8080`.
    Local,
    /// nginx's `bind(10.0.0.9)`: the own address of a client. Without a port, any port was asked
    /// for.
    LocalArgument,
}

/// Words that an endpoint follows at once.
static LEADS: Phrases<Next> = Phrases::new(&[
    ("connect() to ", Next::Destination),
    ("onnect to host ", Next::Destination),
    ("onnect to server ", Next::Destination),
    ("onnect to ", Next::Destination),
    ("onnecting to ", Next::Destination),
    ("onnection to ", Next::Destination),
    ("onnect fail for ", Next::Destination),
    ("onnect EADDRNOTAVAIL ", Next::Destination),
    ("onnect EADDRINUSE ", Next::Destination),
    ("onnect ECONNREFUSED ", Next::Destination),
    ("onnect ETIMEDOUT ", Next::Destination),
    ("onnect EMFILE ", Next::Destination),
    ("server at \"localhost\" (", Next::Destination),
    ("dial tcp ", Next::Destination),
    ("dial tcp4 ", Next::Destination),
    ("dial tcp6 ", Next::Destination),
    ("dial udp ", Next::Destination),
    ("remote address:", Next::Destination),
    ("Redis at ", Next::Destination),
    ("upstream: \"", Next::Destination),
    ("for url: ", Next::Destination),
    ("bind() to ", Next::Local),
    ("bind to address ", Next::Local),
    ("bind to ", Next::Local),
    ("Bind to ", Next::Local),
    ("bind(", Next::LocalArgument),
    ("Bind for ", Next::Local),
    ("cannot bind '", Next::Local),
    ("listen tcp ", Next::Local),
    ("listen tcp4 ", Next::Local),
    ("listen tcp6 ", Next::Local),
    ("listen udp ", Next::Local),
    ("istening socket ", Next::Local),
    ("Local (", Next::Local),
    ("already in use (Bind failed) ", Next::Local),
    ("ddress already in use) [", Next::Local),
]);

/// Finds the ends for a call that failed with the complaint `found`.
pub(super) fn find_ends(line: &[u8], found: &Found, call: Option<Call>) -> Ends {
    let mut ends = Ends::default();
    let serves = call == Some(Call::Listen);
    follow_leads(line, found, serves, &mut ends);
    if serves {
        ends.local_port = ends.local_port.or_else(|| server_port(line, found));
        return ends;
    }
    let call_is_bind = call == Some(Call::Bind);
    if ends.destination.is_none() {
        traced(line, call_is_bind, &mut ends);
    }
    if ends.destination.is_none() {
        named_parts(line, call_is_bind, &mut ends);
    }
    if ends.destination.is_none() && !call_is_bind {
        nearest(line, found, &mut ends);
    }
    if call_is_bind && ends.local_port.is_none() && ends.destination.is_none() {
        let squid = squid_end(line);
        ends.local_address = squid.as_ref().and_then(Endpoint::address);
        let port = squid.map(|end| end.port.unwrap_or(0));
        ends.local_port = port.or_else(|| server_port(line, found));
    }
    ends
}

/// Takes what stands behind the words of [`LEADS`]: of each kind the last before the complaint,
/// else the first after it.
fn follow_leads(line: &[u8], found: &Found, serves: bool, ends: &mut Ends) {
    let mut local = None;
    let mut local_address = None;
    let mut to = None;
    for hit in LEADS.hits(line) {
        let rest = after(line, hit.end, 300);
        let rest = rest.strip_prefix(b"(").unwrap_or(rest);
        let rest = rest
            .strip_prefix(b"'")
            .or(rest.strip_prefix(b"\""))
            .unwrap_or(rest);
        let earlier = hit.at < found.at;
        let end = Endpoint::leading(rest);
        match (hit.tells, end) {
            (Next::Destination, Some(end)) if earlier || to.is_none() => {
                to = toward_lead(rest, &end).or(to);
            }
            (Next::LocalArgument, Some(end)) if end.is_certain() => {
                local = Some(end.port.unwrap_or(0));
                local_address = end.address();
            }
            (Next::Local, end) if earlier || local.is_none() => {
                local = own_port(rest, end).or(local);
            }
            _ => {}
        }
    }
    if let Some(to) = to.filter(|_| !serves) {
        *ends = to;
    }
    ends.local_port = ends.local_port.or(local);
    ends.local_address = ends.local_address.or(local_address);
}

/// `0.0.0.0:80`, `port 80`, `0.0.0.0 port 80`.
fn own_port(rest: &[u8], end: Option<Endpoint<'_>>) -> Option<u16> {
    let port = |text: &[u8]| u16::try_from(leading_number(text)?.0).ok();
    if let Some(digits) = rest.strip_prefix(b"port ") {
        return port(digits);
    }
    let end = end?;
    let apart = || {
        let at = find(rest.get(..64).unwrap_or(rest), " port ")?;
        port(rest.get(at + 6..)?)
    };
    end.port.or_else(|| end.is_certain().then(apart).flatten())
}

/// `127.0.0.6:0->10.0.0.5:80` has both ends; `10.0.0.5 port 80` has the port apart; a word is no
/// host.
fn toward_lead(rest: &[u8], end: &Endpoint<'_>) -> Option<Ends> {
    let mut ends = Ends::default();
    let word_end = rest
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(rest.len());
    let word = rest.get(..word_end).unwrap_or(rest);
    if let Some(arrow) = find(word, "->")
        && let Some(to) = word.get(arrow + 2..).and_then(Endpoint::leading)
    {
        ends.local_port = end.port;
        ends.local_address = end.address();
        ends.towards(&to);
        return Some(ends);
    }
    let apart = after(rest, word_end, 16)
        .strip_prefix(b" port ")
        .and_then(leading_number);
    match apart {
        Some((port, _)) if end.port.is_none() => {
            ends.towards_parts(end.host(), u16::try_from(port).ok());
        }
        _ if end.is_certain() || end.is_a_name() => ends.towards(end),
        _ => return None,
    }
    Some(ends)
}

/// strace's `sin_port=htons(6379), sin_addr=inet_addr("10.0.0.5")`.
fn traced(line: &[u8], is_bind: bool, ends: &mut Ends) {
    let Some(port) = apart(line, "_port=htons(") else {
        return;
    };
    if is_bind {
        ends.local_port = Some(port);
        return;
    }
    let open = ["inet_addr(\"", "inet_pton(AF_INET6, \""]
        .iter()
        .find_map(|open| Some(find(line, open)? + open.len()));
    let host = open.and_then(|open| after(line, open, 64).split(|byte| *byte == b'"').next());
    if let Some(host) = host {
        ends.towards_parts(host, Some(port));
    }
}

/// Host and port that stand apart: `for "127.0.0.1" port 6379`, `host='10.0.0.5', port=80`,
/// `server on '10.0.0.5'`, `"dest_ip":"203.0.113.7","dest_port":443`.
fn named_parts(line: &[u8], is_bind: bool, ends: &mut Ends) {
    const FORMS: [(&str, &str); 7] = [
        ("for \"", "\" port "),
        ("(host='", "', port="),
        (" server on '", ""),
        ("\"dest_ip\":\"", "\"dest_port\":"),
        ("\"dest_ip\": \"", "\"dest_port\": "),
        ("address: '", "port: "),
        ("\"address\":\"", "\"port\":"),
    ];
    for (open, port_lead) in FORMS {
        let Some(at) = find(line, open) else { continue };
        let rest = after(line, at + open.len(), 200);
        let length = rest
            .iter()
            .position(|byte| b"'\"".contains(byte))
            .unwrap_or(0);
        let Some(host) = rest.get(..length).filter(|host| !host.is_empty()) else {
            continue;
        };
        let port = (!port_lead.is_empty())
            .then(|| find(rest, port_lead))
            .flatten()
            .and_then(|at| leading_number(rest.get(at + port_lead.len()..)?))
            .and_then(|(port, _)| u16::try_from(port).ok());
        match Endpoint::leading(host) {
            _ if is_bind => ends.local_port = ends.local_port.or(port),
            Some(end) if end.port.is_some() => ends.towards(&end),
            _ => ends.towards_parts(host, port),
        }
        return;
    }
}

/// An address with a port that stands near: behind an arrow, behind the sentence, before it, after
/// it.
fn nearest(line: &[u8], found: &Found, ends: &mut Ends) {
    let behind = after(line, found.end, 300);
    let behind_arrow = find(line, " -> ")
        .filter(|_| found.told.platform.is_some())
        .and_then(|at| Endpoint::leading(line.get(at + 4..)?))
        .filter(|end| end.is_certain() && end.port.is_some());
    let within = line.get(found.at..found.end).unwrap_or(&[]);
    let chosen = behind_arrow
        .or_else(|| endpoint::trailing(behind))
        .or_else(|| in_brackets(within))
        .or_else(|| endpoint::all(before(line, found.at, 300)).next_back())
        .or_else(|| endpoint::all(behind).next());
    if let Some(end) = chosen {
        ends.towards(&end);
    }
}

/// .NET's `(api.example:443)` between the outer and the inner message on one line of JSON.
fn in_brackets(text: &[u8]) -> Option<Endpoint<'_>> {
    memchr::memchr_iter(b'(', text)
        .filter_map(|open| Endpoint::leading(text.get(open + 1..)?))
        .find(|end| end.is_a_name() && end.port.is_some())
}

/// A server's port where no word of [`LEADS`] stands before it: Node's `in use :::3000`, Python's
/// `('0.0.0.0', 8000)`, Ruby's `for "0.0.0.0" port 3000`, `Port 8080 was already in use`.
fn server_port(line: &[u8], found: &Found) -> Option<u16> {
    let behind = after(line, found.end, 120);
    let lead = before(line, found.at, 120);
    let at_once = |rest: &[u8]| Endpoint::leading(rest.trim_ascii_start())?.port;
    at_once(behind)
        .or_else(|| apart(behind, "\" port "))
        .or_else(|| apart(behind, "port: "))
        .or_else(|| apart(line, "\"port\":"))
        .or_else(|| {
            apart(lead, "ort ").filter(|_| {
                line.get(found.at..)
                    .is_some_and(|rest| rest.starts_with(b" already"))
            })
        })
        .or_else(|| tuple_port(line))
        .or_else(|| endpoint::all(lead).next_back()?.port)
}

fn apart(text: &[u8], lead: &str) -> Option<u16> {
    let at = find(text, lead)? + lead.len();
    u16::try_from(leading_number(text.get(at..)?)?.0).ok()
}

/// `('0.0.0.0', 8000)`, `('::', 8000, 0, 0)`.
fn tuple_port(line: &[u8]) -> Option<u16> {
    let open = find(line, "('")?;
    let rest = after(line, open, 80);
    apart(rest, "', ")
}

/// Squid's `Cannot bind socket FD 15 to 10.0.0.1: (98)`: an outgoing address has no port.
fn squid_end(line: &[u8]) -> Option<Endpoint<'_>> {
    let at = find(line, "ind socket FD ")?;
    let rest = after(line, at, 100);
    let to = find(rest, " to ")?;
    Endpoint::leading(rest.get(to + 4..)?)
}
