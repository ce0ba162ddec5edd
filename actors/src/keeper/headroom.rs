//! Whether descriptors are left for one more child.
//!
//! A child costs this process descriptors for as long as it lives, and more of them later: its spool files are opened
//! when it first writes. Who starts children until the kernel says no has none left to read `/proc` for a stop, to store
//! output or to answer the stop itself. So a start is refused while some are left; it is tried again later.

use super::syscall::open_files;
use std::io;

/// Descriptors that one child may take in the supervisor, and as many in the keeper: its pidfd, two pipes, two spools.
pub const EACH: u64 = 5;

/// Descriptors that children never get: a stop reads `/proc`, the store opens segments, clients connect. An eighth of the
/// limit, in these bounds: with less a stop may fail, and more than this is never needed at once.
const KEPT: std::ops::RangeInclusive<u64> = 16..=256;

/// Starts that are known to fit. Counting reads `/proc/self/fd`, which takes longer the more there are, so it is done
/// again only when half of what was free is promised.
#[derive(Debug, Default)]
pub struct Headroom {
    fit: u64,
}

impl Headroom {
    /// Takes the place of one child. `promised` is what living children may still open, asked when it is counted.
    ///
    /// # Errors
    /// `EMFILE`: there is none.
    pub fn take(&mut self, promised: impl FnOnce() -> u64) -> io::Result<()> {
        if self.fit == 0 {
            self.fit = fit(open_files(), open_now()?, promised());
        }
        match self.fit.checked_sub(1) {
            Some(left) => self.fit = left,
            None => return Err(io::Error::from_raw_os_error(libc::EMFILE)),
        }
        Ok(())
    }
}

/// How many children may be started before the next count: half of those there is room for, because others of this
/// process open files too; the last one as well.
fn fit(limit: u64, open: u64, promised: u64) -> u64 {
    let kept = (limit / 8).clamp(*KEPT.start(), *KEPT.end());
    let free = limit.saturating_sub(open).saturating_sub(promised).saturating_sub(kept);
    (free / EACH).div_ceil(2)
}

/// Who holds the descriptors of this process, for a message: `of 128 it holds 96 sockets, 20 pipes, 9 files`. Looks at each of
/// them, so it is for failures only.
#[must_use]
pub fn who_holds() -> String {
    let links = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let links: Vec<_> = links.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
    let begins = |word: &str| {
        links.iter().filter(|link| link.as_os_str().as_encoded_bytes().starts_with(word.as_bytes())).count()
    };
    let (sockets, pipes, processes) = (begins("socket:"), begins("pipe:"), begins("anon_inode:[pidfd]"));
    let rest = links.len() - sockets - pipes - processes;
    format!(
        "of {} it holds {sockets} sockets (connections), {} pipes and processes of children, {rest} others",
        open_files(),
        pipes + processes
    )
}

fn open_now() -> io::Result<u64> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_always_kept_and_the_last_child_that_fits_is_let_in() {
        for (limit, open, promised, expected) in [
            (1_024, 24, 0, 87),
            (1_024, 24, 872, 0),
            (64, 43, 0, 1),
            (64, 44, 0, 0),
            (16, 3, 0, 0),
            (4, 100, 100, 0),
            (20_000, 0, 0, 1_974),
        ] {
            assert_eq!(fit(limit, open, promised), expected, "{limit} {open} {promised}");
        }
        assert!(fit(u64::MAX, 100, 0) > 1_000_000, "no limit");
    }

    #[test]
    fn what_is_counted_is_used_up_before_it_is_counted_again() {
        let mut headroom = Headroom { fit: 2 };
        let never = || -> u64 { panic!("counted too early") };
        headroom.take(never).unwrap();
        headroom.take(never).unwrap();
        headroom.take(|| 0).unwrap();
        assert!(headroom.take(|| u64::MAX).is_ok(), "it is not asked while there are some");
        let mut headroom = Headroom::default();
        let refused = headroom.take(|| u64::MAX).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
    }
}
