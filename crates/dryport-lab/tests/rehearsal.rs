//! smoke
use std::process::ExitCode;
use std::time::Instant;
use dryport_lab::Privilege;
use dryport_lab::rehearsal::*;
use dryport_model::Request;

fn main() -> ExitCode {
    if let Err(unavailable) = Privilege::enter() {
        return unavailable.skip();
    }
    let s = |k: &str, v: &str| (k.to_string(), v.to_string());
    for (dest, name) in [("127.0.0.1:80", "loop"), ("10.1.1.1:80", "veth")] {
        let source = if name == "loop" { "127.0.0.1" } else { "10.1.1.2" };
        let request = Request::tcp_connect(source.parse().unwrap(), dest.parse().unwrap());
        for (range, n, tw) in [("20000 20007", 8u16, 4u16), ("32768 60999", 28232, 20000)] {
            for full in [false, true] {
            let low: u16 = range[..5].parse().unwrap();
            let load = (0..n).map(|i| (low + i, if i < tw { Stand::TimeWait } else if full {Stand::InUse} else { Stand::Locked })).filter(|(p, _)| full || *p < low + tw).collect();
            let rehearsal = Rehearsal {
                request: RehearsedRequest::from(&request),
                before: vec![s("net.ipv4.ip_local_port_range", range)],
                after: vec![s("net.ipv4.tcp_tw_reuse", "1"), s("net.ipv4.ip_local_port_range", &format!("{} {}", 10000, range[6..].to_string()))],
                load,
                window: Rehearsal::WINDOW,
            };
            let started = Instant::now();
            let result = rehearse(&rehearsal);
            println!("{name} {range} {full} {:?}: {result:#?}", started.elapsed());
            }
        }
    }
    ExitCode::SUCCESS
}
