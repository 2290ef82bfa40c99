//! `dryport see`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;

use dryport_host::{Namespace, OwnerWalk, SocketReader, Tally, device_names, name_of_address};
use dryport_model::{Coverage, Fact, Family, PortSet, Protocol, Socket, grouped};
use dryport_report::{By, Groups, NamespaceName, SeenSocket, json, text};

use crate::args::{GroupKey, SeeArgs};
use crate::failure::{Exit, Failure, tell};
use crate::output::Output;
use crate::owners::owners_coverage;
use crate::reader::{Extent, Reader};

/// Answers the command. Sockets are written as they come, so memory does not grow with them.
pub fn run(args: &SeeArgs, output: &Output) -> Result<Exit, Failure> {
    if let Some(spec) = &args.netns {
        Namespace::enter(spec)?;
    }
    let namespace = Namespace::current()?;
    let surroundings = Surroundings {
        namespace: NamespaceName {
            inode: namespace.inode,
            name: namespace.name,
        },
        walk: if args.no_owners {
            None
        } else {
            let reader = Reader::choose(None, Extent::Here, true)?;
            Some(reader.owners_everywhere()?)
        },
        devices: device_names().unwrap_or_default(),
    };
    let names = args.resolve.then(Names::default);
    let mut failure = None;
    output.write(|out| {
        let result = match (output.json, args.by) {
            (false, _) if output.quiet => write_line(out, args, &surroundings),
            (true, by) => write_json(out, args, &surroundings, names, by),
            (false, None) => write_table(out, args, &surroundings, names, output),
            (false, Some(by)) => write_groups(out, args, &surroundings, by, output),
        };
        match result {
            Err(Failure::Write(error)) => Err(error),
            Err(other) => {
                failure = Some(other);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    })?;
    failure.map_or(Ok(Exit::Ok), Err)
}

/// What is the same for every socket.
struct Surroundings {
    namespace: NamespaceName,
    walk: Option<OwnerWalk>,
    devices: Vec<(u32, String)>,
}

impl Surroundings {
    fn seen<'a>(&'a self, socket: &Socket, name: Option<&'a str>) -> SeenSocket<'a> {
        let device = self
            .devices
            .iter()
            .find(|(index, _)| *index == socket.device);
        SeenSocket {
            socket: *socket,
            namespace: &self.namespace,
            owners: self.walk.as_ref().map(|walk| &walk.owners),
            device_name: device.map(|(_, name)| name.as_str()),
            remote_name: name,
        }
    }

    /// Whether a program has it (unlike a TIME_WAIT) that was not found.
    fn is_unowned(&self, socket: &Socket) -> bool {
        let found = |walk: &OwnerWalk| walk.owners.of(socket.inode).next().is_some();
        socket.inode != 0 && self.walk.as_ref().is_some_and(|walk| !found(walk))
    }

    fn coverage(&self, (tally, unowned): (Tally, u64)) -> Vec<Coverage> {
        let sockets = match tally.unreadable {
            0 => Coverage::full(Fact::Sockets, "sock_diag"),
            n => Coverage::partial(
                Fact::Sockets,
                "sock_diag",
                format!("{n} rows of the kernel's answer were not understood"),
            ),
        };
        let owners = owners_coverage(self.walk.as_ref(), unowned);
        vec![sockets, owners]
    }
}

/// Names of remote addresses, each looked up once.
#[derive(Default)]
struct Names(HashMap<IpAddr, Option<String>>);

impl Names {
    fn learn(&mut self, socket: &Socket) {
        let address = socket.remote.ip();
        if !address.is_unspecified() {
            self.0
                .entry(address)
                .or_insert_with(|| name_of_address(address));
        }
    }

    fn of(&self, socket: &Socket) -> Option<&str> {
        self.0.get(&socket.remote.ip())?.as_deref()
    }
}

/// Hands over every socket that was asked for, and counts those without an owner. What the writer
/// says ends the work.
fn each_socket(
    args: &SeeArgs,
    surroundings: &Surroundings,
    mut on_socket: impl FnMut(&Socket) -> io::Result<()>,
) -> Result<(Tally, u64), Failure> {
    let mut reader = SocketReader::open()?;
    let mut written = Ok(());
    let mut unowned = 0;
    let mut observe = |socket: &Socket| {
        unowned += u64::from(surroundings.is_unowned(socket));
        if written.is_ok() {
            written = on_socket(socket);
        }
    };
    let mut tally = Tally::default();
    if !args.udp || args.tcp {
        tally = tally + reader.tcp(None, &mut observe)?;
    }
    if !args.tcp || args.udp {
        tally = tally + reader.udp(Family::V4, None, &mut observe)?;
        tally = tally + reader.udp(Family::V6, None, &mut observe)?;
    }
    written?;
    Ok((tally, unowned))
}

fn write_table(
    out: &mut dyn Write,
    args: &SeeArgs,
    surroundings: &Surroundings,
    mut names: Option<Names>,
    output: &Output,
) -> Result<(), Failure> {
    let mut table = text::SeeTable::new(out, output.screen, false);
    let tally = each_socket(args, surroundings, |socket| {
        let name = names.as_mut().and_then(|names| {
            names.learn(socket);
            names.of(socket)
        });
        table.socket(&surroundings.seen(socket, name))
    })?;
    table.finish()?;
    tell_coverage(&surroundings.coverage(tally));
    Ok(())
}

fn write_json(
    out: &mut dyn Write,
    args: &SeeArgs,
    surroundings: &Surroundings,
    mut names: Option<Names>,
    by: Option<GroupKey>,
) -> Result<(), Failure> {
    let mut writer = json::SeeWriter::new(out)?;
    let mut groups = by.map(|by| Groups::new(by.into()));
    let tally = each_socket(args, surroundings, |socket| {
        if let Some(groups) = &mut groups {
            groups.observe(&surroundings.seen(socket, None));
        }
        let name = names.as_mut().and_then(|names| {
            names.learn(socket);
            names.of(socket)
        });
        writer.socket(&surroundings.seen(socket, name))
    })?;
    let groups = groups.map(|groups| (groups.by(), groups.finish()));
    let groups = groups.as_ref().map(|(by, groups)| (*by, groups.as_slice()));
    writer.finish(&surroundings.coverage(tally), groups)?;
    Ok(())
}

/// `--quiet`: how many sockets hold how many ports.
fn write_line(
    out: &mut dyn Write,
    args: &SeeArgs,
    surroundings: &Surroundings,
) -> Result<(), Failure> {
    let mut sockets = 0_u64;
    let mut ports: [PortSet; 2] = Default::default();
    each_socket(args, surroundings, |socket| {
        sockets += 1;
        let [tcp, udp] = &mut ports;
        match socket.protocol {
            Protocol::Tcp => tcp.insert(socket.local.port()),
            Protocol::Udp => udp.insert(socket.local.port()),
        };
        Ok(())
    })?;
    let [tcp, udp] = ports.map(|ports| grouped(ports.len()));
    writeln!(
        out,
        "sockets {}, on TCP ports {tcp}, on UDP ports {udp}",
        grouped(sockets)
    )?;
    Ok(())
}

fn write_groups(
    out: &mut dyn Write,
    args: &SeeArgs,
    surroundings: &Surroundings,
    by: GroupKey,
    output: &Output,
) -> Result<(), Failure> {
    let mut groups = Groups::new(by.into());
    let tally = each_socket(args, surroundings, |socket| {
        groups.observe(&surroundings.seen(socket, None));
        Ok(())
    })?;
    let by = groups.by();
    out.write_all(text::see_groups(by, &groups.finish(), args.most, output.screen).as_bytes())?;
    tell_coverage(&surroundings.coverage(tally));
    Ok(())
}

/// What was not seen, one line each, beside the table.
fn tell_coverage(coverage: &[Coverage]) {
    for missing in coverage
        .iter()
        .filter_map(|coverage| coverage.why.as_deref())
    {
        tell(&format!("not seen: {missing}"));
    }
}

impl From<GroupKey> for By {
    fn from(key: GroupKey) -> Self {
        match key {
            GroupKey::Destination => Self::Destination,
            GroupKey::Process => Self::Process,
            GroupKey::Container => Self::Container,
            GroupKey::Unit => Self::Unit,
            GroupKey::State => Self::State,
            GroupKey::Source => Self::Source,
            GroupKey::Namespace => Self::Namespace,
            GroupKey::Port => Self::Port,
        }
    }
}
