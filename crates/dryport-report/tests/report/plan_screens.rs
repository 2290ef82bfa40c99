//! The screens of `fix`, `rehearse` and `undo` at 80 and 120 columns, plain and coloured.

use dryport_model::plan::{Plan, Recipe, recipes};
use dryport_model::{Level, Platform, Request};
use dryport_report::text::{self, Screen};
use dryport_report::{NamespaceName, Outcome, Planned, RehearsalAnswer};

use crate::plans;
use crate::scenes::host;

/// Snapshots `screen` at every width and colour, and holds that no line of prose is too long.
/// `whole` are the texts whose lines get copied, and are therefore never broken.
fn look(name: &str, whole: &[&str], screen: impl Fn(Screen) -> String) {
    for width in [80, 120] {
        for color in [false, true] {
            let text = screen(Screen { width, color });
            let tint = if color { "color" } else { "plain" };
            insta::assert_snapshot!(format!("{name}-{width}-{tint}"), text);
            if !color {
                fits(&text, width, whole);
            }
        }
    }
    // Narrower than anybody has it: nothing is lost, and it does not end in a panic.
    screen(Screen {
        width: 1,
        color: true,
    });
}

fn fits(text: &str, width: usize, whole: &[&str]) {
    for line in text.lines() {
        let columns = unicode_width::UnicodeWidthStr::width(line);
        let is_copied = whole
            .iter()
            .flat_map(|text| text.lines())
            .any(|copied| copied.trim() == line.trim());
        // A word alone on its line has nowhere to be broken.
        let is_word = !line.trim_start_matches([' ', '-']).contains(' ');
        assert!(
            columns <= width || is_copied || is_word,
            "{columns} columns: {line}"
        );
    }
}

/// What a screen is made from, apart from the plan.
struct About<'a> {
    platform: Platform,
    namespace: Option<NamespaceName>,
    request: Option<Request>,
    level: Level,
    rehearsal: Option<&'a RehearsalAnswer>,
}

impl About<'_> {
    fn here() -> Self {
        Self {
            platform: Platform::Linux,
            namespace: Some(host()),
            request: Some(plans::pair()),
            level: Level::Critical,
            rehearsal: None,
        }
    }

    fn planned<'a>(
        &'a self,
        plan: &'a Plan,
        recipes: &'a [Recipe],
        outcome: Outcome,
    ) -> Planned<'a> {
        Planned {
            platform: self.platform,
            namespace: self.namespace.clone(),
            request: self.request.as_ref(),
            device_name: None,
            level: self.level,
            plan,
            rehearsal: self.rehearsal,
            recipes,
            why: false,
            command_suffix: String::new(),
            outcome,
        }
    }
}

