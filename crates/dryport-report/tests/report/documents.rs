//! JSON documents against their schemas.

use std::path::PathBuf;

use dryport_model::{Coverage, Fact, Level, Owner, Request};
use dryport_report::json::{self, SeeWriter};
use dryport_report::{
    By, Check, Groups, HeadroomAnswer, OpenFilesLimit, ProcessFindings, ProcessRequest, SeenSocket,
};
use serde_json::Value;

use crate::scenes::{self, Scene, ip, remote};

fn schema(file: &str) -> Value {
    let mut schemas = json::schemas().into_iter();
    schemas.find(|(name, _)| *name == file).unwrap().1
}

/// Reads a document back and holds it against its schema.
pub(crate) fn holds_to(file: &str, text: &[u8]) -> Value {
    let document: Value = serde_json::from_slice(text).unwrap();
    let validator = jsonschema::validator_for(&schema(file)).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    document
}

fn headroom(scene: &Scene, request: Request) -> Vec<u8> {
    let count = scene.count(request);
    let classes = count.classes();
    let holders = scene
        .owners
        .as_ref()
        .map(|owners| owners.holders(count.holders(&classes).into_iter()))
        .unwrap_or_default();
    let answer = HeadroomAnswer {
        request: &request,
        namespace: scene.namespace.clone(),
        classes: &classes,
        level: Level::Ok,
        level_is_uncertain: false,
        time_wait_left_ms: count.time_wait_left_ms(&classes),
        device_name: Some("eth0".into()),
        holders: &holders,
        owners: scene.owners.as_ref(),
        coverage: &scene.coverage,
        notes: vec!["A note.".into()],
    };
    let mut out = Vec::new();
    json::write_headroom(&mut out, &answer).unwrap();
    out
}

fn check(check: &Check<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    json::write_check(&mut out, check).unwrap();
    out
}

#[test]
fn headroom_holds_to_its_schema() {
    let request = Request {
        device: 2,
        ..Request::tcp_connect(ip("10.0.0.1"), remote("10.0.0.2:443"))
    };
    let out = headroom(&scenes::tuple_dry(), request);
    let document = holds_to("dryport.headroom-1.json", &out);
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
    assert_eq!(document["headroom"]["at_least"], 0);
    for scene in [scenes::idle(), scenes::uncertain(), scenes::odd()] {
        for request in [
            Request::any_new_destination(),
            Request::tcp_bind(ip("::1")),
            Request::udp_any(dryport_model::Family::V6),
        ] {
            holds_to("dryport.headroom-1.json", &headroom(&scene, request));
        }
    }
}

#[test]
fn check_holds_to_its_schema() {
    let scenes = [
        scenes::idle(),
        scenes::tuple_dry(),
        scenes::locked(),
        scenes::uncertain(),
        scenes::odd(),
        scenes::narrow(),
        scenes::hostile(),
        scenes::groups(),
        scenes::hostile_groups(),
        scenes::nothing(),
    ];
    let document = holds_to("dryport.check-1.json", &check(&scenes::check(&scenes)));
    assert_eq!(document["level"], "critical");
    assert_eq!(document["causes"][0]["level"], "critical");
    let blind = Check {
        namespaces: Vec::new(),
        level: Level::Unknown,
        assumptions: vec!["An assumption.".into()],
        process: None,
        coverage: Vec::new(),
    };
    holds_to("dryport.check-1.json", &check(&blind));
    let narrow = [scenes::narrow()];
    let out = check(&scenes::check(&narrow));
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn a_document_tells_how_to_get_to_each_namespace() {
    let scenes = [
        scenes::idle(),
        scenes::tuple_dry()
            .named(4_026_532_290, None)
            .elsewhere("pid:4711", Some("container 3f2a91b0c1de (docker)")),
        scenes::idle()
            .named(4_026_532_291, Some("web"))
            .elsewhere("web", None),
    ];
    let mut several = scenes::check(&scenes);
    several.coverage = vec![Coverage::partial(
        Fact::Namespaces,
        "setns",
        "1 more".into(),
    )];
    let document = holds_to("dryport.check-1.json", &check(&several));
    let netns = |index: usize| document["namespaces"][index]["netns"].as_str();
    assert_eq!(
        [netns(0), netns(1), netns(2)],
        [None, Some("pid:4711"), Some("web")]
    );
    let container = &document["namespaces"][1];
    assert_eq!(container["name"], Value::Null);
    assert_eq!(container["described"], "container 3f2a91b0c1de (docker)");
    assert_eq!(container["processes"], 1);
    let command = &document["causes"][0]["remedies"][0]["command"];
    assert_eq!(command, "dryport see --by process --netns pid:4711");
    let last = document["coverage"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["fact"], &last["seen"]),
        (&"namespaces".into(), &"partial".into())
    );
    assert_eq!(last["namespace"]["name"], "host");
}

#[test]
fn groups_of_owners_are_whole_in_the_document() {
    let groups = [scenes::groups()];
    let document = holds_to("dryport.check-1.json", &check(&scenes::check(&groups)));
    let told = &document["causes"][0]["owner_groups"];
    insta::assert_snapshot!(serde_json::to_string_pretty(told).unwrap());
    // Each port once: 200 workers and two shells hold no more than their container.
    let ports: u64 = told
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["ports"].as_u64().unwrap())
        .sum();
    assert_eq!(ports, 28_232);
    assert_eq!(
        document["causes"][0]["owners"].as_array().unwrap().len(),
        207
    );
}

