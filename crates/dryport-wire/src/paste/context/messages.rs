//! Messages, and the lines after them that tell the call.

use dryport_model::explain::{Clue, Findings};
use dryport_model::{Complaint, Message};

use super::super::words::{holds, trimmed};
use super::super::{Format, Input};
use super::Context;
use crate::message;

/// Lines after a message that may tell its call.
const FOLLOWING: u8 = 12;

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
        if message.call.is_some() {
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
        let Some(follow) = message::read_following(text) else {
            open.left -= 1;
            if open.left == 0 {
                self.close_message(findings, input);
            }
            return false;
        };
        open.left -= 1;
        let message = &mut open.message;
        message.local_port = message.local_port.or(follow.local_port);
        if message.destination.is_none() {
            message.destination_address = follow
                .destination
                .as_deref()
                .and_then(|destination| destination.parse().ok());
            message.destination = follow.destination;
        }
        message.call = follow.call;
        if message.call.is_some() || open.left == 0 {
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

fn add_message(message: Message, line: u64, count: u64, findings: &mut Findings, input: &Input) {
    if let Some(platform) = message.platform {
        findings.clue(Clue::Message, platform);
    }
    findings.message(message, input.index, line, count);
}
