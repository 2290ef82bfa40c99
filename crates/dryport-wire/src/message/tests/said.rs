//! What is to be read out of which line. A flat list.
//!
//! The wordings are those of the programs; addresses and names are invented.

use dryport_model::Call::{self, Bind, Connect, Listen};
use dryport_model::Complaint::{self, *};

/// A line, its complaint, call, local port, destination, and the cause it points to where nothing
/// else tells the platform.
pub(super) type Said = (
    &'static str,
    Complaint,
    Option<Call>,
    Option<u16>,
    Option<&'static str>,
    &'static str,
);

const DRY: &str = "connect.tuple-dry";
const SOURCE_DRY: &str = "connect.range-dry";
const BIND_DRY: &str = "bind.range-dry";
const WINDOWS: &str = "windows.tuple-time-wait";
const WINDOWS_DRY: &str = "windows.range-dry";
const EXCLUDED: &str = "windows.port-excluded";
const FIXED: &str = "not-exhaustion.fixed-port-in-use";
const NOT_LOCAL: &str = "not-exhaustion.address-not-local";
const IPV6_OFF: &str = "not-exhaustion.ipv6-off";
const REFUSED: &str = "not-exhaustion.refused-or-timeout";
const FILES: &str = "not-exhaustion.descriptor-limit";
const NAT: &str = "nat.tuple-dry";
const NAT_TABLE: &str = "nat.table-full";
const UDP: &str = "udp.range-dry";
const OVERFLOW: &str = "connect.time-wait-overflow";

#[rustfmt::skip]
pub(super) const DOTNET: &[Said] = &[
    ("SocketException (10013): An attempt was made to access a socket in a way forbidden by its access permissions. [::ffff:10.0.0.1]:443", AccessForbidden, Some(Connect), None, Some("[::ffff:10.0.0.1]:443"), REFUSED),
    ("{\"Exception\":\"System.Net.Http.HttpRequestException: Cannot assign requested address (api.example:443)\\n ---> System.Net.Sockets.SocketException (99): Cannot assign requested address\"}", AddressNotAvailable, Some(Connect), None, Some("api.example:443"), DRY),
    ("System.Net.Sockets.SocketException (10048): Only one usage of each socket address (protocol/network address/port) is normally permitted.", AddressInUse, None, None, None, WINDOWS),
    ("System.Net.Sockets.SocketException (10048): Only one usage of each socket address (protocol/network address/port) is normally permitted. [::ffff:10.0.0.1]:443", AddressInUse, Some(Connect), None, Some("[::ffff:10.0.0.1]:443"), WINDOWS),
    (" ---> System.Net.Http.HttpRequestException: Only one usage of each socket address (protocol/network address/port) is normally permitted. (api.example:443)", AddressInUse, Some(Connect), None, Some("api.example:443"), WINDOWS),
    ("System.Net.Sockets.SocketException: Only one usage of each socket address (protocol/network address/port) is normally permitted 10.0.0.1:1433", AddressInUse, Some(Connect), None, Some("10.0.0.1:1433"), WINDOWS),
    ("System.Net.WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: Only one usage of each socket address (protocol/network address/port) is normally permitted 192.0.2.7:80", AddressInUse, Some(Connect), None, Some("192.0.2.7:80"), WINDOWS),
    ("System.Net.Sockets.SocketException (10049): The requested address is not valid in its context.", AddressNotAvailable, None, None, None, NOT_LOCAL),
    ("System.Net.Sockets.SocketException (10055): An operation on a socket could not be performed because the system lacked sufficient buffer space or because a queue was full.", NoBufferSpace, None, None, None, WINDOWS_DRY),
    ("System.Net.Sockets.SocketException (10055): An operation on a socket could not be performed because the system lacked sufficient buffer space or because a queue was full. 10.0.0.8:5671", NoBufferSpace, Some(Connect), None, Some("10.0.0.8:5671"), WINDOWS_DRY),
    ("System.Net.Sockets.SocketException (10013): An attempt was made to access a socket in a way forbidden by its access permissions.", AccessForbidden, None, None, None, EXCLUDED),
    ("System.Net.WebException: The underlying connection was closed: An unexpected error occurred on a send.", ClosedOnSend, Some(Connect), None, None, WINDOWS),
    ("System.Net.WebException: Unable to connect to the remote server", CannotConnect, Some(Connect), None, None, WINDOWS),
    ("System.Net.WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: No connection could be made because the target machine actively refused it 127.0.0.1:8080", Refused, Some(Connect), None, Some("127.0.0.1:8080"), REFUSED),
    (" ---> System.Net.Sockets.SocketException (99): Cannot assign requested address", AddressNotAvailable, None, None, None, DRY),
    ("System.Net.Http.HttpRequestException: Cannot assign requested address (api.example:443)", AddressNotAvailable, Some(Connect), None, Some("api.example:443"), DRY),
    ("System.Net.Sockets.SocketException (98): Address already in use", AddressInUse, None, None, None, FIXED),
    ("System.IO.IOException: Failed to bind to address http://127.0.0.1:5000: address already in use.", AddressInUse, Some(Listen), Some(5000), None, FIXED),
    ("Unhandled exception: SocketException, SocketErrorCode=AddressAlreadyInUse, NativeErrorCode=10048", AddressInUse, None, None, None, WINDOWS),
    ("HRESULT: 0x80072740 while connecting to 10.0.0.9:445", AddressInUse, Some(Connect), None, Some("10.0.0.9:445"), WINDOWS),
    ("System.Net.Sockets.SocketException (10060): A connection attempt failed because the connected party did not properly respond after a period of time", TimedOut, None, None, None, REFUSED),
];

