//! A scenario on the running kernel: [`prepare`] builds it, the [`Stage`] keeps its sockets alive
//! and counts what the kernel still grants.
//!
//! `stage::play` performs steps, `stage::servers` keeps the servers' ends, `stage::grant` counts.

use std::time::Instant;

use dryport_model::Request;

use crate::scenario::Topology;
use crate::socket::Held;
use crate::step::TryOutcome;
use crate::{Ask, Lab, LabError, Namespace, Scenario, Step};

mod grant;
mod play;
mod servers;

pub use grant::{Granted, Policy};
use servers::Servers;

const RANGE_KEY: &str = "net.ipv4.ip_local_port_range";

/// A scenario after its set-up. Dropping it ends its namespaces.
#[derive(Debug)]
pub struct Stage {
    // Sockets go before the namespaces they live in.
    groups: Vec<Group>,
    servers: Servers,
    lab: Lab,
    request: Option<Ask>,
    policy: Policy,
    last_step_began: Instant,
}

/// The sockets of one `hold` or `try`.
#[derive(Debug)]
struct Group {
    name: Option<String>,
    sockets: Vec<Held>,
}

/// Builds the namespaces of a scenario and performs its set-up.
///
/// # Errors
/// The lab cannot be built, or a step does not do what it says; the step is told.
pub fn prepare(scenario: &Scenario) -> Result<Stage, LabError> {
    let mut stage = Stage::empty(scenario)?;
    stage.play_all(&scenario.setup)?;
    Ok(stage)
}

impl Stage {
    /// The namespaces, servers and settings of a scenario, before its first step.
    ///
    /// # Errors
    /// The lab cannot be built.
    pub fn empty(scenario: &Scenario) -> Result<Self, LabError> {
        let lab = match scenario.topology {
            Topology::Loopback => Lab::loopback()?,
            Topology::Veth => Lab::veth()?,
        };
        if !lab.has_server() && !scenario.server_sysctl.is_empty() {
            return Err(LabError::NoServer);
        }
        // Before the settings: with bindv6only the servers would miss IPv4.
        let servers = lab.server().run(Servers::start)??;
        let range = scenario.range;
        lab.client()
            .set(RANGE_KEY, &format!("{} {}", range.low(), range.high()))?;
        for (key, value) in &scenario.sysctl {
            lab.client().set(key, value)?;
        }
        for (key, value) in &scenario.server_sysctl {
            lab.server().set(key, value)?;
        }
        Ok(Self {
            groups: Vec::new(),
            servers,
            lab,
            request: scenario.request.clone(),
            policy: Policy {
                retries: scenario.retries,
                limit: scenario.limit,
            },
            last_step_began: Instant::now(),
        })
    }

    /// The namespace in which ports are asked for.
    #[must_use]
    pub const fn client(&self) -> &Namespace {
        self.lab.client()
    }

    /// The namespace in which the servers are; the client's own in the loopback topology.
    #[must_use]
    pub fn server(&self) -> &Namespace {
        self.lab.server()
    }

    /// When the last step began: what it set off cannot be older.
    #[must_use]
    pub const fn last_step_began(&self) -> Instant {
        self.last_step_began
    }

    /// The scenario's request in the model's words, its interface resolved in the client's
    /// namespace. `None` where there is no request, or where it names its port itself.
    ///
    /// # Errors
    /// The interface does not exist.
    pub fn request(&self) -> Result<Option<Request>, LabError> {
        let Some(ask) = &self.request else {
            return Ok(None);
        };
        let device = match &ask.options.device {
            Some(device) => self.client().interface_index(device)?,
            None => 0,
        };
        Ok(ask.request(device))
    }

    /// Performs one more step.
    ///
    /// # Errors
    /// It does not do what it says.
    pub fn play(&mut self, step: &Step) -> Result<(), LabError> {
        self.play_all(std::slice::from_ref(step))
    }

    /// Performs steps in the client's namespace, one after the other, in one thread.
    ///
    /// # Errors
    /// One does not do what it says; the rest is left undone.
    pub fn play_all(&mut self, steps: &[Step]) -> Result<(), LabError> {
        let Self {
            groups,
            servers,
            lab,
            last_step_began,
            ..
        } = self;
        lab.client().run(|| {
            let mut player = play::Player {
                groups,
                servers,
                lab,
            };
            steps.iter().try_for_each(|step| {
                *last_step_began = Instant::now();
                player.play(step).map_err(|source| LabError::Step {
                    step: step.to_string(),
                    source: Box::new(source),
                })
            })
        })?
    }
}

/// Whether a `try` step got what it expects.
fn check_outcome(expected: TryOutcome, got: Option<&'static str>) -> Result<(), LabError> {
    let fine = match expected {
        TryOutcome::Any => true,
        TryOutcome::Granted => got.is_none(),
        TryOutcome::Refused(errno) => got == Some(errno),
    };
    if fine {
        return Ok(());
    }
    let expected = match expected {
        TryOutcome::Refused(errno) => errno,
        TryOutcome::Any | TryOutcome::Granted => "a socket",
    };
    let got = got.unwrap_or("a socket").to_owned();
    Err(LabError::Unexpected {
        expected: expected.to_owned(),
        got,
    })
}
