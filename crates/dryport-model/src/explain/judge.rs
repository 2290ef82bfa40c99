//! From findings to requests, levels and causes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::coverage::coverage;
use super::nat::nat_requests;
use super::parity::{self, Chosen};
use super::ports::{Ports, Reuse, end_text, host_text, ledger};
use super::range::{self, Ranges};
use super::{
    CapturedRequest, DestinationUse, Explanation, Findings, Given, MessageTold, Number,
    RangeInForce, Scope, Source, causes, messages, platform, settings,
};
use crate::capture::{Host, HostId, Names, Pair, PairKey, PortShown, ProcessId, Table};
use crate::{
    Class, Family, Headroom, Ledger, Level, MOST_REQUESTS, Platform, PortRange, PortSet, Protocol,
    Sharing, Thresholds,
};

/// Destinations told.
const MOST_DESTINATIONS: usize = 20;

/// Judges a paste.
#[must_use]
pub fn explain(findings: &Findings, given: &Given) -> Explanation {
    let mut assumptions = Vec::new();
    let mut contradictions = range::contradictions(findings, given);
    let platform = platform::resolve(findings, given, &mut assumptions, &mut contradictions);
    let mut table = findings.tables.fullest();
    let mut judged = Judged::default();
    let mut time_wait_seconds = None;
    if let Some((platform, _)) = platform.filter(|_| contradictions.is_empty()) {
        let ranges = Ranges::new(findings, given, platform);
        time_wait_seconds = Some(ranges.time_wait_seconds());
        (table, judged) = worst(findings, given, platform, &ranges);
        assumptions.append(&mut judged.assumptions);
        if let Some(refuted) = judged.refuted.take() {
            contradictions.push(refuted);
            judged.requests.clear();
        }
        if judged.ranges.is_empty() {
            judged.ranges = told_alone(&ranges, findings);
        }
    }
    judged
        .requests
        .extend(nat_requests(findings, &given.thresholds));
    judged.requests.sort_by_key(|request| {
        (
            Reverse(request.level),
            Reverse(request.ledger.taken_at_most()),
        )
    });
    let mut causes = Vec::new();
    if let Some((platform, _)) = platform {
        causes = causes::find(&causes::Facts {
            findings,
            table,
            platform,
            requests: &judged.requests,
            ranges: &judged.ranges,
            time_wait_seconds: time_wait_seconds.map_or(60, |(seconds, _)| seconds),
        });
    }
    settings::add(
        findings,
        platform.map(|(platform, _)| platform),
        &mut causes,
    );
    let told = messages::add(
        findings,
        platform.map(|(platform, _)| platform),
        &judged.ranges,
        &mut causes,
    );
    causes::from_reports(findings, &mut causes);
    causes.sort_by_key(|cause| Reverse(cause.level));
    let level = level(findings, &judged, &causes, &told, &contradictions);
    let omitted = judged.requests.len().saturating_sub(MOST_REQUESTS);
    judged.requests.truncate(MOST_REQUESTS);
    Explanation {
        level,
        platform,
        assumptions,
        contradictions,
        ranges: judged.ranges,
        time_wait_seconds,
        tables: findings.tables.count(),
        rows: table.rows(),
        requests: judged.requests,
        requests_omitted: omitted + judged.omitted,
        destinations: judged.destinations,
        states: table.states(),
        processes: findings.processes.all().to_vec(),
        holders: judged.holders,
        causes,
        messages: told,
        coverage: coverage(
            findings,
            table,
            platform.map(|(platform, _)| platform),
            judged.chosen_by_connect,
        ),
    }
}

/// The table that is judged worst, and its judgement.
fn worst<'a>(
    findings: &'a Findings,
    given: &Given,
    platform: Platform,
    ranges: &Ranges<'_>,
) -> (&'a Table, Judged) {
    let mut worst: Option<(&Table, Judged)> = None;
    for table in findings.tables.candidates() {
        let judged = Judge::new(findings, table, given, platform, ranges).judge();
        if worst
            .as_ref()
            .is_none_or(|(_, other)| judged.badness() > other.badness())
        {
            worst = Some((table, judged));
        }
    }
    worst.unwrap_or_else(|| (findings.tables.fullest(), Judged::default()))
}

