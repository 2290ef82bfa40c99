//! Which lines are worth a look: those in which an anchor stands, those whose first bytes may begin
//! a row or a setting, and those that the context waits for.

use alloc::vec::Vec;

use aho_corasick::packed;
use dryport_model::explain::Findings;

use super::Input;
use super::context::{Context, Line};

/// Words that stand in lines of captures whose first bytes say nothing. The search looks at four
/// bytes of every place at once, so each begins with four that are rare in logs (`state`, `time` and
/// `/pro` are not), and those that look alike stand eight apart, which is one bucket.
#[rustfmt::skip]
const ANCHORS: [&str; 18] = [
    " TCP", " UDP", "roc/sys/net", "netsh int", "l_port\"", "micport", "uname -", "$ ss ",
    " tcp ", " ESTAB ", "roc/net/", "netstat -", "alAddress", "dportrange", "sysctl ", "# ss ",
    " 0t0 ", "\"dryport.",
];

/// U+FEFF in UTF-8: it stands in the middle where files were put together.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Finds them.
pub(super) struct Anchors(Option<packed::Searcher>);

impl Anchors {
    pub(super) fn new() -> Self {
        Self(packed::Searcher::new(ANCHORS))
    }

    pub(super) fn each_hit(&self, text: &[u8], mut on_hit: impl FnMut(usize)) {
        match &self.0 {
            Some(searcher) => searcher.find_iter(text).for_each(|hit| on_hit(hit.start())),
            // Only where the library refuses the words above, which a test holds it does not.
            None => {
                let mut all: Vec<usize> = ANCHORS
                    .iter()
                    .flat_map(|word| memchr::memmem::find_iter(text, word.as_bytes()))
                    .collect();
                all.sort_unstable();
                all.into_iter().for_each(on_hit);
            }
        }
    }
}

/// Hands over the lines that are worth a look. `hits`: places of messages, and of other anchors,
/// each ascending. `continues`: it
/// begins in the middle of a line; `is_last`: the input ends here, and its last line may have no end.
pub(super) fn each(
    text: &[u8],
    (messages, anchors): (&[usize], &[usize]),
    (continues, is_last): (bool, bool),
    context: &mut Context,
    findings: &mut Findings,
    input: &mut Input,
) {
    let (mut messages, mut anchors) = (messages.iter().peekable(), anchors.iter().peekable());
    let mut next_hit = soonest(messages.peek(), anchors.peek());
    let mut waits = context.waits();
    let mut start = 0;
    let mut ends = memchr::memchr_iter(b'\n', text);
    while start < text.len() {
        let end = ends.next();
        context.last_line_is_cut = is_last && end.is_none();
        let end = end.unwrap_or(text.len());
        let line = text.get(start..end).unwrap_or_default();
        let is_continuation = continues && start == 0;
        input.lines += u64::from(!is_continuation);
        let (mut has_message, mut has_anchor) = (false, false);
        if next_hit < end {
            while messages.next_if(|at| **at < end).is_some() {
                has_message = true;
            }
            while anchors.next_if(|at| **at < end).is_some() {
                has_anchor = true;
            }
            next_hit = soonest(messages.peek(), anchors.peek());
        }
        if has_message || has_anchor || waits || may_begin(line) {
            let line = Line {
                text: line,
                above: text.get(..start).unwrap_or_default(),
                has_message,
                is_continuation,
            };
            context.line(&line, findings, input);
            waits = context.waits();
        }
        start = end + 1;
    }
}

fn soonest(message: Option<&&usize>, anchor: Option<&&usize>) -> usize {
    let at = |hit: Option<&&usize>| hit.map_or(usize::MAX, |at| **at);
    at(message).min(at(anchor))
}

