//! Which kind of program holds the ports, and what to change in it.
//!
//! A program is known by its name, its executable's file name, its runtime and the port that it
//! talks to. Names are hostile input: one that lies gets an unfitting snippet, nothing worse. The
//! texts are in `languages.rs`, `proxies.rs` and `stores.rs`; `docs/clients.md` shows them all.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{Advice, Snippet};

mod languages;
mod proxies;
mod stores;
#[cfg(test)]
mod tests;

/// A kind of program that opens connections, as far as what to change in it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    /// nginx and its kin (`OpenResty`, Angie).
    Nginx,
    /// `HAProxy`.
    HaProxy,
    /// Envoy, alone or as a sidecar.
    Envoy,
    /// Apache httpd with `mod_proxy`.
    Apache,
    /// Squid.
    Squid,
    /// Go programs with `net/http`.
    Go,
    /// .NET programs, IIS among them.
    DotNet,
    /// Java and other languages of the JVM.
    Java,
    /// Node.js.
    Node,
    /// Python.
    Python,
    /// PHP.
    Php,
    /// Ruby.
    Ruby,
    /// Rust programs with hyper or reqwest.
    Rust,
    /// `ab`, `wrk`, `curl` in a loop, and the like.
    LoadGenerator,
    /// Clients of Redis and Valkey.
    Redis,
    /// Clients of `MySQL` and `MariaDB`.
    MySql,
    /// Clients of `PostgreSQL`.
    PostgreSql,
    /// Clients of SQL Server.
    SqlServer,
    /// Clients of Oracle Database.
    Oracle,
    /// Clients of `MongoDB`.
    MongoDb,
}

impl Client {
    /// Every kind.
    pub const ALL: [Self; 20] = [
        Self::Nginx,
        Self::HaProxy,
        Self::Envoy,
        Self::Apache,
        Self::Squid,
        Self::Go,
        Self::DotNet,
        Self::Java,
        Self::Node,
        Self::Python,
        Self::Php,
        Self::Ruby,
        Self::Rust,
        Self::LoadGenerator,
        Self::Redis,
        Self::MySql,
        Self::PostgreSql,
        Self::SqlServer,
        Self::Oracle,
        Self::MongoDb,
    ];

    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Apache => "Apache httpd",
            Self::Squid => "Squid",
            Self::Go => "Go",
            Self::DotNet => ".NET",
            Self::Java => "Java",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::Php => "PHP",
            Self::Ruby => "Ruby",
            Self::Rust => "Rust",
            Self::LoadGenerator => "load generators",
            Self::Redis => "Redis clients",
            Self::MySql => "MySQL clients",
            Self::PostgreSql => "PostgreSQL clients",
            Self::SqlServer => "SQL Server clients",
            Self::Oracle => "Oracle clients",
            Self::MongoDb => "MongoDB clients",
        }
    }

    /// By a program's name: in full, then without a version (`python3.11`, `php-fpm8.2`).
    fn from_program(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let word = name.split([' ', ':', '(']).next().unwrap_or_default();
        let word = word.strip_suffix(".exe").unwrap_or(word);
        let stem = word.split(|letter: char| letter == '.' || letter.is_ascii_digit());
        let stem = stem.map(|stem| stem.trim_end_matches('-')).next();
        known_program(word).or_else(|| known_program(stem?))
    }

    /// By the path of an executable, on any system. A file that was replaced while it runs ends
    /// with ` (deleted)`, which [`Client::from_program`] cuts off.
    fn from_executable(path: &str) -> Option<Self> {
        let file = path.rsplit(['/', '\\']).next().unwrap_or_default();
        Self::from_program(file).or_else(|| {
            // Cargo leaves no mark in what it builds but the place where it puts it.
            let places = ["/target/release/", "/target/debug/", "/.cargo/bin/"];
            let is_cargo = places.iter().any(|place| path.contains(place));
            is_cargo.then_some(Self::Rust)
        })
    }

    /// By the port of a service that has clients of its own.
    const fn from_port(port: u16) -> Option<Self> {
        Some(match port {
            // The second is common with TLS, the third is Sentinel.
            6379 | 6380 | 26379 => Self::Redis,
            // X Protocol, and ProxySQL.
            3306 | 33060 | 6033 => Self::MySql,
            // PgBouncer.
            5432 | 6432 => Self::PostgreSql,
            1433 => Self::SqlServer,
            1521 | 2484 => Self::Oracle,
            27017..=27019 => Self::MongoDb,
            _ => return None,
        })
    }

    /// Whether it passes on what others ask for. What it talks to does not matter then: it has no
    /// pool of a database's client to set up.
    const fn is_proxy(self) -> bool {
        matches!(
            self,
            Self::Nginx | Self::HaProxy | Self::Envoy | Self::Apache | Self::Squid
        )
    }
}

