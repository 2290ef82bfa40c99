//! `conntrack -L` and `/proc/net/nf_conntrack`: flows with both directions.

use core::net::IpAddr;

use dryport_model::Protocol;
use dryport_model::capture::NatFlow;

use super::Read;
use crate::paste::end::{ipv4, ipv6};
use crate::paste::words::{Words, number};

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Direction {
    source: IpAddr,
    destination: IpAddr,
    source_port: u16,
    destination_port: u16,
}

/// Reads a flow of TCP or UDP.
pub(in crate::paste) fn read<'a>(words: &Words<'a>) -> Read<'a> {
    let mut all = words.all().iter().copied();
    let protocol = all.by_ref().take(4).find_map(|word| match word {
        b"tcp" => Some(Protocol::Tcp),
        b"udp" => Some(Protocol::Udp),
        _ => None,
    });
    let Some(protocol) = protocol else {
        return Read::No;
    };
    let mut there: [Option<&[u8]>; 4] = [None; 4];
    let mut back = there;
    for word in all {
        for (index, key) in [&b"src="[..], b"dst=", b"sport=", b"dport="]
            .into_iter()
            .enumerate()
        {
            let Some(value) = word.strip_prefix(key) else {
                continue;
            };
            let slots = [&mut there, &mut back];
            if let Some(slot) = slots
                .into_iter()
                .filter_map(|direction| direction.get_mut(index))
                .find(|slot| slot.is_none())
            {
                *slot = Some(value);
            }
        }
    }
    match (direction(there), direction(back)) {
        (Some(there), Some(back)) => Read::Flow(nat(protocol, there, back)),
        _ if there.iter().any(Option::is_some) => Read::Half,
        _ => Read::No,
    }
}

fn direction(words: [Option<&[u8]>; 4]) -> Option<Direction> {
    let address = |word: &[u8]| {
        let four = ipv4(word).map(IpAddr::V4);
        four.or_else(|| ipv6(word).map(IpAddr::V6))
    };
    let [source, destination, source_port, destination_port] = words;
    Some(Direction {
        source: address(source?)?,
        destination: address(destination?)?,
        source_port: number(source_port?)?,
        destination_port: number(destination_port?)?,
    })
}

/// The answer comes back to another address than the question came from: that one is the NAT's.
fn nat(protocol: Protocol, there: Direction, back: Direction) -> Option<NatFlow> {
    (back.destination != there.source).then_some(NatFlow {
        protocol,
        outside: back.destination,
        port: back.destination_port,
        destination: back.source,
        destination_port: back.source_port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masqueraded_flow_shows_the_port_of_the_nat() {
        let line = b"tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=198.51.100.7 sport=40000 dport=443 src=198.51.100.7 dst=192.0.2.1 sport=443 dport=61000 [ASSURED] mark=0 use=1";
        let Read::Flow(Some(flow)) = read(&Words::of(line)) else {
            panic!("no flow");
        };
        assert_eq!(flow.outside.to_string(), "192.0.2.1");
        assert_eq!((flow.port, flow.destination_port), (61000, 443));
        let plain = b"ipv4     2 udp      17 29 src=10.0.0.2 dst=10.0.0.1 sport=5 dport=53 [UNREPLIED] src=10.0.0.1 dst=10.0.0.2 sport=53 dport=5 mark=0";
        assert!(matches!(read(&Words::of(plain)), Read::Flow(None)));
    }

    use std::string::ToString;
}