/// Whether a line may be a row or a setting, by its first bytes. Quick for lines of logs: most begin
/// with a date or a bracket.
fn may_begin(line: &[u8]) -> bool {
    // A date is how most lines of logs begin.
    if let [b'1' | b'2', _, _, _, b'-' | b'/', ..] = line {
        return false;
    }
    // Colours and a mark of byte order may stand before anything.
    let visible = |byte: &u8| *byte > b' ' || *byte == 0x1b;
    let Some(at) = line.iter().position(visible) else {
        return false;
    };
    let line = line.get(at..).unwrap_or_default();
    let starts = |words: &[&[u8]]| words.iter().any(|word| line.starts_with(word));
    match line.first() {
        Some(b'T') => starts(&[b"TCP", b"TIME-WAIT", b"Tcp", b"TcpTimedWaitDelay"]),
        Some(b't') => starts(&[b"tcp"]),
        Some(b'U') => starts(&[b"UDP", b"UNCONN"]),
        Some(b'u') => starts(&[b"udp"]),
        Some(b'E') => starts(&[b"ESTAB"]),
        Some(b'L') => starts(&[b"LISTEN", b"LAST-ACK"]),
        Some(b'S') => starts(&[b"SYN-", b"Start Port"]),
        Some(b'F') => starts(&[b"FIN-WAIT"]),
        Some(b'C') => starts(&[b"CLOSE-WAIT", b"CLOSING", b"CLOSED"]),
        Some(b'B') => starts(&[b"BOUND"]),
        Some(b'N') => starts(&[b"NEW-SYN-RECV", b"Number of Ports"]),
        Some(b'n') => starts(&[b"net."]),
        Some(b'i') => starts(&[b"ipv4 ", b"ipv6 "]),
        Some(b'M') => starts(&[b"MaxUserPort", b"Microsoft Windows"]),
        Some(b'O') => starts(&[b"OS Version:"]),
        Some(b'H') => starts(&[b"HKEY_", b"HKLM"]),
        Some(b's') => starts(&[b"sockets:", b"ss -"]),
        Some(b'"') => starts(&[b"\"MaxUserPort", b"\"TcpTimedWaitDelay", b"\"192", b"\"::"]),
        Some(b'-') => starts(&[b"--------", b"- `", b"- T", b"- t", b"- U", b"- u"]),
        Some(b'[') => line.trim_ascii_end().len() <= 2 || starts(&[b"[HKEY_", b"[{"]),
        Some(b'{') => line.trim_ascii_end().len() <= 1,
        Some(b'>' | b'|' | b'*' | b'`' | b'+' | 0x1b | 0xc2) => true,
        Some(0xef) if starts(&[BYTE_ORDER_MARK]) => true,
        Some(b':') => starts(&[b"::"]),
        Some(b'0'..=b'9') => begins_with_a_number(line),
        Some(b'a'..=b'f') => begins_with_ipv6(line),
        // Labels of netsh in other writings than ours end in a number.
        Some(0x80..) => line.trim_ascii_end().last().is_some_and(u8::is_ascii_digit),
        _ => false,
    }
}

/// A row of `/proc/net/tcp` (`12: `), a table of PowerShell (`192.0.2.1   443`), numbers of `ss` (`0
/// 0 192.0.2.1:1`) or of an excluded range.
fn begins_with_a_number(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = line.iter().skip(digits).copied();
    match rest.next() {
        None => digits <= 10,
        Some(b':') => rest.next().is_some_and(|byte| byte == b' ') || begins_with_ipv6(line),
        Some(b'.') => {
            let mut rest = rest.skip_while(|byte| byte.is_ascii_digit() || *byte == b'.');
            rest.next().is_some_and(|byte| byte <= b' ')
                && rest
                    .find(|byte| *byte > b' ')
                    .is_some_and(|byte| byte.is_ascii_digit())
        }
        Some(byte) if byte <= b' ' && digits <= 7 => rest
            .find(|byte| *byte > b' ')
            .is_some_and(|byte| byte.is_ascii_digit()),
        Some(byte) if byte.is_ascii_hexdigit() => begins_with_ipv6(line),
        _ => false,
    }
}

/// `2001:db8::1   443`: at least two colons before the first blank, which a time of day (`12:30:59`)
/// has as well; the port behind the blank tells them apart soon.
fn begins_with_ipv6(line: &[u8]) -> bool {
    let word = line.iter().take_while(|byte| **byte > b' ');
    let mut colons = 0;
    for byte in word.take(48) {
        match byte {
            b':' => colons += 1,
            b'%' | b'.' => break,
            byte if byte.is_ascii_hexdigit() => {}
            _ => return false,
        }
    }
    colons >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchors_are_searched_with_the_processors_vectors_where_it_has_them() {
        assert!(Anchors::new().0.is_some());
        let mut at = Vec::new();
        Anchors::new().each_hit(b"x 0t0 y /proc/sys/net/z", |hit| at.push(hit));
        assert_eq!(at, [1, 10]);
    }

    #[test]
    fn rows_are_worth_a_look_and_lines_of_logs_are_not() {
        for line in [
            "  TCP    192.0.2.10:1  192.0.2.11:2  ESTABLISHED",
            "tcp        0      0 127.0.0.1:1  127.0.0.1:2 ESTABLISHED",
            "ESTAB 0 0 1.2.3.4:5 1.2.3.4:6",
            "   0: 0100007F:1F90 00000000:0000 0A",
            "0      0      127.0.0.1:1   127.0.0.1:2",
            "192.0.2.10   49733  198.51.100.7  443  TimeWait",
            "::     3306      ::   0   Listen",
            "2001:db8::1  50321 2001:db8::2 443 Established",
            "\u{feff}net.ipv4.tcp_tw_reuse = 2",
            "\x1b[32mESTAB\x1b[0m 0 0 1.2.3.4:5 1.2.3.4:6",
            "> TCP 1.2.3.4:5 1.2.3.4:6 TIME_WAIT",
            "net.ipv4.tcp_tw_reuse = 2",
            "启动端口        : 49152",
        ] {
            assert!(may_begin(line.as_bytes()), "{line}");
        }
        for line in [
            "",
            "2026-11-24T10:00:00Z INFO started",
            "Nov 24 10:00:00 host sshd[1]: accepted",
            "[2026-11-24 10:00:00] INFO x",
            "192.0.2.10 - - [24/Nov/2026:10:00:00] \"GET / HTTP/1.1\" 200 5",
            "{\"time\":\"2026\",\"message\":\"x\"}",
            "INFO something",
        ] {
            assert!(!may_begin(line.as_bytes()), "{line}");
        }
    }
}