/// A runtime, as it shows in a process's executable and libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Go.
    Go,
    /// .NET (Core).
    DotNet,
    /// A JVM.
    Java,
    /// Node.js.
    Node,
    /// `CPython`.
    Python,
    /// PHP, also inside Apache httpd.
    Php,
    /// Ruby.
    Ruby,
}

impl Runtime {
    const fn client(self) -> Client {
        match self {
            Self::Go => Client::Go,
            Self::DotNet => Client::DotNet,
            Self::Java => Client::Java,
            Self::Node => Client::Node,
            Self::Python => Client::Python,
            Self::Php => Client::Php,
            Self::Ruby => Client::Ruby,
        }
    }
}

/// What is known of a program. The strings are what the program says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramTraits<'a> {
    /// Its name: `comm` on Linux, which is cut at 15 bytes; the image name on Windows.
    pub name: &'a str,
    /// Path of its executable.
    pub executable: Option<&'a str>,
    /// Its runtime, where that was looked for.
    pub runtime: Option<Runtime>,
}

/// The kinds that a program may be, the one to change first in front: the client of what it talks
/// to, then its language, then the server that it is part of. A program may be several: PHP in
/// Apache httpd that talks to `MySQL` is three.
#[must_use]
pub fn recognise(program: &ProgramTraits<'_>, destination: Option<SocketAddr>) -> Vec<Client> {
    let executable = program.executable.and_then(Client::from_executable);
    let named = Client::from_program(program.name).or(executable);
    // A sidecar's or proxy's own language is no business of those who configure it.
    let language = program.runtime.map(Runtime::client).filter(|language| {
        !named.is_some_and(|named| named != *language && hides_language(named, *language))
    });
    let passes_on = named.is_some_and(Client::is_proxy) && language.is_none();
    let store = destination
        .filter(|_| !passes_on)
        .and_then(|destination| Client::from_port(destination.port()));
    let mut clients = Vec::new();
    for client in [store, language, named].into_iter().flatten() {
        if !clients.contains(&client) {
            clients.push(client);
        }
    }
    clients
}

/// Apache httpd alone runs the code of its users within itself.
fn hides_language(named: Client, language: Client) -> bool {
    match named {
        Client::Apache => !matches!(language, Client::Php | Client::Python),
        Client::LoadGenerator => true,
        named => named.is_proxy(),
    }
}

fn known_program(name: &str) -> Option<Client> {
    Some(match name {
        "nginx" | "openresty" | "angie" => Client::Nginx,
        "haproxy" => Client::HaProxy,
        "envoy" | "pilot-agent" | "cilium-envoy" => Client::Envoy,
        "apache" | "apache2" | "httpd" => Client::Apache,
        "squid" => Client::Squid,
        "dotnet" | "w3wp" | "iisexpress" => Client::DotNet,
        "java" | "javaw" | "jsvc" | "tomcat" => Client::Java,
        // The main thread of newer releases is named, and so is the process.
        "node" | "nodejs" | "node-mainthread" | "npm" | "npx" | "yarn" | "pnpm" | "pm2"
        | "next-server" => Client::Node,
        "python" | "pythonw" | "pypy" | "gunicorn" | "uwsgi" | "uvicorn" | "hypercorn"
        | "daphne" | "celery" | "celeryd" | "airflow" => Client::Python,
        "php" | "php-fpm" | "php-cgi" | "lsphp" | "frankenphp" => Client::Php,
        "ruby" | "rubyw" | "puma" | "unicorn" | "sidekiq" | "rails" => Client::Ruby,
        "ab" | "wrk" | "wrk2" | "hey" | "h2load" | "vegeta" | "k6" | "siege" | "bombardier"
        | "locust" | "curl" => Client::LoadGenerator,
        _ => return None,
    })
}

