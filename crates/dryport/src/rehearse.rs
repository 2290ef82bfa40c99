//! `dryport rehearse`.

use dryport_host::{LimitsRead, Namespace, read_limits};
use dryport_model::plan::Setting;
use dryport_model::{Family, Limits, Request, Thresholds, TimeWaitReuse};
use dryport_report::{json, text};
use dryport_wire::sysctl;

use crate::args::RehearseArgs;
use crate::failure::{Exit, Failure};
use crate::fix::trial::{self, Trial};
use crate::fix::{Facts, asked_for};
use crate::output::Output;

/// Answers the command.
pub fn run(args: &RehearseArgs, output: &Output) -> Result<Exit, Failure> {
    args.set
        .iter()
        .try_for_each(|(key, _)| is_of_a_namespace(key))?;
    if let Some(spec) = &args.netns {
        Namespace::enter(spec)?;
    }
    let read = read_limits(true)?;
    let request = request(args, &read)?;
    let before = &read.limits;
    let after = with(before, &args.set)?;
    let facts = match args.like_now {
        true => Some(Facts::of(&read, Thresholds::default(), request, false)?),
        false => None,
    };
    let request = match &facts {
        Some(facts) => facts.first().request,
        None => request.unwrap_or_else(Request::any_new_destination),
    };
    let mut settings = trial::machine(before);
    settings.retain(|(key, _)| args.set.iter().all(|(set, _)| set != key));
    let old = |key: &str| trial::value(key);
    let mut first = settings.clone();
    first.extend(
        args.set
            .iter()
            .filter_map(|(key, _)| Some((key.clone(), old(key)?))),
    );
    let load = facts.as_ref().map_or_else(Vec::new, |facts| {
        trial::load(&request, &facts.first().views, [before, &after])
    });
    let under = |limits: &Limits| trial::classes(facts.as_ref(), &request, limits);
    let (without, with) = (under(before), under(&after));
    let capacity = |ledger: dryport_model::Ledger| ledger.capacity() - ledger.locked;
    let answer = trial::run(&Trial {
        request: &request,
        before: first,
        after: args.set.clone(),
        load,
        predicted: Some((without.headroom(), with.headroom())),
        capacities: (capacity(without.ledger()), capacity(with.ledger())),
        changes: args
            .set
            .iter()
            .map(|(key, value)| (key.clone(), old(key), value.clone()))
            .collect(),
        unjudged: with.ledger().uncertain,
        window: args.window,
    })?;
    output.write(|mut out| match (output.json, output.quiet) {
        (true, _) => json::write_rehearsal(&mut out, &answer),
        (false, true) => out.write_all(text::rehearsal_line(&answer, output.screen).as_bytes()),
        (false, false) => out.write_all(text::rehearsal(&answer, output.screen).as_bytes()),
    })?;
    Ok(Exit::Ok)
}

/// A scratch namespace keeps apart what belongs to a network namespace, and nothing else.
fn is_of_a_namespace(key: &str) -> Result<(), Failure> {
    if key.starts_with("net.") {
        return Ok(());
    }
    Err(Failure::CommandLine {
        wrong: format!("{key} is no setting of a network namespace"),
        hint: "those begin with net., as in net.ipv4.ip_local_port_range".into(),
    })
}

/// What is asked for; `None`: what is shortest of ports.
fn request(args: &RehearseArgs, read: &LimitsRead) -> Result<Option<Request>, Failure> {
    if args.bind {
        let local = std::net::Ipv4Addr::LOCALHOST.into();
        return Ok(Some(Request::tcp_bind(local)));
    }
    if args.udp {
        return Ok(Some(Request::udp_any(Family::V4)));
    }
    args.to.as_ref().map(|to| asked_for(to, read)).transpose()
}

/// The settings with the wanted ones in them, as far as the model knows them: the others give and
/// take no port. What the kernel does not take, it says itself.
fn with(before: &Limits, set: &[(String, String)]) -> Result<Limits, Failure> {
    let mut after = before.clone();
    for (key, value) in set {
        let wrong = |error: sysctl::SysctlError| Failure::CommandLine {
            wrong: format!("{key}: {error}"),
            hint: "`dryport rehearse --help` shows how values are written".into(),
        };
        match Setting::from_linux_name(key) {
            Some(Setting::LocalPortRange) => {
                after.range = sysctl::parse_range(value).map_err(wrong)?;
            }
            Some(Setting::ReservedPorts) => {
                after.reserved = sysctl::parse_port_list(value).map_err(wrong)?;
            }
            Some(Setting::TcpTwReuse) => {
                after.tw_reuse = match sysctl::parse_u32(value).map_err(wrong)? {
                    0 => TimeWaitReuse::Off,
                    1 => TimeWaitReuse::On,
                    _ => TimeWaitReuse::Loopback,
                };
            }
            Some(Setting::TcpTwReuseDelay) => {
                after.tw_reuse_delay_ms = sysctl::parse_u32(value).map_err(wrong)?;
            }
            _ => {}
        }
    }
    Ok(after)
}
