//! Is an ELF file static? Only the two tables that decide it are read: the program headers (an
//! interpreter) and the dynamic section (a needed library). A static position-independent binary
//! has a dynamic section too, with neither of them.

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

/// Accepts a little-endian 64-bit ELF file that needs no other file to run; else tells why not.
pub fn check_static(file: &[u8]) -> Result<(), String> {
    if file.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err("its first bytes are not those of a little-endian 64-bit ELF file".into());
    }
    let table = u64_at(file, 32)?;
    let (size, count) = (u64::from(u16_at(file, 54)?), u64::from(u16_at(file, 56)?));
    for index in 0..count {
        let header = table.saturating_add(index * size);
        match u32_at(file, header)? {
            PT_INTERP => return Err("it names an interpreter (PT_INTERP)".into()),
            PT_DYNAMIC => {
                check_dynamic(file, u64_at(file, header + 8)?, u64_at(file, header + 32)?)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_dynamic(file: &[u8], start: u64, size: u64) -> Result<(), String> {
    for entry in (start..start.saturating_add(size)).step_by(16) {
        match u64_at(file, entry)? {
            0 => break,
            DT_NEEDED => return Err("it needs a shared library (DT_NEEDED)".into()),
            _ => {}
        }
    }
    Ok(())
}

fn u16_at(file: &[u8], offset: u64) -> Result<u16, String> {
    Ok(u16::from_le_bytes(bytes_at(file, offset)?))
}

fn u32_at(file: &[u8], offset: u64) -> Result<u32, String> {
    Ok(u32::from_le_bytes(bytes_at(file, offset)?))
}

fn u64_at(file: &[u8], offset: u64) -> Result<u64, String> {
    Ok(u64::from_le_bytes(bytes_at(file, offset)?))
}

fn bytes_at<const N: usize>(file: &[u8], offset: u64) -> Result<[u8; N], String> {
    let start = usize::try_from(offset).ok();
    let bytes = start.and_then(|start| file.get(start..)?.first_chunk::<N>());
    bytes
        .copied()
        .ok_or_else(|| format!("it ends before offset {offset}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one program header of type `kind` right behind it, then one dynamic entry.
    fn elf(kind: u32, tag: u64) -> Vec<u8> {
        let mut file = vec![0; 64 + 56 + 16];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&1u16.to_le_bytes());
        file[64..68].copy_from_slice(&kind.to_le_bytes());
        file[72..80].copy_from_slice(&120u64.to_le_bytes());
        file[96..104].copy_from_slice(&16u64.to_le_bytes());
        file[120..128].copy_from_slice(&tag.to_le_bytes());
        file
    }

    #[test]
    fn a_dynamic_section_without_a_library_is_static() {
        assert_eq!(check_static(&elf(PT_DYNAMIC, 5)), Ok(()));
    }

    #[test]
    fn an_interpreter_or_a_library_is_refused() {
        assert!(
            check_static(&elf(PT_INTERP, 0))
                .unwrap_err()
                .contains("PT_INTERP")
        );
        assert!(
            check_static(&elf(PT_DYNAMIC, 1))
                .unwrap_err()
                .contains("DT_NEEDED")
        );
    }

    #[test]
    fn a_truncated_file_is_refused_wherever_it_ends() {
        let whole = elf(PT_DYNAMIC, 5);
        for end in 0..128 {
            assert!(check_static(&whole[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn this_test_binary_is_told_as_what_it_is() {
        // The tests are linked dynamically, unless the builder asked for crt-static.
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(
            check_static(&own).is_ok(),
            cfg!(target_feature = "crt-static")
        );
    }
}