#[rustfmt::skip]
pub(super) const JAVA: &[Said] = &[
    ("java.net.BindException: Address already in use: connect", AddressInUse, Some(Connect), None, None, WINDOWS),
    ("java.net.BindException: Cannot assign requested address", AddressNotAvailable, None, None, None, DRY),
    ("java.net.BindException: Cannot assign requested address (Bind failed)", AddressNotAvailable, Some(Bind), None, None, NOT_LOCAL),
    ("java.net.BindException: Cannot assign requested address: connect", AddressNotAvailable, Some(Connect), None, None, NOT_LOCAL),
    ("Caused by: java.net.NoRouteToHostException: Cannot assign requested address (Address not available)", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("java.net.NoRouteToHostException: Can't assign requested address", AddressNotAvailable, Some(Connect), None, None, SOURCE_DRY),
    ("java.net.SocketException: No buffer space available (maximum connections reached?): connect", NoBufferSpace, Some(Connect), None, None, WINDOWS_DRY),
    ("java.net.BindException: Address already in use (Bind failed)", AddressInUse, Some(Bind), None, None, FIXED),
    ("java.net.BindException: Address already in use: JVM_Bind", AddressInUse, Some(Bind), None, None, FIXED),
    ("Web server failed to start. Port 8080 was already in use.", AddressInUse, Some(Listen), Some(8080), None, FIXED),
    ("java.net.ConnectException: Connection refused (Connection refused)", Refused, Some(Connect), None, None, REFUSED),
    ("org.apache.http.conn.HttpHostConnectException: Connect to 10.0.0.5:8080 [/10.0.0.5] failed: Connection refused", Refused, Some(Connect), None, Some("10.0.0.5:8080"), REFUSED),
    ("java.net.SocketTimeoutException: connect timed out", TimedOut, None, None, None, REFUSED),
    ("java.net.SocketException: Too many open files", TooManyFiles, None, None, None, FILES),
    ("1719820800123,2,HTTP Request,Non HTTP response code: java.net.BindException,Non HTTP response message: Address already in use: connect,Thread Group 1-7,text,false", AddressInUse, Some(Connect), None, None, WINDOWS),
    ("1719820800123,2,HTTP Request,Non HTTP response code: java.net.NoRouteToHostException,Non HTTP response message: Cannot assign requested address (Address not available),Thread Group 1-7", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("org.postgresql.util.PSQLException: Connection to db.example:5432 refused: Cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("db.example:5432"), DRY),
];

#[rustfmt::skip]
pub(super) const GO: &[Said] = &[
    ("dial udp 10.0.0.2:53: connect: cannot assign requested address", AddressNotAvailable, Some(Bind), None, Some("10.0.0.2:53"), NOT_LOCAL),
    ("dial tcp 10.0.0.5:6379: connect: cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:6379"), DRY),
    ("Get \"http://api.example/v1\": dial tcp 10.0.0.5:80: connect: cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:80"), DRY),
    ("dial tcp 127.0.0.6:0->10.0.0.5:80: bind: address already in use", AddressInUse, Some(Bind), Some(0), Some("10.0.0.5:80"), BIND_DRY),
    ("dial tcp 10.0.0.5:443: connectex: Only one usage of each socket address (protocol/network address/port) is normally permitted.", AddressInUse, Some(Connect), None, Some("10.0.0.5:443"), WINDOWS),
    ("listen tcp :8080: bind: address already in use", AddressInUse, Some(Listen), Some(8080), None, FIXED),
    ("listen tcp 10.9.9.9:80: bind: cannot assign requested address", AddressNotAvailable, Some(Listen), Some(80), None, NOT_LOCAL),
    ("listen tcp 127.0.0.1:0: bind: An operation on a socket could not be performed because the system lacked sufficient buffer space or because a queue was full.", NoBufferSpace, Some(Listen), Some(0), None, WINDOWS_DRY),
    ("bind: An operation on a socket could not be performed because the system lacked sufficient buffer space or because a queue was full.", NoBufferSpace, Some(Bind), None, None, WINDOWS_DRY),
    ("dial tcp [::1]:8080: connect: cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("[::1]:8080"), IPV6_OFF),
    ("dial tcp 10.0.0.5:80: connect: can't assign requested address", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:80"), SOURCE_DRY),
    ("listen tcp 0.0.0.0:50051: bind: An attempt was made to access a socket in a way forbidden by its access permissions.", AccessForbidden, Some(Listen), Some(50051), None, EXCLUDED),
    ("dial tcp 10.0.0.5:80: connectex: An attempt was made to access a socket in a way forbidden by its access permissions.", AccessForbidden, Some(Connect), None, Some("10.0.0.5:80"), REFUSED),
    ("dial tcp 10.0.0.5:80: i/o timeout", TimedOut, Some(Connect), None, Some("10.0.0.5:80"), REFUSED),
    ("dial tcp 10.0.0.5:80: connect: connection refused", Refused, Some(Connect), None, Some("10.0.0.5:80"), REFUSED),
    ("dial tcp 10.0.0.5:80: socket: too many open files", TooManyFiles, Some(Connect), None, Some("10.0.0.5:80"), FILES),
    ("{\"level\":\"error\",\"ts\":1719820800.1,\"msg\":\"query\",\"error\":\"dial tcp 10.0.0.5:5432: connect: cannot assign requested address\"}", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:5432"), DRY),
    ("WARN[0012] Request Failed error=\"Get \\\"http://10.0.0.5/\\\": dial tcp 10.0.0.5:80: connect: cannot assign requested address\"", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:80"), DRY),
];

#[rustfmt::skip]
pub(super) const SCRIPTS: &[Said] = &[
    ("connection to server at \"localhost\" (::1), port 5432 failed: Cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("[::1]:5432"), IPV6_OFF),
    ("Error: connect EADDRNOTAVAIL 10.0.0.5:80 - Local (10.128.0.3:0)", AddressNotAvailable, Some(Connect), Some(0), Some("10.0.0.5:80"), DRY),
    ("Error: listen EADDRINUSE: address already in use :::3000", AddressInUse, Some(Listen), Some(3000), None, FIXED),
    ("Error: listen EADDRINUSE: address already in use 127.0.0.1:3000", AddressInUse, Some(Listen), Some(3000), None, FIXED),
    ("Error: listen EADDRNOTAVAIL: address not available 10.9.9.9:3000", AddressNotAvailable, Some(Listen), Some(3000), None, NOT_LOCAL),
    ("Error: connect EADDRINUSE 10.0.0.5:443", AddressInUse, Some(Connect), None, Some("10.0.0.5:443"), BIND_DRY),
    ("Error: connect EADDRINUSE 10.0.0.5:443 - Local (0.0.0.0:5000)", AddressInUse, Some(Connect), Some(5000), Some("10.0.0.5:443"), FIXED),
    ("Error: connect EADDRNOTAVAIL ::1:8080 - Local (:::0)", AddressNotAvailable, Some(Connect), Some(0), Some("::1:8080"), IPV6_OFF),
    ("Error: connect ECONNREFUSED 127.0.0.1:6379", Refused, Some(Connect), None, Some("127.0.0.1:6379"), REFUSED),
    ("Error: connect ETIMEDOUT 203.0.113.9:443", TimedOut, Some(Connect), None, Some("203.0.113.9:443"), REFUSED),
    ("Error: EMFILE: too many open files, open '/srv/app/log'", TooManyFiles, None, None, None, FILES),
    ("{\"level\":50,\"msg\":\"x\",\"err\":{\"errno\":-99,\"code\":\"EADDRNOTAVAIL\",\"syscall\":\"connect\",\"address\":\"10.0.0.5\",\"port\":6379}}", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:6379"), DRY),
    ("OSError: [Errno 99] Cannot assign requested address", AddressNotAvailable, None, None, None, DRY),
    ("OSError: [Errno 49] Can't assign requested address", AddressNotAvailable, None, None, None, SOURCE_DRY),
    ("OSError: [Errno 98] Address already in use", AddressInUse, None, None, None, FIXED),
    ("OSError: [WinError 10048] Only one usage of each socket address (protocol/network address/port) is normally permitted", AddressInUse, None, None, None, WINDOWS),
    ("ERROR: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use", AddressInUse, Some(Listen), Some(8000), None, FIXED),
    ("ERROR: [Errno 10048] error while attempting to bind on address ('0.0.0.0', 8000): only one usage of each socket address (protocol/network address/port) is normally permitted", AddressInUse, Some(Listen), Some(8000), None, FIXED),
    ("requests.exceptions.ConnectionError: HTTPConnectionPool(host='10.0.0.5', port=80): Max retries exceeded with url: / (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f10048>: Failed to establish a new connection: [Errno 99] Cannot assign requested address'))", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:80"), DRY),
    ("aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host api.example:443 ssl:default [Cannot assign requested address]", AddressNotAvailable, Some(Connect), None, Some("api.example:443"), DRY),
    ("redis.exceptions.ConnectionError: Error 99 connecting to 127.0.0.1:6379. Cannot assign requested address.", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1:6379"), DRY),
    ("PermissionError: [WinError 10013] An attempt was made to access a socket in a way forbidden by its access permissions", AccessForbidden, None, None, None, EXCLUDED),
    ("OSError: [WinError 10055] An operation on a socket could not be performed because the system lacked sufficient buffer space or because a queue was full", NoBufferSpace, None, None, None, WINDOWS_DRY),
    ("urllib.error.URLError: <urlopen error [Errno 99] Cannot assign requested address>", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("Errno::EADDRNOTAVAIL: Cannot assign requested address - connect(2) for \"127.0.0.1\" port 6379", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1:6379"), DRY),
    ("Errno::EADDRINUSE: Address already in use - bind(2) for \"0.0.0.0\" port 3000", AddressInUse, Some(Bind), Some(3000), None, FIXED),
    ("PHP Warning:  stream_socket_client(): Unable to connect to tcp://127.0.0.1:6379 (Cannot assign requested address) in /srv/www/a.php on line 5", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1:6379"), DRY),
    ("Predis\\Connection\\ConnectionException: Cannot assign requested address [tcp://127.0.0.1:6379]", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1:6379"), DRY),
    ("PHP Warning:  mysqli::__construct(): (HY000/2002): Cannot assign requested address in /srv/www/db.php on line 6", AddressNotAvailable, None, None, None, DRY),
    ("Error: Os { code: 99, kind: AddrNotAvailable, message: \"Cannot assign requested address\" }", AddressNotAvailable, None, None, None, DRY),
    ("error trying to connect: tcp connect error: Cannot assign requested address (os error 99)", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("tcp connect error: Only one usage of each socket address (protocol/network address/port) is normally permitted. (os error 10048)", AddressInUse, Some(Connect), None, None, WINDOWS),
    ("Error: Address already in use (os error 48)", AddressInUse, None, None, None, FIXED),
];

#[rustfmt::skip]
pub(super) const PROGRAMS: &[Said] = &[
    ("*   Immediate connect fail for 127.0.0.1: Cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1"), DRY),
    ("* bind failed with errno 98: Address already in use", AddressInUse, Some(Bind), None, None, FIXED),
    ("curl: (7) Failed to connect to 10.0.0.5 port 80: Cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:80"), DRY),
    ("2026/07/01 10:00:00 [crit] 1234#0: *9 connect() to 127.0.0.1:8080 failed (99: Cannot assign requested address) while connecting to upstream, client: 10.0.0.9, server: _, request: \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8080/\", host: \"www.example\"", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1:8080"), DRY),
    ("2026/07/01 10:00:00 [crit] 1#1: *9 connect() to [::1]:8080 failed (99: Address not available) while connecting to upstream", AddressNotAvailable, Some(Connect), None, Some("[::1]:8080"), IPV6_OFF),
    ("nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", AddressInUse, Some(Listen), Some(80), None, FIXED),
    ("nginx: [emerg] bind() to 10.9.9.9:80 failed (99: Cannot assign requested address)", AddressNotAvailable, Some(Listen), Some(80), None, NOT_LOCAL),
    ("2026/07/01 10:00:00 [crit] 1234#0: *9 bind(10.0.0.9) failed (99: Cannot assign requested address) while connecting to upstream, client: 10.0.0.1, upstream: \"http://10.0.0.5:80/\"", AddressNotAvailable, Some(Bind), Some(0), Some("10.0.0.5:80"), NOT_LOCAL),
    ("2026/07/01 10:00:00 [crit] 1234#0: *9 bind(10.0.0.9) failed (98: Address already in use) while connecting to upstream, upstream: \"http://10.0.0.5:80/\"", AddressInUse, Some(Bind), Some(0), Some("10.0.0.5:80"), BIND_DRY),
    ("2026/07/01 10:00:00 [error] 1#1: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.9, upstream: \"http://10.0.0.5:8080/\"", Refused, Some(Connect), None, Some("10.0.0.5:8080"), REFUSED),
    ("Connect() failed for backend be_app: no free ports.", NoFreePorts, Some(Connect), None, None, DRY),
    ("Connect() failed for backend be_app: local address already in use.", AddressInUse, Some(Connect), None, None, BIND_DRY),
    ("Server be_app/s1 is DOWN, reason: Layer4 connection problem, info: \"Cannot assign requested address\", check duration: 0ms.", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("[ALERT]    (8) : Starting frontend web: cannot bind socket (Address already in use) [0.0.0.0:80]", AddressInUse, Some(Listen), Some(80), None, FIXED),
    ("upstream connect error or disconnect/reset before headers, immediate connect error: Cannot assign requested address|remote address:10.0.0.5:80", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:80"), DRY),
    ("failed to bind to 127.0.0.6:0: Address already in use", AddressInUse, Some(Bind), Some(0), None, BIND_DRY),
    ("error adding listener: 'http': cannot bind '0.0.0.0:80': Address already in use", AddressInUse, Some(Listen), Some(80), None, FIXED),
    ("2026/07/01 10:00:00| commBind: Cannot bind socket FD 15 to 10.0.0.1: (98) Address already in use", AddressInUse, Some(Bind), Some(0), None, BIND_DRY),
    ("2026/07/01 10:00:00| commBind: Cannot bind socket FD 15 to [::]:3128: (98) Address already in use", AddressInUse, Some(Bind), Some(3128), None, FIXED),
    ("-   FetchError     backend default: fail errno 99 (Cannot assign requested address)", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("Could not connect to Redis at 127.0.0.1:6379: Cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1:6379"), DRY),
    ("# Could not create server TCP listening socket *:6379: bind: Address already in use", AddressInUse, Some(Listen), Some(6379), None, FIXED),
    ("Can't connect to MySQL server on '10.0.0.5' (99)", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5"), DRY),
    ("ERROR 2003 (HY000): Can't connect to MySQL server on '10.0.0.5:3306' (99 \"Cannot assign requested address\")", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:3306"), DRY),
    ("ERROR 2003 (HY000): Can't connect to MySQL server on '10.0.0.5' (111)", Refused, Some(Connect), None, Some("10.0.0.5"), REFUSED),
    ("ERROR 2003 (HY000): Can't connect to MySQL server on '10.0.0.5' (110)", TimedOut, Some(Connect), None, Some("10.0.0.5"), REFUSED),
    ("ERROR 2003 (HY000): Can't connect to MySQL server on 'db.example' (10048)", AddressInUse, Some(Connect), None, Some("db.example"), WINDOWS),
    ("ERROR 2002 (HY000): Can't connect to server on '10.0.0.5' (99)", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5"), DRY),
    ("unable to connect to 127.0.0.1:80 Cannot assign requested address", AddressNotAvailable, Some(Connect), None, Some("127.0.0.1:80"), DRY),
    ("apr_socket_connect(): Cannot assign requested address (99)", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("httperf.core_connect: connect() failed with unexpected error 99", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("failed to bind to port 8080: Address already in use", AddressInUse, Some(Bind), Some(8080), None, FIXED),
    ("failed to bind to 10.0.0.1: Address already in use", AddressInUse, Some(Bind), None, None, FIXED),
    ("failed to bind to interface eth0: Address already in use", AddressInUse, Some(Bind), None, None, FIXED),
    ("sshd[22]: error: Bind to port 22 on 0.0.0.0 failed: Address already in use.", AddressInUse, Some(Listen), Some(22), None, FIXED),
    ("connect(5, {sa_family=AF_INET, sin_port=htons(6379), sin_addr=inet_addr(\"10.0.0.5\")}, 16) = -1 EADDRNOTAVAIL (Cannot assign requested address)", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:6379"), DRY),
    ("connect(5, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, \"::1\", &sin6_addr), sin6_scope_id=0}, 28) = -1 EADDRNOTAVAIL (Cannot assign requested address)", AddressNotAvailable, Some(Connect), None, Some("[::1]:80"), IPV6_OFF),
    ("bind(5, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr(\"10.0.0.9\")}, 16) = -1 EADDRINUSE (Address already in use)", AddressInUse, Some(Bind), Some(0), None, BIND_DRY),
    ("bind(5, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"0.0.0.0\")}, 16) = -1 EADDRINUSE (Address already in use)", AddressInUse, Some(Bind), Some(80), None, FIXED),
    ("(98)Address already in use: AH00072: make_sock: could not bind to address [::]:80", AddressInUse, Some(Listen), Some(80), None, FIXED),
    ("LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use", AddressInUse, Some(Listen), None, None, FIXED),
    ("docker: Error response from daemon: Bind for 0.0.0.0:8080 failed: port is already allocated.", AddressInUse, Some(Listen), Some(8080), None, FIXED),
    ("gRPC: StatusCode.UNAVAILABLE, connect failed, WSA Error code: 10055", NoBufferSpace, Some(Connect), None, None, WINDOWS_DRY),
];

#[rustfmt::skip]
pub(super) const KERNEL_AND_CLOUD: &[Said] = &[
    ("[ 1234.5] TCP: time wait bucket table overflow", TimeWaitOverflow, None, None, None, OVERFLOW),
    ("kernel: nf_conntrack: table full, dropping packet", ConntrackFull, None, None, None, NAT_TABLE),
    ("kernel: nf_conntrack: nf_conntrack: table full, dropping packet", ConntrackFull, None, None, None, NAT_TABLE),
    ("kernel: ip_conntrack: table full, dropping packet.", ConntrackFull, None, None, None, NAT_TABLE),
    ("Load balancer lb-1: SNAT port exhaustion detected", SnatExhausted, None, None, None, NAT),
    ("App Service diagnostics: 312 failed SNAT connections in the last hour", SnatExhausted, None, None, None, NAT),
    ("All SNAT ports exhausted for backend 10.0.0.4", SnatExhausted, None, None, None, NAT),
    ("{\"MetricName\":\"ErrorPortAllocation\",\"Timestamp\":\"2026-07-01T10:00:00Z\",\"Sum\":33.0,\"Unit\":\"Count\"}", SnatExhausted, None, None, None, NAT),
    ("aws_natgateway_error_port_allocation_sum{nat_gateway_id=\"nat-0\"} 12 1719820800000", SnatExhausted, None, None, None, NAT),
    ("{\"allocation_status\":\"DROPPED\",\"connection\":{\"dest_ip\":\"203.0.113.7\",\"dest_port\":443,\"protocol\":6,\"src_ip\":\"10.0.0.4\",\"src_port\":41000}}", SnatExhausted, None, None, Some("203.0.113.7:443"), NAT),
    ("nat_router_dropped_sent_packets_count{reason=\"OUT_OF_RESOURCES\"} 42", SnatExhausted, None, None, None, NAT),
    ("xx drop (No mapping for NAT masquerade) flow 0x0 to endpoint 0, identity 2->world: 10.0.0.5:41234 -> 203.0.113.7:443 tcp SYN", SnatExhausted, None, None, Some("203.0.113.7:443"), NAT),
    ("01010201:2: Inet port exhaustion on 10.0.0.1 to 10.9.9.9:80 (proto 6)", SnatExhausted, None, None, Some("10.9.9.9:80"), NAT),
    ("Event ID: 4231", Event4231, None, None, None, WINDOWS_DRY),
    ("  Event ID: 4227", Event4227, None, None, None, WINDOWS),
    ("EventID : 4266", Event4266, None, None, None, UDP),
    ("Id               : 4231", Event4231, None, None, None, WINDOWS_DRY),
    ("InstanceId         : 2147487875", Event4227, None, None, None, WINDOWS),
    ("InstanceId         : 2147487879", Event4231, None, None, None, WINDOWS_DRY),
    ("  51234 Jul 01 10:00  Warning     Tcpip                2147487914 A request to allocate an ephemeral port number fr...", Event4266, None, None, None, UDP),
    ("<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Tcpip'/><EventID Qualifiers='32768'>4231</EventID><Level>3</Level>", Event4231, None, None, None, WINDOWS_DRY),
    ("<EventID>4227</EventID>", Event4227, None, None, None, WINDOWS),
    ("Warning,7/1/2026 10:00:00 AM,Tcpip,4227,None,TCP/IP failed to establish an outgoing connection because the selected local endpoint was recently used to connect to the same remote endpoint.", Event4227, None, None, None, WINDOWS),
    ("A request to allocate an ephemeral port number from the global TCP port space has failed due to all such ports being in use.", Event4231, None, None, None, WINDOWS_DRY),
    ("A request to allocate an ephemeral port number from the global UDP port space has failed due to all such ports being in use.", Event4266, None, None, None, UDP),
    ("7/1/2026 10:00:00 AM          4231 Warning          A request to allocate an ephemeral port number...", Event4231, None, None, None, WINDOWS_DRY),
    ("Ereignis-ID: 4231", Event4231, None, None, None, WINDOWS_DRY),
];

#[rustfmt::skip]
pub(super) const TRANSLATED: &[Said] = &[
    ("System.Net.Sockets.SocketException (10048): Normalerweise darf jede Socketadresse (Protokoll, Netzwerkadresse oder Anschluss) nur jeweils einmal verwendet werden. 10.0.0.1:443", AddressInUse, Some(Connect), None, Some("10.0.0.1:443"), WINDOWS),
    ("bind: Une seule utilisation de chaque adresse de socket (protocole/adresse réseau/port) est habituellement autorisée.", AddressInUse, Some(Bind), None, None, FIXED),
    ("dial tcp 10.0.0.5:80: connectex: Solo se permite un uso de cada dirección de socket (protocolo/dirección de red/puerto)", AddressInUse, Some(Connect), None, Some("10.0.0.5:80"), WINDOWS),
    ("connectex: Обычно разрешается только одно использование адреса сокета (протокол/сетевой адрес/порт).", AddressInUse, Some(Connect), None, None, WINDOWS),
    ("SocketException: 通常每个套接字地址(协议/网络地址/端口)只允许使用一次。", AddressInUse, None, None, None, WINDOWS),
    ("SocketException: 一次只能用一個通訊端位址 (通訊協定/網路位址/連接埠)。 (localhost:5259)", AddressInUse, None, None, Some("localhost:5259"), WINDOWS),
    ("通常、各ソケット アドレスに対してプロトコル、ネットワーク アドレス、またはポートのどれか 1 つのみを使用できます。 (os error 10048)", AddressInUse, None, None, None, WINDOWS),
    ("각 소켓 주소(프로토콜/네트워크 주소/포트)는 하나만 사용할 수 있습니다", AddressInUse, None, None, None, WINDOWS),
    ("由于系统缓冲区空间不足或队列已满，不能执行套接字上的操作。", NoBufferSpace, None, None, None, WINDOWS_DRY),
    ("[WinError 10013] 嘗試存取通訊端被拒絕，因為存取權限不足。", AccessForbidden, None, None, None, EXCLUDED),
    ("OSError: [Errno 99] Die angeforderte Adresse kann nicht zugewiesen werden", AddressNotAvailable, None, None, None, DRY),
    ("connect() to 10.0.0.5:80 failed (99: Ne peut attribuer l'adresse demandée)", AddressNotAvailable, Some(Connect), None, Some("10.0.0.5:80"), DRY),
    ("bind: Die Adresse wird bereits verwendet", AddressInUse, Some(Bind), None, None, FIXED),
    ("connect: 无法分配被请求的地址", AddressNotAvailable, Some(Connect), None, None, DRY),
    ("connect: Невозможно назначить запрошенный адрес", AddressNotAvailable, Some(Connect), None, None, DRY),
];

/// Lines that hold an anchor, or look as if, and say nothing.
#[rustfmt::skip]
pub(super) const SILENT: &[&str] = &[
    "GET /item/10048 HTTP/1.1 200",
    "10.0.0.5 - - [01/Jul/2026:10:00:00 +0000] \"GET /item/10048 HTTP/1.1\" 200 10055",
    "Accepted connection from 10.0.0.5:10048",
    "shipped to New York, NY 10013, zip code 10048",
    "{\"zip_code\": 10048, \"city\": \"New York\"}",
    "user 10055 logged in after an error in tcp",
    "java.net.NoRouteToHostException: No route to host (Host unreachable)",
    "connect: no route to host",
    "read tcp 10.0.0.1:443->10.0.0.2:5000: read: connection reset by peer",
    "java.net.SocketException: Connection reset",
    "remote error: tls: handshake failure",
    "Server listening on 0.0.0.0 port 4231",
    "recv() failed (11: Resource temporarily unavailable)",
    "ping: sendmsg: No buffer space available",
    "2026/07/01 10:00:00 [info] 1#1: *5 client timed out (110: Connection timed out) while waiting for request, client: 10.0.0.9",
    "validation failed: email address already in use",
    "username already in use",
    "ARP: IP address already in use by 02:00:00:00:00:01",
    "Shipping address not available for this order",
    "TCP: request_sock_TCP: Possible SYN flooding on port 80. Sending cookies.",
    "neighbour: arp_cache: neighbor table overflow!",
    "-A POSTROUTING -o eth0 -j SNAT --to-source 192.0.2.1",
    "connection pool exhausted after 30 s",
    "no free ports in range 30000-32767 for media",
    "{\"MetricName\":\"ErrorPortAllocation\",\"Timestamp\":\"2026-07-01T10:00:00Z\",\"Sum\":0.0,\"Unit\":\"Count\"}",
    "aws_natgateway_error_port_allocation_sum{nat_gateway_id=\"nat-0\"} 0 1719820800000",
    "{\"allocation_status\":\"OK\",\"connection\":{\"dest_ip\":\"203.0.113.7\",\"dest_port\":443}}",
    "{\"status\":\"DROPPED\",\"reason\":\"spam\"}",
    "compute: OUT_OF_RESOURCES, no GPU left for the alternative destination",
    "order 4231 shipped",
    "TCP 10.0.0.1:4231 -> 10.0.0.2:80 established",
    "Event ID: 42310",
    "<Event><System><Provider Name='Other'/><EventID>4231</EventID>",
    "process finished with errno 9",
    "built 99 of 990 objects, error 990 ignored",
    "errno 2: no such file",
    "Can't connect to MySQL server on '10.0.0.5' (4)",
    "metrics server on 10.0.0.5 (99 percentile) ready",
    "[UFW BLOCK] SRC=10.0.0.5 DPT=10048",
    "MYEADDRINUSE_COUNT=5",
    "  code: 'EADDRNOTAVAIL',",
    "  errno: -98,",
    "",
    "x",
];
