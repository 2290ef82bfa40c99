//! Signals put off while a change is made: Ctrl-C in the midst of it would leave half of it in
//! force until somebody starts the program again.

use std::marker::PhantomData;

/// As long as this value lives, the calling thread is not interrupted by a terminal or by a request
/// to end; what came meanwhile takes effect afterwards. SIGKILL cannot be put off.
#[derive(Debug)]
pub struct Uninterrupted {
    before: libc::sigset_t,
    /// The mask belongs to the thread.
    not_send: PhantomData<*const ()>,
}

const PUT_OFF: [libc::c_int; 5] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGTSTP,
];

impl Uninterrupted {
    /// From now on.
    #[must_use]
    pub fn begin() -> Self {
        // SAFETY: sigset_t is plain data for which zero bytes are valid; sigemptyset and sigaddset
        // write only to the set that they are given, and pthread_sigmask reads one and writes the
        // other. All of them live through the calls.
        let before = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in PUT_OFF {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, &raw mut before);
            before
        };
        Self {
            before,
            not_send: PhantomData,
        }
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // SAFETY: the set was filled by pthread_sigmask; nothing is written where the third
        // argument is null.
        unsafe {
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            );
        }
    }
}

/// Takes every signal again, for a program that inherited a mask from whoever started it.
pub fn unblock() {
    // SAFETY: as in `begin`; nothing is written where the third argument is null.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_blocked(signal: libc::c_int) -> bool {
        // SAFETY: as above.
        unsafe {
            let mut now: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &raw mut now);
            libc::sigismember(&raw const now, signal) == 1
        }
    }

    #[test]
    fn a_terminal_waits_until_the_change_is_made() {
        assert!(!is_blocked(libc::SIGINT));
        {
            let _change = Uninterrupted::begin();
            assert!(PUT_OFF.into_iter().all(is_blocked));
        }
        assert!(!is_blocked(libc::SIGINT));
    }
}
