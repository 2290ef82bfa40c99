//! States as programs write them, in the languages that translate them.

use dryport_model::State;

/// What `netstat` of Windows calls them; the German words are those of its translation. None of
/// the other languages that were seen in captures translates them.
pub(super) fn windows(word: &[u8]) -> Option<State> {
    Some(match word {
        b"ESTABLISHED" | b"HERGESTELLT" => State::Established,
        b"TIME_WAIT" | b"WARTEND" => State::TimeWait,
        b"LISTENING" | b"LISTEN" => State::Listen,
        b"CLOSE_WAIT" | b"SCHLIESSEN_WARTEN" => State::CloseWait,
        b"SYN_SENT" | b"SYN_GESENDET" => State::SynSent,
        b"SYN_RECEIVED" | b"SYN_RCVD" | b"SYN_RECV" | b"SYN_EMPFANGEN" => State::SynRecv,
        b"FIN_WAIT_1" | b"FIN_WAIT1" | b"FIN_WARTEN_1" => State::FinWait1,
        b"FIN_WAIT_2" | b"FIN_WAIT2" | b"FIN_WARTEN_2" => State::FinWait2,
        b"LAST_ACK" => State::LastAck,
        b"CLOSING" | b"SCHLIESSEND" => State::Closing,
        b"CLOSED" | b"GESCHLOSSEN" | b"DELETE_TCB" => State::Close,
        b"BOUND" => State::BoundInactive,
        _ => return mojibake(word).or_else(|| invented(word)),
    })
}

/// `ABHÖREN` whose umlaut went through a wrong code page: `ABH™REN`, `ABH?REN`, one byte.
fn mojibake(word: &[u8]) -> Option<State> {
    let middle = word.strip_prefix(b"ABH")?.strip_suffix(b"REN")?;
    (!middle.is_empty() && middle.len() <= 6).then_some(State::Listen)
}

/// Translations that no capture shows, but test data of other programs do. They are free.
fn invented(word: &[u8]) -> Option<State> {
    if word.is_ascii() {
        return match word {
            b"ESCUCHANDO" | b"ESCUTANDO" => Some(State::Listen),
            b"ESTABLECIDO" | b"ESTABELECIDA" => Some(State::Established),
            _ => None,
        };
    }
    match core::str::from_utf8(word).ok()? {
        "LETZTE_BESTÄTIGUNG" => Some(State::LastAck),
        "ÉCOUTE" | "ПРОСЛУШИВАНИЕ" | "受信待ち" => Some(State::Listen),
        "ÉTABLI" | "ÉTABLIE" | "確立済み" => Some(State::Established),
        _ => None,
    }
}

/// What `ss` calls them.
pub(super) fn ss(word: &[u8]) -> Option<State> {
    Some(match word {
        b"ESTAB" => State::Established,
        b"TIME-WAIT" => State::TimeWait,
        b"LISTEN" => State::Listen,
        b"CLOSE-WAIT" => State::CloseWait,
        b"SYN-SENT" => State::SynSent,
        b"SYN-RECV" | b"NEW-SYN-RECV" => State::SynRecv,
        b"FIN-WAIT-1" => State::FinWait1,
        b"FIN-WAIT-2" => State::FinWait2,
        b"LAST-ACK" => State::LastAck,
        b"CLOSING" => State::Closing,
        b"UNCONN" | b"CLOSED" => State::Close,
        b"BOUND-INACTIVE" | b"BOUND" => State::BoundInactive,
        _ => return None,
    })
}

/// Words and numbers of `Get-NetTCPConnection`, which translates neither.
pub(super) fn powershell(word: &[u8]) -> Option<State> {
    Some(match word {
        b"Closed" | b"1" | b"DeleteTCB" | b"12" => State::Close,
        b"Listen" | b"2" => State::Listen,
        b"SynSent" | b"3" => State::SynSent,
        b"SynReceived" | b"4" => State::SynRecv,
        b"Established" | b"5" => State::Established,
        b"FinWait1" | b"6" => State::FinWait1,
        b"FinWait2" | b"7" => State::FinWait2,
        b"CloseWait" | b"8" => State::CloseWait,
        b"Closing" | b"9" => State::Closing,
        b"LastAck" | b"10" => State::LastAck,
        b"TimeWait" | b"11" => State::TimeWait,
        b"Bound" | b"100" => State::BoundInactive,
        _ => return None,
    })
}

/// What dryport calls them ([`State::name`]), and `lsof`.
pub(super) fn own(word: &[u8]) -> Option<State> {
    match word {
        b"UNCONN" => Some(State::Close),
        _ => windows(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn german_survives_wrong_code_pages() {
        for word in ["ABHÖREN", "ABH™REN", "ABH?REN", "ABH\u{fffd}REN"] {
            assert_eq!(windows(word.as_bytes()), Some(State::Listen), "{word}");
        }
        assert_eq!(windows(b"ABH\x99REN"), Some(State::Listen));
        assert_eq!(windows(b"ABHREN"), None);
    }

    #[test]
    fn every_name_of_our_own_is_read_back() {
        for number in 1..=13 {
            if let Some(state) = State::from_number(number) {
                assert_eq!(
                    own(state.name().as_bytes()),
                    Some(state),
                    "{}",
                    state.name()
                );
            }
        }
    }
}
