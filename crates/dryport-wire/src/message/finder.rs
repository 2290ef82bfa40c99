//! Finds the places in a large text that are worth reading. Owns the anchors.
//!
//! An anchor is a fragment that every wording of some complaint holds. The search is Teddy's: it
//! looks at four bytes of every place at once and only verifies where a bucket of anchors matches,
//! so anchors begin with letters that are rare in logs, and those that look alike share a bucket.

use aho_corasick::packed::{self, Searcher};

/// Finds the lines of a text that may hold a message.
pub struct Finder {
    ascii: Option<Searcher>,
    /// For texts that are not ASCII.
    translated: Option<Searcher>,
}

impl Finder {
    /// Builds the searchers; do it once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ascii: searcher(&BUCKETS),
            translated: searcher(&TRANSLATED_BUCKETS),
        }
    }

    /// Calls `on_hit` with the offset of each place in `text` where an anchor stands, ascending.
    /// `text` is any number of whole lines.
    ///
    /// On a processor without SIMD (SSSE3, AVX2, NEON) it is each line's beginning: reading a line
    /// costs no more than searching it slowly would.
    pub fn each_hit(&self, text: &[u8], mut on_hit: impl FnMut(usize)) {
        let Some(ascii) = &self.ascii else {
            return each_line(text, on_hit);
        };
        let mut plain = ascii.find_iter(text).map(|hit| hit.start());
        let Some(translated) = self.translated.as_ref().filter(|_| !text.is_ascii()) else {
            return plain.for_each(on_hit);
        };
        let mut foreign = translated.find_iter(text).map(|hit| hit.start()).peekable();
        let mut next = plain.next();
        while let Some(offset) = next.into_iter().chain(foreign.peek().copied()).min() {
            if next == Some(offset) {
                next = plain.next();
            }
            foreign.next_if_eq(&offset);
            on_hit(offset);
        }
    }
}

impl Default for Finder {
    fn default() -> Self {
        Self::new()
    }
}

/// Teddy deals anchors out to its sixteen buckets in turn.
fn searcher(buckets: &[&[&str]; 16]) -> Option<Searcher> {
    let places = 0..MOST_IN_A_BUCKET;
    let anchors = places.flat_map(|place| buckets.iter().filter_map(move |row| row.get(place)));
    packed::Config::new().builder().extend(anchors).build()
}

fn each_line(text: &[u8], mut on_hit: impl FnMut(usize)) {
    if !text.is_empty() {
        on_hit(0);
    }
    for end in memchr::memchr_iter(b'\n', text) {
        if end + 1 < text.len() {
            on_hit(end + 1);
        }
    }
}

const MOST_IN_A_BUCKET: usize = 4;

/// The anchors by bucket, the full buckets first. Two things matter here: that every phrase of
/// [`complaint`](super::complaint) holds an anchor, and that the first four bytes are seldom in
/// logs: a bucket lets through what has, at each of the four places, the upper half of a byte of
/// one of its anchors and the lower half of one. Which belong together was searched for on samples
/// of logs; a bad order costs two thirds of the speed and nothing else.
#[rustfmt::skip]
const BUCKETS: [&[&str]; 16] = [
    &["L server on '", "o the remote server", "2147487", "o server on '"],
    &["EADDR", "ENFILE", "ENOBUFS", "'indirizzo richiesto"],
    &["OF_RESOURCES", "fficient buffer space", "AEACCES", " each socket address"],
    &["NAT masquerade", "EMFILE", "0x800727", "erSpaceAvailable"],
    &["arf jede Socketadresse", " wird bereits verwendet", "bucket table overflow", "aximum connections reached?)"],
    &["Refused", "ephemeral port number", "xhaust", "refused"],
    &["r_port_allocation", "SNAT", "roperly respond after", "rrno"],
    &["10055", "10024", "/o timeout", "10013"],
    &["ss in use", "ss not available", "CONNREFUSED", "dy in use"],
    &["orPortAllocation", "10049", "ndpoint was recently used", "10048"],
    &["10061", "10060", "or 9", "4266"],
    &["o file descriptors available", "kann nicht zugewiesen werden", "id in its context", "oo many open files"],
    &["4227", "NotAvailable", "4231", "DROPPED\""],
    &[" free ports", "IMEDOUT", "imed out"],
    &["ign requested address", "r occurred on a send", "rbidden by its access permissions"],
    &[" full, drop", "InUse", "rt is already allocated"],
];

/// Anchors of the sentences in [`translated`](super::translated) that hold other letters, made in
/// the same way.
#[rustfmt::skip]
const TRANSLATED_BUCKETS: [&[&str]; 16] = [
    &["法分配被请求的地址", "por sus permisos", "た方法でソケット"],
    &["소(프로토콜", "orque o sistema n", "aque adresse de socket (protocole"],
    &["уже используется", "rizzazioni di accesso", "щенным правами доступа"],
    &["个访问套接字的尝试", "套接字地址", " jest już w użyciu"],
    &["nar la direcci", "使用中です", "ço já em uso"],
    &["ьзование адреса сокета", "經有在使用", "를 배정할 수 없습니다"],
    &["чить запрошенный адрес", "un socket porque el sistema", "ya se está usando"],
    &["ać żądanego adresu", "割り当てられません", "個通訊端位址"],
    &["zo di socket", "域が不足しているか、またはキューが", "oibida pelas permiss"],
    &["指定所需的位址", "ffsrechte des Sockets", "소가 이미 사용 중입니다"],
    &["ibuer l'adresse demand", "址已在使用", "存取通訊端被拒絕"],
    &["要求されたアドレスに割り当てられません", " à un socket de manière interdite", " apenas uma utiliza"],
    &["éjà utilisée", "足或队列已满", "ço requisitado"],
    &[" Warteschlange", " 액세스를 시도", "л или очередь"],
    &[" un socket n", " un uso de cada direcci", "ケット アドレスに対して"],
    &["zo già in uso", "法指定被请求的地址"],
];
