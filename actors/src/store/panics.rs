//! Panics of others on the threads of the store, which must outlive them: an answer is another room's code, a question is a
//! reader's, and sled panics where others return errors.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What a piece of work returns, or what it said when it panicked.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| text_of(&*panic))
}

/// Does a job, and logs its panic under this name.
pub(super) fn guarded(name: &str, job: impl FnOnce()) {
    if let Err(why) = caught(job) {
        log::error!("a job of the store panicked; job={name} why={why}");
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "no reason given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_and_ends_its_job_alone() {
        let number = 7;
        assert_eq!(caught(|| number), Ok(7));
        assert_eq!(caught(|| panic!("for {number}")), Err::<(), _>("for 7".to_owned()));
        assert_eq!(caught(|| panic!("a reason")), Err::<(), _>("a reason".to_owned()));
        assert_eq!(caught(|| std::panic::panic_any(7)), Err::<(), _>("no reason given".to_owned()));
        guarded("answer", || panic!("nobody hears it"));
    }
}
