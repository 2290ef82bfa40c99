//! Which files count, in which order, and whose value a setting has in the end.
//!
//! | | `systemd-sysctl` | `sysctl --system` (procps 3.3.17, 4) |
//! | --- | --- | --- |
//! | files | `*.conf` of the directories, by name; of one name the first directory's | the same |
//! | a name that begins with a dot | not read | read |
//! | `/etc/sysctl.conf` | not read (since 207); Debian had a link to it as `99-sysctl.conf` | read last |
//! | a key that stands in a file | the last line wins; globs leave it alone | the same |
//! | `-key` behind `key = value` | takes the line back | keeps globs off, the line stays |
//! | several globs | in the order of their last change | in the order of their lines |
//!
//! procps before 3.3.17 knows no globs.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Assignment, Note, matches_path, normalize};

/// Where files are looked for. Of files with one name, that of the earlier directory replaces the
/// others; a link to `/dev/null` so takes a file away.
pub const DIRECTORIES: [&str; 5] = [
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
];

/// Read by procps behind all others, whatever it is called there.
pub const LAST_OF_PROCPS: &str = "/etc/sysctl.conf";

/// Who applies the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applier {
    /// `systemd-sysctl.service`, at boot.
    SystemdSysctl,
    /// `sysctl --system` of procps: at boot without systemd, or typed by somebody.
    ProcpsSystem,
}

impl Applier {
    /// Both.
    pub const ALL: [Self; 2] = [Self::SystemdSysctl, Self::ProcpsSystem];

    /// What is run.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SystemdSysctl => "systemd-sysctl",
            Self::ProcpsSystem => "sysctl --system",
        }
    }
}

/// A file and what it says. One that could not be read, or is a link to `/dev/null`, is here as
/// well, without a line: it still takes the place of others of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfFile {
    /// Its path: a directory of [`DIRECTORIES`] and a name, or [`LAST_OF_PROCPS`].
    pub path: String,
    /// Its lines.
    pub assignments: Vec<Assignment>,
    /// Its lines that were not understood.
    pub notes: Vec<Note>,
}

/// A line that has a say in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setter<'a> {
    /// The file.
    pub path: &'a str,
    /// The line.
    pub assignment: &'a Assignment,
}

/// All lines that have a say in a key, in the order in which they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setters<'a> {
    /// The lines, also those that only exclude.
    pub all: Vec<Setter<'a>>,
    /// Which of them wins. `None`: the files leave the key alone.
    pub winner: Option<usize>,
}

impl<'a> Setters<'a> {
    /// The line that wins.
    #[must_use]
    pub fn winner(&self) -> Option<Setter<'a>> {
        self.all.get(self.winner?).copied()
    }

    /// The value that the key has in the end, as far as the files decide it.
    #[must_use]
    pub fn value(&self) -> Option<&'a str> {
        self.winner()?.assignment.value.as_deref()
    }
}

/// The files that count, in the order in which they are applied. The order of `files` is of no
/// consequence.
#[must_use]
pub fn applied(files: &[ConfFile], applier: Applier) -> Vec<&ConfFile> {
    let mut by_name: BTreeMap<&str, (usize, &ConfFile)> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path != LAST_OF_PROCPS) {
        let (rank, name) = place(&file.path);
        if applier == Applier::SystemdSysctl && name.starts_with('.') {
            continue;
        }
        let there = by_name.entry(name).or_insert((rank, file));
        if rank < there.0 {
            *there = (rank, file);
        }
    }
    let mut applied: Vec<&ConfFile> = by_name.into_values().map(|(_, file)| file).collect();
    if applier == Applier::ProcpsSystem {
        applied.extend(files.iter().find(|file| file.path == LAST_OF_PROCPS));
    }
    applied
}

/// Who sets a key (with dots or slashes), and who wins.
#[must_use]
pub fn setters<'a>(files: &'a [ConfFile], key: &str, applier: Applier) -> Setters<'a> {
    let key = normalize(key);
    let all: Vec<Setter<'a>> = applied(files, applier)
        .into_iter()
        .flat_map(|file| {
            file.assignments.iter().map(|assignment| Setter {
                path: &file.path,
                assignment,
            })
        })
        .filter(|setter| matches_path(&setter.assignment.pattern, &key))
        .collect();
    let winner = match applier {
        Applier::SystemdSysctl => winner_of_systemd(&all),
        Applier::ProcpsSystem => winner_of_procps(&all),
    };
    Setters { all, winner }
}

