//! Anything pasted: read whole or in pieces it says the same, and what leaves can be shown.
#![no_main]

use dryport_model::explain::{Given, explain};
use dryport_wire::paste::{Paste, Scanner};
use libfuzzer_sys::fuzz_target;

/// What stands above rows, so that every reader is reached: the first byte chooses.
const HEADS: [&str; 12] = [
    "",
    "  Proto  Local Address          Foreign Address        State           PID\n  TCP    192.0.2.1:1 192.0.2.2:2 TIME_WAIT 0\n",
    "# ss -tanp\nState Recv-Q Send-Q Local Address:Port Peer Address:Port\n",
    "tcp        0      0 127.0.0.1:1  127.0.0.1:2 ESTABLISHED 7/x\n",
    "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n",
    "LocalAddress LocalPort RemoteAddress RemotePort State AppliedSetting OwningProcess\n------------ ---------\n",
    "\"LocalAddress\",\"LocalPort\",\"RemoteAddress\",\"RemotePort\",\"State\",\"OwningProcess\"\n",
    "[{\"LocalAddress\":\"192.0.2.1\",\"LocalPort\":1,",
    "{\"schema\":\"dryport.see/1\",\"sockets\":[\n",
    "C:\\>netsh int ipv4 show dynamicport tcp\n---------------------------------\n",
    "Start Port    End Port\n----------    --------\n",
    "$ cat /proc/sys/net/ipv4/ip_local_port_range\n",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, tail)) = bytes.split_first() else {
        return;
    };
    let head = HEADS[usize::from(*choice) % HEADS.len()];
    let text = [head.as_bytes(), tail].concat();
    let read = |step| {
        let mut paste = Paste::new();
        let result = paste.read(&mut Scanner::new(), "x".into(), &text, step);
        (result, paste.finish())
    };
    let (result, (findings, inputs)) = read(usize::MAX);
    let (other_result, (other, other_inputs)) = read(1 + usize::from(*choice));
    assert_eq!(result, other_result);
    assert_eq!(format!("{inputs:?}"), format!("{other_inputs:?}"));
    assert_eq!(findings.tables.rows(), other.tables.rows());

    for note in inputs.iter().flat_map(|input| &input.notes) {
        assert!(!note.note.chars().any(char::is_control));
    }
    let explanation = explain(&findings, &Given::default());
    for request in &explanation.requests {
        assert!(request.headroom.at_least <= request.headroom.at_most);
    }
    for cause in &explanation.causes {
        assert!(
            !cause.summary.chars().any(char::is_control),
            "{:?}",
            cause.summary
        );
    }
    for process in &explanation.processes {
        let name = process.name.as_deref().unwrap_or_default();
        assert!(!name.chars().any(char::is_control));
    }
});
