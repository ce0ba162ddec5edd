//! The keeper as a thread: no `init`, so no process of its own.
#![expect(clippy::unwrap_used, reason = "a scenario that cannot go on fails")]

mod keeper;

#[test]
fn every_promise_of_the_keeper_holds_on_a_thread() {
    for (name, scenario) in keeper::EVERYWHERE {
        println!("{name}");
        scenario();
    }
}
