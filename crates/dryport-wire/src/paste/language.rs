//! The language of a capture, told by the words above its rows. For the report only: no row is
//! found or understood by it.

/// Words of titles and headers, in UTF-8 and in the code pages that consoles write.
const WORDS: &[(&str, &[u8])] = &[
    ("de", b"Lokale Adresse"),
    ("de", b"Dynamischer Portbereich"),
    ("de", b"Portausschlussbereiche"),
    ("de", b"Startport"),
    ("fr", b"Adresse locale"),
    ("fr", b"Plage de ports dynamique"),
    ("fr", b"Connexions actives"),
    ("fr", b"Port de d"),
    ("es", b"Conexiones activas"),
    ("es", b"local          Dir"),
    ("es", b"Puerto de inicio"),
    ("pt-BR", b"o local         "),
    ("pt-BR", b"Endere"),
    ("pt-BR", "Conexões ativas".as_bytes()),
    ("pt-BR", b"Conex\xe4es ativas"),
    ("pt-BR", b"Porta Inicial"),
    ("it", b"Indirizzo locale"),
    ("it", b"Connessioni attive"),
    ("ru", "Локальный адрес".as_bytes()),
    (
        "ru",
        b"\x8b\xae\xaa\xa0\xab\xec\xad\xeb\xa9 \xa0\xa4\xe0\xa5\xe1",
    ),
    (
        "ru",
        b"\xcb\xee\xea\xe0\xeb\xfc\xed\xfb\xe9 \xe0\xe4\xf0\xe5\xf1",
    ),
    ("ru", "динамических портов".as_bytes()),
    (
        "ru",
        b"\xa4\xa8\xad\xa0\xac\xa8\xe7\xa5\xe1\xaa\xa8\xe5 \xaf\xae\xe0\xe2\xae\xa2",
    ),
    (
        "ru",
        b"\xe4\xe8\xed\xe0\xec\xe8\xf7\xe5\xf1\xea\xe8\xf5 \xef\xee\xf0\xf2\xee\xe2",
    ),
    ("zh-CN", "本地地址".as_bytes()),
    ("zh-CN", b"\xb1\xbe\xb5\xd8\xb5\xd8\xd6\xb7"),
    ("zh-CN", "动态端口".as_bytes()),
    ("zh-CN", b"\xb6\xaf\xcc\xac\xb6\xcb\xbf\xda"),
    ("zh-CN", "端口排除".as_bytes()),
    ("zh-CN", b"\xb6\xcb\xbf\xda\xc5\xc5\xb3\xfd"),
    ("zh-TW", "本機位址".as_bytes()),
    ("zh-TW", b"\xa5\xbb\xbe\xf7\xa6\xec\xa7}"),
    ("zh-TW", "動態連接埠".as_bytes()),
    ("zh-TW", b"\xb0\xca\xbaA\xb3s\xb1\xb5\xb0\xf0"),
    ("ja", "ローカル アドレス".as_bytes()),
    ("ja", b"\x83\x8d\x81[\x83J\x83\x8b \x83A\x83h\x83\x8c\x83X"),
    ("ja", "動的ポート".as_bytes()),
    ("ja", b"\x93\xae\x93I\x83|\x81[\x83g"),
    ("ko", "로컬 주소".as_bytes()),
    ("ko", b"\xb7\xce\xc4\xc3 \xc1\xd6\xbc\xd2"),
    ("en", b"Local Address"),
    ("en", b"Dynamic Port Range"),
    ("en", b"Port Exclusion Ranges"),
];

/// The language (BCP 47) of the words before a row; `None` where they are not known.
pub(super) fn of(above: &[u8]) -> Option<&'static str> {
    let known = WORDS
        .iter()
        .find(|(_, word)| memchr::memmem::find(above, word).is_some());
    known.map(|(language, _)| *language)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn headers_tell_the_language() {
        assert_eq!(
            of(b"  Proto  Lokale Adresse         Remoteadresse"),
            Some("de")
        );
        assert_eq!(
            of("  协议  本地地址          外部地址".as_bytes()),
            Some("zh-CN")
        );
        assert_eq!(
            of(b"  Proto  Local Address          Foreign Address"),
            Some("en")
        );
        assert_eq!(of(b"something else"), None);
    }
}
