//! Which system call failed: `connect()`, a client's `bind()`, or a server's.

use dryport_model::{Call, Complaint};

use super::complaint::Found;
use super::endpoint::{self, Endpoint};
use super::phrase::{Phrases, after, before};

/// Words of runtimes and programs, and the call that they tell.
static PHRASES: Phrases<Call> = Phrases::new(&[
    // The call's own name, as strerror()'s text is prefixed with it.
    ("connect(", Call::Connect),
    ("Connect()", Call::Connect),
    ("connect:", Call::Connect),
    ("connectex", Call::Connect),
    ("connect E", Call::Connect),
    ("syscall\":\"connect", Call::Connect),
    ("syscall: 'connect", Call::Connect),
    ("socketConnect", Call::Connect),
    ("bind() to ", Call::Listen),
    ("bind()", Call::Bind),
    ("bind(", Call::Bind),
    ("bind:", Call::Bind),
    ("bind E", Call::Bind),
    ("JVM_Bind", Call::Bind),
    ("listen:", Call::Listen),
    ("listen(", Call::Listen),
    ("listen E", Call::Listen),
    ("syscall\":\"listen", Call::Listen),
    ("syscall: 'listen", Call::Listen),
    ("syscall\":\"bind", Call::Bind),
    ("syscall: 'bind", Call::Bind),
    // Sentences of clients.
    ("onnect to ", Call::Connect),
    ("onnecting to ", Call::Connect),
    ("onnection to ", Call::Connect),
    ("onnect failed", Call::Connect),
    ("onnect fail ", Call::Connect),
    ("onnect error", Call::Connect),
    ("onnect_error", Call::Connect),
    ("onnection error", Call::Connect),
    ("onnection problem", Call::Connect),
    ("apr_socket_connect", Call::Connect),
    ("fail errno", Call::Connect),
    ("NewConnectionError", Call::Connect),
    ("HTTPConnectionPool", Call::Connect),
    ("HTTPSConnectionPool", Call::Connect),
    ("ConnectException", Call::Connect),
    ("ConnectionException", Call::Connect),
    ("NoRouteToHostException", Call::Connect),
    ("HttpRequestException", Call::Connect),
    ("WebException", Call::Connect),
    ("Non HTTP response code", Call::Connect),
    ("ClientConnectorError", Call::Connect),
    ("ConnectError", Call::Connect),
    ("FetchError", Call::Connect),
    ("dial tcp", Call::Connect),
    ("dial udp", Call::Connect),
    ("dialing", Call::Connect),
    ("urlopen error", Call::Connect),
    ("upstream, ", Call::Connect),
    // Sentences of either.
    ("bind to address", Call::Listen),
    ("bind to ", Call::Bind),
    ("Bind failed", Call::Bind),
    ("bind failed", Call::Bind),
    ("commBind", Call::Bind),
    // Sentences of servers.
    ("listen tcp", Call::Listen),
    ("listen udp", Call::Listen),
    ("istening socket", Call::Listen),
    ("ListenAndServe", Call::Listen),
    ("HttpListener", Call::Listen),
    ("TcpListener", Call::Listen),
    ("bind on address", Call::Listen),
    ("cannot bind socket", Call::Listen),
    ("cannot bind '", Call::Listen),
    ("could not bind", Call::Listen),
    ("start server", Call::Listen),
    ("server failed to start", Call::Listen),
    ("Bind for ", Call::Listen),
    ("Bind to port ", Call::Listen),
    ("ServerSocket", Call::Listen),
]);

/// The call behind the complaint `found` of `line`: what follows the words at once (`: connect`),
/// else what stands nearest before them, else after them.
pub(super) fn find(line: &[u8], found: &Found) -> Option<Call> {
    if let Some(call) = suffix(after(line, found.end, 16)) {
        return Some(call);
    }
    let mut nearest = None;
    let mut a_server = false;
    let mut later = None;
    for hit in PHRASES.hits(line) {
        if hit.at < found.end {
            a_server |= hit.tells == Call::Listen;
            nearest = Some(hit.tells);
        } else {
            later = later.or(Some(hit.tells));
        }
    }
    match nearest.or_else(|| of_a_port(line, found)).or(later) {
        // "listen tcp :8080: bind: address already in use".
        Some(Call::Bind) if a_server => Some(Call::Listen),
        None => by_shape(line, found),
        call => call,
    }
}

/// Java's and Ruby's additions after the text: `: connect`, ` (Bind failed)`, ` - connect(2) for`.
fn suffix(rest: &[u8]) -> Option<Call> {
    const SUFFIXES: [(&str, Call); 8] = [
        (": connect", Call::Connect),
        (" - connect(2)", Call::Connect),
        (" (connect failed", Call::Connect),
        (": bind", Call::Bind),
        (": JVM_Bind", Call::Bind),
        (" (Bind failed)", Call::Bind),
        (" - bind(2)", Call::Bind),
        (" (Listen failed)", Call::Listen),
    ];
    SUFFIXES
        .iter()
        .find(|(suffix, _)| rest.starts_with(suffix.as_bytes()))
        .map(|(_, call)| *call)
}

/// `Port 8080 was already in use`, `port is already allocated`: only servers ask for a port.
fn of_a_port(line: &[u8], found: &Found) -> Option<Call> {
    let of_a_port = found.told.complaint == Complaint::AddressInUse
        && (line.get(found.at..found.end)?.starts_with(b"ort is")
            || (line.get(found.at..found.end)?.starts_with(b" already")
                && !before(line, found.at, 12)
                    .windows(6)
                    .any(|part| part == b"ddress")));
    of_a_port.then_some(Call::Listen)
}

/// .NET puts the destination behind the sentence of a failed connect and nothing behind that of a
/// failed bind: `… is normally permitted. [::ffff:10.0.0.1]:443`.
fn by_shape(line: &[u8], found: &Found) -> Option<Call> {
    let connects = matches!(
        found.told.complaint,
        Complaint::AddressInUse
            | Complaint::AddressNotAvailable
            | Complaint::NoBufferSpace
            // .NET puts the destination behind a connect() that a firewall forbids.
            | Complaint::AccessForbidden
    );
    let behind = after(line, found.end, 160);
    // In other languages the fragment does not reach to the sentence's end.
    let ends_so = || {
        let last = behind
            .trim_ascii_end()
            .rsplit(|byte| *byte == b' ')
            .next()?;
        Endpoint::leading(last).filter(|end| end.is_certain() && end.port.is_some())
    };
    (connects && endpoint::trailing(behind).or_else(ends_so).is_some()).then_some(Call::Connect)
}
