//! Counts: asks the kernel for one more socket, again and again, until it refuses.

use std::thread::sleep;
use std::time::Duration;

use rustix::io::Errno;

use super::Stage;
use crate::socket::{Held, open};
use crate::{Ask, LabError, Scenario, errno_name};

/// Between two attempts while waiting for the first grant.
const PROBE_INTERVAL: Duration = Duration::from_millis(1);
/// The servers' queues are emptied after so many connections, well before they overflow.
const ACCEPT_EVERY: u32 = 64;

/// When to stop asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many refusals are answered with one more attempt.
    pub retries: u32,
    /// Where to stop though the kernel grants on.
    pub limit: Option<u32>,
}

/// What the kernel granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The local ports, in the order granted.
    pub ports: Vec<u16>,
    /// How many: the length of `ports`.
    pub count: u32,
    /// How many were granted before the first refusal.
    pub first_failure: u32,
    /// The error of the first refusal; `None` if the limit was reached before one.
    pub errno: Option<&'static str>,
}

impl Stage {
    /// Asks for the scenario's request until the kernel refuses, keeping every socket until the
    /// count is done.
    ///
    /// # Errors
    /// The scenario has no request, or the servers fail.
    pub fn grant_all(&mut self) -> Result<Granted, LabError> {
        let ask = self.request.clone().ok_or(LabError::NoRequest)?;
        self.grant_all_of(&ask, self.policy)
    }

    /// The same for any other request.
    ///
    /// # Errors
    /// The servers fail.
    pub fn grant_all_of(&mut self, ask: &Ask, policy: Policy) -> Result<Granted, LabError> {
        let Self {
            groups,
            servers,
            lab,
            ..
        } = self;
        lab.client().run(|| {
            let mut kept: Vec<Held> = Vec::new();
            let mut first: Option<(u32, Errno)> = None;
            let mut refusals = 0;
            while policy.limit.is_none_or(|limit| count(&kept) < limit) {
                match open(ask) {
                    Ok(held) => kept.push(held),
                    Err(errno) => {
                        first = first.or(Some((count(&kept), errno)));
                        refusals += 1;
                        if refusals > policy.retries {
                            break;
                        }
                    }
                }
                if count(&kept).is_multiple_of(ACCEPT_EVERY) {
                    servers.accept_waiting(groups)?;
                }
            }
            servers.accept_waiting(groups)?;
            Ok(Granted {
                ports: kept.iter().map(|held| held.local.port()).collect(),
                count: count(&kept),
                first_failure: first.map_or(count(&kept), |(count, _)| count),
                errno: first.map(|(_, errno)| errno_name(errno)),
            })
        })?
    }

    /// Asks until the first grant and tells how long after the start of the last step that
    /// was.
    ///
    /// # Errors
    /// Nothing was granted within `deadline`, or the scenario has no request.
    pub fn wait_for_grant(&mut self, deadline: Duration) -> Result<Duration, LabError> {
        let ask = self.request.clone().ok_or(LabError::NoRequest)?;
        let began = self.last_step_began;
        self.client().run(|| {
            while began.elapsed() < deadline {
                if open(&ask).is_ok() {
                    return Ok(began.elapsed());
                }
                sleep(PROBE_INTERVAL);
            }
            let condition = format!("`{ask}` to be granted");
            Err(LabError::Deadline {
                condition,
                waited: began.elapsed(),
            })
        })?
    }

    /// Plays the scenario's last act and compares the answer with what it expects: the time of the
    /// first grant where it tells seconds, else the count. A scenario without a request is done
    /// with its steps.
    ///
    /// # Errors
    /// The lab failed.
    pub fn judge(&mut self, scenario: &Scenario) -> Result<Result<(), String>, LabError> {
        if scenario.request.is_none() {
            return Ok(Ok(()));
        }
        if let Some((_, most)) = scenario.expect.seconds {
            let deadline = Duration::from_secs_f64(most * 1.2 + 1.0);
            let took = self.wait_for_grant(deadline)?;
            return Ok(scenario.expect.judge_time(took));
        }
        Ok(scenario.expect.judge(&self.grant_all()?))
    }
}

fn count(kept: &[Held]) -> u32 {
    u32::try_from(kept.len()).unwrap_or(u32::MAX)
}
