//! Every fixture gives the verdict that stands beside it: `fixtures/README.md` says how they are
//! written. One test for each.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be read fails its test"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use toml::Table;

/// Cases and languages that there must be at least.
const FEWEST_CASES: usize = 120;
const FEWEST_LANGUAGES: usize = 10;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut cases = Vec::new();
    collect(&root, &mut cases);
    cases.sort();
    let mut trials: Vec<Trial> = cases
        .iter()
        .map(|case| {
            let name = case.strip_prefix(&root).unwrap().with_extension("");
            let case = case.clone();
            Trial::test(name.display().to_string(), move || play(&case))
        })
        .collect();
    let all = cases.clone();
    trials.push(Trial::test(
        "there_are_enough_cases_and_languages",
        move || enough(&all),
    ));
    let captures = root.clone();
    trials.push(Trial::test("every_capture_has_an_expectation", move || {
        no_orphans(&captures)
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn collect(directory: &Path, cases: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, cases);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            cases.push(path);
        }
    }
}

fn enough(cases: &[PathBuf]) -> Result<(), Failed> {
    let mut languages: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(table(case).get("language")?.as_str()?.to_owned()))
        .collect();
    languages.sort();
    languages.dedup();
    if cases.len() < FEWEST_CASES || languages.len() < FEWEST_LANGUAGES {
        return Err(format!("{} cases, in {languages:?}", cases.len()).into());
    }
    Ok(())
}

fn no_orphans(directory: &Path) -> Result<(), Failed> {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_orphans(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "txt")
            && !path.with_extension("toml").exists()
        {
            return Err(format!("{} has no .toml", path.display()).into());
        }
    }
    Ok(())
}

fn table(case: &Path) -> Table {
    fs::read_to_string(case).unwrap().parse().unwrap()
}

fn words<'a>(table: &'a Table, key: &str) -> Vec<&'a str> {
    let list = table.get(key).and_then(|value| value.as_array());
    list.into_iter()
        .flatten()
        .filter_map(|v| v.as_str())
        .collect()
}

fn explain(case: &Path, arguments: &[&str], json: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dryport"));
    command.arg("explain").args(arguments);
    if json {
        command.arg("--json");
    }
    command
        .arg(case.with_extension("txt"))
        .env("COLUMNS", "100")
        .output()
        .unwrap()
}

/// What is expected and what came, where they differ.
#[derive(Default)]
struct Differences(String);

impl Differences {
    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            let _ = writeln!(self.0, "{what}: expected {expected:?}, found {found:?}");
        }
    }

    fn holds(&mut self, what: &str, held: bool) {
        if !held {
            let _ = writeln!(self.0, "{what}");
        }
    }
}

fn play(case: &Path) -> Result<(), Failed> {
    let table = table(case);
    let expect = table.get("expect").and_then(|v| v.as_table()).unwrap();
    let arguments = words(&table, "arguments");
    let output = explain(case, &arguments, true);
    let mut wrong = Differences::default();
    wrong.holds("has no `from`", table.contains_key("from"));
    let level = expect.get("level").and_then(|v| v.as_str()).unwrap();
    let exit = match level {
        "ok" => 0,
        "warning" => 1,
        "critical" => 2,
        _ => 3,
    };
    wrong.same("exit code", &Some(exit), &output.status.code());
    let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}no document: {said}", wrong.0).into());
    };
    wrong.same("level", &Some(level), &document["level"].as_str());
    compare(expect, &document, &mut wrong);
    if let Some(language) = table.get("language").and_then(|v| v.as_str()) {
        let told = document["inputs"][0]["language"].as_str();
        // A language that is not told is a gap; a wrong one is a mistake.
        wrong.holds(
            &format!("language: expected {language}, found {told:?}"),
            told.is_none_or(|told| told == language),
        );
    }
    says(case, &arguments, expect, &mut wrong);
    if wrong.0.is_empty() {
        return Ok(());
    }
    Err(wrong.0.into())
}

fn compare(expect: &Table, document: &Value, wrong: &mut Differences) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(platform) = expect.get("platform").and_then(|v| v.as_str()) {
        let found = text(&document["platform"]["name"]);
        wrong.same("platform", &Some(platform.to_owned()), &found);
    }
    let list = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(text)
            .collect()
    };
    let mut formats = list(&document["inputs"][0]["formats"]);
    let mut expected: Vec<String> = words(expect, "formats")
        .iter()
        .map(|w| (*w).into())
        .collect();
    formats.sort();
    expected.sort();
    wrong.same("formats", &expected, &formats);
    if let Some(rows) = expect.get("rows").and_then(toml::Value::as_integer) {
        wrong.same("rows", &Some(rows), &document["inputs"][0]["rows"].as_i64());
    }
    if let Some(range) = expect.get("range").and_then(|v| v.as_str()) {
        let found = document["ranges"].as_array().unwrap().iter();
        let mut found = found.filter(|range| range["protocol"] == "tcp");
        let found = found
            .find(|range| range["family"].is_null() || range["family"] == "ipv4")
            .map(|range| format!("{}-{}", range["low"], range["high"]));
        wrong.same("range", &Some(range.to_owned()), &found);
    }
    let causes: Vec<String> = document["causes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|cause| text(&cause["id"]))
        .collect();
    for cause in words(expect, "causes") {
        let told = causes.iter().any(|found| found == cause);
        wrong.holds(&format!("cause {cause} is not among {causes:?}"), told);
    }
    for cause in words(expect, "absent") {
        let told = causes.iter().any(|found| found == cause);
        wrong.holds(&format!("cause {cause} is told"), !told);
    }
    let noted = !document["inputs"][0]["notes"]
        .as_array()
        .unwrap()
        .is_empty();
    let expected = expect
        .get("notes")
        .and_then(toml::Value::as_bool)
        .unwrap_or(false);
    wrong.same("notes", &expected, &noted);
    if expected != noted && noted {
        let _ = writeln!(wrong.0, "  {}", document["inputs"][0]["notes"]);
    }
}

fn says(case: &Path, arguments: &[&str], expect: &Table, wrong: &mut Differences) {
    let output = explain(case, arguments, false);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let unwrapped: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in words(expect, "says") {
        let said = text.contains(wanted) || unwrapped.contains(wanted);
        wrong.holds(&format!("the text does not say {wanted:?}"), said);
    }
    let control = |character: char| character.is_control() && character != '\n';
    wrong.holds("the text holds control characters", !text.contains(control));
}
