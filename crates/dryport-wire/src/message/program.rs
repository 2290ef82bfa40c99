//! Whose wording a message is, and what that tells of the platform.

use dryport_model::{Complaint, Platform};

use super::complaint::Found;
use super::number;
use super::phrase::{Phrases, after};

/// Words by which a program or a runtime is known. Where several match, the one that stands first
/// here wins: a program before the library that it uses.
static PHRASES: Phrases<(u8, &str)> = Phrases::new(&[
    ("Connect() failed for backend", (0, "HAProxy")),
    ("Layer4 connection problem", (0, "HAProxy")),
    ("Starting frontend", (0, "HAProxy")),
    ("Starting proxy", (0, "HAProxy")),
    ("while connecting to upstream", (0, "nginx")),
    ("[emerg] ", (0, "nginx")),
    ("immediate connect error", (0, "Envoy")),
    ("upstream connect error", (0, "Envoy")),
    ("failed to bind to ", (1, "Envoy")),
    ("cannot bind '", (0, "Envoy")),
    ("commBind", (0, "Squid")),
    ("fail errno", (0, "Varnish")),
    ("Redis at ", (0, "Redis")),
    ("server TCP listening socket", (0, "Redis")),
    ("MySQL server on", (0, "MySQL")),
    ("apr_socket_connect", (0, "ApacheBench")),
    ("make_sock", (0, "Apache httpd")),
    ("Non HTTP response code", (0, "JMeter")),
    ("Immediate connect fail", (0, "curl")),
    ("curl: (", (0, "curl")),
    ("bind failed with errno", (0, "curl")),
    ("port is already allocated", (0, "Docker")),
    ("No mapping for NAT masquerade", (0, "Cilium")),
    ("conntrack: ", (0, "Linux")),
    ("time wait bucket", (0, "Linux")),
    ("Inet port exhaustion", (0, "BIG-IP")),
    ("allocation_status", (0, "Google Cloud NAT")),
    ("OUT_OF_RESOURCES", (2, "Google Cloud NAT")),
    ("ErrorPortAllocation", (0, "AWS NAT gateway")),
    ("error_port_allocation", (0, "AWS NAT gateway")),
    ("dial tcp", (1, "Go")),
    ("dial udp", (1, "Go")),
    ("listen tcp", (1, "Go")),
    ("listen udp", (1, "Go")),
    ("connectex:", (1, "Go")),
    ("connect EADDR", (1, "Node.js")),
    ("listen EADDR", (1, "Node.js")),
    ("bind EADDR", (1, "Node.js")),
    ("connect ECONN", (1, "Node.js")),
    ("connect ETIMEDOUT", (1, "Node.js")),
    ("Errno::E", (1, "Ruby")),
    ("java.net.", (1, "Java")),
    ("java.io.", (1, "Java")),
    ("JVM_Bind", (1, "Java")),
    ("System.Net.", (1, ".NET")),
    ("System.IO.", (1, ".NET")),
    ("SocketException (", (1, ".NET")),
    ("HttpRequestException", (1, ".NET")),
    ("WebException", (1, ".NET")),
    ("Microsoft.AspNetCore", (1, ".NET")),
    ("PHP Warning", (1, "PHP")),
    ("PHP Fatal", (1, "PHP")),
    ("stream_socket_client()", (1, "PHP")),
    ("fsockopen()", (1, "PHP")),
    ("(HY000/2002)", (1, "PHP")),
    ("[Errno ", (2, "Python")),
    ("[errno ", (2, "Python")),
    ("[WinError ", (2, "Python")),
    ("[winerror ", (2, "Python")),
    ("OSError", (2, "Python")),
    ("os error ", (2, "Rust")),
    ("Os { code", (2, "Rust")),
    ("connect() to ", (2, "nginx")),
]);

/// The program or runtime whose wording `line` is.
pub(super) fn find(line: &[u8]) -> Option<&'static str> {
    PHRASES
        .hits(line)
        .map(|hit| hit.tells)
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, name)| name)
}

/// The platform of a message, as far as its words and numbers tell.
pub(super) fn platform(line: &[u8], found: &Found) -> Option<Platform> {
    let number = number::platform_beside(line, found.at, found.end, found.told.complaint);
    // The JDK says ": connect", ": bind" and ": JVM_Bind" on Windows only; there it spells 10049
    // as Linux does.
    let rest = after(line, found.end, 10);
    let of_windows_jdk = matches!(
        found.told.complaint,
        Complaint::AddressInUse | Complaint::AddressNotAvailable
    ) && [": connect", ": bind", ": JVM_Bind"]
        .iter()
        .any(|suffix| rest.starts_with(suffix.as_bytes()))
        && PHRASES
            .hits(line)
            .any(|hit| matches!(hit.tells.1, "Java" | "JMeter"));
    if of_windows_jdk {
        return Some(Platform::Windows);
    }
    found.told.platform.or(number)
}
