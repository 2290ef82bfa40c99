//! A [`Step`] as one line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Ends, Side, Step, TryOutcome};
use crate::Ask;
use crate::ask::Then;
use crate::errno::known_errno;
use crate::words::{BadWord, Words, address_and_prefix};

impl Step {
    /// Reads one line.
    pub(crate) fn read(line: &str) -> Result<Self, BadWord> {
        let mut words = Words::new(line);
        let side = if words.take("server") {
            Side::Server
        } else {
            Side::Client
        };
        let step = match words.peek() {
            Some("link") => link(side, &mut words)?,
            Some("sysctl") => return sysctl(side, line),
            Some(word) if side == Side::Server => {
                return Err(BadWord::new(word, "cannot be done on the server's side"));
            }
            _ => client_step(&mut words)?,
        };
        words.end()?;
        Ok(step)
    }
}

fn client_step(words: &mut Words<'_>) -> Result<Step, BadWord> {
    if words.peek() == Some("listen") {
        let ask = Ask::read(words)?;
        return Ok(Step::Hold {
            count: 1,
            ask,
            group: name(words)?,
        });
    }
    let verb = words.expect("a verb")?;
    Ok(match verb {
        "hold" => {
            let (count, ask) = (words.take_parsed().unwrap_or(1), Ask::read(words)?);
            Step::Hold {
                count,
                ask,
                group: name(words)?,
            }
        }
        "try" => {
            let (count, ask) = (words.take_parsed().unwrap_or(1), Ask::read(words)?);
            Step::Try {
                count,
                ask,
                group: name(words)?,
                outcome: outcome(words)?,
            }
        }
        "close" => close(Ends::Both, words),
        "close-client" => close(Ends::Client, words),
        "close-server" => close(Ends::Server, words),
        "reset" => Step::Reset {
            side: Side::Client,
            group: group(words),
        },
        "reset-server" => Step::Reset {
            side: Side::Server,
            group: group(words),
        },
        "shutdown" => Step::Shutdown {
            group: group(words),
        },
        "disconnect" => Step::Disconnect {
            group: group(words),
        },
        "send" => {
            let group = words.expect("the name of held sockets")?.to_owned();
            Step::Send {
                group,
                bytes: words.parsed("a number of bytes")?,
            }
        }
        "address" => {
            let device = words.expect("an interface")?.to_owned();
            let (address, prefix_length) = address_and_prefix(words.expect("an address")?)?;
            Step::Address {
                device,
                address,
                prefix_length,
            }
        }
        "route" => route(words)?,
        "wait" => Step::Wait(duration(words.expect("a time")?)?),
        other => return Err(BadWord::new(other, "is not a verb")),
    })
}

fn close(ends: Ends, words: &mut Words<'_>) -> Step {
    let wait = !words.take("no-wait");
    let group = if wait { group(words) } else { None };
    let wait = wait && !words.take("no-wait");
    Step::Close { ends, group, wait }
}

fn group(words: &mut Words<'_>) -> Option<String> {
    words.next().map(str::to_owned)
}

/// `as NAME`, if it is there.
fn name(words: &mut Words<'_>) -> Result<Option<String>, BadWord> {
    if !words.take("as") {
        return Ok(None);
    }
    words.expect("a name").map(|name| Some(name.to_owned()))
}

/// `expecting ok` or `expecting ERRNO`, if it is there.
fn outcome(words: &mut Words<'_>) -> Result<TryOutcome, BadWord> {
    if !words.take("expecting") {
        return Ok(TryOutcome::Any);
    }
    match words.expect("ok or an error")? {
        "ok" => Ok(TryOutcome::Granted),
        word => known_errno(word)
            .map(TryOutcome::Refused)
            .ok_or_else(|| BadWord::new(word, "is not ok and not an error that sockets give")),
    }
}

fn link(side: Side, words: &mut Words<'_>) -> Result<Step, BadWord> {
    words.next();
    let device = words.expect("an interface")?.to_owned();
    let up = match words.expect("up or down")? {
        "up" => true,
        "down" => false,
        word => return Err(BadWord::new(word, "is neither up nor down")),
    };
    Ok(Step::Link { side, device, up })
}

fn route(words: &mut Words<'_>) -> Result<Step, BadWord> {
    let destination = words.parsed("an address")?;
    keyword(words, "device")?;
    let device = words.expect("an interface")?.to_owned();
    keyword(words, "source")?;
    Ok(Step::Route {
        destination,
        device,
        source: words.parsed("an address")?,
    })
}

