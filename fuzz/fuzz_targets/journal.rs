//! Entries of the journal: what was read is written and read back the same, and names only what
//! dryport itself changes.
#![no_main]

use dryport_fix::{Bytes, Entry};
use dryport_model::plan::Setting;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(Bytes::new(bytes).get().as_deref(), Some(bytes));
    let Ok(entry) = Entry::parse(bytes) else {
        return;
    };
    assert_eq!(
        Entry::parse(&entry.to_bytes().expect("an entry can be written")).as_ref(),
        Ok(&entry)
    );
    for step in &entry.settings {
        assert!(Setting::from_linux_name(&step.key).is_some());
        assert!(step.before.get().is_some() && step.after.get().is_some());
    }
    assert!(
        entry
            .file
            .is_none_or(|file| file.path.starts_with('/') && file.after.get().is_some())
    );
    assert!(!entry.id.contains(['/', '.']));
});
