//! A [`Scenario`] as the TOML text that reads back to it: a failing random one is printed so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Expect, Parity, Scenario, Topology};

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[scenario]]")?;
        writeln!(f, "id = {}", quoted(&self.id))?;
        writeln!(f, "title = {}", quoted(&self.title))?;
        if self.topology == Topology::Veth {
            writeln!(f, "topology = \"veth\"")?;
        }
        if self.range != Self::RANGE {
            writeln!(f, "range = \"{}-{}\"", self.range.low(), self.range.high())?;
        }
        write_settings(f, "sysctl", &self.sysctl)?;
        write_settings(f, "server_sysctl", &self.server_sysctl)?;
        if !self.setup.is_empty() {
            writeln!(f, "setup = [")?;
            for step in &self.setup {
                writeln!(f, "    {},", quoted(&step.to_string()))?;
            }
            writeln!(f, "]")?;
        }
        if let Some(request) = &self.request {
            writeln!(f, "request = {}", quoted(&request.to_string()))?;
        }
        if self.retries != 0 {
            writeln!(f, "retries = {}", self.retries)?;
        }
        if let Some(limit) = self.limit {
            writeln!(f, "limit = {limit}")?;
        }
        if !self.predict {
            writeln!(f, "predict = false")?;
        }
        if self.slow {
            writeln!(f, "slow = true")?;
        }
        if let Some(note) = &self.note {
            writeln!(f, "note = {}", quoted(note))?;
        }
        write!(f, "{}", self.expect)
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = Vec::new();
        fields.extend(one_or_several("granted", &self.granted, u32::to_string));
        fields.extend(one_or_several(
            "first_failure",
            &self.first_failure,
            u32::to_string,
        ));
        fields.extend(
            self.error
                .iter()
                .map(|error| format!("error = {}", quoted(error))),
        );
        fields.extend(one_or_several("ports", &self.ports, |set| {
            quoted(&port_text(set))
        }));
        fields.extend(self.first_half.map(|parity| match parity {
            Parity::Even => "first_half = \"even\"".to_owned(),
            Parity::Odd => "first_half = \"odd\"".to_owned(),
        }));
        fields.extend(
            self.seconds
                .map(|(least, most)| format!("seconds = [{least:?}, {most:?}]")),
        );
        if fields.is_empty() {
            return Ok(());
        }
        writeln!(f, "expect = {{ {} }}", fields.join(", "))
    }
}

fn one_or_several<T>(key: &str, values: &[T], text: impl Fn(&T) -> String) -> Option<String> {
    match values {
        [] => None,
        [only] => Some(format!("{key} = {}", text(only))),
        several => {
            let several: Vec<String> = several.iter().map(text).collect();
            Some(format!("{key}_one_of = [{}]", several.join(", ")))
        }
    }
}

fn write_settings(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    settings: &BTreeMap<String, String>,
) -> fmt::Result {
    if settings.is_empty() {
        return Ok(());
    }
    let pairs: Vec<String> = settings
        .iter()
        .map(|(key, value)| format!("{} = {}", quoted(key), quoted(value)))
        .collect();
    writeln!(f, "{key} = {{ {} }}", pairs.join(", "))
}

/// Runs of neighbours as ranges: `20000-20002 20004`.
fn port_text(ports: &BTreeSet<u16>) -> String {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for &port in ports {
        match runs.last_mut() {
            Some((_, high)) if high.checked_add(1) == Some(port) => *high = port,
            _ => runs.push((port, port)),
        }
    }
    let words: Vec<String> = runs
        .iter()
        .map(|(low, high)| {
            if low == high {
                low.to_string()
            } else {
                format!("{low}-{high}")
            }
        })
        .collect();
    words.join(" ")
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
