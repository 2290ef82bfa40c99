//! `undo` after `apply` is the identity, after a restart as well: in scratch network namespaces,
//! with the kernel's own settings and files of a root directory.
//!
//! Needs the right to make network namespaces: as root, else in a user namespace, in which this
//! program starts itself again. What cannot run says SKIPPED, and fails where `DRYPORT_REQUIRE`
//! names `netns`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "all of this is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dryport_fix::{
    Entry, FileWanted, FixError, Journal, OUR_FILE, Place, Progress, Stage, Wanted, apply, chosen,
    confirm, contents, repair, shown, undo,
};
use dryport_lab::Namespace;
use dryport_model::plan::Setting;
use dryport_tune::sysctl;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 200;
/// Set for the run in a user namespace, which does not start another one.
const WITHIN: &str = "DRYPORT_TEST_WITHIN_USER_NAMESPACE";

/// Runs `work` in a thread in a fresh network namespace; `name` is the test's.
fn in_scratch(name: &str, work: impl FnOnce() + Send) {
    match Namespace::new() {
        Ok(namespace) => namespace.run(work).unwrap(),
        // Another process of one thread may enter a user namespace; this one has several.
        Err(_) if std::env::var_os(WITHIN).is_none() => {
            let done = Command::new("unshare")
                .args(["--user", "--map-root-user"])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(WITHIN, "1")
                .status();
            match done {
                // The code of a test that failed; `unshare` fails with others.
                Ok(status) if status.code() == Some(101) => panic!("{name} failed there"),
                Ok(status) if status.success() => {}
                _ => skip("no user namespace to run in"),
            }
        }
        Err(error) => skip(&error.to_string()),
    }
}

fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
    let required = std::env::var("DRYPORT_REQUIRE").unwrap_or_default();
    assert!(
        !required.split([',', ' ']).any(|word| word == "netns"),
        "but DRYPORT_REQUIRE names netns"
    );
}

/// Settings of the calling thread's namespace, byte for byte.
fn settings() -> Vec<(Setting, Vec<u8>)> {
    let read = |setting: &Setting| Some((*setting, sysctl::read(*setting).unwrap()?));
    Setting::LINUX.iter().filter_map(read).collect()
}