/// The worst of requests, causes and documents; unknown where nothing could be judged.
fn level(
    findings: &Findings,
    judged: &Judged,
    causes: &[crate::Cause],
    told: &[MessageTold],
    contradictions: &[String],
) -> Level {
    if !contradictions.is_empty() {
        return Level::Unknown;
    }
    let requests = judged.requests.iter().map(|request| request.level);
    let causes = causes.iter().map(|cause| cause.level);
    let reports = findings.reports.iter().filter_map(|report| report.level);
    let nothing = judged.requests.is_empty() && told.is_empty();
    let worst = requests.chain(reports).chain(causes).max();
    match worst {
        None | Some(Level::Ok) if nothing && findings.reports.iter().all(|r| r.level.is_none()) => {
            Level::Unknown
        }
        worst => worst.unwrap_or(Level::Unknown),
    }
}

/// Ranges that the input gives where no socket uses them.
fn told_alone(ranges: &Ranges<'_>, findings: &Findings) -> Vec<RangeInForce> {
    let mut told = Vec::new();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for family in [Family::V4, Family::V6] {
            let (range, _) = ranges.of(protocol, family);
            let gives = findings.ranges.iter().any(|found| {
                found.protocol.is_none_or(|p| p == protocol)
                    && found.family.is_none_or(|f| f == family)
            });
            let first = protocol == Protocol::Tcp && family == Family::V4;
            let settled = match range.source {
                Source::Assumed => first && ranges.is_old_windows(),
                _ => gives || first,
            };
            if settled && !told.contains(&range) {
                told.push(range);
            }
        }
    }
    told
}

/// What came of a table.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) requests: Vec<CapturedRequest>,
    omitted: usize,
    pub(super) ranges: Vec<RangeInForce>,
    destinations: Vec<DestinationUse>,
    holders: Vec<(u32, u32)>,
    /// The parity of ports tells that `connect()` chose them.
    chosen_by_connect: bool,
    assumptions: Vec<String>,
    /// The sockets show that an assumed range is not the one in force.
    refuted: Option<String>,
}

impl Judged {
    /// To choose among tables: the worst level, then the most that is taken.
    fn badness(&self) -> (bool, Level, u32) {
        let level = self.requests.iter().map(|request| request.level).max();
        let taken = self
            .requests
            .iter()
            .map(|request| request.ledger.taken_at_most());
        (
            self.refuted.is_some(),
            level.unwrap_or(Level::Ok),
            taken.max().unwrap_or(0),
        )
    }
}

struct Judge<'a> {
    findings: &'a Findings,
    table: &'a Table,
    names: &'a Names,
    thresholds: Thresholds,
    platform: Platform,
    ranges: &'a Ranges<'a>,
    /// Connections on these were accepted.
    servers: PortSet,
}

impl<'a> Judge<'a> {
    fn new(
        findings: &'a Findings,
        table: &'a Table,
        given: &Given,
        platform: Platform,
        ranges: &'a Ranges<'a>,
    ) -> Self {
        Self {
            findings,
            table,
            names: &findings.names,
            thresholds: given.thresholds,
            platform,
            ranges,
            servers: table.server_ports(),
        }
    }

