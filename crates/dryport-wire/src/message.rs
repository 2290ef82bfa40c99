//! What log lines and error messages say of local ports.
//!
//! Finds the lines that matter in a text of any size ([`Finder`]) and reads one into the model's
//! words ([`read_line`]); what a [`Message`] means for ports is the model's rule
//! ([`Message::cause`]). Lines that merely look alike (an accepted connection, `/item/10048`) say
//! nothing; false alarms (a refused connection, a port that is taken) are messages, since people
//! paste them for the same reason.

mod call;
mod complaint;
mod endpoint;
mod ends;
mod event;
mod finder;
mod follow;
mod look;
mod nat;
mod number;
mod phrase;
mod program;
#[cfg(test)]
mod tests;
mod translated;

use dryport_model::Complaint::{
    AddressNotAvailable, ConntrackFull, Event4227, Event4231, Event4266, TimeWaitOverflow,
};
use dryport_model::{Call, Message};

pub use finder::Finder;
pub use follow::{Follow, read_following};

/// How far around a complaint the rest of the message is sought: further off, in a line that holds
/// a whole document, something else is spoken of.
const AROUND: usize = 1024;

/// What one line says; `None` where an anchor stood in an innocent line.
///
/// `line` has no line end, may be invalid UTF-8, and takes time in proportion to its length. Of
/// several complaints in it the weightiest counts, of equal ones the first.
#[must_use]
pub fn read_line(line: &[u8]) -> Option<Message> {
    if follow::is_detail(line) {
        return None;
    }
    let mut found = complaint::find(line)?;
    let mut message = Message::new(found.told.complaint);
    message.platform = found.told.platform;
    let start = found.at.saturating_sub(AROUND);
    let near = line.get(start..line.len().min(found.end.saturating_add(AROUND)))?;
    (found.at, found.end) = (found.at - start, found.end - start);
    message.program = program::find(near);
    if matches!(
        found.told.complaint,
        Event4227 | Event4231 | Event4266 | TimeWaitOverflow | ConntrackFull
    ) {
        // Neither names a call or an end.
        return Some(message);
    }
    message.platform = program::platform(near, &found);
    message.call = match found.told.complaint {
        // UDP has another errno for a lack of ports: this one is about the source address.
        AddressNotAvailable if phrase::find(near, "dial udp").is_some() => Some(Call::Bind),
        _ => call::find(near, &found),
    };
    let ends = ends::find_ends(near, &found, message.call);
    message.local_port = ends.local_port;
    message.local_address = ends.local_address.filter(|own| !own.is_unspecified());
    message.destination = ends.destination;
    message.destination_address = ends.destination_address;
    Some(message)
}
