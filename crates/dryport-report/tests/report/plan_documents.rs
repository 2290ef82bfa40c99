//! Documents of `fix`, `rehearse` and `undo` against their schemas.

use dryport_model::plan::{Plan, Recipe, recipes};
use dryport_model::{Level, Platform, Request};
use dryport_report::{Outcome, Planned, RehearsalAnswer, json};
use serde_json::Value;

use crate::documents::holds_to;
use crate::plans;
use crate::scenes::host;

const PLAN: &str = "dryport.plan-1.json";
const REHEARSAL: &str = "dryport.rehearsal-1.json";
const JOURNAL: &str = "dryport.journal-1.json";

fn planned<'a>(plan: &'a Plan, recipes: &'a [Recipe], outcome: Outcome) -> Planned<'a> {
    Planned {
        platform: Platform::Linux,
        namespace: Some(host()),
        request: None,
        device_name: None,
        level: Level::Critical,
        plan,
        rehearsal: None,
        recipes,
        why: false,
        command_suffix: " --netns blue".into(),
        outcome,
    }
}

fn written(planned: &Planned<'_>) -> Value {
    let mut out = Vec::new();
    json::write_plan(&mut out, planned).unwrap();
    holds_to(PLAN, &out)
}

#[test]
fn every_outcome_holds_to_the_schema() {
    let plan = plans::widened();
    let recipes = recipes(Platform::Linux, &plan.changes);
    for (outcome, state) in [
        (Outcome::Nothing, "nothing_to_do"),
        (Outcome::Shown, "shown"),
        (plans::not_applied(), "not_applied"),
        (plans::in_a_container(), "not_applied"),
        (plans::applied(), "applied"),
        (plans::applied_for_now(), "applied"),
        (plans::unconfirmed(), "applied"),
    ] {
        let is_applied = matches!(outcome, Outcome::Applied { .. });
        let document = written(&planned(&plan, &recipes, outcome));
        assert_eq!(document["outcome"]["state"], state);
        let undo = if is_applied {
            Value::from("dryport undo --netns blue")
        } else {
            Value::Null
        };
        assert_eq!(document["undo"], undo, "{state}");
        assert_eq!(document["outcome"]["id"].is_string(), is_applied, "{state}");
        let has_why = document["outcome"]["why"].is_string();
        let command = document["outcome"]["command"].is_string();
        assert_eq!(has_why && command, state == "not_applied", "{document:#}");
    }
}

#[test]
fn what_is_not_known_is_null() {
    let plan = plans::widened();
    let document = written(&planned(&plan, &[], Outcome::Shown));
    assert_eq!(document["rehearsal"], Value::Null);
    assert_eq!(document["request"], Value::Null);
    assert_eq!(document["recipes"], Value::Array(Vec::new()));
    assert_eq!(document["outcome"]["headroom"], Value::Null);
}