/// Path → content of everything below a directory.
fn tree(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            let to = fs::read_link(&path).unwrap();
            all.insert(path, to.into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            all.extend(tree(&path));
            all.insert(path, Vec::new());
        } else {
            let bytes = fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// The machine's own namespace, in some boot. The crate takes the caller's word for where it is.
fn host(boot: &str) -> Place {
    Place {
        boot_id: boot.into(),
        cookie: Some(1),
        inode: 4_026_531_840,
        name: Some("host".into()),
    }
}

struct Bench {
    scratch: tempfile::TempDir,
    journal: Journal,
}

impl Bench {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("root")).unwrap();
        let journal = Journal::open(&scratch.path().join("journal")).unwrap();
        Self { scratch, journal }
    }

    fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    fn our_file(&self) -> PathBuf {
        self.root().join(OUR_FILE)
    }

    fn write(&self, below: &str, bytes: &[u8]) {
        let path = self.root().join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A change of these settings, with a file.
    fn wanted(&self, to: &[(Setting, String)]) -> Wanted {
        let from = |setting| sysctl::read(setting).unwrap().unwrap();
        let present = fs::read(self.our_file()).ok();
        Wanted {
            settings: to
                .iter()
                .map(|(setting, to)| {
                    let from = String::from_utf8(from(*setting)).unwrap();
                    (*setting, from.trim_end().to_owned(), to.clone())
                })
                .collect(),
            file: Some(FileWanted {
                path: self.our_file(),
                contents: contents(present.as_deref(), to),
            }),
            confirm_within: None,
        }
    }

    fn apply(&self, place: &Place, wanted: &Wanted) -> dryport_fix::Result<Entry> {
        apply(&self.journal, place, wanted, || Ok(()), &mut |_| {})
    }

    fn repair(&self, place: &Place, is_gone: bool) -> dryport_fix::Repaired {
        repair(&self.journal, place, |_| is_gone, &mut |_| {}).unwrap()
    }

    /// Takes back the last change of a place.
    fn undo(&self, place: &Place) -> dryport_fix::Result<Entry> {
        let mut entry = chosen(&self.journal.entries()?, place, None)?;
        undo(&self.journal, place, &mut entry, &mut |_| {})?;
        Ok(entry)
    }
}

/// What becomes of a change before it is undone.
#[derive(Clone, Copy, Debug)]
enum Course {
    Applied,
    /// The fresh look does not find it: `apply` takes it back by itself.
    NotVerified,
    Confirmed,
    /// It waits for its confirmation when it is taken back.
    Unconfirmed,
    /// The program ends after a step: the next start takes it back.
    BrokenOff(usize),
}

#[derive(Clone, Debug)]
struct Case {
    start: [String; 4],
    files: Vec<(String, Vec<u8>)>,
    ours: Option<Vec<u8>>,
    link: Option<&'static str>,
    changes: Vec<(Vec<(Setting, String)>, Course)>,
}

fn range() -> impl Strategy<Value = String> {
    (1024..60_000u16)
        .prop_flat_map(|low| (Just(low), low + 1..=u16::MAX))
        .prop_map(|(low, high)| format!("{low} {high}"))
}

fn list() -> impl Strategy<Value = String> {
    let list = |ports: Vec<u16>| {
        let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
        ports.join(",")
    };
    prop_oneof![
        6 => vec(1..u16::MAX, 0..20).prop_map(list),
        // Longer than a page.
        1 => (1..20_000u16).prop_map(move |first| list((0..2000).map(|port| first + port * 2).collect())),
    ]
}

fn values() -> impl Strategy<Value = [String; 4]> {
    (list(), range(), 0..3u8, 1..60_000u32)
        .prop_map(|(list, range, reuse, delay)| [list, range, reuse.to_string(), delay.to_string()])
}

fn change() -> impl Strategy<Value = (Vec<(Setting, String)>, Course)> {
    let course = prop_oneof![
        3 => Just(Course::Applied),
        1 => Just(Course::NotVerified),
        1 => Just(Course::Confirmed),
        1 => Just(Course::Unconfirmed),
        2 => (0..8usize).prop_map(Course::BrokenOff),
    ];
    let order = Just(Setting::LINUX.to_vec()).prop_shuffle();
    (values(), order, 1..5usize, course).prop_map(|(values, order, count, course)| {
        let value = |setting: &Setting| {
            let index = Setting::LINUX.iter().position(|one| one == setting);
            values[index.unwrap()].clone()
        };
        let chosen = order.iter().take(count);
        (chosen.map(|one| (*one, value(one))).collect(), course)
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let lines: [&[u8]; 9] = [
        b"net.ipv4.ip_local_port_range = 1 2\n",
        b"-net/ipv4/tcp_tw_reuse=1\n",
        b"net.ipv4.ip_local_reserved_ports =",
        b"net.ipv4.* = 5\r\n",
        b"# comment\n",
        b"\n",
        b"\xff\0\x1b[31m\n",
        b"vm.swappiness=1",
        b"",
    ];
    vec(proptest::sample::select(lines.to_vec()), 0..6).prop_map(|lines| lines.concat())
}

fn cases() -> impl Strategy<Value = Case> {
    let names = [
        "10-a",
        "99-sysctl",
        "99-zz-dryport0",
        "99-zz",
        "zzz",
        "\u{e9}",
    ];
    let file = (proptest::sample::select(names.to_vec()), bytes())
        .prop_map(|(name, bytes)| (format!("etc/sysctl.d/{name}.conf"), bytes));
    let link = proptest::sample::select(vec!["/dev/null", "nowhere", "99-zz.conf"]);
    (
        values(),
        vec(file, 0..4),
        proptest::option::of(bytes()),
        proptest::option::of(link),
        vec(change(), 1..4),
    )
        .prop_map(|(start, files, ours, link, changes)| Case {
            start,
            files,
            ours,
            link,
            changes,
        })
}

#[test]
fn undo_after_apply_is_the_identity() {
    in_scratch("undo_after_apply_is_the_identity", || {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let held = TestRunner::new(config).run(&cases(), |case| {
            is_identity(&case);
            Ok(())
        });
        if let Err(error) = held {
            panic!("{error}");
        }
    });
}

fn is_identity(case: &Case) {
    let bench = Bench::new();
    let place = host("a");
    let known = settings();
    for (setting, value) in Setting::LINUX.iter().zip(&case.start) {
        if known.iter().any(|(one, _)| one == setting) {
            sysctl::write(*setting, value.as_bytes()).unwrap();
        }
    }
    for (path, bytes) in &case.files {
        bench.write(path, bytes);
    }
    if let Some(bytes) = &case.ours {
        bench.write(OUR_FILE, bytes);
    }
    if let Some(target) = case.link {
        bench.write("etc/sysctl.d/README", b"");
        symlink(target, bench.root().join("etc/sysctl.d/98-link.conf")).unwrap();
    }
    let seen = || (settings(), tree(&bench.root()));
    let mut states = vec![seen()];
    for (change, course) in &case.changes {
        let there: Vec<_> = change
            .iter()
            .filter(|(setting, _)| known.iter().any(|(one, _)| one == setting))
            .cloned()
            .collect();
        if is_in_force(&bench, &place, &there, *course) {
            states.push(seen());
        } else {
            assert_eq!(Some(&seen()), states.last(), "{course:?}");
        }
    }
    while let Some(before) = states.pop() {
        assert_eq!(seen(), before);
        if !states.is_empty() {
            bench.undo(&place).unwrap();
        }
    }
    assert!(matches!(bench.undo(&place), Err(FixError::Nothing(_))));
}

/// Makes a change, and tells whether it is to be undone.
fn is_in_force(bench: &Bench, place: &Place, change: &[(Setting, String)], course: Course) -> bool {
    if change.is_empty() {
        return false;
    }
    a_millisecond_later();
    let mut wanted = bench.wanted(change);
    match course {
        Course::Applied => {
            let entry = bench.apply(place, &wanted).unwrap();
            assert_eq!(entry.stage, Stage::Applied);
            true
        }
        Course::NotVerified => {
            let wrong = || Err("it is not so".into());
            let failed = apply(&bench.journal, place, &wanted, wrong, &mut |_| {});
            assert!(matches!(failed, Err(FixError::TakenBack { .. })));
            false
        }
        Course::Confirmed | Course::Unconfirmed => {
            wanted.confirm_within = Some(Duration::from_secs(3600));
            bench.apply(place, &wanted).unwrap();
            if matches!(course, Course::Confirmed) {
                confirm(&bench.journal, place, &mut |_| {}).unwrap();
                return true;
            }
            bench.undo(place).unwrap();
            false
        }
        Course::BrokenOff(after) => {
            let mut steps = 0;
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut told = |_: &Progress| {
                    // No message and no other thread's business: a hook would print it.
                    if steps == after {
                        std::panic::resume_unwind(Box::new("the end"));
                    }
                    steps += 1;
                };
                apply(&bench.journal, place, &wanted, || Ok(()), &mut told).unwrap();
            }));
            let repaired = bench.repair(place, false);
            if ended.is_ok() {
                assert!(repaired.taken_back.is_empty());
                return true;
            }
            // The last step is told after the journal was closed.
            let last = repaired.entries.last().unwrap();
            last.stage == Stage::Applied
        }
    }
}

