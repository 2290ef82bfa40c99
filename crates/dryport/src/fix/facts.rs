//! What a plan for this namespace is made from.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use dryport_host::survey;
use dryport_host::{LimitsRead, NamespaceId, OwnerWalk, device_name, runtime_of};
use dryport_model::plan::{
    Advice, KUBELET_PORT, LinuxFacts, Plan, PlannedRequest, PortViews, ProgramTraits, Service,
    ServicePort, Target, advice as advice_for, measures_for, plan_for_linux, plan_with_limits,
    recognise,
};
use dryport_model::{
    Claim, Level, Limits, OwnerShare, Owners, Protocol, Request, RequestVerdict, Thresholds,
    Verdict,
};
use dryport_tune::sysctl;

use crate::args::{FixArgs, HeadroomArgs};
use crate::check::Seen;
use crate::failure::Failure;
use crate::fix::worst;
use crate::headroom;
use crate::reader::{Extent, Reader};

/// A program with more UDP ports than this is a client of many.
const MOST_UDP_SERVICES: usize = 16;
/// Requests that are planned for at once: the worst. Each costs a dump of all sockets.
const MOST_REQUESTS: usize = 4;
/// Below this size the slow walk past half the range is not felt.
const WALK_IS_FELT_FROM: u32 = 1024;
/// Programs looked at for what they are.
const MOST_PROGRAMS: usize = 4;
/// Where the kubelet keeps its state.
const KUBELET: &str = "/var/lib/kubelet";

/// One request and what every port would be for it.
pub(crate) struct Subject {
    pub(crate) request: Request,
    pub(crate) views: PortViews,
    /// How it stands in the verdict, where it is there.
    level: Level,
    shares: Vec<OwnerShare>,
}

/// Everything that a plan is made from.
pub(crate) struct Facts {
    subjects: Vec<Subject>,
    verdict: Verdict,
    walk: Option<Arc<OwnerWalk>>,
    services: Vec<Service>,
    unprivileged_start: u16,
    is_kubernetes_node: bool,
    thresholds: Thresholds,
}

impl Facts {
    /// Looks at the namespace of the calling thread.
    pub(crate) fn gather(args: &FixArgs, read: &LimitsRead) -> Result<Self, Failure> {
        let thresholds = Thresholds::from(args.thresholds);
        let named = args.to.as_ref().map(|to| asked_for(to, read)).transpose()?;
        Self::of(read, thresholds, named, args.target_rate.is_some())
    }

