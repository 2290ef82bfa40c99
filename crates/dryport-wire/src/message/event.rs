//! Windows' events 4227, 4231 and 4266 of the source Tcpip, in any shape in which people paste them.

use dryport_model::Complaint::{self, Event4227, Event4231, Event4266};
use dryport_model::Platform;

use super::complaint::{Place, Told};
use super::phrase::{after, before, find, holds_any, leading_number, stands_alone};

/// 4227's sentence.
pub(super) const SENTENCE_4227: Told = Told::on(Platform::Windows, Event4227);

/// What stands before the number where it is an event's: field names of `wevtutil`, PowerShell,
/// WMI, XML and JSON, without case. German, French, Spanish, Italian, Portuguese, Russian, Chinese,
/// Japanese and Korean are from memory.
const FIELDS: [&str; 15] = [
    "event id",
    "eventid",
    "event_id",
    "eventcode",
    "eventidentifier",
    "ereignis-id",
    "ereigniskennung",
    "de l'événement",
    "id d'événement",
    "id. del evento",
    "id evento",
    "id do evento",
    "Код события",
    "事件 id",
    "ベント id",
];

/// `4231`: of a field of that name, or in a line that speaks of Tcpip or of ports.
pub(super) fn number(place: Place<'_>) -> Option<Told> {
    if !stands_alone(place.line, place.at, place.end) || is_of_another_source(place) {
        return None;
    }
    let lead = before(place.line, place.at, 64);
    let speaks_of_it = || {
        let sentences = [
            "Tcpip",
            "ephemeral port number",
            "establish an outgoing connection",
        ];
        stands_near(place, &sentences)
    };
    let complaint = of_id(leading_number(place.line.get(place.at..)?)?.0)?;
    (names_an_event(lead) || opens_as_id(place) || (is_a_cell(place) && speaks_of_it()))
        .then_some(Told::on(Platform::Windows, complaint))
}

const fn of_id(id: u32) -> Option<Complaint> {
    match id {
        4227 => Some(Event4227),
        4231 => Some(Event4231),
        4266 => Some(Event4266),
        _ => None,
    }
}

/// `Get-EventLog`'s `InstanceId`: the event's number with the severity "warning" in the upper bits
/// (`0x80000000 + 4231`). `EventID` of `Win32_NTLogEvent` (`EventIdentifier`) is the same.
pub(super) fn instance(place: Place<'_>) -> Option<Told> {
    const WARNING: u32 = 0x8000_0000;
    let (number, length) = leading_number(place.line.get(place.at..)?)?;
    let alone = length == 10 && stands_alone(place.line, place.at, place.end);
    let lead = before(place.line, place.at, 24).to_ascii_lowercase();
    let is_one = holds_any(&lead, &["instanceid", "eventid"]) || stands_near(place, &["Tcpip"]);
    let complaint = of_id(number.checked_sub(WARNING)?)?;
    (alone && is_one).then_some(Told::on(Platform::Windows, complaint))
}

/// "A request to allocate an ephemeral port number from the global TCP port space has failed due to
/// all such ports being in use." A table cuts it off; then the number tells.
pub(super) fn sentence(place: Place<'_>) -> Option<Told> {
    let rest = after(place.line, place.end, 40);
    let complaint = if find(rest, "global TCP port space").is_some() {
        Event4231
    } else if find(rest, "global UDP port space").is_some() {
        Event4266
    } else {
        return None;
    };
    Some(Told::on(Platform::Windows, complaint))
}

/// `Event ID: 4231`, `<EventID Qualifiers="32768">4231</EventID>`, `"EventID":4231`.
fn names_an_event(lead: &[u8]) -> bool {
    let lead = lead.to_ascii_lowercase();
    // An XML tag's attributes stand between the name and the number.
    let lead = match (lead.last(), memchr::memrchr(b'<', &lead)) {
        (Some(b'>'), Some(open)) => lead.get(open..).unwrap_or(&[]),
        _ => &lead,
    };
    if lead.starts_with(b"<eventid") {
        return true;
    }
    let marks = |byte: &u8| byte.is_ascii_whitespace() || b":=\"'(#,".contains(byte);
    let kept = lead
        .iter()
        .rposition(|byte| !marks(byte))
        .map_or(0, |last| last + 1);
    // "l'événement :" has a no-break space before its colon.
    let lead = lead.get(..kept).unwrap_or(&[]);
    let lead = lead.strip_suffix("\u{a0}".as_bytes()).unwrap_or(lead);
    FIELDS.iter().any(|field| lead.ends_with(field.as_bytes()))
}

/// `Id          : 4231`, as `Format-List` writes it, and `"Id": 4231` of `ConvertTo-Json`.
fn opens_as_id(place: Place<'_>) -> bool {
    let lead = before(place.line, place.at, place.at.min(48));
    let lead = lead.trim_ascii();
    let open = place.at <= 48 && matches!(lead, [b'I' | b'i', b'd' | b'D', .., b':']);
    let json = lead.ends_with(b"\"Id\":");
    let only = |rest: &[u8]| {
        rest.iter()
            .all(|byte| byte.is_ascii_whitespace() || b",}".contains(byte))
    };
    let padded = || {
        lead.get(2..lead.len().saturating_sub(1))
            .is_some_and(|middle| middle.iter().all(u8::is_ascii_whitespace))
    };
    json || (open && padded() && only(after(place.line, place.end, 8)))
}

/// A cell of a table or of CSV, not a part of an address, a path, a time or an amount.
fn is_a_cell(place: Place<'_>) -> bool {
    let border = |byte: &u8| byte.is_ascii_whitespace() || b",;\"|".contains(byte);
    before(place.line, place.at, 1).iter().all(border)
        && after(place.line, place.end, 1).iter().all(border)
}

/// An XML event on one line names its source before its number.
fn is_of_another_source(place: Place<'_>) -> bool {
    let lead = before(place.line, place.at, 256);
    find(lead, "<Provider Name=")
        .is_some_and(|at| !holds_any(after(lead, at, 48), &["Tcpip", "TCPIP"]))
}

fn stands_near(place: Place<'_>, words: &[&str]) -> bool {
    holds_any(before(place.line, place.at, 128), words)
        || holds_any(after(place.line, place.end, 128), words)
}
