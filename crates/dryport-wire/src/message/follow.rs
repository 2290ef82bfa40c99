//! Lines that belong to a message: stack frames, and the details that Node prints behind an error.

use alloc::string::String;

use dryport_model::{Call, Message};

use super::endpoint;
use super::phrase::{Phrases, find, leading_number};

/// What a line that belongs to a message adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Follow {
    /// The call that the line shows. A frame that shows none is told as well, so that a reader can
    /// go on to the next.
    pub call: Option<Call>,
    /// An address without its port.
    pub destination: Option<String>,
    /// The local port, where the line names it as such.
    pub local_port: Option<u16>,
    /// A port that is the destination's or, for a server, the local one.
    pub port: Option<u16>,
}

impl Follow {
    /// Adds what `message` does not say itself. A server's frame counts more than that of the
    /// `bind()` under it.
    pub fn add_to(self, message: &mut Message) {
        message.call = match (message.call, self.call) {
            (None | Some(Call::Bind), Some(Call::Listen)) => self.call,
            (None, call) => call,
            (call, _) => call,
        };
        message.local_port = message.local_port.or(self.local_port);
        if message.call == Some(Call::Listen) {
            message.local_port = message.local_port.or(self.port);
            return;
        }
        if let (None, Some(address)) = (&message.destination, self.destination) {
            message.destination_address = endpoint::address(address.as_bytes());
            message.destination = Some(address);
        }
        if let (Some(port), Some(host)) = (self.port, &message.destination)
            && (message.destination_address.is_some() && host.parse::<core::net::IpAddr>().is_ok())
        {
            message.destination = Some(endpoint::joined(host.as_bytes(), Some(port)));
        }
    }
}

/// Functions of runtimes, and the call that they stand for.
static FRAMES: Phrases<Call> = Phrases::new(&[
    // .NET
    ("TcpListener.Start(", Call::Listen),
    ("HttpListener.", Call::Listen),
    ("SocketConnectionListener.Bind(", Call::Listen),
    ("SocketTransport", Call::Listen),
    ("KestrelServer", Call::Listen),
    ("Socket.Listen(", Call::Listen),
    ("Socket.Bind(", Call::Bind),
    ("Socket.DoBind(", Call::Bind),
    ("Socket.Connect", Call::Connect),
    ("Socket.DoConnect", Call::Connect),
    ("Socket.BeginConnect", Call::Connect),
    ("Socket.EndConnect", Call::Connect),
    ("Socket.InternalEndConnect", Call::Connect),
    ("Socket.<ConnectAsync>", Call::Connect),
    ("AwaitableSocketAsyncEventArgs", Call::Connect),
    ("ConnectToTcpHostAsync", Call::Connect),
    ("ConnectHelper.ConnectAsync", Call::Connect),
    ("ConnectSocketInternal", Call::Connect),
    ("TcpClient.Connect", Call::Connect),
    ("TcpClient..ctor(", Call::Connect),
    ("HttpWebRequest.GetRe", Call::Connect),
    // Java
    ("ServerSocketChannelImpl.", Call::Listen),
    ("ServerSocketAdaptor.", Call::Listen),
    ("ServerSocket.", Call::Listen),
    ("PlainSocketImpl.socketListen", Call::Listen),
    ("Net.listen", Call::Listen),
    ("PlainSocketImpl.socketBind", Call::Bind),
    ("PlainSocketImpl.bind", Call::Bind),
    ("Net.bind", Call::Bind),
    ("Socket.bind(", Call::Bind),
    ("PlainSocketImpl.socketConnect", Call::Connect),
    ("PlainSocketImpl.connect", Call::Connect),
    ("PlainSocketImpl.doConnect", Call::Connect),
    ("PlainSocketImpl.waitForConnect", Call::Connect),
    ("Net.connect", Call::Connect),
    ("Net.pollConnect", Call::Connect),
    ("NioSocketImpl.connect", Call::Connect),
    ("SocketChannelImpl.connect", Call::Connect),
    ("SocketChannelImpl.checkConnect", Call::Connect),
    ("SocketChannelImpl.finishConnect", Call::Connect),
    ("Socket.connect(", Call::Connect),
    // Node
    ("setupListenHandle", Call::Listen),
    ("listenInCluster", Call::Listen),
    ("Server.listen", Call::Listen),
    ("TCPConnectWrap.afterConnect", Call::Connect),
    ("internalConnect", Call::Connect),
    ("PipeConnectWrap", Call::Connect),
    // Python: functions of frames, and the source line under one.
    (", in server_bind", Call::Listen),
    (", in create_server", Call::Listen),
    (", in listen", Call::Listen),
    (", in bind", Call::Bind),
    (", in connect", Call::Connect),
    (", in create_connection", Call::Connect),
    (", in sock_connect", Call::Connect),
    (", in _sock_connect", Call::Connect),
    (", in _connect", Call::Connect),
    (", in _new_conn", Call::Connect),
    ("sock.bind(", Call::Bind),
    ("socket.bind(", Call::Bind),
    ("sock.connect(", Call::Connect),
    ("socket.connect(", Call::Connect),
    ("sock.listen(", Call::Listen),
    // Ruby and PHP
    ("in `connect", Call::Connect),
    ("in 'Socket#connect", Call::Connect),
    ("#connect_", Call::Connect),
    ("in `__connect", Call::Connect),
    ("in `bind'", Call::Bind),
    ("in `listen'", Call::Listen),
    ("stream_socket_client(", Call::Connect),
    ("fsockopen(", Call::Connect),
    ("mysqli->", Call::Connect),
    ("PDO->__construct", Call::Connect),
    ("stream_socket_server(", Call::Listen),
]);

