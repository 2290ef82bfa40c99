//! Plans, rehearsals and entries of the journal to be reported on. The words are those that the
//! planner, the laboratory and the journal use, so that the screens are the ones that people see.

use dryport_model::plan::{
    Advice, Change, Client, Conflict, ConflictKind, Expected, Measure, Plan, Refusal, Scope,
    Setting, advice, known_service_ports,
};
use dryport_model::{CauseId, Headroom, PortSet, Request};
use dryport_report::{
    JournalAnswer, JournalLine, MeasuredAnswer, NamespaceName, Outcome, RehearsalAnswer,
};

use crate::scenes::{host, ip, remote};

pub fn exactly(ports: u32) -> Headroom {
    Headroom {
        at_least: ports,
        at_most: ports,
    }
}

pub fn pair() -> Request {
    Request::tcp_connect(ip("10.0.0.1"), remote("10.0.0.2:443"))
}

pub fn change(setting: Setting, from: &str, to: &str, why: &str) -> Change {
    Change {
        setting,
        from: Some(from.into()),
        to: to.into(),
        why: why.into(),
        scope: Scope::Namespace,
        persists: true,
        restart_needed: false,
    }
}

fn range(from: &str, to: &str, why: &str) -> Change {
    change(Setting::LocalPortRange, from, to, why)
}

fn reserved(to: &str) -> Change {
    let why = "Automatic ports must leave these to their services, also while those are down for a \
               restart.";
    change(Setting::ReservedPorts, "", to, why)
}

fn reuse() -> Change {
    let why = "A TIME_WAIT of this host's own connections is taken over after a second instead of \
               blocking its port for 60 s.";
    change(Setting::TcpTwReuse, "2", "1", why)
}

fn conflict(kind: ConflictKind, text: &str) -> Conflict {
    Conflict {
        kind,
        text: text.into(),
    }
}

fn expected(headroom: Headroom, capacity: u32, per_second: f64) -> Expected {
    Expected {
        headroom,
        capacity,
        sustainable_per_second: Some(per_second),
    }
}

fn proxy_advice() -> Vec<Advice> {
    advice(
        &[
            Measure::ReuseConnections,
            Measure::CloseOnTheOtherSide,
            Measure::Spread,
        ],
        &[Client::Nginx, Client::Go],
    )
}

/// A wider range is enough.
pub fn widened() -> Plan {
    Plan {
        advice: proxy_advice(),
        changes: vec![
            reserved("33060,50000,51820"),
            range(
                "40000\t40999",
                "32768\t60999",
                "28,232 ports instead of 1,000 for each source and destination.",
            ),
        ],
        conflicts: vec![conflict(
            ConflictKind::KnownPort,
            "3 ports of well-known services in the new part of the range are reserved: 33060 (MySQL X \
             Protocol), 50000 (Db2), 51820 (WireGuard).",
        )],
        refusals: Vec::new(),
        assumptions: vec![
            "Rates are those of connections that are closed at once (--hold tells how long yours \
             live)."
                .into(),
        ],
        needed: 2_000,
        before: expected(exactly(0), 1_000, 1_000.0 / 60.0),
        after: expected(exactly(27_229), 28_229, 28_229.0 / 60.0),
        reaches: true,
        limits_after: None,
        considered: Vec::new(),
    }
}

/// Everything that a plan can hold, on a node of Kubernetes with files of others.
pub fn wide() -> Plan {
    let all: PortSet = known_service_ports()
        .iter()
        .map(|(port, _)| *port)
        .chain([8080, 9901, 15001])
        .chain(30_000..=32_767)
        .collect();
    // The kernel lets a program call itself anything, in 15 bytes.
    let hostile = "\\x1b".repeat(15);
    Plan {
        changes: vec![
            reserved(&all.to_list()),
            range(
                "32768\t60999",
                "1024\t65535",
                "64,512 ports instead of 28,232 for each source and destination.",
            ),
            reuse(),
            change(
                Setting::TcpTwReuseDelay,
                "1000",
                "321",
                "A TIME_WAIT is taken over sooner; the target rate needs it.",
            ),
        ],
        conflicts: vec![
            conflict(
                ConflictKind::Service,
                &format!(
                    "3 ports served in the range are reserved: 8080 (python3), 9901 ({hostile}), 15001 \
                     UDP (a b c d e f g h)."
                ),
            ),
            conflict(
                ConflictKind::NodePorts,
                "Kubernetes gives 30000-32767 to services (NodePort): reserved.",
            ),
            conflict(
                ConflictKind::OtherFile,
                "/etc/sysctl.d/99-zzz-a-name-longer-than-any-file-of-settings-should-have-to-bear-\
                 but-this-one-does.conf:12 sets net.ipv4.ip_local_port_range to 1024 65000 and wins \
                 over ours under systemd-sysctl: change it there.",
            ),
            conflict(
                ConflictKind::Condition,
                "tcp_tw_reuse=1 needs TCP timestamps at both ends (they are on here; the peer's cannot \
                 be seen), and no NAT on the way that gives several hosts one address and lets their \
                 timestamps through.",
            ),
        ],
        needed: 61_000,
        before: expected(exactly(0), 28_232, 28_232.0 / 60.0),
        after: expected(
            Headroom {
                at_least: 32_395,
                at_most: 32_396,
            },
            60_628,
            188_866.0,
        ),
        ..widened()
    }
}