    fn judge(&self) -> Judged {
        let mut judged = Judged::default();
        let mut assumptions = Vec::new();
        let sharing = self.platform.sharing();
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let families: Vec<Family> = [Family::V4, Family::V6]
                .into_iter()
                .filter(|family| self.table.pool(protocol, *family).rows > 0)
                .collect();
            if families.is_empty() {
                continue;
            }
            match (protocol, sharing) {
                (_, Sharing::Never) => {
                    for family in families {
                        self.pool_request(protocol, family, &mut judged);
                    }
                }
                (Protocol::Tcp, Sharing::ByTuple) => {
                    self.tuple_requests(&mut judged, &mut assumptions);
                }
                (Protocol::Tcp, _) => self.source_requests(sharing, &mut judged),
                (Protocol::Udp, _) => self.udp_request(&mut judged),
            }
        }
        for range in judged.ranges.iter().filter(|r| r.source == Source::Assumed) {
            assumptions.push(range::assumption(range, self.platform));
        }
        judged.assumptions = assumptions;
        let clients = self.table.client_ports();
        let tcp = judged.ranges.iter().find(|r| r.protocol == Protocol::Tcp);
        judged.refuted = tcp.and_then(|range| range::refuted(range, &clients));
        self.destinations(&mut judged);
        self.holders(&mut judged);
        judged
    }

    /// One pool for each protocol and family, whatever the destination.
    fn pool_request(&self, protocol: Protocol, family: Family, judged: &mut Judged) {
        let (range, reserved) = self.ranges.of(protocol, family);
        let pool = self.table.pool(protocol, family);
        let mut live = pool.live.clone();
        live.insert_all(&pool.listening);
        live.insert_all(&pool.bound);
        let ledger = ledger(range.range, |port| {
            if reserved.contains(port) {
                Class::Reserved
            } else if live.contains(port) {
                Class::InUse
            } else if pool.waiting.contains(port) {
                Class::TimeWait
            } else {
                Class::Free
            }
        });
        judged.ranges.push(range);
        let request = self.request(protocol, Some(family), Scope::Any, ledger);
        judged.requests.push(request);
    }

    /// A range for each pair, and what is lost for every pair.
    fn tuple_requests(&self, judged: &mut Judged, assumptions: &mut Vec<String>) {
        let (range, reserved) = self.ranges.of(Protocol::Tcp, Family::V4);
        let locked = self.locked();
        let class = |port: u16| {
            if reserved.contains(port) {
                Some(Class::Reserved)
            } else if locked.contains(port) {
                Some(Class::Locked)
            } else {
                None
            }
        };
        // Of an assumed range nobody knows the parity of the low end.
        let (by_bind, by_connect) = match range.source {
            Source::Assumed => (PortSet::new(), false),
            _ => self.by_parity(range.range, &locked),
        };
        judged.chosen_by_connect = by_connect;
        let any = ledger(range.range, |port| match class(port) {
            Some(class) => class,
            None if by_bind.contains(port) => Class::Uncertain,
            None => Class::Free,
        });
        let mut any = self.request(Protocol::Tcp, None, Scope::Any, any);
        if any.ledger.uncertain > 0 {
            any.unsure = Some(format!(
                "told by the ports themselves: {} are those that bind() before connect() gets, and not \
                 those of connect() alone",
                crate::grouped(any.ledger.uncertain)
            ));
        }
        judged.requests.push(any);
        let mut reuse_matters = false;
        let busiest = self.busiest();
        judged.omitted += busiest.len().saturating_sub(MOST_REQUESTS);
        for (key, pair) in busiest.into_iter().take(MOST_REQUESTS) {
            let ports = Ports::of(pair, &self.servers);
            if ports.count_in(range.range) == 0 {
                continue;
            }
            let reuse = self.reuse(key);
            let cut = [
                key.source_host(self.table),
                key.destination_host(self.table),
            ]
            .into_iter()
            .any(|host| matches!(host, Host::Cut(_) | Host::Other));
            let ledger = ledger(range.range, |port| {
                class(port).unwrap_or_else(|| match ports.class(port, reuse) {
                    Class::Free => Class::Free,
                    _ if cut => Class::Uncertain,
                    class => class,
                })
            });
            let scope = Scope::Pair {
                source: self.host(key.source_host(self.table)),
                destination: self.destination(key),
            };
            let mut request = self.request(Protocol::Tcp, None, scope, ledger);
            reuse_matters |= reuse == Reuse::Untold && ledger.uncertain > 0;
            request.uncertain_waits = if cut { 0 } else { ledger.uncertain };
            self.settle(&mut request, reuse);
            if cut && request.level > Level::Ok {
                request.unsure = Some(
                    "unless several hosts stand behind the address that is cut off; `netstat -W` or \
                     `ss` shows it whole"
                        .into(),
                );
            }
            request.holders = holders_of(pair);
            judged.requests.push(request);
        }
        if reuse_matters {
            assumptions.push(
                "net.ipv4.tcp_tw_reuse is not in the input: TIME_WAITs on loopback are counted as \
                 taken, though Linux 4.19 and later takes those over that are older than 1 s"
                    .into(),
            );
        }
        judged.ranges.push(range);
    }

    /// Ports that tell to be bound, and whether others tell to be `connect()`'s.
    fn by_parity(&self, range: PortRange, locked: &PortSet) -> (PortSet, bool) {
        let mut sources: Vec<(HostId, Vec<PortSet>)> = Vec::new();
        for (key, pair) in self.busiest().into_iter().take(MOST_REQUESTS) {
            let ports = Ports::of(pair, &self.servers).all();
            match sources.iter_mut().find(|(source, _)| *source == key.source) {
                Some((_, pairs)) => pairs.push(ports),
                None => sources.push((key.source, Vec::from([ports]))),
            }
        }
        let mut bound = PortSet::new();
        let mut by_connect = false;
        for (_, pairs) in &sources {
            match parity::chosen(pairs, range, locked) {
                Chosen::ByBind => pairs.iter().for_each(|ports| bound.insert_all(ports)),
                Chosen::ByConnect => by_connect = true,
                Chosen::Untold => {}
            }
        }
        (bound, by_connect)
    }

    /// The worse of the two ends, with the reason; the better one where a setting that was seen
    /// lets TIME_WAITs be taken over, and only their age is unknown.
    fn settle(&self, request: &mut CapturedRequest, reuse: Reuse) {
        let best = self.thresholds.at_best(&request.ledger, request.headroom);
        if best == request.level {
            return;
        }
        match reuse {
            Reuse::Applies => request.level = best,
            _ => {
                request.unsure = Some(
                    "unless these TIME_WAITs are taken over, which net.ipv4.tcp_tw_reuse decides"
                        .into(),
                );
            }
        }
    }

    /// One port for each source address, whatever the destination.
    fn source_requests(&self, sharing: Sharing, judged: &mut Judged) {
        let (range, reserved) = self.ranges.of(Protocol::Tcp, Family::V4);
        let locked = self.locked();
        let mut sources: Vec<(Host, Ports)> = Vec::new();
        let mut fullest_pair: Vec<(Host, u32)> = Vec::new();
        for (key, pair) in self.table.pairs() {
            let source = key.source_host(self.table);
            let ports = Ports::of(pair, &self.servers);
            let count = ports.count_in(range.range);
            let room = sources.len() < MOST_REQUESTS;
            match sources.iter_mut().find(|(other, _)| *other == source) {
                Some((_, all)) => all.add(&ports),
                None if room => sources.push((source, ports)),
                None => judged.omitted += 1,
            }
            match fullest_pair.iter_mut().find(|(other, _)| *other == source) {
                Some((_, most)) => *most = count.max(*most),
                None => fullest_pair.push((source, count)),
            }
        }
        for (source, ports) in sources {
            // Where the destination may count, only the fullest pair is certain.
            let pair = fullest_pair.iter().find(|(other, _)| *other == source);
            let mut certain = match sharing {
                Sharing::BySource => u32::MAX,
                _ => pair.map_or(0, |(_, count)| *count),
            };
            let ledger = ledger(range.range, |port| {
                let class = match () {
                    () if reserved.contains(port) => return Class::Reserved,
                    () if locked.contains(port) => return Class::InUse,
                    () => ports.class(port, Reuse::No),
                };
                if class == Class::Free {
                    return class;
                }
                if certain == 0 {
                    return Class::Uncertain;
                }
                certain -= 1;
                class
            });
            if ledger.taken_at_most() == 0 {
                continue;
            }
            let scope = Scope::Source(self.host(source));
            let mut request = self.request(Protocol::Tcp, None, scope, ledger);
            let best = self.thresholds.at_best(&request.ledger, request.headroom);
            if best != request.level {
                request.unsure = Some(
                    "unless this system shares ports between destinations (FreeBSD 13 and later)"
                        .into(),
                );
            }
            judged.requests.push(request);
        }
        if judged.requests.is_empty() {
            let ledger = ledger(range.range, |port| match () {
                () if reserved.contains(port) => Class::Reserved,
                () if locked.contains(port) => Class::InUse,
                () => Class::Free,
            });
            judged
                .requests
                .push(self.request(Protocol::Tcp, None, Scope::Any, ledger));
        }
        judged.ranges.push(range);
    }

    /// UDP: a port for each socket. One whose port is chosen for it has no address yet, so that
    /// every other one stands in its way, whatever its address.
    fn udp_request(&self, judged: &mut Judged) {
        let (range, reserved) = self.ranges.of(Protocol::Udp, Family::V4);
        let mut held = PortSet::new();
        self.table.udp().for_each(|(_, bag)| bag.add_to(&mut held));
        let ledger = ledger(range.range, |port| {
            if reserved.contains(port) {
                Class::Reserved
            } else if held.contains(port) {
                Class::InUse
            } else {
                Class::Free
            }
        });
        judged
            .requests
            .push(self.request(Protocol::Udp, None, Scope::Any, ledger));
        let known = judged.ranges.iter().any(|known| known.range == range.range);
        if !known {
            judged.ranges.push(range);
        }
    }

    /// Ports that listeners and idle bound sockets hold, of both families.
    fn locked(&self) -> PortSet {
        let mut locked = PortSet::new();
        for family in [Family::V4, Family::V6] {
            let pool = self.table.pool(Protocol::Tcp, family);
            locked.insert_all(&pool.listening);
            locked.insert_all(&pool.bound);
        }
        locked
    }

    fn request(
        &self,
        protocol: Protocol,
        family: Option<Family>,
        scope: Scope,
        ledger: Ledger,
    ) -> CapturedRequest {
        let mut headroom = Headroom {
            at_least: ledger.usable(),
            at_most: ledger.usable() + ledger.uncertain,
        };
        // An odd range may never reach one of its ports (docs/rules.md).
        let linux_tcp = self.platform == Platform::Linux && protocol == Protocol::Tcp;
        if linux_tcp && ledger.total() % 2 == 1 && ledger.total() > 1 {
            headroom.at_least = headroom.at_least.saturating_sub(1);
        }
        CapturedRequest {
            protocol,
            family,
            scope,
            ledger,
            headroom,
            level: self.thresholds.at_worst(&ledger, headroom),
            uncertain_waits: 0,
            unsure: None,
            holders: Vec::new(),
        }
    }

    /// Pairs, those with most ports first; accepted connections have one port each.
    fn busiest(&self) -> Vec<(&PairKey, &Pair)> {
        let mut pairs: Vec<(&PairKey, &Pair)> = self
            .table
            .pairs()
            .filter(|(_, pair)| {
                pair.at_most() > 1 || {
                    let ports = Ports::of(pair, &self.servers);
                    !ports.is_empty()
                }
            })
            .collect();
        pairs.sort_by_key(|(key, pair)| (Reverse(pair.at_most()), **key));
        pairs
    }

    /// Whether Linux would take a TIME_WAIT of this pair over.
    fn reuse(&self, key: &PairKey) -> Reuse {
        let number = |number| self.findings.number(number);
        if number(Number::TcpTimestamps) == Some(0) {
            return Reuse::No;
        }
        let loopback = match key.destination_host(self.table) {
            Host::Ip(address) => address.is_loopback(),
            _ => false,
        };
        match (number(Number::TcpTwReuse), loopback) {
            (Some(1), _) | (Some(2), true) => Reuse::Applies,
            (None, true) => Reuse::Untold,
            _ => Reuse::No,
        }
    }

    /// How many ports of the range go to which destination.
    fn destinations(&self, judged: &mut Judged) {
        let range = self.ranges.of(Protocol::Tcp, Family::V4).0.range;
        let mut by: Vec<((Host, PortShown), Ports)> = Vec::new();
        for (key, pair) in self.busiest().into_iter().take(10 * MOST_DESTINATIONS) {
            let ports = Ports::of(pair, &self.servers);
            let end = (key.destination_host(self.table), key.port);
            match by.iter_mut().find(|(other, _)| *other == end) {
                Some((_, all)) => all.add(&ports),
                None => by.push((end, ports)),
            }
        }
        let mut used: Vec<DestinationUse> = by
            .into_iter()
            .map(|((host, port), ports)| DestinationUse {
                destination: end_text(self.names, host, port),
                ports: ports.count_in(range),
                time_wait: ports.waiting_in(range),
            })
            .filter(|used| used.ports > 0)
            .collect();
        used.sort_by_key(|used| (Reverse(used.ports), used.destination.clone()));
        used.truncate(MOST_DESTINATIONS);
        judged.destinations = used;
    }

    /// Ports of the range by process.
    fn holders(&self, judged: &mut Judged) {
        let range = self.ranges.of(Protocol::Tcp, Family::V4).0.range;
        let mut holders: Vec<(u32, u32)> = self
            .table
            .processes()
            .map(|(ProcessId(id), ports)| (id, ports.all.to_set().count_in(range)))
            .filter(|(_, ports)| *ports > 0)
            .collect();
        holders.sort_by_key(|(id, ports)| (Reverse(*ports), *id));
        judged.holders = holders;
    }

    fn host(&self, host: Host) -> String {
        host_text(self.names, host)
    }

    fn destination(&self, key: &PairKey) -> String {
        end_text(self.names, key.destination_host(self.table), key.port)
    }
}

impl PairKey {
    fn source_host(&self, table: &Table) -> Host {
        table.host_of(self.source)
    }

    fn destination_host(&self, table: &Table) -> Host {
        table.host_of(self.destination)
    }
}

fn holders_of(pair: &Pair) -> Vec<(u32, u32)> {
    let mut holders: Vec<(u32, u32)> = pair
        .holders
        .iter()
        .map(|(ProcessId(id), rows)| (*id, *rows))
        .collect();
    holders.sort_by_key(|(id, rows)| (Reverse(*rows), *id));
    holders
}
