//! An [`Ask`] as words: `udp bind 127.0.0.1 connect 127.0.0.1:9000 device lo`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use dryport_model::{Family, SocketPortRange};

use super::{Ask, AskOptions, Local, Then, Transport};
use crate::words::{BadWord, Words, pair_of_ports};

impl Ask {
    /// Reads the words that belong to a socket; what follows is left.
    pub(crate) fn read(words: &mut Words<'_>) -> Result<Self, BadWord> {
        let transport = if words.take("udp") {
            Transport::Udp
        } else if words.take("mptcp") {
            Transport::Mptcp
        } else {
            Transport::Tcp
        };
        let mut parts = Parts::default();
        while parts.action(words)? || parts.option(words)? {}
        let (local, then) = match (parts.local, parts.then) {
            (None, None) => {
                let word = words.next().unwrap_or_default();
                let problem = "stands where connect, bind, sendto or listen belongs";
                return Err(BadWord::new(word, problem));
            }
            (local, then) => (local.unwrap_or(Local::Route), then.unwrap_or(Then::Stay)),
        };
        let mut ask = Self {
            transport,
            family: Family::V4,
            local,
            then,
            options: parts.options,
        };
        if parts.v6 || ask.addresses().any(|address| address.is_ipv6()) {
            ask.family = Family::V6;
        }
        Ok(ask)
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let local = match self.local {
            Local::Route => None,
            Local::From(address) => Some(address),
            Local::Bind(local) => Some(local.ip()),
        };
        local
            .into_iter()
            .chain(self.destination().map(|to| to.ip()))
    }
}

/// What has been read so far.
#[derive(Default)]
struct Parts {
    local: Option<Local>,
    then: Option<Then>,
    v6: bool,
    options: AskOptions,
}

impl Parts {
    /// Reads one of the calls; false if the next word is none.
    fn action(&mut self, words: &mut Words<'_>) -> Result<bool, BadWord> {
        if words.take("bind") {
            self.local = Some(Local::Bind(endpoint(words.expect("an address")?)?));
        } else if words.take("from") {
            self.local = Some(Local::From(words.parsed("an address")?));
        } else if words.take("connect") {
            self.then = Some(Then::Connect(words.parsed("an address with a port")?));
        } else if words.take("sendto") {
            self.then = Some(Then::SendTo(words.parsed("an address with a port")?));
        } else if words.take("listen") {
            self.then = Some(Then::Listen);
            if let Some(local) = words.peek().and_then(|word| endpoint(word).ok()) {
                words.next();
                self.local = Some(Local::Bind(local));
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Reads one option; false if the next word is none.
    fn option(&mut self, words: &mut Words<'_>) -> Result<bool, BadWord> {
        let options = &mut self.options;
        match words.peek() {
            Some("reuseaddr") => options.reuseaddr = true,
            Some("reuseport") => options.reuseport = true,
            Some("v6only") => options.v6only = true,
            Some("fastopen") => options.fastopen = true,
            Some("md5") => options.md5 = true,
            Some("no-wait") => options.no_wait = true,
            Some("v6" | "mapped") => self.v6 = true,
            Some("device") => {
                words.next();
                options.device = Some(words.expect("an interface")?.to_owned());
                return Ok(true);
            }
            Some("range") => {
                words.next();
                let (low, high) = pair_of_ports(words.expect("a range of ports")?)?;
                options.range = Some(SocketPortRange { low, high });
                return Ok(true);
            }
            Some("linger2") => {
                words.next();
                options.linger2 = Some(words.parsed("a number of seconds")?);
                return Ok(true);
            }
            _ => return Ok(false),
        }
        words.next();
        Ok(true)
    }
}

/// An address with or without a port.
fn endpoint(word: &str) -> Result<SocketAddr, BadWord> {
    word.parse()
        .or_else(|_| {
            word.parse::<IpAddr>()
                .map(|address| SocketAddr::new(address, 0))
        })
        .map_err(|_| {
            BadWord::new(
                word,
                "is not an address such as 127.0.0.1 or 127.0.0.1:20003",
            )
        })
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Tcp => {}
            Transport::Mptcp => f.write_str("mptcp ")?,
            Transport::Udp => f.write_str("udp ")?,
        }
        match (self.local, self.then) {
            (Local::Bind(local), Then::Listen) => {
                f.write_str("listen ")?;
                write_endpoint(f, local)?;
            }
            (Local::Bind(local), then) => {
                f.write_str("bind ")?;
                write_endpoint(f, local)?;
                write_then(f, then, " ")?;
            }
            (_, then) => write_then(f, then, "")?,
        }
        if let Local::From(source) = self.local {
            write!(f, " from {source}")?;
        }
        if self.family == Family::V6 && !self.addresses().any(|address| address.is_ipv6()) {
            let mapped = self.addresses().next().is_some();
            f.write_str(if mapped { " mapped" } else { " v6" })?;
        }
        write!(f, "{}", self.options)
    }
}

fn write_then(f: &mut fmt::Formatter<'_>, then: Then, before: &str) -> fmt::Result {
    match then {
        Then::Stay => Ok(()),
        Then::Connect(to) => write!(f, "{before}connect {to}"),
        Then::SendTo(to) => write!(f, "{before}sendto {to}"),
        Then::Listen => write!(f, "{before}listen"),
    }
}

/// Port 0 is not written.
fn write_endpoint(f: &mut fmt::Formatter<'_>, endpoint: SocketAddr) -> fmt::Result {
    match endpoint.port() {
        0 => write!(f, "{}", endpoint.ip()),
        _ => write!(f, "{endpoint}"),
    }
}

impl fmt::Display for AskOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.reuseaddr, "reuseaddr"),
            (self.reuseport, "reuseport"),
            (self.v6only, "v6only"),
            (self.fastopen, "fastopen"),
            (self.md5, "md5"),
            (self.no_wait, "no-wait"),
        ];
        for (_, word) in flags.iter().filter(|(set, _)| *set) {
            write!(f, " {word}")?;
        }
        if let Some(device) = &self.device {
            write!(f, " device {device}")?;
        }
        if let Some(range) = self.range {
            write!(f, " range {}-{}", range.low, range.high)?;
        }
        if let Some(seconds) = self.linger2 {
            write!(f, " linger2 {seconds}")?;
        }
        Ok(())
    }
}
