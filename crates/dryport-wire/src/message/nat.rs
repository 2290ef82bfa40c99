//! What kernels and NAT gateways say of tables and ports that are full.

use dryport_model::Complaint::{ConntrackFull, SnatExhausted, TimeWaitOverflow};
use dryport_model::Platform;

use super::complaint::{Place, Told};
use super::phrase::{after, before, find, holds_any};

/// `tcp_time_wait()`, `net/ipv4/tcp_minisocks.c`.
pub(super) const OVERFLOW: Told = Told::on(Platform::Linux, TimeWaitOverflow);
/// A gateway is not the machine that writes the log.
const SNAT: Told = Told::anywhere(SnatExhausted);

/// `__nf_conntrack_alloc()`: "nf_conntrack: table full, dropping packet"; `ip_conntrack` before
/// Linux 2.6.20.
pub(super) fn table_full(place: Place<'_>) -> Option<Told> {
    holds_any(before(place.line, place.at, 48), &["conntrack"])
        .then_some(Told::on(Platform::Linux, ConntrackFull))
}

/// Cilium's drop reason "No mapping for NAT masquerade".
pub(super) fn masquerade(place: Place<'_>) -> Option<Told> {
    holds_any(before(place.line, place.at, 24), &["o mapping for"])
        .then_some(Told::on(Platform::Linux, SnatExhausted))
}

/// Azure: "SNAT port exhaustion", "SNAT ports exhausted", "failed SNAT connections". The rules of a
/// packet filter are full of the word.
pub(super) fn snat(place: Place<'_>) -> Option<Told> {
    let near = |words: &[&str]| {
        holds_any(after(place.line, place.end, 64), words)
            || holds_any(before(place.line, place.at, 48), words)
    };
    let of_connections = holds_any(after(place.line, place.end, 16), &["onnection", "ort"]);
    let failed = near(&["exhaust", "xhausted", "ran out"]) || (of_connections && near(&["ailed"]));
    (failed && !is_denied(place)).then_some(SNAT)
}

/// BIG-IP: "Inet port exhaustion on 10.0.0.1 to 10.9.9.9:80 (proto 6)"; FortiGate: "NAT port is
/// exhausted"; ASA: "PAT pool exhausted"; "source ports exhausted". Not every pool that is.
pub(super) fn exhausted(place: Place<'_>) -> Option<Told> {
    let lead = before(place.line, place.at, 24);
    let lead = lead.strip_suffix(b" is").unwrap_or(lead).trim_ascii_end();
    let known = [
        "Inet port",
        "NAT port",
        "NAT ports",
        "PAT pool",
        "PAT port",
        "ource port",
        "ource ports",
    ];
    let is_known = known.iter().any(|words| lead.ends_with(words.as_bytes()));
    (is_known && !is_denied(place)).then_some(SNAT)
}

/// "no SNAT port exhaustion", "exhaustion: false".
fn is_denied(place: Place<'_>) -> bool {
    let lead = before(place.line, place.at, 24).to_ascii_lowercase();
    let rest = after(place.line, place.end, 48).to_ascii_lowercase();
    holds_any(&lead, &["no ", "not ", "without ", "avoid ", "prevent "])
        || holds_any(
            &rest,
            &[
                ": false",
                "=false",
                ": 0",
                "=0",
                "not detected",
                "\":0",
                "\":false",
            ],
        )
}

/// AWS' metric, from the console, the CLI's JSON or an exporter: a complaint where its value is not
/// zero.
pub(super) fn error_port_allocation(place: Place<'_>) -> Option<Told> {
    let rest = after(place.line, place.end, 512);
    let value = [
        "\"Sum\"",
        "\"Maximum\"",
        "\"Average\"",
        "\"Value\"",
        "\"value\"",
    ]
    .iter()
    .find_map(|key| {
        let around = [rest, before(place.line, place.at, 256)];
        around.into_iter().find_map(|part| {
            let at = find(part, key)? + key.len();
            first_amount(part.get(at..)?)
        })
    });
    let value = value.or_else(|| first_amount(after_labels(rest)));
    let alarm =
        || holds_any(rest, &["ALARM"]) || holds_any(before(place.line, place.at, 128), &["ALARM"]);
    match value {
        Some(is_zero) => (!is_zero).then_some(SNAT),
        None => alarm().then_some(SNAT),
    }
}

/// `{nat_gateway_id="nat-0"} 12`: labels hold numbers that are none of the metric's.
fn after_labels(rest: &[u8]) -> &[u8] {
    let name_end = rest
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .unwrap_or(rest.len());
    let rest = rest.get(name_end..).unwrap_or(&[]);
    match (rest.first(), memchr::memchr(b'}', rest)) {
        (Some(b'{'), Some(close)) => rest.get(close..).unwrap_or(&[]),
        _ => rest,
    }
}

/// Whether the first number that stands for itself is zero; `None` where there is no number. Parts
/// of names, dates and ARNs are passed over.
fn first_amount(text: &[u8]) -> Option<bool> {
    text.split(|byte| byte.is_ascii_whitespace() || b",;=\"'}]{[(|".contains(byte))
        .map(|word| word.strip_prefix(b":").unwrap_or(word))
        .find(|word| {
            word.first().is_some_and(u8::is_ascii_digit)
                && word
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || b".eE+)".contains(byte))
        })
        .map(|word| !word.iter().any(|byte| (b'1'..=b'9').contains(byte)))
}

/// Google's NAT log, `"allocation_status":"DROPPED"`.
pub(super) fn dropped(place: Place<'_>) -> Option<Told> {
    holds_any(before(place.line, place.at, 32), &["allocation_status"]).then_some(SNAT)
}

/// Google's metric `dropped_sent_packets_count` has this as the reason.
pub(super) fn out_of_resources(place: Place<'_>) -> Option<Told> {
    let words = ["nat_", "nat-", "NAT", "\"nat", "allocation_status"];
    (holds_any(before(place.line, place.at, 200), &words)
        || holds_any(after(place.line, place.end, 200), &words))
    .then_some(SNAT)
}
