//! A damaged paste still yields every row that it still contains, with notes for the rest.

use dryport_model::Protocol;
use proptest::prelude::*;

use crate::emit::{Emitter, Socket, rows, sockets};
use crate::{counted, read, seen};

fn of(emitter: Emitter, sockets: &[Socket]) -> Vec<Socket> {
    let writes = |s: &&Socket| s.protocol == Protocol::Tcp || emitter.writes_udp();
    sockets.iter().filter(writes).copied().collect()
}

/// Lines of a log, as they get between the rows of a paste.
fn log_line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("2026-11-24T10:00:00Z INFO [worker-3] request 4703 done in 6 ms\n".to_string()),
        Just("Nov 24 10:00:00 web sshd[812]: session opened for user root(uid=0)\n".to_string()),
        "[0-9]{2}:[0-9]{2}:[0-9]{2} [a-z]{1,8} [a-z0-9=/.]{0,20}\n",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_truncated_paste_yields_every_row_it_still_contains(
        sockets in sockets(),
        cut in 0.0_f64..1.0,
    ) {
        for emitter in Emitter::ALL {
            let sockets = of(emitter, &sockets);
            let text = emitter.text(&sockets);
            let cut = (text.len() as f64 * cut) as usize;
            let kept = &text.as_bytes()[..cut];
            let mut whole = emitter.head().len();
            let mut complete = 0;
            for socket in &sockets {
                whole += emitter.row(socket).len() + usize::from(emitter == Emitter::Json);
                complete += u64::from(whole <= cut);
            }
            let (_, input) = read(kept, usize::MAX);
            // The row that was cut may be whole but for its end.
            prop_assert!(
                (complete..=complete + 1).contains(&input.rows),
                "{:?}: {} rows of {}\n{}",
                emitter, input.rows, complete, String::from_utf8_lossy(kept)
            );
        }
    }

    #[test]
    fn line_ends_may_be_mixed(sockets in sockets(), ends in prop::collection::vec(any::<bool>(), 300)) {
        for emitter in Emitter::ALL {
            let sockets = of(emitter, &sockets);
            let text: String = emitter
                .text(&sockets)
                .lines()
                .zip(ends.iter().cycle())
                .map(|(line, dos)| format!("{line}{}", if *dos { "\r\n" } else { "\n" }))
                .collect();
            let (findings, input) = read(text.as_bytes(), usize::MAX);
            prop_assert!(input.notes.is_empty(), "{:?} {:?}\n{}", emitter, input.notes, text);
            let found = seen(findings.tables.fullest());
            prop_assert_eq!(found, counted(&rows(&sockets)), "{:?}\n{}", emitter, text);
        }
    }

    #[test]
    fn lines_of_a_log_may_stand_between_rows(
        sockets in sockets(),
        logs in prop::collection::vec(prop::option::of(log_line()), 40),
    ) {
        for emitter in Emitter::ALL {
            // A record of several lines is not one any more with others in it.
            if matches!(emitter, Emitter::Json | Emitter::List | Emitter::Csv) {
                continue;
            }
            let sockets = of(emitter, &sockets);
            let mut text = String::from(emitter.head());
            for (socket, log) in sockets.iter().zip(logs.iter().cycle()) {
                text.push_str(&emitter.row(socket));
                text.push_str(log.as_deref().unwrap_or_default());
            }
            let (findings, input) = read(text.as_bytes(), usize::MAX);
            prop_assert_eq!(input.rows, sockets.len() as u64, "{:?}\n{}", emitter, text);
            let found = seen(findings.tables.fullest());
            prop_assert_eq!(found, counted(&rows(&sockets)), "{:?}\n{}", emitter, text);
        }
    }

    #[test]
    fn rows_may_be_wrapped_at_any_blank(
        sockets in sockets(),
        places in prop::collection::vec(1_usize..4, 40),
    ) {
        for emitter in Emitter::ALL.into_iter().filter(|emitter| emitter.can_be_wrapped()) {
            let mut text = String::from(emitter.head());
            for (socket, place) in sockets.iter().zip(places.iter().cycle()) {
                let row = emitter.row(socket);
                let words: Vec<&str> = row.split_whitespace().collect();
                let place = (*place).min(words.len() - 1);
                let (head, tail) = words.split_at(place);
                text.push_str(&format!("{}\n{}\n", head.join(" "), tail.join(" ")));
            }
            let (findings, input) = read(text.as_bytes(), usize::MAX);
            prop_assert_eq!(input.rows, sockets.len() as u64, "{:?} {:?}\n{}", emitter, input.notes, text);
            let found = seen(findings.tables.fullest());
            prop_assert_eq!(found.states, counted(&rows(&sockets)).states, "{:?}\n{}", emitter, text);
        }
    }

    #[test]
    fn quoted_rows_are_rows(sockets in sockets(), mark in prop_oneof![Just("> "), Just(">> "), Just("| "), Just("    ")]) {
        for emitter in Emitter::ALL {
            let sockets = of(emitter, &sockets);
            let text: String = emitter.text(&sockets).lines().map(|line| format!("{mark}{line}\n")).collect();
            let (_, input) = read(text.as_bytes(), usize::MAX);
            prop_assert_eq!(input.rows, sockets.len() as u64, "{:?} {:?}\n{}", emitter, input.notes, text);
        }
    }
}

#[test]
fn no_reader_fails_as_a_whole_because_of_one_line() {
    let sockets: Vec<Socket> = (1..=50_u16)
        .map(|port| Socket {
            protocol: Protocol::Tcp,
            state: dryport_model::State::Established,
            local: ([10, 0, 0, 1], 40_000 + port).into(),
            remote: ([10, 0, 0, 2], 443).into(),
            pid: 7,
        })
        .collect();
    let garbage: [&[u8]; 6] = [
        b"  TCP    999.1.1.1:1  x  y\n",
        b"tcp 0 0 \xff\xfe\n",
        b"   7: ZZZZ 0\n",
        b"{\n",
        b"ESTAB 0 0 1.2.3.4\n",
        b"\x1b[2J\x00\x01\n",
    ];
    for emitter in Emitter::ALL {
        if matches!(emitter, Emitter::Json | Emitter::List | Emitter::Csv) {
            continue;
        }
        for line in garbage {
            let mut text = emitter.head().as_bytes().to_vec();
            let (before, after) = sockets.split_at(25);
            before
                .iter()
                .for_each(|s| text.extend(emitter.row(s).bytes()));
            text.extend(line);
            after
                .iter()
                .for_each(|s| text.extend(emitter.row(s).bytes()));
            let (_, input) = read(&text, usize::MAX);
            let told = String::from_utf8_lossy(line).into_owned();
            assert!(
                input.rows >= 49,
                "{emitter:?} {told:?}: {} rows",
                input.rows
            );
        }
    }
}
