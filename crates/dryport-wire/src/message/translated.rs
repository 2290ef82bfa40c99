//! The same complaints in other languages: Windows' sentences and glibc's.
//!
//! Owns the fragments. A fragment is chosen to be distinctive, and for the languages of Western
//! Europe it avoids letters beyond ASCII where it can, so that a log in an old code page is read as
//! well. glibc's are those of `po/*.po` (2.38). Windows' were seen in public logs and reports, but
//! for those marked "from memory".

use dryport_model::Complaint::{AccessForbidden, AddressInUse, AddressNotAvailable, NoBufferSpace};
use dryport_model::{Complaint, Platform};

use super::complaint::{Reading, Told};
use super::phrase::Phrases;

const fn windows(complaint: Complaint) -> Reading {
    Reading::Is(Told::on(Platform::Windows, complaint))
}

const fn linux(complaint: Complaint) -> Reading {
    Reading::Is(Told::on(Platform::Linux, complaint))
}

pub(super) static PHRASES: Phrases<Reading> = Phrases::new(&[
    // 10048, WSAEADDRINUSE.
    ("darf jede Socketadresse", windows(AddressInUse)), // de
    ("chaque adresse de socket (protocole", windows(AddressInUse)), // fr
    ("permite un uso de cada direcci", windows(AddressInUse)), // es
    ("permitida apenas uma utiliza", windows(AddressInUse)), // pt-BR
    (
        "utilizzo di ogni indirizzo di socket",
        windows(AddressInUse),
    ), // it
    ("использование адреса сокета", windows(AddressInUse)), // ru
    ("每个套接字地址", windows(AddressInUse)),          // zh-CN
    ("只能用一個通訊端位址", windows(AddressInUse)),    // zh-TW
    ("各ソケット アドレスに対して", windows(AddressInUse)), // ja
    ("각 소켓 주소(프로토콜", windows(AddressInUse)),   // ko
    // 10055, WSAENOBUFS.
    (
        "Pufferspeicher fehlte oder eine Warteschlange",
        windows(NoBufferSpace),
    ), // de, from memory
    ("ration sur un socket n", windows(NoBufferSpace)), // fr
    ("en un socket porque el sistema", windows(NoBufferSpace)), // es
    ("ser executada porque o sistema n", windows(NoBufferSpace)), // pt-BR
    ("буфер слишком мал или очередь", windows(NoBufferSpace)), // ru, from memory
    ("系统缓冲区空间不足或队列已满", windows(NoBufferSpace)), // zh-CN
    (
        "領域が不足しているか、またはキューが",
        windows(NoBufferSpace),
    ), // ja, from memory
    // 10013, WSAEACCES.
    ("der Zugriffsrechte des Sockets", windows(AccessForbidden)), // de, from memory
    (
        "s à un socket de manière interdite",
        windows(AccessForbidden),
    ), // fr
    (
        "socket no permitido por sus permisos",
        windows(AccessForbidden),
    ), // es, from memory
    ("proibida pelas permiss", windows(AccessForbidden)),         // pt-BR, from memory
    (
        "rispettive autorizzazioni di accesso",
        windows(AccessForbidden),
    ), // it
    ("запрещенным правами доступа", windows(AccessForbidden)),    // ru, from memory
    ("做了一个访问套接字的尝试", windows(AccessForbidden)),       // zh-CN, from memory
    ("嘗試存取通訊端被拒絕", windows(AccessForbidden)),           // zh-TW
    (
        "アクセス許可で禁じられた方法でソケット",
        windows(AccessForbidden),
    ), // ja, from memory
    ("숨겨진 소켓에 액세스를 시도", windows(AccessForbidden)),    // ko
    // EADDRNOTAVAIL.
    (
        "Adresse kann nicht zugewiesen werden",
        linux(AddressNotAvailable),
    ), // de
    ("attribuer l'adresse demand", linux(AddressNotAvailable)), // fr
    ("asignar la direcci", linux(AddressNotAvailable)),         // es
    (
        "assegnare l'indirizzo richiesto",
        linux(AddressNotAvailable),
    ), // it
    ("acessar o endereço requisitado", linux(AddressNotAvailable)), // pt-BR
    ("назначить запрошенный адрес", linux(AddressNotAvailable)), // ru
    ("无法分配被请求的地址", linux(AddressNotAvailable)),       // zh-CN
    ("无法指定被请求的地址", linux(AddressNotAvailable)),       // zh-CN, before 2.3x, from memory
    ("無法指定所需的位址", linux(AddressNotAvailable)),         // zh-TW
    (
        "要求アドレスに割り当てられません",
        linux(AddressNotAvailable),
    ), // ja
    (
        "要求されたアドレスに割り当てられません",
        linux(AddressNotAvailable),
    ), // ja, from memory
    (
        "요청한 주소를 배정할 수 없습니다",
        linux(AddressNotAvailable),
    ), // ko
    ("przypisać żądanego adresu", linux(AddressNotAvailable)),  // pl
    // EADDRINUSE.
    ("Adresse wird bereits verwendet", linux(AddressInUse)), // de
    ("Adresse déjà utilisée", linux(AddressInUse)),          // fr
    ("ya se está usando", linux(AddressInUse)),              // es
    ("Indirizzo già in uso", linux(AddressInUse)),           // it
    ("Endereço já em uso", linux(AddressInUse)),             // pt-BR
    ("Адрес уже используется", linux(AddressInUse)),         // ru
    ("地址已在使用", linux(AddressInUse)),                   // zh-CN
    ("位址已經有在使用", linux(AddressInUse)),               // zh-TW
    ("アドレスは既に使用中です", linux(AddressInUse)),       // ja
    ("주소가 이미 사용 중입니다", linux(AddressInUse)),      // ko
    ("Adres jest już w użyciu", linux(AddressInUse)),        // pl
]);

/// The fragments, for the test that every one holds an anchor.
#[cfg(test)]
pub(super) fn fragments() -> impl Iterator<Item = &'static str> {
    PHRASES.texts()
}