fn fix(name: &str, plan: &Plan, about: &About<'_>, outcome: &Outcome) {
    let recipes = recipes(about.platform, &plan.changes);
    let planned = about.planned(plan, &recipes, outcome.clone());
    let snippets = plan.advice.iter().flat_map(|advice| &advice.snippets);
    let mut whole: Vec<&str> = snippets.map(|snippet| snippet.text).collect();
    for recipe in &recipes {
        whole.push(&recipe.apply);
        whole.extend(recipe.undo.as_deref());
    }
    if let Outcome::NotApplied { command, .. } = outcome {
        whole.extend(command.as_deref());
    }
    look(&format!("fix-{name}"), &whole, |screen| {
        text::plan(&planned, screen) + &text::outcome(&planned, screen)
    });
    let line = text::plan_line(&planned, Screen::default());
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn a_plan_that_suffices_with_a_long_list() {
    let rehearsal = RehearsalAnswer {
        after: plans::measured(32_395, Some(188_401.0)),
        predicted: Some((plans::exactly(0), plans::exactly(32_395))),
        ..plans::rehearsal()
    };
    let about = About {
        rehearsal: Some(&rehearsal),
        ..About::here()
    };
    fix("long-list", &plans::wide(), &about, &Outcome::Shown);
}

#[test]
fn a_plan_that_does_not_reach_its_target() {
    let outcome = Outcome::NotApplied {
        why: "Nothing was changed: that is not enough.".into(),
        command: Some("dryport fix --target-rate 1000000/s --best-effort".into()),
    };
    fix("short", &plans::short(), &About::here(), &outcome);
    fix(
        "helpless",
        &plans::helpless(),
        &About::here(),
        &Outcome::Nothing,
    );
}

#[test]
fn a_plan_that_is_applied() {
    let rehearsal = plans::rehearsal();
    let about = About {
        rehearsal: Some(&rehearsal),
        ..About::here()
    };
    fix("applied", &plans::widened(), &about, &plans::applied());
    fix(
        "applied-for-now",
        &plans::widened(),
        &about,
        &plans::applied_for_now(),
    );
    fix(
        "confirm-within",
        &plans::widened(),
        &about,
        &plans::unconfirmed(),
    );
}

#[test]
fn a_rehearsal_after_the_wait_is_told_as_such() {
    // All are in TIME_WAIT, and are taken over a second later.
    let rehearsal = RehearsalAnswer {
        before: plans::measured(1_000, Some(999.0)),
        after: plans::measured(28_229, Some(28_100.0)),
        predicted: Some((plans::exactly(1_000), plans::exactly(28_229))),
        ..plans::rehearsal()
    };
    let about = About {
        rehearsal: Some(&rehearsal),
        ..About::here()
    };
    fix(
        "young-time-waits",
        &plans::widened(),
        &about,
        &Outcome::Shown,
    );
}

#[test]
fn a_plan_that_is_not_applied() {
    fix(
        "no-privilege",
        &plans::widened(),
        &About::here(),
        &plans::not_applied(),
    );
    fix(
        "container",
        &plans::widened(),
        &About::here(),
        &plans::in_a_container(),
    );
}

#[test]
fn nothing_to_do() {
    let about = About {
        request: Some(Request::any_new_destination()),
        level: Level::Ok,
        ..About::here()
    };
    fix("nothing", &plans::none(), &about, &Outcome::Nothing);
    // Short of ports at this moment, but not for longer than a second.
    fix(
        "nothing-yet",
        &plans::none(),
        &About::here(),
        &Outcome::Nothing,
    );
}

#[test]
fn a_capture_of_windows_2003() {
    let about = About {
        platform: Platform::Windows2003,
        namespace: None,
        request: None,
        ..About::here()
    };
    fix(
        "windows-2003",
        &plans::windows_2003(),
        &about,
        &Outcome::Shown,
    );
}

fn rehearse(name: &str, answer: &RehearsalAnswer, sentence: &str) {
    look(&format!("rehearse-{name}"), &[], |s| {
        text::rehearsal(answer, s)
    });
    assert_eq!(
        text::rehearsal_line(answer, Screen::default()),
        format!("{sentence}\n")
    );
}

#[test]
fn a_rehearsal_tells_what_a_change_gives() {
    rehearse(
        "change",
        &plans::rehearsal(),
        "This kernel granted 0 before and 27,229 after the change.",
    );
    rehearse(
        "in-vain",
        &plans::rehearsal_of("net.ipv4.tcp_fin_timeout", "5", None),
        "This kernel granted 1,000 before and 1,000 after the change. The change gives nothing.",
    );
}

#[test]
fn a_change_that_gives_a_rate_and_no_port_is_not_in_vain() {
    let sentence = |before, after| {
        let mut answer = plans::rehearsal_of("net.ipv4.tcp_tw_reuse", "1", after);
        answer.before.sustained_per_second = before;
        text::rehearsal_line(&answer, Screen::default())
    };
    let given = "It then sustains 998 connections per second.\n";
    assert!(sentence(None, Some(998.0)).ends_with(given));
    assert!(sentence(Some(16.0), Some(998.0)).ends_with(given));
    assert!(sentence(Some(2_000.0), Some(998.0)).ends_with("connections per second only.\n"));
    assert!(sentence(Some(990.0), Some(998.0)).ends_with("The change gives nothing.\n"));
    assert!(sentence(None, None).ends_with("The change gives nothing.\n"));
}

#[test]
fn a_rehearsal_without_a_change_tells_each_number_once() {
    let answer = plans::rehearsal_of_now();
    rehearse("now", &answer, "This kernel granted 1,000.");
    assert_eq!(
        text::rehearsal(&answer, Screen::default())
            .matches("EADDRNOTAVAIL")
            .count(),
        1
    );
}

#[test]
fn a_rehearsal_that_differs_says_so() {
    rehearse(
        "surprise",
        &plans::surprise(),
        "This kernel granted 0 before and 12,345 after the change. That is not what was predicted.",
    );
}

#[test]
fn the_journal_of_every_stage() {
    let path = "/var/lib/dryport/journal/20261101-000000000-1.json";
    look("undo-list", &[path], |screen| {
        text::journal(&plans::journal(), screen)
    });
    let none = dryport_report::JournalAnswer {
        done: None,
        entries: Vec::new(),
    };
    look("undo-list-empty", &[], |screen| {
        text::journal(&none, screen)
    });
}

#[test]
fn what_was_taken_back() {
    look("undo-done", &[], |screen| {
        text::journal(&plans::undone(), screen)
    });
}