/// What a line that follows a message tells of it; `None` where it does not belong to one.
#[must_use]
pub fn read_following(line: &[u8]) -> Option<Follow> {
    // A frame is short; a line that is not need not be searched.
    let line = line.get(..line.len().min(2000))?.trim_ascii();
    if let Some(detail) = detail(line) {
        return Some(detail);
    }
    if let Some(asked) = libpq(line) {
        return Some(asked);
    }
    let call = FRAMES.hits(line).next().map(|hit| hit.tells);
    let shows_a_call = line.starts_with(b"sock") || line.starts_with(b"self.sock");
    (is_frame(line) || (shows_a_call && call.is_some())).then_some(Follow {
        call,
        ..Follow::default()
    })
}

/// `Is the server running on host "localhost" (::1) and accepting`, under PostgreSQL's "could not
/// connect to server".
fn libpq(line: &[u8]) -> Option<Follow> {
    let host = line.strip_prefix(b"Is the server running on host \"")?;
    let open = memchr::memchr(b'(', host)?;
    let address = host.get(open + 1..)?.split(|byte| *byte == b')').next()?;
    endpoint::address(address)?;
    Some(Follow {
        call: Some(Call::Connect),
        destination: Some(endpoint::joined(address, None)),
        ..Follow::default()
    })
}

/// `at System.Net…(`, `File "x.py", line 5, in f`, `from /usr/lib/x.rb:5:in`, `#0 /srv/x.php(5)`.
fn is_frame(line: &[u8]) -> bool {
    let numbered = line.strip_prefix(b"#").and_then(leading_number).is_some();
    let dotted = line.starts_with(b"at ") && line.iter().any(|byte| b"(.:".contains(byte));
    let python = line.starts_with(b"File \"") && find(line, ", line ").is_some();
    let ruby = find(line, ":in `").is_some() || find(line, ":in '").is_some();
    let more = line.starts_with(b"... ") && line.ends_with(b" more");
    // .NET's frames in German, French, Spanish and Russian, from memory.
    let translated = [
        "bei System.",
        "à System.",
        "en System.",
        "в System.",
        "在 System.",
        "場所 System.",
    ]
    .iter()
    .any(|lead| line.starts_with(lead.as_bytes()));
    numbered || dotted || python || ruby || more || translated || line.starts_with(b"--- End of")
}

/// Whether the line is only a detail of a message above: it is no message of its own.
pub(super) fn is_detail(line: &[u8]) -> bool {
    line.len() < 80 && detail(line.trim_ascii()).is_some()
}

/// `syscall: 'connect',`, `address: '10.0.0.5',`, `port: 6379`.
fn detail(line: &[u8]) -> Option<Follow> {
    let line = line.strip_suffix(b",").unwrap_or(line);
    let colon = memchr::memchr(b':', line)?;
    let key = line.get(..colon)?;
    let value = line.get(colon + 1..)?.trim_ascii();
    let quoted = |text: &str| value.get(1..) == Some(text.as_bytes());
    let port = || endpoint::whole_port(value);
    let mut follow = Follow::default();
    match key {
        b"errno" if value.iter().any(u8::is_ascii_digit) => {}
        b"code" if value.starts_with(b"'E") => {}
        b"syscall" if quoted("connect'") => follow.call = Some(Call::Connect),
        b"syscall" if quoted("bind'") => follow.call = Some(Call::Bind),
        b"syscall" if quoted("listen'") => follow.call = Some(Call::Listen),
        b"address" => {
            let host = value.strip_prefix(b"'")?.strip_suffix(b"'")?;
            follow.destination = Some(endpoint::joined(host, None));
        }
        b"port" => follow.port = Some(port()?),
        b"localPort" => follow.local_port = Some(port()?),
        _ => return None,
    }
    Some(follow)
}