    /// The same for one request, or for what is shortest of ports.
    pub(crate) fn of(
        read: &LimitsRead,
        thresholds: Thresholds,
        named: Option<Request>,
        has_rate: bool,
    ) -> Result<Self, Failure> {
        let reader = Reader::choose(None, Extent::Here, true)?;
        let table = reader.table(true);
        let seen = Seen::gather(&reader, read, thresholds, false)?;
        let chosen = choose(&seen.verdict, named, has_rate);
        let subjects = chosen
            .into_iter()
            .map(|(request, verdict)| {
                Ok(Subject {
                    views: table
                        .survey(|means| survey::every_port(&request, read, means), |_| &[])?,
                    request,
                    level: verdict.map_or(Level::Ok, |verdict| verdict.level),
                    shares: verdict
                        .map(|verdict| verdict.owners.processes.clone())
                        .unwrap_or_default(),
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let services = services(&read.limits, seen.owners())?;
        Ok(Self {
            subjects,
            walk: seen.walk,
            is_kubernetes_node: is_kubernetes_node(&services)?,
            services,
            unprivileged_start: unprivileged_start(),
            thresholds,
            verdict: seen.verdict,
        })
    }

    /// The request that the numbers are about.
    pub(crate) fn first(&self) -> &Subject {
        // There is always "any new destination".
        &self.subjects[0]
    }

    /// The level of what is planned for.
    pub(crate) fn level(&self) -> Level {
        worst(self.subjects.iter().map(|subject| subject.level))
    }

    pub(crate) fn device_name(&self) -> Option<String> {
        match self.first().request.device {
            0 => None,
            device => device_name(device),
        }
    }

    pub(crate) const fn unprivileged_start(&self) -> u16 {
        self.unprivileged_start
    }

    /// The smallest change that suffices.
    pub(crate) fn plan(&self, read: &LimitsRead, target: &Target) -> Plan {
        self.with(&read.limits, |facts| plan_for_linux(facts, target))
    }

    /// What certain settings would give.
    pub(crate) fn plan_with(&self, read: &LimitsRead, target: &Target, after: Limits) -> Plan {
        self.with(&read.limits, |facts| plan_with_limits(facts, target, after))
    }

    fn with(&self, limits: &Limits, plan: impl FnOnce(&LinuxFacts<'_>) -> Plan) -> Plan {
        let requests: Vec<PlannedRequest<'_>> = self
            .subjects
            .iter()
            .map(|subject| PlannedRequest {
                request: &subject.request,
                views: &subject.views,
            })
            .collect();
        plan(&LinuxFacts {
            limits,
            unprivileged_start: self.unprivileged_start,
            requests: &requests,
            services: &self.services,
            is_kubernetes_node: self.is_kubernetes_node,
            thresholds: self.thresholds,
        })
    }

    /// What the application should do, with snippets for the programs that hold the ports.
    pub(crate) fn advice(&self) -> Vec<Advice> {
        let first = self.first();
        let causes: Vec<_> = self.verdict.causes.iter().map(|cause| cause.id).collect();
        let ledger = first.views.now.ledger();
        if self.level() < Level::Warning {
            return Vec::new();
        }
        let measures = measures_for(&first.request, &ledger, &causes);
        advice_for(&measures, &self.clients())
    }

    fn clients(&self) -> Vec<dryport_model::plan::Client> {
        let Some(owners) = self.walk.as_deref().map(|walk| &walk.owners) else {
            return Vec::new();
        };
        let first = self.first();
        let mut clients = Vec::new();
        let shares = first.shares.iter().take(MOST_PROGRAMS);
        for owner in shares.filter_map(|share| owners.processes.get(share.process as usize)) {
            let traits = ProgramTraits {
                name: &owner.name,
                executable: owner.executable.as_deref(),
                runtime: runtime_of(owner.pid),
            };
            for client in recognise(&traits, first.request.destination) {
                if !clients.contains(&client) {
                    clients.push(client);
                }
            }
        }
        clients
    }
}

/// What is planned for: the named request, else all that are short of ports, else the busiest for a
/// rate, else any new destination.
fn choose(
    verdict: &Verdict,
    named: Option<Request>,
    has_rate: bool,
) -> Vec<(Request, Option<&RequestVerdict>)> {
    if let Some(named) = named {
        let known = verdict.requests.iter().find(|known| {
            known.request.claim() == named.claim() && known.request.protocol == named.protocol
        });
        return vec![(named, known)];
    }
    // No setting gives a port to a program that asks for a range of its own.
    let requests = || {
        verdict
            .requests
            .iter()
            .filter(|known| known.request.port_range.is_none())
            .map(|known| (known.request, Some(known)))
    };
    let short: Vec<_> = requests()
        .filter(|(request, known)| {
            known.is_some_and(|known| known.level >= Level::Warning || is_slow(request, known))
        })
        .take(MOST_REQUESTS)
        .collect();
    if !short.is_empty() {
        return short;
    }
    let busiest = requests()
        .filter(|(request, _)| matches!(request.claim(), Claim::Tuple { .. }))
        .max_by_key(|(_, known)| known.map(|known| known.ledger.taken()));
    let any = || requests().find(|(request, _)| request.claim() == Claim::Bucket);
    let chosen = if has_rate {
        busiest.or_else(any)
    } else {
        any()
    };
    vec![chosen.unwrap_or_else(|| (Request::any_new_destination(), None))]
}

/// Past half of the range, `connect()` walks the ports of one parity in vain.
fn is_slow(request: &Request, verdict: &RequestVerdict) -> bool {
    let ledger = &verdict.ledger;
    matches!(request.claim(), Claim::Tuple { .. })
        && ledger.capacity() >= WALK_IS_FELT_FROM
        && ledger.taken() * 2 > ledger.capacity()
}

/// A plain connect() to a destination.
pub(crate) fn asked_for(
    to: &crate::destination::Destination,
    read: &LimitsRead,
) -> Result<Request, Failure> {
    let (address, scope) = headroom::resolved(to)?;
    let args = HeadroomArgs::to(to.clone());
    headroom::request(&args, address, scope, &read.limits)
}

fn services(limits: &Limits, owners: Option<&Owners>) -> Result<Vec<Service>, Failure> {
    let mut found = survey::service_ports(limits)?;
    let holder = |port: &ServicePort| {
        let mut holders = owners?.of(port.inode);
        holders.next().map(|(process, _)| process)
    };
    // A resolver binds hundreds of random UDP ports, each for one question: those are no services.
    let of_udp = found
        .iter()
        .filter(|port| port.service.protocol == Protocol::Udp);
    let mut counts: HashMap<Option<u32>, usize> = HashMap::new();
    of_udp.for_each(|port| *counts.entry(holder(port)).or_default() += 1);
    found.retain(|port| {
        let alike = counts.get(&holder(port)).copied().unwrap_or(0);
        port.service.protocol == Protocol::Tcp || alike <= MOST_UDP_SERVICES
    });
    Ok(found
        .into_iter()
        .map(|mut port| {
            port.service.program = owners.and_then(|owners| {
                let mut holders = owners.of(port.inode);
                holders.next().map(|(_, owner)| owner.name.clone())
            });
            port.service
        })
        .collect())
}

/// NodePorts are served in the node's own namespace only, which is that of the kubelet.
fn is_kubernetes_node(services: &[Service]) -> Result<bool, Failure> {
    let namespace: NamespaceId = dryport_host::Namespace::current()?;
    let is_host = namespace.name.as_deref() == Some("host");
    let kubelet = services.iter().any(|service| service.port == KUBELET_PORT);
    Ok(kubelet || (is_host && Path::new(KUBELET).exists()))
}

/// 1024 where the kernel has no such setting, or does not tell.
fn unprivileged_start() -> u16 {
    let read = sysctl::ip_unprivileged_port_start().ok().flatten();
    read.and_then(|start| u16::try_from(start).ok())
        .unwrap_or(1024)
}
