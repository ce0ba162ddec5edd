//! What a child inherits of the process that it comes from, where that is not what we have ourselves.

use super::syscall::open_files;
use std::{fs, sync::OnceLock};

/// The environment variable in which a keeper is told how many descriptors its children may have.
const OPEN_FILES: &str = "ACTIX_PROCESS_OPEN_FILES";

/// So much more than its keeper a child is offered to the kernel when memory runs out, of 1,000: a fifth of the memory
/// counts as much. Who eats the memory should go, and not who writes down that it went.
const MORE_KILLABLE: i32 = 200;

/// The soft limit of descriptors that this process was given.
static GIVEN: OnceLock<u64> = OnceLock::new();

/// Remembers the soft limit of descriptors, before anybody raises it for themselves.
pub(super) fn remember_open_files() {
    GIVEN.get_or_init(open_files);
}

/// For the keeper's environment: the soft limit that children get. What the host has lowered since stays lowered.
pub(super) fn open_files_mark() -> Vec<u8> {
    let now = open_files();
    let given = GIVEN.get().map_or(now, |given| now.min(*given));
    format!("{OPEN_FILES}={given}").into_bytes()
}

/// In the keeper: the soft limit that children get; its own where nobody said.
pub(super) fn open_files_for_children() -> u64 {
    let told = std::env::var(OPEN_FILES).ok().and_then(|text| text.parse().ok());
    told.unwrap_or_else(open_files)
}

/// Offers a child to the kernel before us. A kernel that has no such file, or a child that is somebody else's by now,
/// leaves it at our own rank.
pub(super) fn make_more_killable(pid: i32) {
    static OURS: OnceLock<Option<i32>> = OnceLock::new();
    let read = || fs::read_to_string("/proc/self/oom_score_adj").ok()?.trim().parse::<i32>().ok();
    if let Some(ours) = OURS.get_or_init(read) {
        let rank = (ours + MORE_KILLABLE).min(1_000);
        drop(fs::write(format!("/proc/{pid}/oom_score_adj"), rank.to_string()));
    }
}
