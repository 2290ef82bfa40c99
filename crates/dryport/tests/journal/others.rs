//! Others at work: a second run, values changed by somebody else, changes upon changes, and runs
//! that are to change nothing.

use std::fs;
use std::os::unix::fs::symlink;

use dryport_lab::Privilege;
use dryport_tune::lock::Lock;

use crate::tree::Tree;
use crate::world::{
    CONFIRM, FIX, FIX_REUSE, OUR_FILE, PROGRAM, RANGE, RESERVED, UNDO, World, answer,
};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[
    (
        "two runs at once: the second says who holds the lock and changes nothing",
        two_at_once,
    ),
    (
        "a setting that somebody else changed since: refused with all three values",
        setting_moved,
    ),
    (
        "a file that somebody else changed since: refused with all three contents",
        file_moved,
    ),
    (
        "one of two settings moved: the other one is not touched either",
        one_of_two_moved,
    ),
    (
        "two changes and two undos bring back the first state",
        stacked,
    ),
    (
        "the older of two changes is not taken back first: the newer is named",
        older_first,
    ),
    ("--dry-run opens and changes nothing", dry_run),
    (
        "a change to a value that is there already writes nothing",
        already_there,
    ),
    (
        "a root and a state directory named from where one stands are found again elsewhere",
        relative_places,
    ),
    (
        "what the journal cannot tell again is not done: a file of ours that is too long",
        too_long_to_tell,
    ),
    (
        "a link in the place of our file is not replaced: nothing is left to take back",
        link_in_our_place,
    ),
    (
        "a root whose name is no UTF-8 is refused or restored",
        name_without_text,
    ),
    (
        "a terminal that reads no more does not break a change off",
        nobody_reads,
    ),
];

fn two_at_once(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    world.run(FIX).is_done();
    let lock = Lock::take(&world.journal().join("lock")).unwrap();
    let (before, entries) = (world.seen(), world.read_entries());
    let holder = format!("pid {}", std::process::id());
    for words in [FIX_REUSE, UNDO, CONFIRM] {
        world
            .run(words)
            .is_refused(&["another dryport is changing settings", &holder]);
        assert_eq!(world.seen(), before, "{words:?}");
        assert_eq!(world.read_entries(), entries, "{words:?}");
    }
    // Looking needs no lock.
    world.run(&["undo", "--list"]).is_done();
    world.run(&["fix", "--dry-run", "--no-rehearsal"]).is_done();
    drop(lock);
    world.run(UNDO).is_done();
    Ok(())
}

#[track_caller]
fn is_refused_untouched(world: &World, words: &[&str], named: &[&str]) {
    let (before, entries) = (world.seen(), world.read_entries());
    let answer = world.run(words);
    answer.is_refused(named);
    assert_eq!(world.seen(), before, "{answer:?}");
    assert_eq!(world.read_entries(), entries, "{answer:?}");
}

fn setting_moved(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    world.run(FIX).is_done();
    world.set(RANGE, "27000 60999");
    let three = ["32768 60999", "28000 60999", "27000 60999"];
    is_refused_untouched(&world, UNDO, &three);
    // Put right by hand, it goes on.
    world.set(RANGE, "28000 60999");
    world.run(UNDO).is_done();
    assert_eq!(world.seen(), before);
    Ok(())
}

fn file_moved(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    world.run(FIX).is_done();
    let path = world.root().join(OUR_FILE);
    let ours = fs::read(&path).unwrap();
    fs::write(&path, "# mine now\n").unwrap();
    let three = [
        "# by hand",
        "net.ipv4.ip_local_port_range = 28000 60999",
        "# mine now",
    ];
    is_refused_untouched(&world, UNDO, &three);
    fs::remove_file(&path).unwrap();
    is_refused_untouched(&world, UNDO, &["is now absent"]);
    fs::write(&path, ours).unwrap();
    world.run(UNDO).is_done();
    assert_eq!(world.seen(), before);
    Ok(())
}

fn one_of_two_moved(_: Privilege) -> Result<(), Skipped> {
    let world = World::new();
    world.run(FIX).is_done();
    world.set(RESERVED, "30000-30011");
    is_refused_untouched(&world, UNDO, &["(empty)", "30000-30010", "30000-30011"]);
    Ok(())
}

fn stacked(_: Privilege) -> Result<(), Skipped> {
    for world in [World::new(), World::with_files()] {
        let first = world.seen();
        world.run(FIX).is_done();
        let second = world.seen();
        let range = "net.ipv4.ip_local_port_range=25000 60999";
        let wider = ["--set", range, "--set", "net.ipv4.tcp_tw_reuse=1"];
        world.run(&[&FIX[..4], &wider].concat()).is_done();
        assert_ne!(world.seen(), second);
        world.run(UNDO).is_done();
        assert_eq!(world.seen(), second);
        world.run(UNDO).is_done();
        assert_eq!(world.seen(), first);
        world.run(UNDO).is_refused(&["still in force"]);
    }
    Ok(())
}