/// Whether the two appliers leave different values.
#[must_use]
pub fn is_disputed(files: &[ConfFile], key: &str) -> bool {
    let [systemd, procps] = Applier::ALL.map(|applier| setters(files, key, applier));
    systemd.value() != procps.value()
}

/// Its directory's rank, and its name.
fn place(path: &str) -> (usize, &str) {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let rank = DIRECTORIES.iter().position(|known| *known == directory);
    (rank.unwrap_or(DIRECTORIES.len()), name)
}

/// One entry for each pattern, in the order in which they are written.
fn winner_of_systemd(all: &[Setter<'_>]) -> Option<usize> {
    // An entry with another value is put in anew, behind the others; one with the same value
    // keeps its place (`ordered_hashmap`, parse_line()).
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut explicit = None;
    for (at, setter) in all.iter().enumerate() {
        let assignment = setter.assignment;
        if !assignment.is_glob {
            explicit = Some(at);
            continue;
        }
        let place = places.entry(&assignment.pattern).or_insert(at);
        if all[*place].assignment.value != assignment.value {
            *place = at;
        }
    }
    // An exclusion is an entry as well, and so takes the key from itself and from globs.
    let last = explicit.or_else(|| {
        let globs = places.into_values();
        globs.filter(|at| is_set(all, *at)).max()
    });
    last.filter(|at| is_set(all, *at))
}

/// Each line is written when its turn comes; globs leave out what stands anywhere by name.
fn winner_of_procps(all: &[Setter<'_>]) -> Option<usize> {
    let is_named = all.iter().any(|setter| !setter.assignment.is_glob);
    (0..all.len())
        .rev()
        .find(|at| is_set(all, *at) && all[*at].assignment.is_glob != is_named)
}

fn is_set(all: &[Setter<'_>], at: usize) -> bool {
    all[at].assignment.value.is_some()
}

#[cfg(test)]
mod tests {
    use std::borrow::ToOwned;

    use proptest::prelude::*;

    use super::super::parse;
    use super::Applier::{ProcpsSystem, SystemdSysctl};
    use super::*;

    const KEY: &str = "net.ipv4.ip_local_port_range";

    fn file(path: &str, text: &str) -> ConfFile {
        let parsed = parse(text.as_bytes());
        ConfFile {
            path: path.to_owned(),
            assignments: parsed.assignments,
            notes: parsed.notes,
        }
    }

    fn values(files: &[ConfFile]) -> [Option<&str>; 2] {
        Applier::ALL.map(|applier| setters(files, KEY, applier).value())
    }

    /// One file with these lines.
    fn lines(text: &str) -> [Option<String>; 2] {
        values(&[file("/etc/sysctl.d/a.conf", text)]).map(|value| value.map(ToOwned::to_owned))
    }

    #[test]
    fn the_last_file_by_name_wins_whatever_its_directory() {
        let files = [
            file(
                "/etc/sysctl.d/10-a.conf",
                "net.ipv4.ip_local_port_range = 1 2",
            ),
            file(
                "/usr/lib/sysctl.d/50-b.conf",
                "# none\nnet/ipv4/ip_local_port_range = 3 4",
            ),
            file("/run/sysctl.d/20-c.conf", "net.ipv4.tcp_tw_reuse = 1"),
        ];
        let setters = setters(&files, KEY, SystemdSysctl);
        assert_eq!(setters.all.len(), 2);
        let winner = setters.winner().unwrap();
        assert_eq!(
            (winner.path, winner.assignment.line),
            ("/usr/lib/sysctl.d/50-b.conf", 2)
        );
        assert_eq!(values(&files), [Some("3 4"); 2]);
    }

    #[test]
    fn a_file_replaces_those_of_its_name_in_later_directories() {
        let set = "net.ipv4.ip_local_port_range = 1 2";
        let [usr, run, etc] =
            ["/usr/lib", "/run", "/etc"].map(|above| std::format!("{above}/sysctl.d/50-a.conf"));
        let files = [
            file(&usr, set),
            file(&run, "net.ipv4.ip_local_port_range = 3 4"),
        ];
        assert_eq!(values(&files), [Some("3 4"); 2]);
        // A link to /dev/null.
        let files = [file(&usr, set), file(&run, set), file(&etc, "")];
        assert_eq!(values(&files), [None; 2]);
    }

    #[test]
    fn sysctl_conf_is_procps_last_word_and_none_of_systemd() {
        let files = [
            file(LAST_OF_PROCPS, "net.ipv4.ip_local_port_range = 1 2"),
            file(
                "/etc/sysctl.d/99-zz.conf",
                "net.ipv4.ip_local_port_range = 3 4",
            ),
        ];
        assert_eq!(values(&files), [Some("3 4"), Some("1 2")]);
        assert!(is_disputed(&files, KEY));
        // Debian's link makes it an ordinary file for systemd as well.
        let linked = [
            &files[..],
            &[file(
                "/etc/sysctl.d/99-sysctl.conf",
                "net.ipv4.ip_local_port_range = 1 2",
            )],
        ]
        .concat();
        assert_eq!(values(&linked), [Some("3 4"), Some("1 2")]);
    }

    #[test]
    fn hidden_files_are_read_by_procps_alone() {
        let files = [file(
            "/etc/sysctl.d/.a.conf",
            "net.ipv4.ip_local_port_range = 1 2",
        )];
        assert_eq!(values(&files), [None, Some("1 2")]);
    }

    #[test]
    fn a_key_by_name_beats_every_glob() {
        let both = |value: &str| [Some(value.to_owned()), Some(value.to_owned())];
        assert_eq!(
            lines("net.ipv4.ip_local_port_range=1 2\nnet.ipv4.*=9"),
            both("1 2")
        );
        assert_eq!(lines("net.*.ip_local_*=8\nnet.ipv4.*=9"), both("9"));
        assert_eq!(
            lines("net.ipv4.*=9\n-net.ipv4.ip_local_port_range"),
            [None, None]
        );
        assert_eq!(
            lines("net.*=9"),
            [None, None],
            "a star does not reach over a separator"
        );
    }

    #[test]
    fn where_the_two_disagree_each_is_followed() {
        let some = |value: &str| Some(value.to_owned());
        // An exclusion behind the assignment.
        let text = "net.ipv4.ip_local_port_range=1 2\n-net.ipv4.ip_local_port_range";
        assert_eq!(lines(text), [None, some("1 2")]);
        let text = "-net.ipv4.ip_local_port_range\nnet.ipv4.ip_local_port_range=1 2";
        assert_eq!(lines(text), [some("1 2"), some("1 2")]);
        // A glob that is repeated keeps its place for systemd.
        let text = "net.ipv4.*=9\nnet.ipv4.ip_*=8\nnet.ipv4.*=9";
        assert_eq!(lines(text), [some("8"), some("9")]);
        // An excluding glob is a mere entry: it takes back the same pattern, for systemd.
        let text = "net.ipv4.*=9\n-net.ipv4.*";
        assert_eq!(lines(text), [None, some("9")]);
        let text = "net.ipv4.ip_*=9\n-net.ipv4.*";
        assert_eq!(lines(text), [some("9"), some("9")]);
    }

    proptest! {
        #[test]
        fn any_tree_has_a_winner_among_its_setters(
            texts in prop::collection::vec(("[abc.]{1,3}", 0_usize..6, "(-?(a[./])?[ab*?]( ?= ?[12])?\n){0,6}"), 0..8),
        ) {
            let files: Vec<ConfFile> = texts
                .iter()
                .map(|(name, directory, text)| {
                    let directory = DIRECTORIES.get(*directory);
                    let path = directory.map_or(LAST_OF_PROCPS.to_owned(), |directory| std::format!("{directory}/{name}"));
                    file(&path, text)
                })
                .collect();
            for applier in Applier::ALL {
                let setters = setters(&files, "a.b", applier);
                prop_assert_eq!(setters.winner.is_some(), setters.value().is_some());
                let is_set = |setter: &Setter<'_>| setter.assignment.value.is_some();
                prop_assert!(setters.winner.is_some() || setters.all.iter().all(|s| !is_set(s) || s.assignment.is_glob || applier == SystemdSysctl));
            }
            let mut reversed = files.clone();
            reversed.reverse();
            // Names are unique in a directory; here they need not be.
            let paths: std::collections::BTreeSet<_> = files.iter().map(|file| &file.path).collect();
            if paths.len() == files.len() {
                prop_assert_eq!(
                    setters(&files, "a.b", ProcpsSystem).value(),
                    setters(&reversed, "a.b", ProcpsSystem).value()
                );
            }
        }
    }
}
