//! Settings and counters of the input that say something by themselves.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::causes::evidence;
use super::{Findings, Number};
use crate::{Cause, CauseId, Level, Platform, PortHolders, Remedy, grouped};

/// Use of the connection tracking table from which on a level is given, in percent.
const TABLE_WARNING: u64 = 80;
const TABLE_CRITICAL: u64 = 95;

pub(super) fn add(findings: &Findings, platform: Option<Platform>, causes: &mut Vec<Cause>) {
    causes.extend(without_effect(findings, platform));
    causes.extend(conntrack(findings));
    causes.extend(overflow(findings));
}

/// Settings that people change in vain.
fn without_effect(findings: &Findings, platform: Option<Platform>) -> Option<Cause> {
    let mut told: Vec<(&'static str, u64, String)> = Vec::new();
    let number = |number| findings.number(number);
    if let Some(value) = number(Number::MaxUserPort).filter(|_| platform == Some(Platform::Windows))
    {
        told.push((
            "max_user_port",
            value,
            format!(
                "MaxUserPort={value} does nothing on Vista, 2008 and later: `netsh int ipv4 show \
                 dynamicport tcp` tells the range"
            ),
        ));
    }
    if let Some(value) = number(Number::TcpFinTimeout).filter(|value| *value != 60) {
        told.push((
            "tcp_fin_timeout",
            value,
            format!(
                "tcp_fin_timeout={value} does not shorten TIME_WAIT, which lasts 60 s; it is for \
                 FIN_WAIT2"
            ),
        ));
    }
    if let Some(value) = number(Number::TcpTwRecycle).filter(|value| *value != 0) {
        told.push((
            "tcp_tw_recycle",
            value,
            format!(
                "tcp_tw_recycle={value} broke clients behind NAT, and is gone since Linux 4.12"
            ),
        ));
    }
    if let Some(value) = number(Number::ConntrackTimeWait).filter(|value| *value != 120) {
        told.push((
            "nf_conntrack_tcp_timeout_time_wait",
            value,
            format!(
                "nf_conntrack_tcp_timeout_time_wait={value} is about the NAT's table: it frees no \
                 local port"
            ),
        ));
    }
    if told.is_empty() {
        return None;
    }
    let sentences: Vec<&str> = told.iter().map(|(_, _, text)| text.as_str()).collect();
    Some(Cause {
        id: CauseId::SettingNoEffect,
        level: Level::Ok,
        summary: format!("{}.", sentences.join("; ")),
        evidence: told
            .iter()
            .map(|(name, value, _)| evidence(name, *value, "is set"))
            .collect(),
        owners: PortHolders::default(),
        remedies: Vec::new(),
        avoid: Vec::new(),
    })
}

fn conntrack(findings: &Findings) -> Option<Cause> {
    let count = findings.number(Number::ConntrackCount)?;
    let most = findings
        .number(Number::ConntrackMax)
        .filter(|most| *most > 0)?;
    let percent = count.saturating_mul(100) / most;
    let level = match percent {
        TABLE_CRITICAL.. => Level::Critical,
        TABLE_WARNING.. => Level::Warning,
        _ => return None,
    };
    Some(Cause {
        id: CauseId::NatTableFull,
        level,
        summary: format!(
            "The connection tracking table holds {} of {} entries: when it is full, new connections \
             are dropped.",
            grouped(count),
            grouped(most)
        ),
        evidence: Vec::from([
            evidence("conntrack_count", count, "entries"),
            evidence("conntrack_max", most, "entries at most"),
        ]),
        owners: PortHolders::default(),
        remedies: table_remedies(Some(most)),
        avoid: Vec::from(["A wider ip_local_port_range changes nothing here.".into()]),
    })
}

/// What helps a full connection tracking table.
pub(super) fn table_remedies(most: Option<u64>) -> Vec<Remedy> {
    let larger = most.unwrap_or(262_144).saturating_mul(2);
    Vec::from([
        super::remedies::reuse(Platform::Linux),
        Remedy {
            id: "raise-conntrack-max",
            summary: "Raise nf_conntrack_max, at once (each entry takes some 300 bytes of the \
                      kernel's memory; keep nf_conntrack_buckets in step)."
                .into(),
            command: Some(format!("sysctl -w net.netfilter.nf_conntrack_max={larger}")),
            restart_needed: false,
        },
    ])
}

fn overflow(findings: &Findings) -> Option<Cause> {
    let count = findings
        .number(Number::TimeWaitOverflow)
        .filter(|count| *count > 0)?;
    Some(time_wait_overflow(
        count,
        &format!(
            "{} TIME_WAITs were dropped early, because there were more than tcp_max_tw_buckets. \
             That frees ports without protection from stray segments; it is not exhaustion.",
            grouped(count)
        ),
    ))
}

/// The cause, by counter or by message.
pub(super) fn time_wait_overflow(count: u64, summary: &str) -> Cause {
    Cause {
        id: CauseId::ConnectTimeWaitOverflow,
        level: Level::Warning,
        summary: summary.into(),
        evidence: Vec::from([evidence("time_wait_overflow", count, "times")]),
        owners: PortHolders::default(),
        remedies: Vec::from([
            super::remedies::reuse(Platform::Linux),
            Remedy {
                id: "raise-max-tw-buckets",
                summary: "Raise net.ipv4.tcp_max_tw_buckets, at once, if memory allows.".into(),
                command: Some("sysctl -w net.ipv4.tcp_max_tw_buckets=262144".into()),
                restart_needed: false,
            },
        ]),
        avoid: Vec::from([
            "Lowering tcp_max_tw_buckets to free ports breaks what TIME_WAIT is for.".into(),
        ]),
    }
}