fn older_first(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let first = world.seen();
    world.run(FIX).is_done();
    let wider = ["--set", "net.ipv4.ip_local_port_range=25000 60999"];
    world.run(&[&FIX[..4], &wider].concat()).is_done();
    let id = world.read_entries()[0]["id"].as_str().unwrap().to_owned();
    let newer = world.read_entries()[1]["id"].as_str().unwrap().to_owned();
    is_refused_untouched(&world, &["undo", "--yes", &id], &[&newer, "made later"]);
    world.run(UNDO).is_done();
    world.run(&["undo", "--yes", &id]).is_done();
    assert_eq!(world.seen(), first);
    Ok(())
}

fn dry_run(_: Privilege) -> Result<(), Skipped> {
    for rehearsal in [&["--no-rehearsal"][..], &[]] {
        let world = World::with_files();
        let before = (world.seen(), Tree::of(world.scratch()));
        let set = ["--set", "net.ipv4.ip_local_port_range=28000 60999"];
        let words = [&["fix", "--dry-run"], rehearsal, &set].concat();
        let answer = world.run(&words);
        answer.is_done();
        assert!(answer.out.contains("28000"), "{answer:?}");
        assert_eq!((world.seen(), Tree::of(world.scratch())), before);
        assert!(!world.state().exists());
        // Neither does it repair what it finds.
        world.run(FIX).is_done();
        world.edit_entry(|entry| entry["stage"] = "prepared".into());
        let before = (world.seen(), Tree::of(world.scratch()));
        world.run(&words).is_done();
        assert_eq!((world.seen(), Tree::of(world.scratch())), before);
    }
    Ok(())
}

fn already_there(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    world.run(FIX).is_done();
    let (before, entries) = (world.seen(), world.read_entries());
    world.run(FIX).is_done();
    assert_eq!(world.seen(), before);
    assert_eq!(world.read_entries(), entries);
    Ok(())
}

fn relative_places(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let before = world.seen();
    let mut command = world.namespace.command(PROGRAM).unwrap();
    command
        .current_dir(world.scratch())
        .args(FIX)
        .args(["--root", "root", "--state-dir", "state"]);
    answer(command).is_done();
    assert_ne!(world.seen().files, before.files);
    world.run(UNDO).is_done();
    assert_eq!(world.seen(), before);
    Ok(())
}

fn too_long_to_tell(_: Privilege) -> Result<(), Skipped> {
    let world = World::new();
    world.write(OUR_FILE, &"# a line of somebody else\n".repeat(200_000));
    let before = world.seen();
    let fixed = world.run(FIX);
    if fixed.exit == 0 {
        world.run(UNDO).is_done();
    } else {
        assert_eq!(fixed.exit, 3, "{fixed:?}");
    }
    assert_eq!(world.seen(), before, "{fixed:?}");
    world.run(UNDO).is_refused(&["still in force"]);
    world.is_tidy();
    Ok(())
}

fn link_in_our_place(_: Privilege) -> Result<(), Skipped> {
    for target in ["nowhere", "10-network.conf", "/dev/null", "."] {
        let world = World::with_files();
        let path = world.root().join(OUR_FILE);
        fs::remove_file(&path).unwrap();
        symlink(target, &path).unwrap();
        let before = world.seen();
        let refused = world.run(FIX);
        refused.is_refused(&["99-zz-dryport.conf"]);
        assert_eq!(world.seen(), before, "{target}: {refused:?}");
        // Nothing of it stands in the way of the next.
        world.run(UNDO).is_refused(&["still in force"]);
        world.run(&[FIX, &["--live-only"]].concat()).is_done();
        world.run(UNDO).is_done();
        assert_eq!(world.seen(), before, "{target}");
    }
    Ok(())
}

fn name_without_text(_: Privilege) -> Result<(), Skipped> {
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let odd = world
        .scratch()
        .join(std::ffi::OsStr::from_bytes(b"ro\xffot"));
    fs::create_dir(&odd).unwrap();
    let names = || fs::read_dir(world.scratch()).unwrap().count();
    fs::create_dir(world.state()).unwrap();
    let before = (world.seen(), Tree::of(&odd), names());
    let mut command = world.namespace.command(PROGRAM).unwrap();
    command
        .args(FIX)
        .arg("--root")
        .arg(&odd)
        .arg("--state-dir")
        .arg(world.state());
    let fixed = answer(command);
    if fixed.exit == 0 {
        assert_ne!(Tree::of(&odd), before.1, "{fixed:?}");
        world.run(UNDO).is_done();
    } else {
        assert!([3, 64].contains(&fixed.exit), "{fixed:?}");
    }
    assert_eq!((world.seen(), Tree::of(&odd), names()), before, "{fixed:?}");
    Ok(())
}

fn nobody_reads(_: Privilege) -> Result<(), Skipped> {
    let world = World::new();
    let mut command = world.command(PROGRAM, FIX);
    let (reader, out) = std::io::pipe().unwrap();
    drop(reader);
    let err = out.try_clone().unwrap();
    let status = command
        .stdin(std::process::Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .unwrap();
    // Either it was done, or it does not say so.
    assert_eq!(status.code() == Some(0), world.stages() == ["applied"]);
    if world.stages() == ["applied"] {
        world.run(UNDO).is_done();
    }
    Ok(())
}
