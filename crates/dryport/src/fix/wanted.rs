//! `--set`: values that a person wants, checked before anything is done.

use dryport_host::LimitsRead;
use dryport_model::plan::{Setting, refuse};
use dryport_model::{Limits, PortRange, TimeWaitReuse};
use dryport_wire::sysctl;

use super::Facts;
use crate::failure::Failure;

/// The settings with the wanted values in them.
pub(super) fn limits(
    set: &[(String, String)],
    read: &LimitsRead,
    facts: &Facts,
) -> Result<Limits, Failure> {
    contradictions(set)?;
    let mut limits = read.limits.clone();
    for (key, value) in set {
        if let Some(refusal) = refuse(key, value) {
            return Err(Failure::Refused {
                what: refusal.what,
                reason: refusal.reason,
                page: refusal.page.name(),
            });
        }
        let Some(setting) = Setting::from_linux_name(key) else {
            return Err(unknown(key));
        };
        take(&mut limits, setting, value, facts)?;
    }
    let dropped = read
        .limits
        .reserved
        .iter()
        .find(|port| !limits.reserved.contains(*port));
    if let Some(port) = dropped {
        return Err(wrong(
            format!("port {port} is reserved now and would not be any more"),
            "what is reserved stays so: name it too",
        ));
    }
    if limits.reserved.count_in(limits.range) == limits.range.size() {
        return Err(wrong(
            format!("every port of {} would be reserved", limits.range),
            "leave some to be handed out",
        ));
    }
    Ok(limits)
}

fn contradictions(set: &[(String, String)]) -> Result<(), Failure> {
    for (index, (key, value)) in set.iter().enumerate() {
        let is_other = |(other, more): &&(String, String)| other == key && more != value;
        let twice = set.iter().skip(index + 1).find(is_other);
        if let Some((_, other)) = twice {
            return Err(wrong(
                format!("{key} is given twice, as {value} and as {other}"),
                "give each setting one value",
            ));
        }
    }
    Ok(())
}

fn take(limits: &mut Limits, setting: Setting, value: &str, facts: &Facts) -> Result<(), Failure> {
    let invalid = |reason: String| {
        wrong(
            format!("{}={value}: {reason}", setting.name()),
            "`dryport fix --help` shows how values are written",
        )
    };
    match setting {
        Setting::LocalPortRange => {
            // Also as people write a range.
            let text = value.replacen('-', " ", 1);
            let range = sysctl::parse_range(&text).map_err(|error| invalid(error.to_string()))?;
            limits.range = allowed(range, facts.unprivileged_start()).map_err(invalid)?;
        }
        Setting::ReservedPorts => {
            limits.reserved =
                sysctl::parse_port_list(value).map_err(|error| invalid(error.to_string()))?;
        }
        Setting::TcpTwReuse => {
            limits.tw_reuse = match sysctl::parse_u32(value) {
                Ok(0) => TimeWaitReuse::Off,
                Ok(1) => TimeWaitReuse::On,
                Ok(2) => TimeWaitReuse::Loopback,
                _ => return Err(invalid("it is 0, 1, or 2 for loopback only".into())),
            };
        }
        Setting::TcpTwReuseDelay => {
            let delay = sysctl::parse_u32(value).ok();
            limits.tw_reuse_delay_ms = delay
                .filter(|delay| (1..=60_000).contains(delay))
                .ok_or_else(|| invalid("it lies between 1 and 60000 milliseconds".into()))?;
            if limits.features.millisecond_time_wait != Some(true) {
                return Err(invalid(
                    "this kernel has no such setting (needs 6.14)".into(),
                ));
            }
        }
        _ => return Err(unknown(setting.name())),
    }
    Ok(())
}

fn allowed(range: PortRange, unprivileged_start: u16) -> Result<PortRange, String> {
    if range.low() == 0 {
        return Err("port 0 is no port".into());
    }
    if range.low() < unprivileged_start {
        return Err(format!(
            "the range cannot begin below ip_unprivileged_port_start ({unprivileged_start})"
        ));
    }
    Ok(range)
}

fn unknown(key: &str) -> Failure {
    let known: Vec<&str> = Setting::LINUX
        .iter()
        .map(|setting| setting.name())
        .collect();
    wrong(
        format!("{key} is no setting that `fix` changes"),
        &format!("it changes {}", known.join(", ")),
    )
}

fn wrong(wrong: String, hint: &str) -> Failure {
    Failure::CommandLine {
        wrong,
        hint: hint.into(),
    }
}
