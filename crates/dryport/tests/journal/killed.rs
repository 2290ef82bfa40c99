//! SIGKILL at every step of `fix`, `fix --confirm` and `undo`: what is left is taken back whole.

use dryport_lab::Privilege;

use crate::trace::{End, killed_at, needs_known_registers};
use crate::world::{CONFIRM, FIX, FIX_REUSE, OUR_FILE, RANGE, RESERVED, REUSE, Start, UNDO, World};
use crate::{Skipped, Test};

pub const TESTS: &[(&str, Test)] = &[
    (
        "fix killed with SIGKILL at every step: undo restores every byte",
        fix_then_undo,
    ),
    (
        "fix killed with SIGKILL at every step: the next fix repairs first",
        fix_then_fix,
    ),
    (
        "undo killed with SIGKILL at every step: undo restores every byte",
        undo_then_undo,
    ),
    (
        "undo killed with SIGKILL at every step: the next fix goes on with it",
        undo_then_fix,
    ),
    (
        "fix --confirm killed with SIGKILL at every step: undo restores every byte",
        confirm_then_undo,
    ),
    (
        "fix --confirm killed with SIGKILL at every step: confirming again keeps the change",
        confirm_then_confirm,
    ),
    (
        "fix --confirm-within killed with SIGKILL at every step: the change is taken back in time",
        fix_within_then_undo,
    ),
    (
        "a list longer than a page: fix killed with SIGKILL at every step, also between its pieces",
        long_list_fixed,
    ),
    (
        "a list longer than a page: undo killed with SIGKILL at every step, also between its pieces",
        long_list_undone,
    ),
];

/// Fewer would mean that steps were not seen.
const FEWEST_STEPS: usize = 10;

