//! Who wants to know is told: every record, and every end with its reason.

use crate::bench_of_one::{bench, in_time, shell};
use actix::{Actor, Context, Handler};
use actix_process::{
    ClassRule, Classify, RetryPolicy, RunEnd,
    actors::model::{Event, JournalRecord, Phase},
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

#[actix::test]
async fn mail_me_when_it_fails_and_tell_me_when_it_completes() {
    let fails = shell("fails", "echo 'HTTP 503 from the shop'; exit 3")
        .classify(Classify::pattern("upstream", "HTTP 503"))
        .retry(RetryPolicy::exponential("1ms").min_delay("1ms").max_retries(1));
    let bench = bench([fails, shell("works", "true")]).await;
    let (tell, mut told) = unbounded_channel::<RunEnd>();
    bench.pm.on_end(move |end| drop(tell.send(end))).expect("its thread starts");
    let failing = bench.pm.start("fails").requested_by("alice").send().await.expect("it fits");
    let first = in_time("the end", told.recv()).await.expect("a listener");
    assert_eq!(
        (first.run, first.phase, first.attempts),
        (failing.id(), Phase::Failed, 2),
        "once, after all attempts"
    );
    assert_eq!((first.program.as_str(), first.requested_by.as_deref()), ("fails", Some("alice")));
    let reason = first.reason.expect("it failed");
    assert_eq!((reason.class.as_str(), reason.message.as_str()), ("upstream", "HTTP 503 from the shop"));
    let working = bench.start("works").await;
    let second = in_time("the end", told.recv()).await.expect("a listener");
    assert_eq!((second.run, second.is_success(), second.reason), (working.id(), true, None));
    bench.end().await;
    assert!(in_time("the end of the listener", told.recv()).await.is_none(), "it ends with the supervisor");
}

#[actix::test]
async fn a_listener_and_a_subscriber_hear_every_record_once_and_in_order() {
    struct Ear(UnboundedSender<JournalRecord>);
    impl Actor for Ear {
        type Context = Context<Self>;
    }
    impl Handler<JournalRecord> for Ear {
        type Result = ();
        fn handle(&mut self, record: JournalRecord, _: &mut Context<Self>) {
            drop(self.0.send(record));
        }
    }
    let bench = bench([shell("job", "exit 0")]).await;
    // What was decided before is written, so that both begin at the same place.
    bench.pm.events(0).await.expect("it reads");
    let (tell, mut listened) = unbounded_channel();
    bench.pm.on_event(move |record| drop(tell.send(record))).expect("its thread starts");
    let (tell, mut subscribed) = unbounded_channel();
    bench.pm.subscribe(Ear(tell).start().recipient()).expect("it lives");
    for _ in 0..20 {
        bench.start("job").await;
    }
    let mut heard = [Vec::new(), Vec::new()];
    for (channel, heard) in [&mut listened, &mut subscribed].into_iter().zip(&mut heard) {
        let mut ends = 0;
        while ends < 20 {
            let record = in_time("a record", channel.recv()).await.expect("a supervisor");
            ends += usize::from(matches!(record.event, Event::RunEnded { .. }));
            heard.push(record.seq);
        }
    }
    let [listened, subscribed] = heard;
    assert!(listened.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{listened:?}");
    assert_eq!(listened, subscribed);
    bench.end().await;
}

#[actix::test]
async fn the_figures_of_a_program_add_up_and_its_tree_is_measured() {
    let fails = shell("fails", "echo HTTP 429; exit 1")
        .class("rate_limited", ClassRule::retry().delay("1ms"))
        .retry(RetryPolicy::exponential("1ms").min_delay("1ms").max_retries(2));
    let folder = tempfile::tempdir().expect("a folder");
    let gate = crate::bench_of_one::Gate::new(folder.path());
    // A grandchild that computes, so that the tree and not its leader is what is measured.
    let busy = shell("busy", &format!("sh -c 'while :; do :; done' & {}", gate.wait()));
    let bench = bench([fails, busy]).await;
    bench.run("fails").await;
    let figures = bench.pm.program("fails").await.expect("configured").figures;
    assert_eq!((figures.attempts_started, figures.restarts), (3, 2));
    assert_eq!(figures.failures["rate_limited"].total, 3);
    assert_eq!(figures.failures["rate_limited"].per_minute_permille, 3_000);
    assert_eq!(figures.runs_failed["rate_limited"], 1);
    let status = bench.pm.status().await.expect("it lives");
    assert_eq!((status.info.attempts_started, status.info.restarts), (3, 2));
    assert_eq!(status.info.ended, [("failed", 1)].into());
    assert!(status.store_bytes.is_some_and(|bytes| bytes > 0));

    let run = bench.start("busy").await;
    let status = bench.phase(&run, Phase::Running).await;
    let computes = async {
        loop {
            let usage = bench.pm.usage([&status]).await;
            let usage = usage.get(&run.id()).copied().unwrap_or_default();
            if usage.processes >= 2 && usage.cpu_permille > 0 {
                return usage;
            }
            tokio::task::yield_now().await;
        }
    };
    let usage = in_time("work of the grandchild", computes).await;
    assert!(usage.memory_bytes > 100_000, "{usage:?}");
    run.stop_and_wait().await.expect("it lives");
    let ended = run.status().await.expect("known");
    assert!(bench.pm.usage([&ended]).await.is_empty(), "what is over uses nothing");
    bench.end().await;
}
