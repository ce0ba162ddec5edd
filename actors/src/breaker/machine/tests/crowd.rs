//! A scope for each of many hosts.

use super::*;
use std::sync::Arc;

/// Anonymous memory of the process in KiB: pages of its file that a test touches are none of the machine.
fn anonymous_kb() -> u64 {
    // SAFETY: it gives free memory back to the system and takes no argument that could be wrong.
    unsafe { libc::malloc_trim(0) };
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// Prints what a hundred thousand scopes take, and what is left when they went idle. In a process of its own:
/// `cargo test -p actix-process-actors --lib -- --ignored --nocapture hundred_thousand_scopes`.
#[test]
#[ignore = "measures the memory of its process: to be run alone"]
fn a_hundred_thousand_scopes_give_their_memory_back_when_they_went_idle() {
    const SCOPES: u64 = 100_000;
    let mut machine = Machine::new(1);
    let rules: Arc<_> = policy().into();
    let use_all = |machine: &mut Machine, outcome: Outcome| {
        for n in 0..SCOPES {
            let gate = Gate { scope: Scope(format!("site:host-{n}.example")), policy: rules.clone() };
            let (now, who) = (Timestamp(n), run(n.into()));
            let Admission::Granted { permits, .. } = machine.admit(now, who, [gate], false) else { panic!() };
            let _ = machine.settle(now, who, None, &[(permits[0].clone(), outcome)], false);
        }
    };
    let before = anonymous_kb();
    use_all(&mut machine, Outcome::Success);
    let (known, full) = (machine.count(), anonymous_kb());
    let (mut now, mut removed) = (Timestamp(3_600_000 + SCOPES), 0);
    while let Some(at) = machine.next_alarm() {
        now = now.max(at);
        removed += machine.advance(now).saved.iter().filter(|put| put.value.is_none()).count();
    }
    let after = anonymous_kb();
    println!("{known} scopes: {before} kB before, {full} kB with them, {after} kB once they went idle");
    assert_eq!((known as u64, removed as u64, machine.count()), (SCOPES, SCOPES, 0));
    assert!(full > before + 10_000, "they took something");
    assert!(after < before + (full - before) / 10, "and gave it back");
}
