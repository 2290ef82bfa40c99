//! Messages, and the lines after them that tell the call.

use dryport_model::explain::{Clue, Findings};
use dryport_model::{Call, Complaint, Message};

use super::super::words::{holds, trimmed};
use super::super::{Format, Input};
use super::Context;
use crate::message;

/// Lines after a message that may tell its call.
const FOLLOWING: u8 = 12;
/// Lines before a message in which Python tells the call.
const BEFORE: usize = 4;
/// Lines between the number of an event and its sentence.
const EVENT: u64 = 30;

/// A message whose call may still be told.
pub(super) struct OpenMessage {
    message: Message,
    line: u64,
    left: u8,
}

impl Context {
    pub(super) fn take_message(
        &mut self,
        text: &[u8],
        above: &[u8],
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        // A command that asks for events is none.
        if holds(text, b"wevtutil qe") || holds(text, b"Get-WinEvent -") {
            return false;
        }
        let Some(message) = message::read_line(trimmed(text)) else {
            return false;
        };
        self.close_message(findings, input);
        self.part(findings);
        input.format(match message.complaint {
            Complaint::Event4227 | Complaint::Event4231 | Complaint::Event4266 => {
                Format::WindowsEvent
            }
            _ => Format::Message,
        });
        if self.repeats_event(&message, text, input.lines) {
            return true;
        }
        let mut message = message;
        if message.call.is_none() {
            look_back(&mut message, above);
        }
        // A server's frame may tell that a bind() was its own.
        if matches!(message.call, Some(Call::Connect | Call::Listen)) {
            add_message(message, input.lines, 1, findings, input);
        } else {
            self.message = Some(OpenMessage {
                message,
                line: input.lines,
                left: FOLLOWING,
            });
        }
        true
    }

    /// One event of Windows is often told in two lines, its number and its sentence.
    fn repeats_event(&mut self, message: &Message, text: &[u8], line: u64) -> bool {
        // The number, and the one with the severity that `Get-EventLog` shows.
        let numbers: [&[u8]; 2] = match message.complaint {
            Complaint::Event4227 => [b"4227", b"2147487875"],
            Complaint::Event4231 => [b"4231", b"2147487879"],
            Complaint::Event4266 => [b"4266", b"2147487914"],
            _ => return false,
        };
        let by_number = numbers.iter().any(|number| holds(text, number));
        let before = self.event.replace((message.complaint, by_number, line));
        let again = before.is_some_and(|(complaint, numbered, before)| {
            complaint == message.complaint && numbered && !by_number && line - before <= EVENT
        });
        if again {
            self.event = None;
        }
        again
    }

    /// A stack frame after a message may tell which call failed.
    pub(super) fn follows_message(
        &mut self,
        text: &[u8],
        findings: &mut Findings,
        input: &mut Input,
    ) -> bool {
        let Some(open) = &mut self.message else {
            return false;
        };
        open.left -= 1;
        let ended = open.left == 0;
        let Some(follow) = message::read_following(text) else {
            if ended {
                self.close_message(findings, input);
            }
            return false;
        };
        follow.add_to(&mut open.message);
        let told = matches!(open.message.call, Some(Call::Connect | Call::Listen))
            && open.message.destination.is_some();
        if told || ended {
            self.close_message(findings, input);
        }
        true
    }

    pub(super) fn close_message(&mut self, findings: &mut Findings, input: &Input) {
        if let Some(open) = self.message.take() {
            add_message(open.message, open.line, 1, findings, input);
        }
    }
}

/// Python writes the frames before the error.
fn look_back(message: &mut Message, above: &[u8]) {
    let mut lines = above.rsplit(|byte| *byte == b'\n').skip(1).take(BEFORE);
    if let Some(follow) =
        lines.find_map(|line| message::read_following(line).filter(|follow| follow.call.is_some()))
    {
        follow.add_to(message);
    }
}

fn add_message(message: Message, line: u64, count: u64, findings: &mut Findings, input: &Input) {
    if let Some(platform) = message.platform {
        findings.clue(Clue::Message, platform);
    }
    findings.message(message, input.index, line, count);
}
