//! `--confirm-within`: taken back in time unless it is confirmed, whatever becomes of the terminal
//! and of the guard; and entries of namespaces and boots that are gone.

use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use dryport_fix::milliseconds_since_start;
use dryport_lab::Privilege;
use dryport_tune::identity;
use dryport_tune::lock::Lock;

use crate::terminal::{End, in_a_session};
use crate::tree::Tree;
use crate::world::{
    CONFIRM, FIX, FIX_REUSE, OUR_FILE, PROGRAM, RANGE, RESERVED, UNDO, World, until,
};
use crate::{Skipped, Test, needs_root};

pub const TESTS: &[(&str, Test)] = &[
    (
        "an unconfirmed change is taken back when its time is over",
        taken_back_in_time,
    ),
    (
        "an unconfirmed change is taken back also when the terminal hangs up",
        after_a_hang_up,
    ),
    (
        "an unconfirmed change is taken back also when its session's process group is killed",
        after_its_group_was_killed,
    ),
    (
        "a confirmed change stays, and the file is written only then",
        confirmed,
    ),
    (
        "a guard that was killed: the next fix or undo takes the change back, and only when its \
         time is over",
        guard_killed,
    ),
    (
        "a guard that cannot be started: the change is taken back at once",
        no_guard,
    ),
    (
        "what is overdue is taken back instead of confirmed",
        too_late,
    ),
    (
        "confirming refuses a file that somebody else changed since",
        file_moved,
    ),
    (
        "an unconfirmed change is taken back though others changed our file, a setting, the journal",
        among_others,
    ),
    (
        "undo takes an unconfirmed change back before its time is over",
        undone_before,
    ),
    (
        "after a restart a change without a file is closed as gone",
        restarted_without_file,
    ),
    (
        "after a restart a file in force stays in the journal",
        restarted_with_file,
    ),
    (
        "after a restart nothing lies about of a file that was half-written",
        restarted_half_written,
    ),
    (
        "a change of a namespace that is gone is closed as gone",
        namespace_gone,
    ),
    (
        "a change of a namespace whose number was given to another is closed as gone",
        number_given_again,
    ),
    (
        "a change of another namespace is neither taken back nor closed",
        namespace_elsewhere,
    ),
];

/// They wait longer than anybody should have to.
pub const SLOW_TESTS: &[(&str, Test)] = &[(
    "a guard waits as long as another run holds the journal",
    guard_waits_for_the_lock,
)];

/// Short, and much longer than a run.
const SOON: [&str; 2] = ["--confirm-within", "1.5s"];
/// Longer than any test.
const LATER: [&str; 2] = ["--confirm-within", "1800s"];