#[test]
fn a_plan_of_everything_holds_to_the_schema() {
    let request = Request {
        device: 2,
        ..plans::pair()
    };
    let (plan, rehearsal) = (plans::wide(), plans::rehearsal());
    let recipes = recipes(Platform::Linux, &plan.changes);
    let document = written(&Planned {
        request: Some(&request),
        device_name: Some("eth0".into()),
        rehearsal: Some(&rehearsal),
        ..planned(&plan, &recipes, plans::applied())
    });
    assert_eq!(document["changes"].as_array().unwrap().len(), 4);
    assert_eq!(document["changes"][0]["from"], "");
    assert_eq!(document["conflicts"][2]["kind"], "other-file");
    assert_eq!(document["request"]["device"]["name"], "eth0");
    assert_eq!(document["rehearsal"]["measured_after"], 27_229);
    assert_eq!(
        document["rehearsal"]["sustained_per_second_before"],
        Value::Null
    );
    let snippets = document["advice"][0]["snippets"].as_array().unwrap();
    assert_eq!(snippets[0]["client"], "nginx");
    assert!(snippets.iter().all(|snippet| snippet["text"].is_string()));
    let ids = document["recipes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|recipe| &recipe["id"]);
    assert_eq!(
        ids.collect::<Vec<_>>(),
        [
            "shell",
            "sysctl.d",
            "netns",
            "docker",
            "compose",
            "podman",
            "kubernetes",
            "systemd"
        ]
    );
}

#[test]
fn a_plan_that_does_not_reach_says_why() {
    for plan in [plans::short(), plans::helpless()] {
        let document = written(&planned(&plan, &[], plans::not_applied()));
        assert_eq!(document["reaches"], false);
        for name in ["what", "reason", "page"] {
            assert!(document["refusals"][0][name].is_string(), "{document:#}");
        }
    }
}

#[test]
fn a_capture_has_neither_namespace_nor_request() {
    let (plan, request) = (plans::windows_2003(), plans::pair());
    let recipes = recipes(Platform::Windows2003, &plan.changes);
    let document = written(&Planned {
        platform: Platform::Windows2003,
        namespace: None,
        // It could not be told in which namespace.
        request: Some(&request),
        why: false,
        command_suffix: String::new(),
        ..planned(&plan, &recipes, Outcome::Shown)
    });
    assert_eq!(document["platform"], "windows-2003");
    assert_eq!(document["request"], Value::Null);
    assert_eq!(document["changes"][0]["from"], Value::Null);
    assert_eq!(document["changes"][0]["restart_needed"], true);
    assert_eq!(document["changes"][0]["scope"], "machine");
    let reg = document["recipes"][0]["apply"].as_str().unwrap();
    assert!(reg.starts_with("REGEDIT4\r\n"), "{reg}");
}

#[test]
fn a_plan_document_reads_well() {
    let (plan, rehearsal, request) = (plans::widened(), plans::rehearsal(), plans::pair());
    let mut out = Vec::new();
    let planned = Planned {
        request: Some(&request),
        rehearsal: Some(&rehearsal),
        ..planned(&plan, &[], plans::applied())
    };
    json::write_plan(&mut out, &planned).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

fn rehearsed(answer: &RehearsalAnswer) -> (Value, String) {
    let mut out = Vec::new();
    json::write_rehearsal(&mut out, answer).unwrap();
    (holds_to(REHEARSAL, &out), String::from_utf8(out).unwrap())
}

#[test]
fn rehearsals_hold_to_their_schema() {
    let (_, text) = rehearsed(&plans::rehearsal());
    insta::assert_snapshot!("rehearsal-document", text);
    let (document, _) = rehearsed(&plans::rehearsal_of_now());
    assert_eq!(document["changes"], Value::Array(Vec::new()));
    let (document, _) = rehearsed(&plans::surprise());
    assert_eq!(document["refused_with_after"], Value::Null);
    assert_eq!(document["changes"][1]["from"], Value::Null);
    let unforeseen = RehearsalAnswer {
        predicted: None,
        ..plans::rehearsal()
    };
    let (document, _) = rehearsed(&unforeseen);
    assert_eq!(document["predicted_before"], Value::Null);
    assert_eq!(document["predicted_after"], Value::Null);
}

#[test]
fn the_journal_holds_to_its_schema() {
    let mut out = Vec::new();
    json::write_journal(&mut out, &plans::journal()).unwrap();
    let document = holds_to(JOURNAL, &out);
    let entries = document["entries"].as_array().unwrap();
    let states: Vec<&str> = entries
        .iter()
        .filter_map(|entry| entry["state"].as_str())
        .collect();
    assert_eq!(
        states[..6],
        [
            "applied",
            "unconfirmed",
            "prepared",
            "undoing",
            "undone",
            "gone"
        ]
    );
    assert!(states[6].contains("damaged"));
    assert_eq!(entries[6]["namespace"], Value::Null);
    assert_eq!(entries[6]["time"], Value::Null);
    let mut out = Vec::new();
    json::write_journal(&mut out, &plans::undone()).unwrap();
    holds_to(JOURNAL, &out);
    insta::assert_snapshot!("journal-document", String::from_utf8(out).unwrap());
}
