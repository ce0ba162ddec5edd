//! The system with real processes and a real store, one module for each promise.
//!
//! Tests wait for output, ends and journal records, never for time. The death of the supervisor is tested with the
//! example binary `supervise`, which `cargo test --workspace` builds; run alone, build it first:
//! `cargo build --example supervise`.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs of their own beside the supervised ones"
)]
#![expect(clippy::expect_used, reason = "a scenario that cannot go on fails")]

mod arguments;
mod bad_input;
mod bench_of_one;
mod breakers_by_hand;
mod bursts;
mod by_name;
mod carriage;
mod check;
mod childs_world;
mod configurations;
mod death;
mod descriptors;
mod exposition;
mod flow;
mod forced;
mod foresee;
mod full_disk;
mod hostile;
mod http_answers;
mod launcher_of_others;
mod library_errors;
mod limits;
mod load;
mod memory;
mod metrics;
mod notify;
mod on_open;
mod output;
mod priority;
mod readiness;
mod recordings;
mod replay;
mod soak;
mod spawn_errors;
mod stop;
mod stop_order;
mod story;
mod user_files;
mod whose_store;
