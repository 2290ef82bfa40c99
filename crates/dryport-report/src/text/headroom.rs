//! The screen of `headroom`: the number, then what it is made of.

use dryport_model::{
    Claim, Class, Coverage, Fact, Headroom, Ledger, Level, Method, Protocol, Seen,
};

use super::bar::{bar, sign, tone, word};
use super::check::write_gaps;
use super::holders::{Holder, Holders};
use super::layout::{Lines, left, right};
use super::number::{back_in, ends, grouped, plural, used};
use super::paint::Tone;
use super::{Screen, phrase};
use crate::{HeadroomAnswer, request_notes};

/// The first line alone, for `--quiet`.
#[must_use]
pub fn headroom_line(answer: &HeadroomAnswer<'_>, screen: Screen) -> String {
    let (number, rest) = sentence(answer);
    let number = screen.paint(number_tone(answer.level), &number);
    format!("{number} {}\n", screen.paint(Tone::Strong, &rest))
}

/// The whole screen.
#[must_use]
pub fn headroom(answer: &HeadroomAnswer<'_>, screen: Screen) -> String {
    let mut lines = Lines::new(screen);
    let (ledger, headroom) = (answer.classes.ledger(), answer.classes.headroom());
    let (number, rest) = sentence(answer);
    let painted = screen.paint(number_tone(answer.level), &number);
    lines.hang(
        &format!("{number} "),
        &format!("{painted} "),
        &rest,
        Some(Tone::Strong),
    );
    write_level(&mut lines, answer, &ledger);
    lines.gap();
    let cells = screen.columns().saturating_sub(4).min(96);
    lines.line(&format!("  {}", bar(&ledger, cells, screen)));
    lines.gap();
    write_ledger(&mut lines, answer, &ledger);
    lines.gap();
    write_holders(&mut lines, answer);
    lines.hang("", "", &when_dry(answer, headroom), None);
    let mut notes = answer.notes.clone();
    notes.extend(request_notes(answer.request, &ledger, headroom));
    for note in notes {
        lines.hang("- ", "- ", &note, None);
    }
    let gaps: Vec<(&Coverage, String)> = answer
        .coverage
        .iter()
        // Who holds a port does not change the number.
        .filter(|coverage| coverage.seen != Seen::Full && coverage.fact != Fact::Owners)
        .map(|coverage| (coverage, String::new()))
        .collect();
    write_gaps(&mut lines, &gaps);
    lines.finish()
}

const fn number_tone(level: Level) -> Tone {
    match level {
        Level::Ok => Tone::Strong,
        level => Tone::Level(level),
    }
}

/// `28,210` and `more connections from 127.0.0.1 to 127.0.0.1:9000`.
fn sentence(answer: &HeadroomAnswer<'_>) -> (String, String) {
    let headroom = answer.classes.headroom();
    let number = if headroom.at_most == 0 {
        "No".to_string()
    } else {
        ends(headroom)
    };
    let device = answer.device_name.as_deref();
    let counted = phrase::counted(answer.request, device, headroom.at_most == 1);
    (number, format!("more {counted}"))
}

fn write_level(lines: &mut Lines, answer: &HeadroomAnswer<'_>, ledger: &Ledger) {
    let screen = lines.screen;
    let level = answer.level.name();
    let unsure = if answer.level_is_uncertain {
        " at worst"
    } else {
        ""
    };
    let text = format!(
        "{unsure}, {} of {} ports used, namespace {}",
        used(ledger),
        grouped(ledger.capacity()),
        phrase::namespace(&answer.namespace)
    );
    lines.line(&format!(
        "{}{}",
        screen.paint(Tone::Level(answer.level), level),
        screen.paint(Tone::Faint, &text)
    ));
}

fn write_ledger(lines: &mut Lines, answer: &HeadroomAnswer<'_>, ledger: &Ledger) {
    const ORDER: [Class; 7] = [
        Class::InUse,
        Class::TimeWait,
        Class::Locked,
        Class::Reserved,
        Class::Uncertain,
        Class::TimeWaitReusable,
        Class::Free,
    ];
    let shown = ORDER
        .into_iter()
        .filter(|class| ledger.count(*class) > 0 || *class == Class::Free);
    for class in shown {
        let head = format!(
            "  {} {}{}  ",
            sign(class),
            left(word(class), 10),
            right(&grouped(ledger.count(class)), 7)
        );
        let painted = head.replacen(
            sign(class),
            &lines.screen.paint(tone(class), sign(class)),
            1,
        );
        lines.hang(&head, &painted, &meaning(class, answer), Some(Tone::Faint));
    }
    let range = answer.classes.range();
    let head = format!(
        "    {}{}  ",
        left("range", 10),
        right(&grouped(range.size()), 7)
    );
    let ends = format!("{}–{}", range.low(), range.high());
    lines.hang(&head, &head, &ends, Some(Tone::Faint));
}

/// The largest groups, one line each. TIME_WAITs stand in the ledger above.
fn write_holders(lines: &mut Lines, answer: &HeadroomAnswer<'_>) {
    const HEAD: &str = "held by  ";
    let holders = Holders {
        groups: &answer.holders.groups,
        holder: &|group, room| Holder::new(answer.owners?, group, room),
        waiting: 0,
    };
    holders.write(lines, HEAD, HEAD.len());
    if !answer.holders.groups.is_empty() {
        lines.gap();
    }
}

/// What it means for this request that a port is in a class.
fn meaning(class: Class, answer: &HeadroomAnswer<'_>) -> String {
    let address = matches!(answer.request.claim(), Claim::Address { .. });
    match class {
        Class::InUse if address => "a socket on this or an overlapping address has it".to_string(),
        Class::InUse => "a live connection has this source and destination".to_string(),
        Class::TimeWait => match answer.time_wait_left_ms {
            Some(left) => format!("closed here first, must wait: {}", back_in(left)),
            None => "closed here first, must wait".to_string(),
        },
        Class::Locked => "held by a bound socket: lost for every destination".to_string(),
        Class::Reserved if answer.classes.range().size() == 3 => {
            "set aside, or never reached in a range of three".to_string()
        }
        Class::Reserved => "set aside by ip_local_reserved_ports".to_string(),
        Class::Uncertain => "could be taken or free: see below".to_string(),
        Class::TimeWaitReusable => "in TIME_WAIT, but the kernel takes it over now".to_string(),
        Class::Free => "nobody stands in the way".to_string(),
    }
}

fn when_dry(answer: &HeadroomAnswer<'_>, headroom: Headroom) -> String {
    let request = answer.request;
    let call = match (request.protocol, request.method) {
        (_, Method::Bind) => "bind()",
        (Protocol::Tcp, Method::Connect) => "connect()",
        (Protocol::Udp, Method::Connect) => "connect() or sendto()",
    };
    let error = request.error_when_dry();
    match headroom.at_most {
        0 => format!("Now every {call} fails with {error}."),
        left => format!(
            "Once {} {} gone, {call} fails with {error}.",
            plural(u64::from(left), "it", "they"),
            plural(u64::from(left), "is", "are"),
        ),
    }
}
