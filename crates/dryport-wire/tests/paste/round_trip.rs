//! What was written is read back.

use dryport_model::Protocol;
use proptest::prelude::*;

use crate::emit::{Emitter, rows, sockets};
use crate::{counted, read, seen};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_the_emitters_write_is_read_back(sockets in sockets(), step in 1_usize..5000) {
        for emitter in Emitter::ALL {
            let sockets: Vec<_> = sockets
                .iter()
                .copied()
                .filter(|s| s.protocol == Protocol::Tcp || emitter.writes_udp())
                .collect();
            let text = emitter.text(&sockets);
            let (findings, input) = read(text.as_bytes(), step);
            prop_assert_eq!(input.rows, sockets.len() as u64, "{:?}\n{}", emitter, text);
            prop_assert!(input.notes.is_empty(), "{:?} {:?}\n{}", emitter, input.notes, text);
            let found = seen(findings.tables.fullest());
            prop_assert_eq!(found, counted(&rows(&sockets)), "{:?}\n{}", emitter, text);
        }
    }

    #[test]
    fn utf_16_is_read_like_utf_8(sockets in sockets(), step in 1_usize..5000, big: bool) {
        let text = Emitter::German.text(&sockets);
        let mark = std::iter::once(0xfeff);
        let bytes: Vec<u8> = mark
            .chain(text.encode_utf16())
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect();
        let (findings, input) = read(&bytes, step);
        prop_assert_eq!(input.language, Some("de"));
        let found = seen(findings.tables.fullest());
        prop_assert_eq!(found, counted(&rows(&sockets)));
    }

    #[test]
    fn any_bytes_are_read_in_pieces_of_any_length_alike(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        step in 1_usize..50,
    ) {
        use dryport_wire::paste::{Paste, Scanner};
        let read = |step| {
            let mut paste = Paste::new();
            let result = paste.read(&mut Scanner::new(), "x".into(), &bytes, step);
            let (findings, inputs) = paste.finish();
            (result, seen(findings.tables.fullest()), format!("{inputs:?}"))
        };
        prop_assert_eq!(read(step), read(usize::MAX));
    }
}