/// The most that settings give, which is not enough.
pub fn short() -> Plan {
    let mut plan = wide();
    plan.changes.truncate(2);
    plan.conflicts.truncate(1);
    plan.conflicts.clear();
    plan.refusals = vec![Refusal {
        what: "1,000,000 connections per second".into(),
        reason:
            "No setting reaches that: 64,396 ports for one source and destination give 64,396 a \
                 second at the most. Reuse connections, or spread them over more destinations or \
                 source addresses."
                .into(),
        page: CauseId::ConnectTimeWait,
    }];
    plan.reaches = false;
    plan
}

/// All is well as it is.
pub fn none() -> Plan {
    let now = expected(exactly(28_082), 28_232, 28_232.0 / 60.0);
    Plan {
        advice: Vec::new(),
        changes: Vec::new(),
        conflicts: Vec::new(),
        needed: 300,
        before: now,
        after: now,
        ..widened()
    }
}

/// No setting helps: the range is as wide as it may be.
pub fn helpless() -> Plan {
    let now = expected(exactly(0), 60_628, 60_628.0);
    Plan {
        refusals: vec![Refusal {
            what: "121,256 ports at once".into(),
            reason:
                "No setting gives that many: the widest range that leaves services their ports \
                     has 60,628. The application has to ask for fewer."
                    .into(),
            page: CauseId::ConnectTupleDry,
        }],
        reaches: false,
        advice: proxy_advice(),
        ..Plan {
            needed: 121_256,
            before: now,
            after: now,
            ..none()
        }
    }
}

/// Windows Server 2003, by a capture.
pub fn windows_2003() -> Plan {
    Plan {
        advice: advice(
            &[Measure::ReuseConnections, Measure::Spread],
            &[Client::DotNet],
        ),
        changes: vec![
            Change {
                from: None,
                scope: Scope::Machine,
                restart_needed: true,
                ..change(
                    Setting::MaxUserPort,
                    "",
                    "50000",
                    "48,976 ports instead of 3,976 for all destinations together.",
                )
            },
            Change {
                scope: Scope::Machine,
                restart_needed: true,
                ..change(
                    Setting::TcpTimedWaitDelay,
                    "240",
                    "30",
                    "A port is free again after 30 s instead of 240 s.",
                )
            },
        ],
        conflicts: vec![conflict(
            ConflictKind::Condition,
            "RPC services listen on ports of the range: a firewall that lets only the old range \
             through has to let the new one through as well.",
        )],
        assumptions: vec![
            "every client socket has a port between 1025 and 5000: Windows Server 2003 is assumed \
             (--platform tells otherwise)"
                .into(),
        ],
        before: expected(exactly(1), 3_976, 16.6),
        after: expected(exactly(45_001), 48_976, 1_632.0),
        ..widened()
    }
}

pub fn measured(granted: u32, per_second: Option<f64>) -> MeasuredAnswer {
    MeasuredAnswer {
        granted,
        refused_with: Some("EADDRNOTAVAIL"),
        sustained_per_second: per_second,
        sustained_note: per_second.is_none().then(|| {
            "No port came back within 1.5 s: a TIME_WAIT lasts 60 s (`rehearse --for 130s` measures \
             it)."
                .into()
        }),
    }
}

pub fn rehearsal() -> RehearsalAnswer {
    RehearsalAnswer {
        subject: "connect() to one destination".into(),
        before: measured(0, None),
        after: measured(27_229, Some(470.4)),
        predicted: Some((exactly(0), exactly(27_229))),
        changes: vec![
            (
                "net.ipv4.ip_local_reserved_ports".into(),
                Some(String::new()),
                "33060,50000,51820".into(),
            ),
            (
                "net.ipv4.ip_local_port_range".into(),
                Some("40000\t40999".into()),
                "32768\t60999".into(),
            ),
        ],
        notes: vec![
            "Rehearsed port by port, each asked for by itself, since the kernel's own walk takes \
             minutes in a range this large."
                .into(),
        ],
    }
}

/// Nothing was changed: what is granted now.
pub fn rehearsal_of_now() -> RehearsalAnswer {
    RehearsalAnswer {
        before: measured(1_000, None),
        after: measured(1_000, None),
        predicted: Some((exactly(1_000), exactly(1_000))),
        changes: Vec::new(),
        notes: Vec::new(),
        ..rehearsal()
    }
}

/// A setting that does nothing, and one that gives no port more but a rate.
pub fn rehearsal_of(setting: &str, to: &str, per_second: Option<f64>) -> RehearsalAnswer {
    RehearsalAnswer {
        after: measured(1_000, per_second),
        changes: vec![(setting.into(), Some("60".into()), to.into())],
        ..rehearsal_of_now()
    }
}