fn fix_within(time: [&'static str; 2]) -> Vec<&'static str> {
    [FIX, &time].concat()
}

/// The change is in force; its guard takes it back.
#[track_caller]
fn guard_takes_back(world: &World, before: &crate::world::Seen) {
    assert_eq!(world.stages(), ["unconfirmed"]);
    assert_eq!(world.get(RANGE), "28000\t60999");
    until("the guard takes it back", || world.stages() == ["undone"]);
    assert_eq!(&world.seen(), before);
    until("the guard ends", || world.guards().is_empty());
    world.is_tidy();
}

fn taken_back_in_time(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    world.run(&fix_within(SOON)).is_done();
    assert_eq!(world.seen().files, before.files);
    let by = world.read_entries()[0]["confirm_by_ms"].as_u64().unwrap();
    guard_takes_back(&world, &before);
    assert!(milliseconds_since_start() >= by);
    Ok(())
}

fn after_a_hang_up(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    let status = in_a_session(&world, &fix_within(SOON), End::HangUp);
    assert_eq!(status.code(), Some(0));
    guard_takes_back(&world, &before);
    Ok(())
}

fn after_its_group_was_killed(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    let status = in_a_session(&world, &fix_within(SOON), End::Killed);
    assert_eq!(status.code(), None, "it killed itself with its group");
    guard_takes_back(&world, &before);
    Ok(())
}

fn confirmed(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    world.run(&fix_within(SOON)).is_done();
    assert_eq!(
        world.seen().files,
        before.files,
        "not before it is confirmed"
    );
    world.run(CONFIRM).is_done();
    let kept = world.seen();
    let text = kept.files.file(OUR_FILE).unwrap();
    assert!(
        String::from_utf8_lossy(text).contains("\nnet.ipv4.ip_local_port_range = 28000 60999\n")
    );
    until("the guard ends", || world.guards().is_empty());
    assert_eq!(world.seen(), kept);
    assert_eq!(world.stages(), ["applied"]);
    world.run(CONFIRM).is_refused(&["no change waits"]);
    world.run(UNDO).is_done();
    assert_eq!(world.seen(), before);
    Ok(())
}

fn guard_killed(_: Privilege) -> Result<(), Skipped> {
    for next in [FIX_REUSE, UNDO] {
        let world = World::with_files();
        let before = world.seen();
        world.run(&fix_within(SOON)).is_done();
        world.kill_guards();
        // In time it is still waited for.
        let waits = world.run(FIX_REUSE);
        waits.is_refused(&["waits for `dryport fix --confirm`"]);
        assert_eq!(world.stages(), ["unconfirmed"]);
        let by = world.read_entries()[0]["confirm_by_ms"].as_u64().unwrap();
        until("its time is over", || milliseconds_since_start() > by);
        world.run(next).is_done();
        assert_eq!(world.stages()[0], "undone");
        if next == FIX_REUSE {
            world.run(UNDO).is_done();
        }
        assert_eq!(world.seen(), before);
    }
    Ok(())
}

/// The program is replaced by a newer one while it runs, say.
fn no_guard(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    let copy = world.scratch().join("dryport");
    fs::copy(PROGRAM, &copy).unwrap();
    let mut command = world.command(copy.to_str().unwrap(), &fix_within(LATER));
    let deadline = Instant::now() + Duration::from_secs(10);
    let child = loop {
        match command.spawn() {
            // Another thread's child has it open for writing until it becomes its own program.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                assert!(Instant::now() < deadline, "{error}");
            }
            spawned => break spawned.unwrap(),
        }
    };
    fs::remove_file(&copy).unwrap();
    let output = child.wait_with_output().unwrap();
    if world.guards().is_empty() {
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert_eq!(world.seen(), before);
        assert_eq!(world.stages(), ["undone"]);
    } else {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    Ok(())
}

fn too_late(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    world.run(&fix_within(LATER)).is_done();
    world.kill_guards();
    world.edit_entry(|entry| entry["confirm_by_ms"] = 1.into());
    world.run(CONFIRM).is_refused(&["no change waits"]);
    assert_eq!(world.seen(), before);
    assert_eq!(world.stages(), ["undone"]);
    Ok(())
}

fn file_moved(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    world.run(&fix_within(LATER)).is_done();
    world.kill_guards();
    world.write(OUR_FILE, "# somebody's work of an hour\n");
    let changed = world.seen();
    world
        .run(CONFIRM)
        .is_refused(&["somebody's work of an hour"]);
    assert_eq!(world.seen(), changed);
    assert_eq!(world.stages(), ["unconfirmed"]);
    Ok(())
}

/// What locks people out has to go, whatever else was touched meanwhile.
fn among_others(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    world.run(&fix_within(SOON)).is_done();
    let (ours, odd) = ("# of somebody else\n", world.journal().join("zzz.json"));
    world.write(OUR_FILE, ours);
    fs::write(&odd, "{").unwrap();
    world.set(RESERVED, "1234");
    until("the range is taken back", || {
        world.get(RANGE) == "32768\t60999"
    });
    until("the guard ends", || world.guards().is_empty());
    assert_eq!(world.get(RESERVED), "1234");
    assert_eq!(
        fs::read_to_string(world.root().join(OUR_FILE)).unwrap(),
        ours
    );
    Ok(())
}

fn undone_before(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    world.run(&fix_within(SOON)).is_done();
    world.run(UNDO).is_done();
    assert_eq!(world.seen(), before);
    until("the guard ends", || world.guards().is_empty());
    assert_eq!(world.seen(), before);
    assert_eq!(world.stages(), ["undone"]);
    Ok(())
}

const OTHER_BOOT: &str = "00000000-0000-4000-8000-000000000000";

fn restarted_without_file(_: Privilege) -> Result<(), Skipped> {
    for stage in ["prepared", "unconfirmed", "applied", "undoing"] {
        let world = World::with_files();
        world.run(&[FIX, &["--live-only"]].concat()).is_done();
        // The numbers of another boot say nothing about this one, where they are found or not.
        world.edit_entry(|entry| {
            entry["place"]["boot_id"] = OTHER_BOOT.into();
            entry["place"]["inode"] = 1.into();
            entry["stage"] = stage.into();
        });
        let before = world.seen();
        world.run(UNDO).is_refused(&["still in force"]);
        assert_eq!(world.stages(), ["gone"], "{stage}");
        assert_eq!(world.seen(), before, "{stage}");
    }
    Ok(())
}

fn restarted_with_file(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    world.run(FIX).is_done();
    world.edit_entry(|entry| entry["place"]["boot_id"] = OTHER_BOOT.into());
    let before = world.seen();
    world.run(UNDO).is_refused(&["still in force"]);
    // Not the machine's own namespace: whose file that is has to be decided by a person.
    assert_eq!(world.stages(), ["applied"]);
    let id = world.read_entries()[0]["id"].as_str().unwrap().to_owned();
    let refused = world.run(&["undo", "--yes", &id]);
    refused.is_refused(&["another network namespace"]);
    assert_eq!(world.seen(), before);
    // By the name of the machine's own it is found from there only.
    world.edit_entry(|entry| entry["place"]["name"] = "host".into());
    world.run(UNDO).is_refused(&["still in force"]);
    assert_eq!(world.seen(), before);
    assert_eq!(world.stages(), ["applied"]);
    world.run(&["undo", "--forget", &id]).is_done();
    assert_eq!(world.stages(), ["forgotten"]);
    assert_eq!(world.seen(), before);
    Ok(())
}

fn restarted_half_written(_: Privilege) -> Result<(), Skipped> {
    let world = World::new();
    let before = world.seen();
    world.run(FIX).is_done();
    // As if the power had gone just before the file got its name.
    let ours = world.root().join(OUR_FILE);
    let half = ours.with_file_name(".99-zz-dryport.conf.dryport-new");
    fs::rename(&ours, &half).unwrap();
    world.edit_entry(|entry| {
        entry["place"]["boot_id"] = OTHER_BOOT.into();
        entry["stage"] = "prepared".into();
    });
    world.set_all(&before.settings);
    world.run(UNDO).is_refused(&["still in force"]);
    assert_eq!(world.stages(), ["gone"]);
    assert_eq!(world.seen(), before);
    Ok(())
}

/// Two worlds with one journal.
fn with_the_journal_of(world: World) -> World {
    let other = World::new();
    Tree::of(&world.state()).put_back(&other.state());
    drop(world);
    other
}

fn namespace_gone(privilege: Privilege) -> Result<(), Skipped> {
    needs_root(privilege)?;
    let sees_all = || {
        let seen = identity::namespaces().unwrap();
        seen.is_whole_machine && seen.hidden == 0
    };
    // A process that ends while it is looked at hides something for a moment.
    if !(0..20).any(|_| sees_all()) {
        return Err(Skipped {
            needed: "machine",
            why: "not all namespaces can be seen here, so none can be told to be gone".into(),
        });
    }
    for stage in ["applied", "unconfirmed", "prepared"] {
        // The number is given to the next namespace, of another test perhaps; then once more.
        until("a change of a namespace that is gone is closed", || {
            let world = World::new();
            world.run(&[FIX, &["--live-only"]].concat()).is_done();
            world.edit_entry(|entry| entry["stage"] = stage.into());
            let other = with_the_journal_of(world);
            other.run(&[FIX_REUSE, &["--live-only"]].concat()).is_done();
            let stages = other.stages();
            other.run(UNDO).is_done();
            stages == ["gone", "applied"]
        });
    }
    Ok(())
}

/// The kernel gives the number of a namespace that ended to one that is made later.
fn number_given_again(_: Privilege) -> Result<(), Skipped> {
    /// Others make namespaces at the same time, and may be given it instead.
    const TRIES: usize = 50;
    for stage in ["applied", "unconfirmed", "prepared", "undoing"] {
        until("the number is given again", || {
            let first = World::new();
            first.run(&[FIX, &["--live-only"]].concat()).is_done();
            first.edit_entry(|entry| entry["stage"] = stage.into());
            let state = Tree::of(&first.state());
            let inode = first.inode();
            drop(first);
            let mut next = std::iter::repeat_with(World::new).take(TRIES);
            let Some(second) = next.find(|second| second.inode() == inode) else {
                return false;
            };
            state.put_back(&second.state());
            let before = second.seen();
            second.run(UNDO).is_refused(&["still in force"]);
            assert_eq!(second.stages(), ["gone"], "{stage}");
            assert_eq!(second.seen(), before, "{stage}");
            true
        });
    }
    Ok(())
}

fn namespace_elsewhere(_: Privilege) -> Result<(), Skipped> {
    for stage in ["applied", "unconfirmed", "prepared", "undoing"] {
        let world = World::with_files();
        world.run(&[FIX, &["--live-only"]].concat()).is_done();
        world.edit_entry(|entry| entry["stage"] = stage.into());
        let before = world.seen();
        let other = World::new();
        Tree::of(&world.state()).put_back(&other.state());
        let settings = other.seen();
        let answer = other.run(UNDO);
        answer.is_refused(&["still in force"]);
        let is_told = answer.err.contains("a change in another namespace");
        assert_eq!(is_told, stage != "applied", "{answer:?}");
        assert_eq!(other.stages(), [stage]);
        other.run(&[FIX_REUSE, &["--live-only"]].concat()).is_done();
        other.run(UNDO).is_done();
        assert_eq!(other.seen(), settings);
        assert_eq!(world.seen(), before);
    }
    Ok(())
}

fn guard_waits_for_the_lock(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    world.run(&fix_within(SOON)).is_done();
    let by = world.read_entries()[0]["confirm_by_ms"].as_u64().unwrap();
    let lock = Lock::take(&world.journal().join("lock")).unwrap();
    // Longer than anybody may be expected to think about a question.
    let held_until = Instant::now() + Duration::from_secs(45);
    while Instant::now() < held_until {
        assert_eq!(world.guards().len(), 1, "the guard gave up");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(milliseconds_since_start() > by);
    drop(lock);
    guard_takes_back(&world, &before);
    Ok(())
}