/// Two changes of one process in one millisecond would have one name.
fn a_millisecond_later() {
    let now = dryport_fix::milliseconds_since_start();
    while dryport_fix::milliseconds_since_start() <= now + 1 {
        std::hint::spin_loop();
    }
}

/// A change in an earlier boot of the machine: the range and the reuse, with a file.
fn before_the_restart(bench: &Bench, ours: Option<&[u8]>) -> Vec<(Setting, Vec<u8>)> {
    if let Some(bytes) = ours {
        bench.write(OUR_FILE, bytes);
    }
    let before = settings();
    let change = [
        (Setting::LocalPortRange, "20000 60999".to_owned()),
        (Setting::TcpTwReuse, "1".to_owned()),
    ];
    bench.apply(&host("a"), &bench.wanted(&change)).unwrap();
    before
}

#[test]
fn after_a_restart_undo_takes_the_file_back_and_what_it_set() {
    in_scratch(
        "after_a_restart_undo_takes_the_file_back_and_what_it_set",
        || {
            for ours in [None, Some(&b"# by hand\n"[..])] {
                let bench = Bench::new();
                let before = before_the_restart(&bench, ours);
                // The file was applied at boot, so the values are those again.
                assert!(bench.repair(&host("b"), false).taken_back.is_empty());
                let entry = bench.undo(&host("b")).unwrap();
                assert_eq!(entry.stage, Stage::Undone);
                assert_eq!(settings(), before);
                assert_eq!(fs::read(bench.our_file()).ok().as_deref(), ours);
                assert_eq!(tree(&bench.root()).is_empty(), ours.is_none());
            }
        },
    );
}

#[test]
fn after_a_restart_a_value_of_somebody_else_stays() {
    in_scratch("after_a_restart_a_value_of_somebody_else_stays", || {
        let bench = Bench::new();
        let before = before_the_restart(&bench, None);
        // What a file that sorts behind ours sets at boot.
        sysctl::write(Setting::LocalPortRange, b"30000 40000").unwrap();
        bench.undo(&host("b")).unwrap();
        let now: BTreeMap<String, Vec<u8>> = settings()
            .into_iter()
            .map(|(setting, bytes)| (setting.name().to_owned(), bytes))
            .collect();
        assert_eq!(now[Setting::LocalPortRange.name()], b"30000\t40000\n");
        let reuse = before.iter().find(|(one, _)| *one == Setting::TcpTwReuse);
        assert_eq!(now[Setting::TcpTwReuse.name()], reuse.unwrap().1);
        assert!(tree(&bench.root()).is_empty());
        sysctl::write(Setting::LocalPortRange, b"32768 60999").unwrap();
    });
}