/// Something to do in the application. The order is that of safety: each asks for more than the
/// one before, or helps in fewer cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Keep connections and use them again.
    ReuseConnections,
    /// Close what is not used any more.
    CloseSockets,
    /// One UDP socket for many destinations.
    ReuseUdpSockets,
    /// `IP_BIND_ADDRESS_NO_PORT` where a source address is bound.
    NoPortOption,
    /// Talk to the same machine without ports.
    UnixSocket,
    /// Let the other side have the TIME_WAIT.
    CloseOnTheOtherSide,
    /// More destinations or source addresses.
    Spread,
}

impl Measure {
    /// Every measure, the safest first.
    pub const ALL: [Self; 7] = [
        Self::ReuseConnections,
        Self::CloseSockets,
        Self::ReuseUdpSockets,
        Self::NoPortOption,
        Self::UnixSocket,
        Self::CloseOnTheOtherSide,
        Self::Spread,
    ];

    /// Stable id, that of the remedy where there is one.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::ReuseConnections => "reuse-connections",
            Self::CloseSockets => "close-sockets",
            Self::ReuseUdpSockets => "reuse-sockets",
            Self::NoPortOption => "bind-address-no-port",
            Self::UnixSocket => "unix-socket",
            Self::CloseOnTheOtherSide => "close-on-the-other-side",
            Self::Spread => "spread",
        }
    }

    /// What to do, in a sentence.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::ReuseConnections => {
                "Keep connections open and reuse them (keep-alive, a pool): each request then \
                 costs no port."
            }
            Self::CloseSockets => {
                "Close each connection when it is done with, on every path: one that nobody closes \
                 keeps its port."
            }
            Self::ReuseUdpSockets => {
                "Send to many destinations from one UDP socket instead of opening one for each."
            }
            Self::NoPortOption => {
                "Set IP_BIND_ADDRESS_NO_PORT before the source address is bound: the port is then \
                 chosen by connect(), and shared between destinations."
            }
            Self::UnixSocket => {
                "Talk to programs on the same machine over a Unix socket: it has no port."
            }
            Self::CloseOnTheOtherSide => {
                "Let the server close first: TIME_WAIT then stands on its side, where it holds no \
                 port of ours."
            }
            Self::Spread => {
                "Spread the connections over more destination addresses or ports, or over more \
                 source addresses: each pair has a range of its own."
            }
        }
    }
}

/// One text: for whom, for what, and the lines.
type Entry = (Client, Measure, &'static str);

/// Every text.
fn entries() -> impl Iterator<Item = &'static Entry> {
    [proxies::TEXTS, languages::TEXTS, stores::TEXTS]
        .into_iter()
        .flatten()
}

/// The lines to put into one kind of program, with comments that say where; `None` where it has
/// nothing of its own for that.
#[must_use]
pub fn snippet(client: Client, measure: Measure) -> Option<&'static str> {
    entries()
        .find(|entry| (entry.0, entry.1) == (client, measure))
        .map(|entry| entry.2)
}

/// More snippets than this for one measure are not read.
const MOST_SNIPPETS: usize = 3;

/// What to do in the application, a piece for each measure in the order given, with the snippets
/// of the first kinds of program that have one.
#[must_use]
pub fn advice(measures: &[Measure], clients: &[Client]) -> Vec<Advice> {
    without_repeats(measures)
        .map(|measure| Advice {
            id: measure.id(),
            summary: String::from(measure.summary()),
            snippets: without_repeats(clients)
                .filter_map(|client| {
                    let text = snippet(client, measure)?;
                    let client = client.name();
                    Some(Snippet { client, text })
                })
                .take(MOST_SNIPPETS)
                .collect(),
        })
        .collect()
}

fn without_repeats<T: Copy + PartialEq>(all: &[T]) -> impl Iterator<Item = T> + '_ {
    let is_first =
        |(index, item): &(usize, &T)| !all.iter().take(*index).any(|other| other == *item);
    all.iter()
        .enumerate()
        .filter(is_first)
        .map(|(_, item)| *item)
}
