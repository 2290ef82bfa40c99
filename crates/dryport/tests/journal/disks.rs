//! Disks that are full or read-only, below the journal and below the root.

use std::fs;
use std::path::Path;
use std::thread;

use dryport_lab::Privilege;
use dryport_model::plan::Setting;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::statvfs;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_remount};

use crate::tree::Tree;
use crate::world::{CONFIRM, FIX, OUR_FILE, UNDO, World};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[
    (
        "a full disk, one page more at a time: nothing is changed, or everything taken back",
        full_at_every_level,
    ),
    (
        "a disk without inodes, one more at a time: nothing is changed, or everything taken back",
        without_inodes,
    ),
    (
        "undo on a full disk restores the settings, and the rest once there is room",
        undo_on_a_full_disk,
    ),
    (
        "confirming on a full disk leaves the change unconfirmed and no file",
        confirm_on_a_full_disk,
    ),
    (
        "a read-only root: everything is taken back, and nothing stands in the way afterwards",
        read_only_root,
    ),
    (
        "a read-only root with a file of ours: everything is taken back",
        read_only_root_with_our_file,
    ),
    (
        "a read-only journal: nothing is changed, and the reason told",
        read_only_journal,
    ),
    (
        "undo with a read-only root restores the settings, and the rest once it may be written",
        undo_with_a_read_only_root,
    ),
];

/// Small, and many times what the program writes.
const PAGES: u64 = 64;
/// Where the program finds enough; more means that it was never refused.
const MOST_LEVELS: u64 = 40;
const BALLAST: &str = "ballast";

/// What lies on the small disk.
#[derive(Clone, Copy, Debug)]
enum Small {
    State,
    Root,
    Both,
}

/// Runs `work` in a thread with a mount namespace of its own, which the programs that it starts
/// are in as well.
fn with_mounts(work: impl FnOnce() + Send) -> Result<(), Skipped> {
    let entered = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).map_err(|error| Skipped {
                needed: "mount",
                why: format!("no mount namespace: {error}"),
            })?;
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            work();
            Ok(())
        });
        thread.join()
    });
    entered.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Puts a part of the world on a small disk, with what is there.
