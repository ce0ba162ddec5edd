//! How long a year takes in the simulator: 50 programs that fail five seconds after each start, day and night, behind the
//! breaker of the site that they share.
//!
//! `cargo bench --bench year`. Whoever tries a policy waits for the answer, so it is held to five seconds; of a core, so
//! that a busy machine fails nobody. The simulator has one thread, and reads and writes nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench stops at the first surprise, prints its figures and reads the clock"
)]

use actix_process::{config, simulate};
use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Instant};

const PROGRAMS: usize = 50;

/// Seconds of a core that the year may take.
const LIMIT: f64 = 5.0;

/// What this thread has used of a core so far, in seconds.
fn used() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn rules() -> String {
    let mut text = "[breaker.\"site:x\"]\nmax_penalty = \"30m\"\n".to_owned();
    for n in 0..PROGRAMS {
        write!(
            text,
            r#"
[program.p{n}]
command = ["p{n}"]
restart = "always"
breakers = ["site:x"]
breaker = false
retry = {{ delay = "1s", max_delay = "1m" }}
[program.p{n}.classes.early_exit]
scopes = ["shared"]
[program.p{n}.classes.exit_nonzero]
scopes = ["shared"]
"#
        )
        .unwrap();
    }
    text
}

fn year() -> String {
    let mut text = "until = \"365d\"\n".to_owned();
    for n in 0..PROGRAMS {
        write!(
            text,
            "[[start]]\nprogram = \"p{n}\"\n[[script]]\nprogram = \"p{n}\"\nattempts = [{{ lasts = \"5s\", exit = 1 }}]\n"
        )
        .unwrap();
    }
    text
}

fn main() {
    let rules = config::parse(&rules(), Path::new("supervise.toml")).map_err(|e| e.to_string()).unwrap();
    let year = config::parse_scenario(&year(), Path::new("year.toml"), &rules, None)
        .map_err(|e| e.to_string())
        .unwrap();
    let (begin, used_before) = (Instant::now(), used());
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for record in simulate::run(&rules, year, 1) {
        let record = record.unwrap();
        *kinds.entry(record["kind"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let (seconds, waited) = (used() - used_before, begin.elapsed().as_secs_f64());
    let records: u64 = kinds.values().sum();
    let word = if seconds <= LIMIT { "PASS" } else { "FAIL" };
    println!(
        "{word}  a year of {PROGRAMS} programs that fail: {seconds:.2} s of a core (at most {LIMIT}), {records} records"
    );
    println!("      by the clock: {waited:.2} s");
    for (kind, count) in kinds {
        println!("      {kind}: {count}");
    }
}
