//! Whoever runs away: a process that starts its successor and ends, again and again, faster than a look at all of `/proc`.
//!
//! The successor of a process that ended is a child of the keeper, which is the subreaper. The kernel lists those of one
//! process in a file of their own, and reading that takes microseconds: no link of such a chain is as short.

use super::{
    syscall::now_ns,
    tree::{Process, tag_of},
};

/// So long the keeper does nothing else: some hundred looks, several times what a link of a chain lives, and still less
/// than what a pipe takes to fill. What got away is pursued again at the next look.
const PURSUIT_NS: u64 = 5_000_000;

/// Kills every child of this process that has the tag, for a while. `is_leader` are those whose place is known.
pub(super) fn pursue(tag: &[u8], is_leader: impl Fn(i32) -> bool) {
    if tag.is_empty() {
        return;
    }
    let end = now_ns() + PURSUIT_NS;
    while now_ns() < end {
        for pid in children().into_iter().filter(|pid| !is_leader(*pid)) {
            // The start time first: a tag that is read later is that of this process, or of nobody who lives.
            if let Some(process) = Process::read(pid).filter(Process::is_alive)
                && tag_of(pid).as_deref() == Some(tag)
            {
                process.signal(libc::SIGKILL);
            }
        }
    }
}

/// Children of every thread of this process; none where the kernel does not list them, and then looks at everybody must do.
fn children() -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let pids =
        |list: String| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>();
    lists.flat_map(pids).collect()
}