fn put_on_disk(world: &World, small: Small, options: &str) {
    let at = |path: &Path| {
        let tree = Tree::of(path);
        fs::create_dir_all(path).unwrap();
        let options = std::ffi::CString::new(options).unwrap();
        mount(
            "tmpfs",
            path,
            "tmpfs",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .unwrap();
        assert!(tree.names().count() <= 1, "this would be hidden: {tree:?}");
    };
    match small {
        Small::State => at(&world.state()),
        Small::Root => at(&world.root()),
        Small::Both => {
            fs::remove_dir(world.root()).unwrap();
            at(world.scratch());
            fs::create_dir(world.root()).unwrap();
        }
    }
}

fn disk(world: &World, small: Small) -> std::path::PathBuf {
    match small {
        Small::State => world.state(),
        Small::Root => world.root(),
        Small::Both => world.scratch().to_owned(),
    }
}

/// Leaves so many pages free.
fn fill(disk: &Path, pages: u64) {
    let ballast = disk.join(BALLAST);
    let _ = fs::remove_file(&ballast);
    let room = statvfs(disk).unwrap();
    let bytes = (room.f_bfree - pages) * room.f_bsize;
    fs::write(&ballast, vec![1; usize::try_from(bytes).unwrap()]).unwrap();
    assert_eq!(statvfs(disk).unwrap().f_bfree, pages);
}

/// Leaves so many files to be made.
fn fill_inodes(disk: &Path, inodes: u64) {
    let ballast = disk.join(BALLAST);
    fs::create_dir(&ballast).unwrap();
    for number in 0.. {
        if statvfs(disk).unwrap().f_ffree <= inodes {
            break;
        }
        fs::write(ballast.join(format!("{number}")), "").unwrap();
    }
    assert_eq!(statvfs(disk).unwrap().f_ffree, inodes);
}

fn make_room(disk: &Path) {
    let ballast = disk.join(BALLAST);
    let _ = fs::remove_file(&ballast);
    let _ = fs::remove_dir_all(ballast);
}

/// What `undo` has to restore, without the ballast: settings, our file, whether there is `etc`.
type Restored = (Vec<(Setting, Vec<u8>)>, Vec<u8>, bool);

fn seen(world: &World) -> Restored {
    let seen = world.seen();
    let ours = seen.files.file(OUR_FILE).unwrap_or_default().to_vec();
    let is_there = world.root().join("etc").exists();
    (seen.settings, ours, is_there)
}

/// One run of `fix` where something is short: all or nothing. `true`: all.
fn fix_holds(world: &World, disk: &Path, told: &mut Vec<String>) -> bool {
    let before = seen(world);
    let answer = world.run(FIX);
    let fixed = answer.exit == 0;
    if !fixed {
        answer.is_refused(&["no room left"]);
        assert_eq!(seen(world), before, "{answer:?}");
        told.push(answer.err.lines().rev().nth(1).unwrap().to_owned());
    }
    make_room(disk);
    world.is_tidy();
    let undone = world.run(UNDO);
    if fixed {
        undone.is_done();
    } else {
        // The journal could not always be closed; then this does it.
        assert!(
            undone.exit == 0 || undone.err.contains("still in force"),
            "{undone:?}"
        );
    }
    assert_eq!(seen(world), before, "{undone:?}");
    world.is_tidy();
    world.run(UNDO).is_refused(&["still in force"]);
    fixed
}

/// The failures came before the first change and after the last one.
fn at_both_ends(small: Small, told: &[String]) {
    let has = |words: &str| told.iter().any(|text| text.contains(words));
    let early = has("so nothing was changed");
    let late = has("everything was taken back");
    let (early_expected, late_expected) = match small {
        Small::State => (true, true),
        Small::Root => (false, true),
        Small::Both => (true, true),
    };
    assert_eq!((early, late), (early_expected, late_expected), "{told:#?}");
}

fn full_at_every_level(_: Privilege) -> Result<(), Skipped> {
    for small in [Small::State, Small::Root, Small::Both] {
        with_mounts(|| {
            let mut told = Vec::new();
            let fixed = (0..MOST_LEVELS).find(|pages| {
                let world = World::new();
                put_on_disk(&world, small, &format!("size={}k", PAGES * 4));
                let disk = disk(&world, small);
                fill(&disk, *pages);
                fix_holds(&world, &disk, &mut told)
            });
            println!("{small:?}: fixed with {fixed:?} pages free");
            assert!(fixed.is_some_and(|pages| pages > 0), "{told:#?}");
            at_both_ends(small, &told);
        })?;
    }
    Ok(())
}

fn without_inodes(_: Privilege) -> Result<(), Skipped> {
    for small in [Small::State, Small::Root, Small::Both] {
        with_mounts(|| {
            let mut told = Vec::new();
            let fixed = (0..MOST_LEVELS).find(|inodes| {
                let world = World::new();
                put_on_disk(&world, small, "nr_inodes=64");
                let disk = disk(&world, small);
                fill_inodes(&disk, *inodes);
                fix_holds(&world, &disk, &mut told)
            });
            println!("{small:?}: fixed with {fixed:?} inodes");
            assert!(fixed.is_some_and(|inodes| inodes > 0), "{told:#?}");
        })?;
    }
    Ok(())
}

/// What stood in our file, in a world on a disk of its own, with the change in force.
fn fixed_on_disk(small: Small, ours: Option<&str>) -> (World, Restored) {
    let world = World::new();
    put_on_disk(&world, small, &format!("size={}k", PAGES * 4));
    if let Some(text) = ours {
        world.write(OUR_FILE, text);
    }
    let before = seen(&world);
    world.run(FIX).is_done();
    (world, before)
}

fn undo_on_a_full_disk(_: Privilege) -> Result<(), Skipped> {
    for ours in [None, Some("# by hand\n")] {
        with_mounts(|| {
            let (world, before) = fixed_on_disk(Small::Both, ours);
            let settings = world.seen().settings;
            let changed = world.seen().files;
            fill(world.scratch(), 0);
            let answer = world.run(UNDO);
            assert_ne!(world.seen().settings, settings, "{answer:?}");
            if ours.is_some() {
                // There is no room for what stood there, so the file stays as it is: whole.
                answer.is_refused(&["no room left", "99-zz-dryport.conf"]);
                assert_eq!(world.seen().files, changed);
            } else {
                answer.is_done();
                assert!(seen(&world).1.is_empty());
            }
            make_room(world.scratch());
            let again = world.run(UNDO);
            assert!(
                again.exit == 0 || again.err.contains("still in force"),
                "{again:?}"
            );
            assert_eq!(seen(&world), before, "{again:?}");
            world.is_tidy();
            world.run(UNDO).is_refused(&["still in force"]);
        })?;
    }
    Ok(())
}

fn confirm_on_a_full_disk(_: Privilege) -> Result<(), Skipped> {
    with_mounts(|| {
        let world = World::new();
        put_on_disk(&world, Small::Root, &format!("size={}k", PAGES * 4));
        let before = world.seen();
        world
            .run(&[FIX, &["--confirm-within", "600s"]].concat())
            .is_done();
        world.kill_guards();
        let changed = world.seen();
        fill(&world.root(), 0);
        world.run(CONFIRM).is_refused(&["no room left"]);
        make_room(&world.root());
        assert_eq!(world.seen().settings, changed.settings);
        assert!(world.seen().files.file(OUR_FILE).is_none());
        assert_eq!(world.stages(), ["unconfirmed"]);
        world.run(CONFIRM).is_done();
        assert!(world.seen().files.file(OUR_FILE).is_some());
        world.run(UNDO).is_done();
        assert_eq!(world.seen(), before);
    })
}

fn make_read_only(path: &Path) {
    mount_remount(path, MountFlags::RDONLY, c"").unwrap();
}

fn make_writable(path: &Path) {
    mount_remount(path, MountFlags::empty(), c"").unwrap();
}

fn is_taken_back_from_a_read_only_root(world: &World) {
    let before = world.seen();
    make_read_only(&world.root());
    let answer = world.run(FIX);
    answer.is_refused(&["read-only", "everything was taken back"]);
    assert_eq!(world.seen(), before, "{answer:?}");
    assert_eq!(world.stages(), ["undone"], "{answer:?}");
    world.run(UNDO).is_refused(&["still in force"]);
    // The next one is not kept from its work by what the first left.
    let live_only = world.run(&[FIX, &["--live-only"]].concat());
    live_only.is_done();
    world.run(UNDO).is_done();
    assert_eq!(world.seen(), before);
}

fn read_only_root(_: Privilege) -> Result<(), Skipped> {
    // Without the directories, and with them.
    for directory in ["", "etc/sysctl.d"] {
        with_mounts(|| {
            let world = World::new();
            put_on_disk(&world, Small::Root, "");
            fs::create_dir_all(world.root().join(directory)).unwrap();
            is_taken_back_from_a_read_only_root(&world);
        })?;
    }
    Ok(())
}

fn read_only_root_with_our_file(_: Privilege) -> Result<(), Skipped> {
    with_mounts(|| {
        let world = World::new();
        put_on_disk(&world, Small::Root, "");
        world.write(OUR_FILE, "# by hand\n");
        is_taken_back_from_a_read_only_root(&world);
    })
}

fn read_only_journal(_: Privilege) -> Result<(), Skipped> {
    with_mounts(|| {
        let world = World::new();
        put_on_disk(&world, Small::State, "");
        let before = world.seen();
        make_read_only(&world.state());
        let refused = world.run(FIX);
        assert_eq!(refused.exit, 3, "{refused:?}");
        assert!(
            refused.out.contains("the journal may not be written"),
            "{refused:?}"
        );
        assert_eq!(world.seen(), before);
        make_writable(&world.state());
        world.run(FIX).is_done();
        let (changed, journal) = (world.seen(), Tree::of(&world.state()));
        make_read_only(&world.state());
        world.run(UNDO).is_refused(&["read-only"]);
        world.run(FIX).is_unchanged(&world, &changed);
        assert_eq!(Tree::of(&world.state()), journal);
        make_writable(&world.state());
        world.run(UNDO).is_done();
        assert_eq!(world.seen(), before);
    })
}

fn undo_with_a_read_only_root(_: Privilege) -> Result<(), Skipped> {
    for ours in [None, Some("# by hand\n")] {
        with_mounts(|| {
            let (world, before) = fixed_on_disk(Small::Root, ours);
            let changed = world.seen();
            make_read_only(&world.root());
            let answer = world.run(UNDO);
            answer.is_refused(&["read-only", "99-zz-dryport.conf"]);
            assert_ne!(world.seen().settings, changed.settings, "{answer:?}");
            assert_eq!(world.seen().files, changed.files, "{answer:?}");
            make_writable(&world.root());
            world.run(UNDO).is_done();
            assert_eq!(seen(&world), before);
            world.is_tidy();
        })?;
    }
    Ok(())
}
