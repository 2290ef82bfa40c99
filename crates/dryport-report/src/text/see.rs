//! The table of `see`, and its groups.

use std::io::{self, Write};

use core::net::SocketAddr;

use dryport_model::{Family, Protocol};

use super::home::{self, Room};
use super::layout::{Lines, blanks, left, right, width};
use super::number::{grouped, plural};
use super::paint::Tone;
use super::{Screen, phrase};
use crate::{By, Group, SeenSocket};

/// Rows held back to find out how wide the columns are. The rest streams.
const ROWS_TO_MEASURE: usize = 1000;
const GAP: usize = 2;
/// An address column narrower than an IPv4 endpoint is no use.
const NARROWEST_ADDRESS: usize = 21;
const HEADS: Row = [
    "Proto",
    "Local address",
    "Remote address",
    "State",
    "PID/Program",
    "Namespace",
];
const COLUMNS: usize = 6;
const ADDRESSES: [usize; 2] = [1, 2];

type Row = [&'static str; COLUMNS];

/// Writes sockets as a table, in constant memory.
pub struct SeeTable<W: Write> {
    out: W,
    screen: Screen,
    namespaces: bool,
    waiting: Vec<[String; COLUMNS]>,
    widths: Option<[usize; COLUMNS]>,
}

impl<W: Write> SeeTable<W> {
    /// An empty table; `namespaces`: with a column that names each socket's namespace.
    pub const fn new(out: W, screen: Screen, namespaces: bool) -> Self {
        Self {
            out,
            screen,
            namespaces,
            waiting: Vec::new(),
            widths: None,
        }
    }

    /// Writes one socket, or keeps it until the widths are known.
    ///
    /// # Errors
    /// What the writer says.
    pub fn socket(&mut self, seen: &SeenSocket<'_>) -> io::Result<()> {
        let row = row(seen, self.namespaces);
        match &self.widths {
            Some(widths) => self.out.write_all(aligned(&row, widths).as_bytes()),
            None => {
                self.waiting.push(row);
                if self.waiting.len() >= ROWS_TO_MEASURE {
                    self.begin()?;
                }
                Ok(())
            }
        }
    }

    /// Writes what is left and gives the writer back.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self) -> io::Result<W> {
        if self.widths.is_none() {
            self.begin()?;
        }
        Ok(self.out)
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut heads = HEADS.map(String::from);
        if let Some(head) = heads.last_mut().filter(|_| !self.namespaces) {
            head.clear();
        }
        let widths = widths(&self.waiting, &heads, self.screen.columns());
        let head = aligned(&heads, &widths);
        let head = self.screen.paint(Tone::Strong, head.trim_end());
        writeln!(self.out, "{head}")?;
        for row in self.waiting.drain(..) {
            self.out.write_all(aligned(&row, &widths).as_bytes())?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

/// As wide as the content asks; addresses no wider than leaves room for the rest, so that one
/// long IPv6 address pushes its own row and not all.
fn widths(
    rows: &[[String; COLUMNS]],
    heads: &[String; COLUMNS],
    screen: usize,
) -> [usize; COLUMNS] {
    let mut widths: [usize; COLUMNS] = core::array::from_fn(|column| {
        let all = rows.iter().chain([heads]);
        all.filter_map(|row| row.get(column).map(|text| width(text)))
            .max()
            .unwrap_or(0)
    });
    let others: usize = widths
        .iter()
        .enumerate()
        .filter(|(column, columns)| !ADDRESSES.contains(column) && **columns > 0)
        .map(|(_, columns)| columns + GAP)
        .sum();
    let room = screen.saturating_sub(others + GAP) / 2;
    for column in ADDRESSES {
        if let Some(columns) = widths.get_mut(column) {
            *columns = (*columns).min(room.max(NARROWEST_ADDRESS));
        }
    }
    widths
}

/// One line. A cell that is too wide takes from the blanks of the next ones.
fn aligned(row: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let mut line = String::new();
    let mut column_start = 0;
    for (text, columns) in row.iter().zip(widths).filter(|(_, columns)| **columns > 0) {
        let at = width(&line);
        if at > 0 {
            line.push_str(&blanks(column_start.max(at + 1) - at));
        }
        line.push_str(text);
        column_start += columns + GAP;
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

fn row(seen: &SeenSocket<'_>, namespaces: bool) -> [String; COLUMNS] {
    let socket = &seen.socket;
    let protocol = match (socket.protocol, socket.family) {
        (Protocol::Tcp, Family::V4) => "tcp",
        (Protocol::Tcp, Family::V6) => "tcp6",
        (Protocol::Udp, Family::V4) => "udp",
        (Protocol::Udp, Family::V6) => "udp6",
    };
    let device = match (socket.device, seen.device_name) {
        (0, _) => String::new(),
        (_, Some(name)) => format!("%{name}"),
        (index, None) => format!("%{index}"),
    };
    [
        protocol.to_string(),
        endpoint(socket.local, &device),
        match seen.remote_name.filter(|_| socket.remote.port() != 0) {
            Some(name) => format!("{name}:{}", socket.remote.port()),
            None => endpoint(socket.remote, ""),
        },
        socket.state.name().to_string(),
        holder(seen),
        if namespaces {
            phrase::namespace(seen.namespace)
        } else {
            String::new()
        },
    ]
}

/// `10.0.0.1:443`, `[::1]:443`, `*:443`; `*` for none.
fn endpoint(endpoint: SocketAddr, device: &str) -> String {
    let port = endpoint.port();
    match (endpoint.ip().is_unspecified(), port) {
        (true, 0) => "*".to_string(),
        (true, _) => format!("*{device}:{port}"),
        (false, _) if endpoint.is_ipv6() => format!("[{}{device}]:{port}", endpoint.ip()),
        (false, _) => format!("{}{device}:{port}", endpoint.ip()),
    }
}

/// `812/nginx`, `812/nginx +3` where others hold it too; for TIME_WAIT, when it ends.
fn holder(seen: &SeenSocket<'_>) -> String {
    if let Some(time_wait) = seen.socket.time_wait {
        return format!("- ({} s left)", time_wait.remaining_ms.div_ceil(1000));
    }
    let mut holders = seen.holders();
    let Some(first) = holders.next() else {
        return "-".to_string();
    };
    let name = format!("{}/{}", first.pid, phrase::program(first));
    match holders.count() {
        0 => name,
        others => format!("{name} +{others}"),
    }
}

/// Groups as a table, at most `most` of them.
#[must_use]
pub fn see_groups(by: By, groups: &[Group], most: usize, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    let shown = groups.get(..most).unwrap_or(groups);
    let title = title(by);
    let room = screen.columns() / 2;
    let labels: Vec<String> = shown.iter().map(|group| name(by, group)).collect();
    let names = labels
        .iter()
        .map(|label| width(label))
        .chain([width(title)])
        .max()
        .unwrap_or(0)
        .min(room);
    let columns = |head: &str, count: fn(&Group) -> u64| {
        let counts = shown.iter().map(|group| width(&grouped(count(group))));
        counts.chain([width(head)]).max().unwrap_or(0)
    };
    let ports = columns("Ports", |group| group.ports);
    let sockets = columns("Sockets", |group| group.sockets);
    // By state, the counts by state would say the same again.
    let told = by != By::State;
    let head = format!(
        "{}  {}  {}  {}",
        left(title, names),
        right("Ports", ports),
        right("Sockets", sockets),
        if told { "States" } else { "" }
    );
    lines.line(&screen.paint(Tone::Strong, head.trim_end()));
    for (group, label) in shown.iter().zip(&labels) {
        let states: Vec<String> = group
            .states
            .iter()
            .filter(|_| told)
            .map(|(state, count)| format!("{} {}", state.name(), grouped(*count)))
            .collect();
        let numbers = format!(
            "  {}  {}  ",
            right(&grouped(group.ports), ports),
            right(&grouped(group.sockets), sockets)
        );
        let head = if width(label) > names {
            lines.line(label);
            format!("{}{numbers}", blanks(names))
        } else {
            format!("{}{numbers}", left(label, names))
        };
        lines.hang(&head, &head, &joined(&states), None);
    }
    let more = groups.len() - shown.len();
    if more > 0 {
        let text = format!(
            "{} more {}",
            grouped(more as u64),
            plural(more as u64, "group", "groups")
        );
        lines.line(&screen.paint(Tone::Faint, &text));
    }
    lines.finish()
}

/// A group's name; for containers and units in short, with the program: `docker 3f2a91b0c1de (nginx)`.
fn name(by: By, group: &Group) -> String {
    let Some(owner) = &group.owner else {
        return group.name.clone();
    };
    let home = match by {
        By::Unit => home::unit(owner, Room::Narrow).map(|unit| match &owner.container {
            Some(_) => format!(
                "{unit} in {}",
                home::container(owner, Room::Narrow).unwrap_or_default()
            ),
            None => unit,
        }),
        _ => home::container(owner, Room::Narrow).or_else(|| owner.pod.as_deref().map(home::pod)),
    };
    let more = if group.names > 1 { ", …" } else { "" };
    let program = phrase::program(owner);
    home.map_or_else(
        || group.name.clone(),
        |home| format!("{home} ({program}{more})"),
    )
}

/// States parted by commas; a no-break space keeps each with its count.
fn joined(states: &[String]) -> String {
    let held: Vec<String> = states.iter().map(|s| s.replace(' ', "\u{a0}")).collect();
    held.join(", ")
}

const fn title(by: By) -> &'static str {
    match by {
        By::Destination => "Destination",
        By::Process => "PID/Program",
        By::Container => "Container",
        By::Unit => "Unit",
        By::State => "State",
        By::Source => "Source",
        By::Namespace => "Namespace",
        By::Port => "Port",
    }
}