fn keyword(words: &mut Words<'_>, word: &str) -> Result<(), BadWord> {
    let found = words.expect(word)?;
    if found == word {
        Ok(())
    } else {
        Err(BadWord::new(found, format!("is not `{word}`")))
    }
}

/// The value is the rest of the line: it may hold spaces.
fn sysctl(side: Side, line: &str) -> Result<Step, BadWord> {
    let assignment = line
        .split_once("sysctl")
        .map_or(line, |(_, rest)| rest)
        .trim();
    let (key, value) = assignment
        .split_once('=')
        .ok_or_else(|| BadWord::new(assignment, "is not KEY=VALUE"))?;
    Ok(Step::Sysctl {
        side,
        key: key.trim().to_owned(),
        value: value.trim().to_owned(),
    })
}

fn duration(word: &str) -> Result<Duration, BadWord> {
    let bad = || BadWord::new(word, "is not a time such as 1500ms or 3s");
    if let Some(number) = word.strip_suffix("ms") {
        return number.parse().map(Duration::from_millis).map_err(|_| bad());
    }
    let number = word.strip_suffix('s').ok_or_else(bad)?;
    number.parse().map(Duration::from_secs).map_err(|_| bad())
}

impl FromStr for Ask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = Words::new(text);
        let ask = Self::read(&mut words).and_then(|ask| words.end().map(|()| ask));
        ask.map_err(|bad| format!("`{}` {}", bad.word, bad.problem))
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        Self::read(line).map_err(|bad| format!("`{}` {}", bad.word, bad.problem))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold { count, ask, group } => {
                if *count != 1 || ask.then != Then::Listen || ask.transport != crate::Transport::Tcp
                {
                    f.write_str("hold ")?;
                }
                write_count_and_ask(f, *count, ask, group.as_deref())
            }
            Self::Try {
                count,
                ask,
                group,
                outcome,
            } => {
                f.write_str("try ")?;
                write_count_and_ask(f, *count, ask, group.as_deref())?;
                match outcome {
                    TryOutcome::Any => Ok(()),
                    TryOutcome::Granted => f.write_str(" expecting ok"),
                    TryOutcome::Refused(errno) => write!(f, " expecting {errno}"),
                }
            }
            Self::Close { ends, group, wait } => {
                f.write_str(match ends {
                    Ends::Both => "close",
                    Ends::Client => "close-client",
                    Ends::Server => "close-server",
                })?;
                write_group(f, group.as_deref())?;
                f.write_str(if *wait { "" } else { " no-wait" })
            }
            Self::Reset { side, group } => {
                f.write_str(if *side == Side::Client {
                    "reset"
                } else {
                    "reset-server"
                })?;
                write_group(f, group.as_deref())
            }
            Self::Shutdown { group } => {
                f.write_str("shutdown")?;
                write_group(f, group.as_deref())
            }
            Self::Disconnect { group } => {
                f.write_str("disconnect")?;
                write_group(f, group.as_deref())
            }
            Self::Send { group, bytes } => write!(f, "send {group} {bytes}"),
            Self::Link { side, device, up } => {
                write!(f, "{side}link {device} {}", if *up { "up" } else { "down" })
            }
            Self::Address {
                device,
                address,
                prefix_length,
            } => {
                write!(f, "address {device} {address}/{prefix_length}")
            }
            Self::Route {
                destination,
                device,
                source,
            } => {
                write!(f, "route {destination} device {device} source {source}")
            }
            Self::Sysctl { side, key, value } => write!(f, "{side}sysctl {key}={value}"),
            Self::Wait(time) if time.subsec_millis() == 0 => write!(f, "wait {}s", time.as_secs()),
            Self::Wait(time) => write!(f, "wait {}ms", time.as_millis()),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Client { "" } else { "server " })
    }
}

fn write_count_and_ask(
    f: &mut fmt::Formatter<'_>,
    count: u32,
    ask: &Ask,
    group: Option<&str>,
) -> fmt::Result {
    if count != 1 {
        write!(f, "{count} ")?;
    }
    write!(f, "{ask}")?;
    group.map_or(Ok(()), |group| write!(f, " as {group}"))
}

fn write_group(f: &mut fmt::Formatter<'_>, group: Option<&str>) -> fmt::Result {
    group.map_or(Ok(()), |group| write!(f, " {group}"))
}
