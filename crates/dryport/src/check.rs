//! `dryport check`: of every network namespace, of one, and with `--pid`.

use dryport_host::{LimitsRead, Namespace, NamespaceSpec, Process, read_limits};
use dryport_report::{Check, CheckedNamespace, NamespaceName, Reach, json, text};
use dryport_wire::procfs::printable;

use crate::args::CheckArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::reader::{Extent, Reader};

mod everywhere;
mod process;
mod seen;

pub(crate) use seen::Seen;

use everywhere::{Looked, look_everywhere};

/// Answers the command.
pub fn run(args: &CheckArgs, output: &Output) -> Result<Exit, Failure> {
    match (args.pid, &args.netns) {
        (None, None) => check_everywhere(args, output),
        (Some(pid), _) => check_one(args, &NamespaceSpec::Pid(pid), output),
        (None, Some(spec)) => check_one(args, spec, output),
    }
}

fn check_everywhere(args: &CheckArgs, output: &Output) -> Result<Exit, Failure> {
    let everywhere = look_everywhere(args)?;
    let is_own = |index| index == 0;
    let namespaces = everywhere.looked.iter().enumerate().map(|(index, looked)| {
        let Looked { found, read, seen } = looked;
        let name = NamespaceName {
            inode: found.id.inode,
            name: found.id.name.clone(),
        };
        let reach = match &found.spec {
            _ if is_own(index) => Reach::Here,
            Some(spec) => Reach::Netns(spec.to_string()),
            None => Reach::Nameless,
        };
        CheckedNamespace {
            described: found.described.clone().filter(|_| !is_own(index)),
            processes: Some(found.processes()),
            ..checked(name, reach, read, seen)
        }
    });
    let check = Check {
        namespaces: namespaces.collect(),
        coverage: everywhere.coverage,
        level: everywhere.level,
        assumptions: assumptions(&everywhere.looked),
        process: None,
    };
    write(&check, output)
}

/// The settings assumed, each once, and where it does not hold everywhere.
fn assumptions(looked: &[Looked]) -> Vec<String> {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for assumption in looked.iter().flat_map(|looked| &looked.read.assumptions) {
        match counted.iter_mut().find(|(known, _)| known == assumption) {
            Some((_, count)) => *count += 1,
            None => counted.push((assumption, 1)),
        }
    }
    let told = |(assumption, count): (&str, usize)| match count {
        all if all == looked.len() => assumption.to_owned(),
        1 => format!("{assumption} (in 1 network namespace)"),
        some => format!("{assumption} (in {some} network namespaces)"),
    };
    counted.into_iter().map(told).collect()
}

fn check_one(args: &CheckArgs, spec: &NamespaceSpec, output: &Output) -> Result<Exit, Failure> {
    let process = args.pid.map(Process::read).transpose()?;
    Namespace::enter(spec)?;
    let read = read_limits(true)?;
    let reader = Reader::choose(args.reader.kind(), Extent::Here, !args.no_owners)?;
    let mut seen = Seen::gather(&reader, &read, args.thresholds.into(), args.no_owners)?;
    seen.verdict
        .causes
        .extend(process.as_ref().and_then(process::descriptor_cause));
    let namespace = Namespace::current()?;
    let name = NamespaceName {
        inode: namespace.inode,
        name: namespace.name,
    };
    let findings = process
        .as_ref()
        .map(|it| process::findings(it, &name, &seen, &read));
    let level = findings.as_ref().map_or(seen.verdict.level, |findings| {
        process::level(&seen.verdict, findings)
    });
    let reach = match spec {
        NamespaceSpec::Here => Reach::Here,
        named => Reach::Netns(printable(named.to_string().as_bytes())),
    };
    let check = Check {
        namespaces: vec![checked(name, reach, &read, &seen)],
        coverage: Vec::new(),
        level,
        assumptions: read.assumptions.clone(),
        process: findings,
    };
    write(&check, output)
}

fn checked<'a>(
    namespace: NamespaceName,
    reach: Reach,
    read: &'a LimitsRead,
    seen: &'a Seen,
) -> CheckedNamespace<'a> {
    CheckedNamespace {
        namespace,
        reach,
        described: None,
        processes: None,
        limits: &read.limits,
        sockets: seen.sockets,
        verdict: &seen.verdict,
        owners: seen.owners(),
        coverage: &seen.coverage,
        devices: &seen.devices,
    }
}

fn write(check: &Check<'_>, output: &Output) -> Result<Exit, Failure> {
    output.write(|mut out| match (output.json, output.quiet) {
        (true, _) => json::write_check(&mut out, check),
        (false, true) => out.write_all(text::check_line(check, output.screen).as_bytes()),
        (false, false) => out.write_all(text::check(check, output.screen).as_bytes()),
    })?;
    Ok(check.level.into())
}
