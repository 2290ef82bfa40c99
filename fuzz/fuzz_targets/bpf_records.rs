//! Records of the BPF programs: whole ones are taken, no more than was given, and in pieces they
//! read the same.
#![no_main]

use dryport_bpf::{decode_holders, decode_sockets};
use dryport_host::Sighting;
use dryport_model::{Family, Origin, Protocol};
use libfuzzer_sys::fuzz_target;

const HEAD: usize = 36;
const LONGEST: usize = HEAD + 32;
const SHORTEST: usize = HEAD + 8;
const HOLDER: usize = 28;
/// The kernel's own, and what no kernel has.
const TICKS: [u32; 6] = [0, 1, 100, 300, 1000, u32::MAX];

fuzz_target!(|bytes: &[u8]| {
    for hz in TICKS {
        check_sockets(bytes, hz);
    }
    check_holders(bytes);
});

fn check_sockets(bytes: &[u8], hz: u32) {
    let (seen, taken, unreadable, is_broken) = decode(bytes, hz);
    assert!(taken <= bytes.len());
    let records = seen.len() + unreadable as usize;
    assert!((SHORTEST * records..=LONGEST * records).contains(&taken));
    let left = &bytes[taken..];
    let is_known = |family: &u8| [2, 10].contains(family);
    assert_eq!(is_broken, left.len() >= HEAD && !is_known(&left[2]));
    assert!(is_broken || left.len() < LONGEST);
    seen.iter().for_each(check_sighting);
    // Cut anywhere, what is left of the first piece and the second make up the rest.
    let cut = bytes
        .first()
        .map_or(0, |at| usize::from(*at) % (bytes.len() + 1));
    let (mut pieces, first, of_first, _) = decode(&bytes[..cut], hz);
    let (second, rest, of_second, broke) = decode(&bytes[first..], hz);
    pieces.extend(second);
    assert_eq!((pieces, first + rest), (seen, taken));
    assert_eq!((of_first + of_second, broke), (unreadable, is_broken));
}

fn decode(bytes: &[u8], hz: u32) -> (Vec<Sighting>, usize, u64, bool) {
    let mut seen = Vec::new();
    let decoded = decode_sockets(bytes, hz, |sighting| seen.push(*sighting));
    (seen, decoded.bytes, decoded.unreadable, decoded.is_broken)
}

fn check_sighting(seen: &Sighting) {
    let socket = &seen.socket;
    let (local, remote) = (socket.local.ip(), socket.remote.ip());
    assert_eq!(
        (local, remote),
        (local.to_canonical(), remote.to_canonical())
    );
    if socket.family == Family::V4 {
        assert!(local.is_ipv4() && remote.is_ipv4());
    }
    if local.is_ipv4() {
        assert_eq!(socket.v6only, Some(false));
        assert!(remote.is_ipv4() || !remote.is_unspecified());
    }
    assert!(socket.protocol == Protocol::Tcp || socket.origin == Origin::Unknown);
    if let Some(stub) = socket.time_wait {
        assert!(stub.timestamps.is_some());
    }
}

fn check_holders(bytes: &[u8]) {
    let mut at = 0;
    let taken = decode_holders(bytes, |tgid, inode, _, comm| {
        assert_eq!(tgid.to_ne_bytes(), bytes[at..at + 4]);
        assert_eq!(inode.to_ne_bytes(), bytes[at + 4..at + 8]);
        assert_eq!(comm[..], bytes[at + 12..at + HOLDER]);
        at += HOLDER;
    });
    assert_eq!(taken, at);
    assert_eq!(taken, bytes.len() / HOLDER * HOLDER);
}