#[test]
fn after_a_restart_a_file_that_somebody_changed_is_refused() {
    in_scratch(
        "after_a_restart_a_file_that_somebody_changed_is_refused",
        || {
            let bench = Bench::new();
            before_the_restart(&bench, None);
            bench.write(OUR_FILE, b"# mine now\n");
            let seen = (settings(), tree(&bench.root()));
            let refused = bench.undo(&host("b")).unwrap_err().to_string();
            for value in ["absent", "Written by", "# mine now"] {
                assert!(refused.contains(value), "{refused}");
            }
            assert_eq!((settings(), tree(&bench.root())), seen);
        },
    );
}

#[test]
fn after_a_restart_what_was_broken_off_is_repaired() {
    in_scratch("after_a_restart_what_was_broken_off_is_repaired", || {
        for stage in [Stage::Prepared, Stage::Undoing, Stage::Unconfirmed] {
            let bench = Bench::new();
            let before = before_the_restart(&bench, None);
            let mut entry = bench.journal.entries().unwrap().remove(0);
            entry.stage = stage;
            bench.journal.save(&entry).unwrap();
            let repaired = bench.repair(&host("b"), false);
            assert_eq!(repaired.taken_back.len(), 1, "{stage:?}");
            assert_eq!(settings(), before, "{stage:?}");
            assert!(tree(&bench.root()).is_empty(), "{stage:?}");
        }
    });
}

#[test]
fn a_namespace_that_is_gone_takes_its_change_with_it() {
    in_scratch("a_namespace_that_is_gone_takes_its_change_with_it", || {
        let bench = Bench::new();
        let other = Place {
            cookie: Some(2),
            inode: 4_026_532_000,
            name: None,
            ..host("a")
        };
        let mut wanted = bench.wanted(&[(Setting::TcpTwReuse, "1".to_owned())]);
        wanted.file = None;
        bench.apply(&other, &wanted).unwrap();
        let before = settings();
        let stage = |bench: &Bench| bench.journal.entries().unwrap()[0].stage;
        // Not while it may be there, also not by a number that another one has now.
        bench.repair(&host("a"), false);
        assert_eq!(stage(&bench), Stage::Applied);
        assert!(matches!(bench.undo(&host("a")), Err(FixError::Nothing(_))));
        bench.repair(&host("a"), true);
        assert_eq!(stage(&bench), Stage::Gone);
        assert_eq!(
            settings(),
            before,
            "nothing of another namespace was written here"
        );
    });
}

#[test]
fn a_value_that_moved_since_the_plan_is_refused_before_anything_is_written() {
    let name = "a_value_that_moved_since_the_plan_is_refused_before_anything_is_written";
    in_scratch(name, || {
        let bench = Bench::new();
        let wanted = bench.wanted(&[
            (Setting::TcpTwReuse, "1".to_owned()),
            (Setting::LocalPortRange, "20000 60999".to_owned()),
        ]);
        sysctl::write(Setting::LocalPortRange, b"30000 60999").unwrap();
        let seen = (settings(), tree(&bench.root()));
        let refused = bench.apply(&host("a"), &wanted).unwrap_err();
        assert!(
            matches!(&refused, FixError::Moved { now, .. } if now == &shown(b"30000\t60999\n")),
            "{refused}"
        );
        assert_eq!((settings(), tree(&bench.root())), seen);
        assert!(bench.journal.entries().unwrap().is_empty());
    });
}

#[test]
fn a_value_that_the_kernel_does_not_take_is_taken_back_with_those_before_it() {
    let name = "a_value_that_the_kernel_does_not_take_is_taken_back_with_those_before_it";
    in_scratch(name, || {
        let bench = Bench::new();
        let seen = (settings(), tree(&bench.root()));
        for refused in [
            (Setting::LocalPortRange, "60999 20000"),
            (Setting::ReservedPorts, "1-70000"),
            (Setting::TcpTwReuse, "7"),
        ] {
            let accepted = [
                (Setting::TcpTwReuse, "1"),
                (Setting::ReservedPorts, "5000-5010"),
            ];
            let change: Vec<(Setting, String)> = accepted
                .into_iter()
                .filter(|(setting, _)| *setting != refused.0)
                .chain([refused])
                .map(|(setting, value)| (setting, value.to_owned()))
                .collect();
            a_millisecond_later();
            let failed = bench.apply(&host("a"), &bench.wanted(&change)).unwrap_err();
            assert!(matches!(failed, FixError::TakenBack { .. }), "{failed}");
            assert_eq!((settings(), tree(&bench.root())), seen, "{failed}");
        }
        let stages = bench.journal.entries().unwrap();
        assert!(stages.iter().all(|entry| entry.stage == Stage::Undone));
    });
}