#[test]
fn a_process_holds_to_the_schema() {
    let scene = scenes::idle();
    let process = Owner {
        pid: 812,
        name: "api".into(),
        ..Owner::default()
    };
    let findings = |hooks| ProcessFindings {
        process: &process,
        namespace: scene.namespace.clone(),
        limits: &scene.limits,
        coverage: &scene.coverage,
        open_files: None,
        open_files_limit: Some(OpenFilesLimit {
            soft: 1024,
            hard: 4096,
        }),
        requests: vec![ProcessRequest {
            sockets: 150,
            verdict: &scene.verdict.requests[0],
        }],
        connect_hooks: hooks,
        findings: vec!["A finding.".into()],
    };
    for hooks in [Ok(vec!["cgroup/connect4".into()]), Err("why".into())] {
        let with = Check {
            process: Some(findings(hooks)),
            ..scenes::check(std::slice::from_ref(&scene))
        };
        let document = holds_to("dryport.check-1.json", &check(&with));
        assert_eq!(document["process"]["open_files"], Value::Null);
        assert_eq!(document["process"]["requests"][0]["sockets"], 150);
    }
}

#[test]
fn see_holds_to_its_schema() {
    let dry = scenes::tuple_dry();
    let listener = scenes::locked();
    for (scene, grouped) in [(&dry, true), (&listener, false), (&scenes::nothing(), true)] {
        let mut writer = SeeWriter::new(Vec::new()).unwrap();
        let mut groups = Groups::new(By::Process);
        for socket in &scene.sockets {
            let seen = SeenSocket {
                socket: *socket,
                namespace: &scene.namespace,
                owners: scene.owners.as_ref(),
                device_name: None,
                remote_name: Some("db.example"),
            };
            writer.socket(&seen).unwrap();
            groups.observe(&seen);
        }
        let groups = groups.finish();
        let by = grouped.then_some((By::Process, groups.as_slice()));
        let out = writer.finish(&scene.coverage, by).unwrap();
        let document = holds_to("dryport.see-1.json", &out);
        assert_eq!(document["count"], scene.sockets.len());
    }
}

#[test]
fn a_see_document_with_few_sockets_reads_well() {
    let dry = scenes::tuple_dry();
    let mut writer = SeeWriter::new(Vec::new()).unwrap();
    for index in [0, 27_000] {
        let seen = SeenSocket {
            socket: dry.sockets[index],
            namespace: &dry.namespace,
            owners: dry.owners.as_ref(),
            device_name: None,
            remote_name: None,
        };
        writer.socket(&seen).unwrap();
    }
    let out = writer.finish(&[], None).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn every_field_is_required() {
    for (name, schema) in json::schemas() {
        every_object_requires_its_fields(name, &schema);
    }
}

fn every_object_requires_its_fields(name: &str, schema: &Value) {
    if let Some(properties) = schema["properties"].as_object() {
        let required = schema["required"].as_array().map_or(0, Vec::len);
        assert_eq!(required, properties.len(), "{name}: {schema:#}");
        assert_eq!(schema.get("additionalProperties"), None);
    }
    match schema {
        Value::Object(fields) => fields
            .values()
            .for_each(|value| every_object_requires_its_fields(name, value)),
        Value::Array(values) => values
            .iter()
            .for_each(|value| every_object_requires_its_fields(name, value)),
        _ => {}
    }
}

fn schema_directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema"))
}

#[test]
fn the_kept_schemas_are_those_of_the_types() {
    for (name, schema) in json::schemas() {
        let kept = std::fs::read_to_string(schema_directory().join(name)).unwrap_or_default();
        let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
        assert!(kept == schema, "docs/schema/{name} is out of date");
    }
}

#[test]
fn doctor_holds_to_its_schema_and_fits_the_screen() {
    let finding = |seen, why: Option<&str>, change: Option<&str>| dryport_report::Finding {
        id: "owners",
        what: "who holds a socket",
        seen,
        how: "/proc/PID/fd".into(),
        why: why.map(Into::into),
        change: change.map(Into::into),
    };
    let why = "73 processes may not be looked into, which is a long sentence that has to be folded";
    let diagnosis = dryport_report::Diagnosis {
        kernel: "6.18.44".into(),
        findings: vec![
            finding(dryport_model::Seen::Full, None, None),
            finding(
                dryport_model::Seen::Partial,
                Some(why),
                Some("run it as root"),
            ),
            finding(dryport_model::Seen::None, Some("gone"), None),
        ],
    };
    let mut out = Vec::new();
    json::write_doctor(&mut out, &diagnosis).unwrap();
    holds_to("dryport.doctor-1.json", &out);
    let text = dryport_report::text::doctor(&diagnosis, dryport_report::text::Screen::default());
    assert!(text.starts_with("Linux 6.18.44: 2 things cannot"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(text.contains("→ run it as root"), "{text}");
}
