//! What a reader should know about a request's number beyond the number.

use dryport_model::{Claim, Headroom, Ledger, Request};

/// Below this size the slow walk past half the range is not felt.
const WALK_IS_FELT_FROM: u32 = 1024;

/// Notes that follow from the ledger alone: an end that may never be reached, the slow half, ports
/// that could not be judged.
#[must_use]
pub fn request_notes(request: &Request, ledger: &Ledger, headroom: Headroom) -> Vec<String> {
    let odd = ledger.uncertain == 0 && !headroom.is_exact();
    let walks = matches!(request.claim(), Claim::Tuple { .. }) && request.port_range.is_none();
    let slow = walks
        && headroom.at_most > 0
        && ledger.capacity() >= WALK_IS_FELT_FROM
        && ledger.taken() * 2 > ledger.capacity();
    [
        (
            ledger.uncertain > 0,
            "Some ports could not be judged; the number lies between the two ends.",
        ),
        (
            odd,
            "The range has an odd number of ports: the kernel may never reach one end of it.",
        ),
        (
            slow,
            "More than half the range is taken: each connect() now takes 10 to 100 times longer.",
        ),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, text)| text.to_string())
    .collect()
}