/// The kernel does what nobody foresaw.
pub fn surprise() -> RehearsalAnswer {
    RehearsalAnswer {
        after: MeasuredAnswer {
            refused_with: None,
            ..measured(12_345, Some(3.21))
        },
        changes: vec![
            (
                "net.ipv4.ip_local_reserved_ports".into(),
                Some("30000-32767".into()),
                wide().changes[0].to.clone(),
            ),
            ("net.ipv4.tcp_tw_reuse_delay".into(), None, "321".into()),
        ],
        ..rehearsal()
    }
}

pub fn applied() -> Outcome {
    Outcome::Applied {
        id: "20261124-193012345-4711".into(),
        headroom: Some(exactly(27_229)),
        file: Some("/etc/sysctl.d/99-zz-dryport.conf".into()),
        does_not_last: None,
        confirm_within_seconds: None,
    }
}

pub fn applied_for_now() -> Outcome {
    Outcome::Applied {
        id: "20261124-193012345-4711".into(),
        headroom: Some(exactly(27_101)),
        file: None,
        does_not_last: Some(
            "files below /etc/sysctl.d are for the machine's own namespace. `dryport fix --dry-run \
             --write DIR` writes how Docker, Kubernetes or systemd set it for this one."
                .into(),
        ),
        confirm_within_seconds: None,
    }
}

pub fn unconfirmed() -> Outcome {
    Outcome::Applied {
        id: "20261124-193012345-4711".into(),
        headroom: Some(exactly(27_229)),
        file: None,
        does_not_last: None,
        confirm_within_seconds: Some(60),
    }
}

pub fn not_applied() -> Outcome {
    Outcome::NotApplied {
        why: "Nothing was changed: that takes root. Run this:".into(),
        command: Some("sudo dryport fix --target-rate 2000/s".into()),
    }
}

pub fn in_a_container() -> Outcome {
    Outcome::NotApplied {
        why: "Nothing was changed: /proc/sys is read-only here, as in most containers. Set it where \
              the container is started (--write DIR writes how), or from the host:"
            .into(),
        command: Some(
            "sudo dryport fix --netns pid:PID   (PID: the container's first process, as the host sees \
             it)"
                .into(),
        ),
    }
}

fn line(id: &str, stage: &str, namespace: NamespaceName, is_here: bool) -> JournalLine {
    let values = |setting: &str, from: &str, to: &str| (setting.into(), from.into(), to.into());
    JournalLine {
        id: id.into(),
        made: Some("2026-11-24T19:30:12Z".into()),
        stage: stage.into(),
        namespace: Some(namespace),
        is_here,
        settings: vec![
            values(
                "net.ipv4.ip_local_reserved_ports",
                "(empty)",
                "33060,50000,51820",
            ),
            values("net.ipv4.ip_local_port_range", "40000 40999", "32768 60999"),
        ],
        file: None,
    }
}

/// Every stage, here and elsewhere, and one that cannot be read.
pub fn journal() -> JournalAnswer {
    let elsewhere = |name: Option<&str>| NamespaceName {
        inode: 4_026_532_281,
        name: name.map(String::from),
    };
    // As the journal shows it: cut at 200 characters.
    let list: String = wide().changes[0].to.chars().take(199).collect();
    let long = JournalLine {
        settings: vec![(
            "net.ipv4.ip_local_reserved_ports".into(),
            "30000-32767".into(),
            list + "…",
        )],
        file: Some("/etc/sysctl.d/99-zz-dryport.conf".into()),
        ..line("20261124-193012345-4711", "applied", host(), true)
    };
    let damaged = JournalLine {
        id: "/var/lib/dryport/journal/20261101-000000000-1.json".into(),
        made: None,
        stage: "it is damaged: EOF while parsing a value at line 12 column 0".into(),
        namespace: None,
        is_here: false,
        settings: Vec::new(),
        file: None,
    };
    let named = "a-namespace-with-a-name-longer-than-any-line-should-have-to-bear";
    JournalAnswer {
        done: None,
        entries: vec![
            long,
            line(
                "20261124-183012345-4710",
                "unconfirmed",
                elsewhere(Some("blue")),
                false,
            ),
            line(
                "20261124-173012345-4709",
                "prepared",
                elsewhere(None),
                false,
            ),
            line(
                "20261124-163012345-4194304",
                "undoing",
                elsewhere(Some(named)),
                false,
            ),
            line("20261123-153012345-4707", "undone", host(), true),
            line("20261122-143012345-4706", "gone", elsewhere(None), false),
            damaged,
        ],
    }
}

pub fn undone() -> JournalAnswer {
    JournalAnswer {
        done: Some(
            "Taken back: 2 settings have the old value again, read back from the kernel.".into(),
        ),
        entries: vec![line("20261124-193012345-4711", "undone", host(), true)],
    }
}
