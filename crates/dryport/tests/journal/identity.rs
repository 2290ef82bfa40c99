//! `undo` after `fix` is the identity: over random settings, random files, and random plans. The
//! same without the program, and many more times, is in `dryport-fix`.

use std::fs;
use std::os::unix::fs::symlink;

use dryport_lab::Privilege;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{OUR_FILE, RANGE, RESERVED, REUSE, UNDO, World};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[
    (
        "undo after fix is the identity, for any start and any plan",
        identity,
    ),
    ("the mode of our file is what it was", mode_is_kept),
];

/// Each takes a few runs of the program.
const CASES: u32 = 30;

#[derive(Clone, Debug)]
struct Case {
    range: (u16, u16),
    reserved: Vec<u16>,
    reuse: u8,
    files: Vec<(String, Vec<u8>)>,
    ours: Option<Vec<u8>>,
    link: Option<String>,
    set: Vec<String>,
}

fn range() -> impl Strategy<Value = (u16, u16)> {
    (1024..60_000u16).prop_flat_map(|low| (Just(low), low + 1..=u16::MAX))
}

fn contents() -> impl Strategy<Value = Vec<u8>> {
    let lines: [&[u8]; 8] = [
        b"net.ipv4.ip_local_port_range = 1 2\n",
        b"-net/ipv4/tcp_tw_reuse=1\n",
        b"net.ipv4.ip_local_reserved_ports =",
        b"net.ipv4.* = 5\r\n",
        b"# comment\n",
        b"; also\n\n",
        b"\xff\0\x1b[31m\n",
        b"vm.swappiness=1",
    ];
    let line = proptest::sample::select(lines.to_vec());
    vec(line, 0..6).prop_map(|lines| lines.concat())
}

fn cases() -> impl Strategy<Value = Case> {
    let name = prop_oneof![
        Just("10-a"),
        Just("99-zz-dryport0"),
        Just("99-zz"),
        Just("zzz"),
        Just("\u{e9}")
    ];
    let directory = prop_oneof![
        Just("etc"),
        Just("run"),
        Just("usr/lib"),
        Just("usr/local/lib")
    ];
    let file = (directory, name, contents())
        .prop_map(|(directory, name, text)| (format!("{directory}/sysctl.d/{name}.conf"), text));
    let set = (range(), vec(1024..u16::MAX, 0..20), 0..3u8, 1..8u8).prop_map(
        |((low, high), more, reuse, which)| {
            let list: Vec<String> = more.iter().map(ToString::to_string).collect();
            let all = [
                format!("{RANGE}={low} {high}"),
                format!("{RESERVED}={}", list.join(",")),
                format!("{REUSE}={reuse}"),
            ];
            let chosen = all.into_iter().enumerate();
            chosen
                .filter(|(index, _)| which & (1 << index) != 0)
                .map(|(_, assignment)| assignment)
                .collect()
        },
    );
    (
        range(),
        vec(1024..u16::MAX, 0..20),
        0..3u8,
        vec(file, 0..5),
        proptest::option::of(contents()),
        proptest::option::of(prop_oneof![
            Just("/dev/null".to_owned()),
            Just("nowhere".to_owned()),
            Just("../sysctl.conf".to_owned())
        ]),
        set,
    )
        .prop_map(|(range, reserved, reuse, files, ours, link, set)| Case {
            range,
            reserved,
            reuse,
            files,
            ours,
            link,
            set,
        })
}

fn begin(world: &World, case: &Case) {
    for (path, bytes) in &case.files {
        world.write(path, "");
        fs::write(world.root().join(path), bytes).unwrap();
    }
    if let Some(bytes) = &case.ours {
        world.write(OUR_FILE, "");
        fs::write(world.root().join(OUR_FILE), bytes).unwrap();
    }
    if let Some(target) = &case.link {
        world.write("etc/sysctl.d/README", "");
        symlink(target, world.root().join("etc/sysctl.d/99-sysctl.conf")).unwrap();
    }
    world.set(RANGE, &format!("{} {}", case.range.0, case.range.1));
    world.set(RESERVED, &list(&case.reserved));
    world.set(REUSE, &case.reuse.to_string());
}

fn list(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    ports.join(",")
}

fn identity(_: Privilege) -> Result<(), Skipped> {
    let changed = std::cell::Cell::new(0);
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let held = TestRunner::new(config).run(&cases(), |case| {
        let world = World::new();
        begin(&world, &case);
        let before = world.seen();
        let mut words = vec!["fix", "--yes", "--no-rehearsal", "--best-effort"];
        // What is reserved may only become more.
        let kept: Vec<String> = case
            .set
            .iter()
            .map(
                |assignment| match assignment.strip_prefix(&format!("{RESERVED}=")) {
                    Some(more) if !case.reserved.is_empty() => {
                        let both = format!("{RESERVED}={},{more}", list(&case.reserved));
                        both.trim_end_matches(',').to_owned()
                    }
                    _ => assignment.clone(),
                },
            )
            .collect();
        for assignment in &kept {
            words.extend(["--set", assignment]);
        }
        let fixed = world.run(&words);
        match fixed.exit {
            0 if !world.entries().is_empty() => {
                prop_assert_ne!(world.seen(), before.clone());
                let undone = world.run(UNDO);
                prop_assert_eq!(undone.exit, 0, "{:?}", undone);
                changed.set(changed.get() + 1);
            }
            // Nothing to do, does not help, or is refused.
            0 | 1 | 64 => {}
            _ => prop_assert!(false, "{fixed:?}"),
        }
        prop_assert_eq!(world.seen(), before, "{:?}", fixed);
        world.is_tidy();
        Ok(())
    });
    if let Err(error) = held {
        panic!("{error}");
    }
    println!("{} of {CASES} plans were applied", changed.get());
    assert!(changed.get() > CASES / 4);
    Ok(())
}

fn mode_is_kept(_: Privilege) -> Result<(), Skipped> {
    use std::os::unix::fs::PermissionsExt;
    let world = World::with_files();
    let path = world.root().join(OUR_FILE);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let before = world.seen();
    world.run(crate::world::FIX).is_done();
    world.run(UNDO).is_done();
    assert_eq!(world.seen(), before);
    Ok(())
}