/// Kills the program at its first step, its second, … until a run ends by itself, each time from
/// the same start; `afterwards` is asked each time, and told where it was killed.
fn at_every_step(
    world: &World,
    start: &Start,
    words: &[&str],
    afterwards: impl Fn(&World, &str),
) -> Result<(), Skipped> {
    needs_known_registers()?;
    for nth in 1.. {
        world.go_back_to(start);
        let end = killed_at(world, words, nth)?;
        match &end {
            End::Killed(step) => afterwards(world, &format!("killed at step {nth}, {step}")),
            End::Exit(code) => {
                assert_eq!(*code, 0, "{words:?} without a kill");
                afterwards(world, "not killed");
                assert!(nth > FEWEST_STEPS, "only {} steps were seen", nth - 1);
                let shown: String = words.join(" ").chars().take(90).collect();
                println!("{} steps: {shown}", nth - 1);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// After `undo`, everything is as it was, nothing lies about, and nothing is left to undo.
fn undo_restores(world: &World, start: &Start, killed: &str) {
    let before = world.seen();
    let answer = world.run(UNDO);
    let is_untouched =
        answer.exit == 3 && answer.err.contains("still in force") && before == start.seen;
    assert!(
        answer.exit == 0 || is_untouched,
        "{killed}: {answer:?}\n{before:?}"
    );
    assert_eq!(world.seen(), start.seen, "{killed}: {answer:?}");
    world.is_tidy();
    nothing_is_open(world, killed);
}

fn nothing_is_open(world: &World, killed: &str) {
    let stages = world.stages();
    let is_closed = |stage: &String| stage == "undone" || stage == "gone";
    assert!(stages.iter().all(is_closed), "{killed}: {stages:?}");
    world.run(UNDO).is_refused(&["still in force"]);
}

/// The next `fix`, of another setting, first finishes or takes back what was left.
fn fix_repairs(world: &World, start: &Start, killed: &str) {
    let next = world.run(FIX_REUSE);
    assert_eq!(next.exit, 0, "{killed}: {next:?}");
    assert_eq!(world.get(REUSE), "1", "{killed}: {next:?}");
    let stages = world.stages();
    let is_settled = |stage: &String| stage == "undone" || stage == "applied";
    assert!(stages.iter().all(is_settled), "{killed}: {stages:?}");
    world.is_tidy();
    // What is not in force was taken back before the plan was made.
    let applied = stages.iter().filter(|stage| *stage == "applied").count();
    for _ in 0..applied {
        world.run(UNDO).is_done();
    }
    assert_eq!(world.seen(), start.seen, "{killed}: {next:?}");
    world.is_tidy();
    nothing_is_open(world, killed);
}

fn fix_then_undo(_: Privilege) -> Result<(), Skipped> {
    for world in [World::new(), World::with_files()] {
        let start = world.start();
        at_every_step(&world, &start, FIX, |world, killed| {
            undo_restores(world, &start, killed);
        })?;
    }
    Ok(())
}

fn fix_then_fix(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let start = world.start();
    at_every_step(&world, &start, FIX, |world, killed| {
        fix_repairs(world, &start, killed);
    })
}

fn undo_then_undo(_: Privilege) -> Result<(), Skipped> {
    for world in [World::new(), World::with_files()] {
        let original = world.start();
        world.run(FIX).is_done();
        at_every_step(&world, &world.start(), UNDO, |world, killed| {
            undo_restores_after_undo(world, &original, killed);
        })?;
    }
    Ok(())
}

/// A killed `undo` may have been done already.
fn undo_restores_after_undo(world: &World, original: &Start, killed: &str) {
    let is_done = world.stages() == ["undone"];
    let answer = world.run(UNDO);
    assert_eq!(
        answer.exit,
        if is_done { 3 } else { 0 },
        "{killed}: {answer:?}"
    );
    assert_eq!(world.seen(), original.seen, "{killed}: {answer:?}");
    world.is_tidy();
    nothing_is_open(world, killed);
}

fn undo_then_fix(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let original = world.start();
    world.run(FIX).is_done();
    at_every_step(&world, &world.start(), UNDO, |world, killed| {
        fix_repairs(world, &original, killed);
    })
}

/// A change that waits for its confirmation for as long as the test may take.
fn waiting() -> (World, Start) {
    let world = World::with_files();
    let original = world.start();
    world
        .run(&[FIX, &["--confirm-within", "1800s"]].concat())
        .is_done();
    world.kill_guards();
    assert_eq!(world.seen().files, original.seen.files);
    (world, original)
}

fn confirm_then_undo(_: Privilege) -> Result<(), Skipped> {
    let (world, original) = waiting();
    at_every_step(&world, &world.start(), CONFIRM, |world, killed| {
        undo_restores(world, &original, killed);
    })
}

fn confirm_then_confirm(_: Privilege) -> Result<(), Skipped> {
    let (world, _) = waiting();
    let start = world.start();
    world.run(CONFIRM).is_done();
    let kept = world.seen();
    at_every_step(&world, &start, CONFIRM, |world, killed| {
        let is_done = world.stages() == ["applied"];
        let answer = world.run(CONFIRM);
        assert_eq!(
            answer.exit,
            if is_done { 3 } else { 0 },
            "{killed}: {answer:?}"
        );
        assert_eq!(world.seen(), kept, "{killed}: {answer:?}");
        world.is_tidy();
    })
}

/// The time is over for the next start when the guard was killed too.
fn fix_within_then_undo(_: Privilege) -> Result<(), Skipped> {
    let world = World::with_files();
    let start = world.start();
    let words = [FIX, &["--confirm-within", "1800s"]].concat();
    at_every_step(&world, &start, &words, |world, killed| {
        world.kill_guards();
        assert_eq!(world.seen().files, start.seen.files, "{killed}");
        if world.stages() == ["unconfirmed"] {
            world.edit_entry(|entry| entry["confirm_by_ms"] = 1.into());
        }
        undo_restores(world, &start, killed);
    })
}

/// Every second port: 3,000 of them take four pieces.
fn long_list(first: u16) -> String {
    let ports = (first..first + 6000).step_by(2);
    ports
        .map(|port| port.to_string())
        .collect::<Vec<_>>()
        .join(",")
}

/// A world with a long list in force, and the words that make it twice as long.
fn with_long_lists() -> (World, [String; 2]) {
    let world = World::new();
    world.set(RANGE, "20000 60999");
    world.set(RESERVED, &long_list(20_000));
    let longer = format!("{RESERVED}={},{}", long_list(20_000), long_list(26_000));
    (world, ["--set".into(), longer])
}

fn fix_words(set: &[String; 2]) -> Vec<&str> {
    let options = ["fix", "--yes", "--no-rehearsal", "--best-effort"];
    options
        .into_iter()
        .chain(set.iter().map(String::as_str))
        .collect()
}

fn long_list_fixed(_: Privilege) -> Result<(), Skipped> {
    let (world, set) = with_long_lists();
    let start = world.start();
    let torn = std::cell::Cell::new(0);
    at_every_step(&world, &start, &fix_words(&set), |world, killed| {
        let ports = world.get(RESERVED).split(',').count();
        let whole = [3000, 6000].contains(&ports);
        torn.set(torn.get() + usize::from(!whole));
        undo_restores(world, &start, killed);
    })?;
    assert!(
        torn.get() >= 3,
        "killed between pieces {} times",
        torn.get()
    );
    Ok(())
}

fn long_list_undone(_: Privilege) -> Result<(), Skipped> {
    let (world, set) = with_long_lists();
    let original = world.start();
    world.run(&fix_words(&set)).is_done();
    assert!(world.seen().files.file(OUR_FILE).is_some());
    at_every_step(&world, &world.start(), UNDO, |world, killed| {
        undo_restores_after_undo(world, &original, killed);
    })
}
