//! `held by`: who holds ports, a row for each group.

use dryport_model::{GroupKind, Owner, OwnerGroup, Owners};

use super::home::{Room, home};
use super::layout::{Lines, blanks, cut, left, right, width};
use super::number::{grouped, plural};
use super::phrase;

/// Groups told; the rest are counted. One more is told too: counting it would take the same line.
const MOST: usize = 3;
const GAP: usize = 2;
/// Columns that containers, pods and units get in any case: those of a pod with its container.
const LEAST_HOME: usize = 30;

/// A group in words: `docker 3f2a91b0c1de` and `nginx` and ` ×200`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// Container, pod or unit; empty for a process.
    home: String,
    /// What it is called.
    name: String,
    /// What follows the name and is never cut.
    tail: String,
}

impl Holder {
    /// Only a name.
    pub(super) fn named(name: String) -> Self {
        Self {
            home: String::new(),
            name,
            tail: String::new(),
        }
    }

    /// A group of processes that were looked at.
    pub(super) fn new(owners: &Owners, group: &OwnerGroup, room: Room) -> Option<Self> {
        let owner = owners.processes.get(group.process as usize)?;
        Some(Self {
            home: home(owner, group.kind, room),
            name: phrase::program(owner),
            tail: tail(owner, group),
        })
    }

    fn program(&self, columns: usize) -> String {
        let name = cut(&self.name, columns.saturating_sub(width(&self.tail)));
        format!("{name}{}", self.tail)
    }
}

/// ` (pid 4711)`, ` ×200`, ` ×198 +2` with two processes of other names.
fn tail(owner: &Owner, group: &OwnerGroup) -> String {
    let others = group.processes.saturating_sub(group.namesakes);
    match (group.processes, group.namesakes, others) {
        (1, ..) => format!(" (pid {})", owner.pid),
        (_, many, 0) => format!(" ×{}", grouped(many)),
        (_, 1, others) => format!(" +{}", grouped(others)),
        (_, many, others) => format!(" ×{} +{}", grouped(many), grouped(others)),
    }
}

/// What is to be told.
pub(super) struct Holders<'a> {
    /// The groups, the largest first.
    pub(super) groups: &'a [OwnerGroup],
    /// A group in words; `None` where nothing is known of it.
    pub(super) holder: &'a dyn Fn(&OwnerGroup, Room) -> Option<Holder>,
    /// Ports in TIME_WAIT, which no process holds.
    pub(super) waiting: u64,
}

impl Holders<'_> {
    /// Writes the rows behind a head that is `indent` columns wide; the first row gets it.
    pub(super) fn write(&self, lines: &mut Lines, head: &str, indent: usize) {
        let counts = self.rows(Room::Narrow);
        let counts = counts.iter().map(|(_, ports)| width(ports)).max();
        let counts = counts.unwrap_or(0);
        let taken = indent + GAP + counts + " ports".len();
        let columns = lines.screen.columns().saturating_sub(taken);
        let wide = self.rows(Room::Wide);
        let rows = if Layout::wanted(&wide).columns() <= columns {
            wide
        } else {
            self.rows(Room::Narrow)
        };
        let layout = Layout::wanted(&rows).within(columns);
        for (index, (holder, ports)) in rows.iter().enumerate() {
            let blank = blanks(indent);
            lines.line(&format!(
                "{}{}  {} {}",
                if index == 0 { head } else { &blank },
                layout.row(holder),
                right(ports, counts),
                if ports == "1" { "port" } else { "ports" }
            ));
        }
    }

    /// The largest groups, the others together, and what no process holds any more.
    fn rows(&self, room: Room) -> Vec<(Holder, String)> {
        let told = match self.groups.len() {
            few if few <= MOST + 1 => few,
            _ => MOST,
        };
        let (told, rest) = self.groups.split_at(told);
        let mut rows: Vec<(Holder, String)> = told
            .iter()
            .filter_map(|group| Some(((self.holder)(group, room)?, grouped(group.ports))))
            .collect();
        if !rest.is_empty() {
            let ports: u64 = rest.iter().map(|group| u64::from(group.ports)).sum();
            rows.push((Holder::named(others(rest)), grouped(ports)));
        }
        if self.waiting > 0 {
            let nobody = Holder::named("no process, in TIME_WAIT".to_string());
            rows.push((nobody, grouped(self.waiting)));
        }
        rows
    }
}

/// `2 more processes`, or `2 others` where they are more than that.
fn others(rest: &[OwnerGroup]) -> String {
    let alone = |group: &OwnerGroup| group.kind == GroupKind::Process && group.processes == 1;
    let count = rest.len() as u64;
    if rest.iter().all(alone) {
        format!("{count} more {}", plural(count, "process", "processes"))
    } else {
        format!("{count} {}", plural(count, "other", "others"))
    }
}

/// Columns of the rows: homes and programs where there are homes, plain texts over both.
#[derive(Clone, Copy)]
struct Layout {
    homes: usize,
    programs: usize,
    plain: usize,
}

impl Layout {
    fn wanted(rows: &[(Holder, String)]) -> Self {
        let widest = |of: &dyn Fn(&Holder) -> usize, at_home: bool| {
            let rows = rows.iter().map(|(holder, _)| holder);
            let rows = rows.filter(|holder| holder.home.is_empty() != at_home);
            rows.map(of).max().unwrap_or(0)
        };
        let program = |holder: &Holder| width(&holder.name) + width(&holder.tail);
        Self {
            homes: widest(&|holder| width(&holder.home), true),
            programs: widest(&program, true),
            plain: widest(&program, false),
        }
    }

    const fn columns(self) -> usize {
        let both = match self.homes {
            0 => 0,
            homes => homes + GAP + self.programs,
        };
        if both > self.plain { both } else { self.plain }
    }

    /// The same in fewer columns: programs give way before short homes, long homes before programs.
    fn within(self, columns: usize) -> Self {
        let least = self.homes.min(LEAST_HOME);
        let programs = self.programs.min(columns.saturating_sub(GAP + least));
        Self {
            homes: self.homes.min(columns.saturating_sub(GAP + programs)),
            programs,
            plain: self.plain.min(columns),
        }
    }

    fn row(self, holder: &Holder) -> String {
        let row = if holder.home.is_empty() {
            holder.program(self.columns())
        } else {
            let home = left(&cut(&holder.home, self.homes), self.homes + GAP);
            format!("{home}{}", holder.program(self.programs))
        };
        left(&row, self.columns())
    }
}
