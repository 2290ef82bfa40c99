//! What to change in programs, by language. A flat list.

use super::{Client, Entry, Measure};

/// For each kind its measures, the safest first.
pub(super) const TEXTS: &[Entry] = &[
    (
        Client::Go,
        Measure::ReuseConnections,
        r"// One client for the program. The default keeps 2 idle connections for each host.
transport := http.DefaultTransport.(*http.Transport).Clone()
transport.MaxIdleConns = 200
transport.MaxIdleConnsPerHost = 100
client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
// A connection goes back only when its body was read to the end and closed.
defer resp.Body.Close()
_, err = io.Copy(io.Discard, resp.Body)",
    ),
    (
        Client::Go,
        Measure::CloseSockets,
        r"// On every path, also when the status is not 200.
resp, err := client.Do(req)
if err != nil {
    return err
}
defer resp.Body.Close()",
    ),
    (
        Client::Go,
        Measure::ReuseUdpSockets,
        r#"// One socket, made once; net.Dial("udp", ...) opens one for each destination.
conn, err := net.ListenUDP("udp", nil)
_, err = conn.WriteToUDPAddrPort(packet, destination)"#,
    ),
    (
        Client::Go,
        Measure::NoPortOption,
        r#"// Where a Dialer has a LocalAddr (golang.org/x/sys/unix): Control runs before bind().
func noPort(_, _ string, c syscall.RawConn) (err error) {
    failed := c.Control(func(fd uintptr) {
        err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
    })
    return errors.Join(failed, err)
}
local := &net.TCPAddr{IP: net.ParseIP("10.0.0.5")}
transport.DialContext = (&net.Dialer{LocalAddr: local, Control: noPort}).DialContext"#,
    ),
    (
        Client::Go,
        Measure::UnixSocket,
        r#"// The server on the same machine listens on a Unix socket.
transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
    return new(net.Dialer).DialContext(ctx, "unix", "/run/app/app.sock")
}"#,
    ),
    (
        Client::Go,
        Measure::CloseOnTheOtherSide,
        r"// A protocol of your own: the server closes first, the client reads to that end.
answer, err := io.ReadAll(conn)
conn.Close()",
    ),
    (
        Client::Go,
        Measure::Spread,
        r#"// One client for each source address, used in turn; noPort sets IP_BIND_ADDRESS_NO_PORT.
for _, ip := range []string{"10.0.0.5", "10.0.0.6"} {
    dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Control: noPort}
    transport := http.DefaultTransport.(*http.Transport).Clone()
    transport.DialContext = dialer.DialContext
    clients = append(clients, &http.Client{Transport: transport})
}"#,
    ),
    (
        Client::DotNet,
        Measure::ReuseConnections,
        r"// One for the process, not one for each request: each has a pool of its own.
static readonly HttpClient Client = new(new SocketsHttpHandler
{
    PooledConnectionLifetime = TimeSpan.FromMinutes(5), // so that changes in DNS are seen
});
// ASP.NET Core: or clients from IHttpClientFactory, which share their handlers.
builder.Services.AddHttpClient();",
    ),
    (
        Client::DotNet,
        Measure::CloseSockets,
        r"// Responses that are read as a stream hold their connection until they are disposed of.
using var response = await client.GetAsync(uri, HttpCompletionOption.ResponseHeadersRead);",
    ),
    (
        Client::DotNet,
        Measure::ReuseUdpSockets,
        r"// One for the process, without Connect().
static readonly UdpClient Udp = new(0, AddressFamily.InterNetwork);
await Udp.SendAsync(packet, packet.Length, destination);",
    ),
    (
        Client::DotNet,
        Measure::NoPortOption,
        r#"// In the SocketsHttpHandler, on Linux (0 is IPPROTO_IP, 24 IP_BIND_ADDRESS_NO_PORT).
// On Windows set SocketOptionName.ReuseUnicastPort instead; it needs a range of its own:
//   Set-NetTCPSetting -AutoReusePortRangeStartPort 20000 -AutoReusePortRangeNumberOfPorts 20000
ConnectCallback = async (context, stop) =>
{
    var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    socket.SetRawSocketOption(0, 24, BitConverter.GetBytes(1));
    socket.Bind(new IPEndPoint(IPAddress.Parse("10.0.0.5"), 0));
    await socket.ConnectAsync(context.DnsEndPoint, stop);
    return new NetworkStream(socket, ownsSocket: true);
},"#,
    ),
    (
        Client::DotNet,
        Measure::UnixSocket,
        r#"// In the SocketsHttpHandler: the server on the same machine listens on a Unix socket.
ConnectCallback = async (context, stop) =>
{
    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    await socket.ConnectAsync(new UnixDomainSocketEndPoint("/run/app/app.sock"), stop);
    return new NetworkStream(socket, ownsSocket: true);
},"#,
    ),
    (
        Client::Java,
        Measure::ReuseConnections,
        r"// One for the program: each has a pool of its own.
static final HttpClient CLIENT = HttpClient.newHttpClient();
// Apache HttpClient 5 likewise; its default of 5 connections for each host is often too few.
static final CloseableHttpClient APACHE = HttpClients.custom()
    .setConnectionManager(PoolingHttpClientConnectionManagerBuilder.create()
        .setMaxConnPerRoute(100).setMaxConnTotal(200).build())
    .build();
// A connection goes back only when its body was read to the end.",
    ),
    (
        Client::Java,
        Measure::CloseSockets,
        r"// On every path: try-with-resources for responses, streams and sockets.
try (InputStream body = CLIENT.send(request, BodyHandlers.ofInputStream()).body()) {
    body.transferTo(output);
}",
    ),
    (
        Client::Java,
        Measure::ReuseUdpSockets,
        r"// One socket, made once and not connected, for all destinations.
static final DatagramSocket UDP = new DatagramSocket();
UDP.send(new DatagramPacket(bytes, bytes.length, destination));",
    ),
    (
        Client::Java,
        Measure::NoPortOption,
        r"// Netty with its epoll transport, where a local address is bound:
bootstrap.channel(EpollSocketChannel.class)
    .option(EpollChannelOption.IP_BIND_ADDRESS_NO_PORT, true);
// The JDK's sockets cannot set it: bind none, and let the route choose the source address:
//   ip route replace 10.0.0.9/32 via 10.0.0.1 src 10.0.0.5",
    ),
    (
        Client::Java,
        Measure::UnixSocket,
        r#"// Java 16 and later, for a protocol of your own; java.net.http cannot.
var address = UnixDomainSocketAddress.of("/run/app/app.sock");
try (SocketChannel channel = SocketChannel.open(address)) {
    channel.write(question);
}"#,
    ),
    (
        Client::Java,
        Measure::CloseOnTheOtherSide,
        r#"// A protocol of your own: the server closes first, the client reads to that end.
try (Socket socket = new Socket("10.0.0.9", 7000)) {
    socket.getOutputStream().write(question);
    byte[] answer = socket.getInputStream().readAllBytes();
}"#,
    ),
    (
        Client::Node,
        Measure::ReuseConnections,
        r"// One agent for the process. Before Node 19 the default opens a connection for each request.
const http = require('node:http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 100 });
const target = { host: '10.0.0.9', port: 8080, agent };
// A connection goes back only when its body was read to the end (fetch, which has a pool of
// its own, too).
http.get(target, (response) => response.resume());
// axios.create({ httpAgent: agent })",
    ),
    (
        Client::Node,
        Measure::CloseSockets,
        r"// The server has closed: end our side too, where allowHalfOpen is set; give up on silence.
socket.on('end', () => socket.end());
socket.setTimeout(30_000, () => socket.destroy());",
    ),
    (
        Client::Node,
        Measure::ReuseUdpSockets,
        r"// One socket for the process, not connected.
const udp = require('node:dgram').createSocket('udp4');
udp.send(packet, 8125, '10.0.0.9');",
    ),
    (
        Client::Node,
        Measure::NoPortOption,
        r"// Node cannot set IP_BIND_ADDRESS_NO_PORT. Remove localAddress, and let the route choose
// the source address:
//   ip route replace 10.0.0.9/32 via 10.0.0.1 src 10.0.0.5",
    ),
    (
        Client::Node,
        Measure::UnixSocket,
        r"// The server on the same machine listens on a Unix socket.
const target = { socketPath: '/run/app/app.sock', path: '/', agent };
http.get(target, (response) => response.resume());",
    ),
    (
        Client::Node,
        Measure::CloseOnTheOtherSide,
        r"// A protocol of your own: write(), not end(), and let the server close. Node then closes
// its side by itself (allowHalfOpen is off by default).
socket.write(question);
socket.on('end', () => done(answer));",
    ),
    (
        Client::Python,
        Measure::ReuseConnections,
        r"# One for the process: requests.get() and httpx.get() open a connection for each call.
session = requests.Session()
session.mount('http://', HTTPAdapter(pool_maxsize=50))  # 10 are the default, for each host
client = httpx.Client(limits=httpx.Limits(max_keepalive_connections=50))
# aiohttp: one ClientSession for the program, made within its event loop.
session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit_per_host=50))",
    ),
    (
        Client::Python,
        Measure::CloseSockets,
        r"# On every path: with, for sockets, for streamed responses, and for sessions.
with session.get(url, stream=True, timeout=30) as response:
    body = response.content",
    ),
    (
        Client::Python,
        Measure::ReuseUdpSockets,
        r"# One socket for the process, not connected.
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(packet, ('10.0.0.9', 8125))",
    ),
    (
        Client::Python,
        Measure::NoPortOption,
        r"# requests and urllib3, where the source address is chosen; 24 is IP_BIND_ADDRESS_NO_PORT.
class FromAddress(HTTPAdapter):
    def __init__(self, address):
        self.address = address
        super().__init__(pool_maxsize=50)

    def init_poolmanager(self, *args, **options):
        no_port = (socket.IPPROTO_IP, 24, 1)
        options['socket_options'] = [*HTTPConnection.default_socket_options, no_port]
        options['source_address'] = (self.address, 0)
        super().init_poolmanager(*args, **options)
# session.mount('http://', FromAddress('10.0.0.5'))",
    ),
    (
        Client::Python,
        Measure::UnixSocket,
        r"# The server on the same machine listens on a Unix socket.
client = httpx.Client(transport=httpx.HTTPTransport(uds='/run/app/app.sock'))
connector = aiohttp.UnixConnector(path='/run/app/app.sock')",
    ),
    (
        Client::Python,
        Measure::CloseOnTheOtherSide,
        r"# A protocol of your own: the server closes first, the client reads to that end.
with socket.create_connection(('10.0.0.9', 7000)) as connection:
    connection.sendall(question)
    answer = b''.join(iter(lambda: connection.recv(65536), b''))",
    ),
    (
        Client::Php,
        Measure::ReuseConnections,
        r"// PHP 8.5 keeps the connections of curl from one web request to the next.
$share = curl_share_init_persistent([CURL_LOCK_DATA_DNS, CURL_LOCK_DATA_CONNECT]);
curl_setopt($curl, CURLOPT_SHARE, $share);
// Before: one handle for all calls of a web request, not one for each.
static $curl = null;
$curl ??= curl_init();
// Databases: a connection that stays with the worker process.
$db = new PDO($dsn, $user, $password, [PDO::ATTR_PERSISTENT => true]);",
    ),
    (
        Client::Php,
        Measure::NoPortOption,
        r"// libcurl sets IP_BIND_ADDRESS_NO_PORT for this by itself, from 7.75 on.
curl_setopt($curl, CURLOPT_INTERFACE, 'host!10.0.0.5');",
    ),
    (
        Client::Php,
        Measure::UnixSocket,
        r"// Servers on the same machine: MySQL, then any HTTP server.
$db = new PDO('mysql:unix_socket=/run/mysqld/mysqld.sock;dbname=app', $user, $password);
curl_setopt($curl, CURLOPT_UNIX_SOCKET_PATH, '/run/app/app.sock');",
    ),
    (
        Client::Ruby,
        Measure::ReuseConnections,
        r#"# One for the process, from the gem net-http-persistent: Net::HTTP.get opens one each time.
require "net/http/persistent"
CLIENT = Net::HTTP::Persistent.new(name: "app", pool_size: 50)
response = CLIENT.request(URI("http://10.0.0.9:8080/"))
# Without the gem: the requests of one block share a connection.
Net::HTTP.start("10.0.0.9", 8080) { |http| paths.map { |path| http.get(path) } }"#,
    ),
    (
        Client::Ruby,
        Measure::NoPortOption,
        r#"# A socket of your own; 24 is IP_BIND_ADDRESS_NO_PORT. Net::HTTP's local_host does not set it.
socket = Socket.new(:INET, :STREAM)
socket.setsockopt(Socket::IPPROTO_IP, 24, 1)
socket.bind(Addrinfo.tcp("10.0.0.5", 0))
socket.connect(Addrinfo.tcp("10.0.0.9", 8080))"#,
    ),
    (
        Client::Rust,
        Measure::ReuseConnections,
        r#"// One for the program; clones share its pool. reqwest::get() makes a new one each time.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);
// A connection goes back only when its body was read to the end.
let text = CLIENT.get("http://10.0.0.9:8080/").send().await?.text().await?;"#,
    ),
    (
        Client::Rust,
        Measure::NoPortOption,
        r#"// reqwest's local_address() and hyper-util's set_local_address() do not set it; a socket of
// your own, with nix (features net, socket):
let socket = tokio::net::TcpSocket::new_v4()?;
nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true)?;
socket.bind("10.0.0.5:0".parse()?)?;
let stream = socket.connect("10.0.0.9:8080".parse()?).await?;"#,
    ),
    (
        Client::Rust,
        Measure::UnixSocket,
        r#"// The server on the same machine listens on a Unix socket.
let client = reqwest::Client::builder().unix_socket("/run/app/app.sock").build()?;"#,
    ),
    (
        Client::Rust,
        Measure::ReuseUdpSockets,
        r#"// One socket for the program, not connected.
let socket = UdpSocket::bind("0.0.0.0:0")?;
socket.send_to(&packet, destination)?;"#,
    ),
];
