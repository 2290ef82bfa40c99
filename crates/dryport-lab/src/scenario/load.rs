//! Scenario files: TOML tables `[[scenario]]` whose steps are lines of words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dryport_model::PortRange;
use serde::Deserialize;
use toml::Spanned;

use super::{Expect, Parity, Scenario, Topology};
use crate::words::{BadWord, pair_of_ports};
use crate::{Ask, LabError, ScenarioError, Step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    scenario: Vec<Spanned<Table>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: String,
    title: String,
    topology: Option<Spanned<String>>,
    range: Option<Spanned<String>>,
    #[serde(default)]
    sysctl: BTreeMap<String, String>,
    #[serde(default)]
    server_sysctl: BTreeMap<String, String>,
    #[serde(default)]
    setup: Vec<Spanned<String>>,
    request: Option<Spanned<String>>,
    #[serde(default)]
    retries: u32,
    limit: Option<u32>,
    predict: Option<bool>,
    #[serde(default)]
    slow: bool,
    note: Option<String>,
    #[serde(default)]
    expect: ExpectTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectTable {
    granted: Option<u32>,
    #[serde(default)]
    granted_one_of: Vec<u32>,
    first_failure: Option<u32>,
    #[serde(default)]
    first_failure_one_of: Vec<u32>,
    error: Option<String>,
    ports: Option<Spanned<String>>,
    #[serde(default)]
    ports_one_of: Vec<Spanned<String>>,
    first_half: Option<Spanned<String>>,
    seconds: Option<(f64, f64)>,
}

impl Scenario {
    /// Reads every `*.toml` of a directory, in the order of their names.
    ///
    /// # Errors
    /// A file cannot be read or holds a mistake.
    pub fn load_dir(directory: &Path) -> Result<Vec<Self>, LabError> {
        let mut all = Vec::new();
        for path in toml_files(directory)? {
            let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            all.extend(Self::parse(&name, &text)?);
        }
        Ok(all)
    }

    /// Reads the text of one file, called `file` in errors.
    ///
    /// # Errors
    /// The text holds a mistake: the scenario, the line and the word are told.
    pub fn parse(file: &str, text: &str) -> Result<Vec<Self>, ScenarioError> {
        let parsed: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let bad = BadWord::new("", error.message());
            Place {
                file,
                text,
                id: "?",
            }
            .error(start, bad)
        })?;
        parsed
            .scenario
            .into_iter()
            .map(|table| read(file, text, table))
            .collect()
    }
}

fn toml_files(directory: &Path) -> Result<Vec<PathBuf>, LabError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(LabError::file("read", directory))? {
        let path = entry.map_err(LabError::file("read", directory))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Where a scenario stands, for errors.
struct Place<'a> {
    file: &'a str,
    text: &'a str,
    id: &'a str,
}

impl Place<'_> {
    fn error(&self, offset: usize, bad: BadWord) -> ScenarioError {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        ScenarioError {
            file: self.file.to_owned(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            id: self.id.to_owned(),
            word: bad.word,
            problem: bad.problem,
        }
    }

    /// Reads a string; an error points at its line.
    fn read<T>(
        &self,
        value: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, BadWord>,
    ) -> Result<T, ScenarioError> {
        read(value.get_ref()).map_err(|bad| self.error(value.span().start, bad))
    }

    fn maybe<T>(
        &self,
        value: Option<&Spanned<String>>,
        read: impl FnOnce(&str) -> Result<T, BadWord>,
    ) -> Result<Option<T>, ScenarioError> {
        value.map(|value| self.read(value, read)).transpose()
    }
}

fn read(file: &str, text: &str, table: Spanned<Table>) -> Result<Scenario, ScenarioError> {
    let start = table.span().start;
    let table = table.into_inner();
    let place = Place {
        file,
        text,
        id: &table.id,
    };
    if table.request.is_none() && table.setup.is_empty() {
        return Err(place.error(start, BadWord::new("", "neither a request nor a set-up")));
    }
    Ok(Scenario {
        topology: place
            .maybe(table.topology.as_ref(), topology)?
            .unwrap_or_default(),
        range: place
            .maybe(table.range.as_ref(), port_range)?
            .unwrap_or(Scenario::RANGE),
        setup: table
            .setup
            .iter()
            .map(|line| place.read(line, Step::read))
            .collect::<Result<_, _>>()?,
        request: place.maybe(table.request.as_ref(), request)?,
        expect: expect(&place, &table.expect)?,
        title: table.title,
        sysctl: table.sysctl,
        server_sysctl: table.server_sysctl,
        retries: table.retries,
        limit: table.limit,
        predict: table.predict.unwrap_or(true),
        slow: table.slow,
        note: table.note,
        id: table.id,
    })
}

fn expect(place: &Place<'_>, table: &ExpectTable) -> Result<Expect, ScenarioError> {
    let sets = table.ports.iter().chain(&table.ports_one_of);
    Ok(Expect {
        granted: table
            .granted
            .iter()
            .chain(&table.granted_one_of)
            .copied()
            .collect(),
        first_failure: table
            .first_failure
            .iter()
            .chain(&table.first_failure_one_of)
            .copied()
            .collect(),
        error: table.error.clone(),
        ports: sets
            .map(|set| place.read(set, port_set))
            .collect::<Result<_, _>>()?,
        first_half: place.maybe(table.first_half.as_ref(), parity)?,
        seconds: table.seconds,
    })
}

fn topology(word: &str) -> Result<Topology, BadWord> {
    match word {
        "loopback" => Ok(Topology::Loopback),
        "veth" => Ok(Topology::Veth),
        _ => Err(BadWord::new(word, "is neither loopback nor veth")),
    }
}

fn port_range(word: &str) -> Result<PortRange, BadWord> {
    let (low, high) = pair_of_ports(word)?;
    PortRange::new(low, high).ok_or_else(|| BadWord::new(word, "ends before it begins"))
}

fn request(line: &str) -> Result<Ask, BadWord> {
    let mut words = crate::words::Words::new(line);
    let ask = Ask::read(&mut words)?;
    words.end()?;
    Ok(ask)
}

/// Ports and ranges of ports: `20000-20002 20004`.
fn port_set(text: &str) -> Result<BTreeSet<u16>, BadWord> {
    let mut set = BTreeSet::new();
    for word in text.split_whitespace() {
        if let Ok(port) = word.parse() {
            set.insert(port);
        } else {
            let (low, high) = pair_of_ports(word)?;
            set.extend(low..=high);
        }
    }
    Ok(set)
}

fn parity(word: &str) -> Result<Parity, BadWord> {
    match word {
        "even" => Ok(Parity::Even),
        "odd" => Ok(Parity::Odd),
        _ => Err(BadWord::new(word, "is neither even nor odd")),
    }
}
