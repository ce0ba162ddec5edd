//! The actor alone, under a clock that the test moves.

use super::*;
use crate::{
    clock,
    model::{BreakerPolicy, Event, RunId, Scope, Timestamp},
};
use actix::{Actor, Addr, Context, Handler};
use std::{cell::RefCell, rc::Rc, time::Duration};

/// State entered, and how long after the test began: its own time, and when it was heard.
type Heard = Rc<RefCell<Vec<(String, u64, u64)>>>;

struct Recorder {
    heard: Heard,
    began: Timestamp,
    breaker: Option<Addr<BreakerActor>>,
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Report> for Recorder {
    type Result = ();

    /// Asks what changed, as the Manager does.
    fn handle(&mut self, Report::Due: Report, _: &mut Context<Self>) {
        let (heard, began) = (self.heard.clone(), self.began);
        let breaker = self.breaker.clone().expect("it was told");
        actix_rt::spawn(async move {
            let changes = breaker.send(Advance { at: clock::now() }).await.expect("it lives");
            assert!(!changes.saved.is_empty(), "a change is saved");
            for Change { at, event, .. } in changes.events {
                if let Event::BreakerChanged { to, .. } = event {
                    heard.borrow_mut().push((to, at.since(began), clock::now().since(began)));
                }
            }
        });
    }
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Of(Addr<BreakerActor>);

impl Handler<Of> for Recorder {
    type Result = ();

    fn handle(&mut self, Of(breaker): Of, _: &mut Context<Self>) {
        self.breaker = Some(breaker);
    }
}

fn start() -> (Addr<BreakerActor>, Heard) {
    let (heard, began) = (Heard::default(), clock::now());
    let recorder = Recorder { heard: heard.clone(), began, breaker: None }.start();
    let breaker = BreakerActor::new(7, recorder.clone().recipient()).start();
    recorder.do_send(Of(breaker.clone()));
    (breaker, heard)
}

fn site() -> Scope {
    Scope("site:shop.example".into())
}

fn admit(n: u128) -> Admit {
    let policy = BreakerPolicy {
        failures: 1,
        penalty_ms: 5_000,
        penalty_jitter_permille: 0,
        ..BreakerPolicy::default()
    };
    Admit {
        at: clock::now(),
        run: RunId::from_parts(0, n),
        gates: vec![Gate { scope: site(), policy: policy.into() }],
        peek: false,
    }
}

async fn after(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Opens the scope; what was saved with it.
async fn trip(breaker: &Addr<BreakerActor>) -> Changes {
    let Admission::Granted { permits, .. } = breaker.send(admit(1)).await.unwrap() else { panic!("denied") };
    let outcomes = permits.into_iter().map(|p| (p, Outcome::Failure { weight_permille: 1_000 })).collect();
    let run = RunId::from_parts(0, 1);
    let changes =
        breaker.send(Settle { at: clock::now(), run, class: None, outcomes, keep: false }).await.unwrap();
    assert_eq!(changes.events.len(), 1);
    changes
}

async fn state(breaker: &Addr<BreakerActor>) -> String {
    breaker.send(GetBreakers::All).await.unwrap().remove(0).state
}

#[actix::test]
async fn the_end_of_a_penalty_is_reported_at_its_own_time_when_nobody_asks() {
    tokio::time::pause();
    let (breaker, heard) = start();
    let _ = trip(&breaker).await;
    after(4_900).await;
    assert!(heard.borrow().is_empty());
    after(200).await;
    let (to, at, heard_at) = heard.borrow()[0].clone();
    assert_eq!(to, "half_open");
    assert!((5_000..5_100).contains(&at) && (at..at + 100).contains(&heard_at), "{at} {heard_at}");
}

#[actix::test]
async fn an_alarm_for_a_penalty_that_an_operator_ended_is_stale() {
    tokio::time::pause();
    let (breaker, heard) = start();
    let _ = trip(&breaker).await;
    let reset = Operate { at: clock::now(), scope: site(), act: OperatorAct::Reset, by: None, reason: None };
    assert_eq!(breaker.send(reset).await.unwrap().unwrap().events.len(), 1);
    after(20_000).await;
    assert!(heard.borrow().is_empty());
    assert_eq!(state(&breaker).await, "closed");
    let unknown = Operate {
        at: clock::now(),
        scope: Scope("x".into()),
        act: OperatorAct::Reset,
        by: None,
        reason: None,
    };
    assert!(breaker.send(unknown).await.unwrap().is_none());
}

#[actix::test]
async fn each_reopening_sets_the_alarm_again() {
    tokio::time::pause();
    let (breaker, heard) = start();
    let _ = trip(&breaker).await;
    after(5_100).await;
    let Admission::Granted { probe: Some(_), .. } = breaker.send(admit(2)).await.unwrap() else {
        panic!("no probe")
    };
    after(300_000 + 10_000 + 100).await;
    let states: Vec<_> = heard.borrow().iter().map(|(to, ..)| to.clone()).collect();
    assert_eq!(states, ["half_open", "open", "half_open"], "the lease ends, and the next penalty");
}

#[actix::test]
async fn a_successor_goes_on_with_what_was_saved() {
    tokio::time::pause();
    let (breaker, _) = start();
    let saved = trip(&breaker).await.saved.into_iter().map(|put| (put.key, put.value.unwrap())).collect();
    let (second, heard) = start();
    assert!(
        second
            .send(Restore { at: clock::now(), clock: clock::reading(), saved })
            .await
            .unwrap()
            .events
            .is_empty()
    );
    assert_eq!(state(&second).await, "open");
    after(5_100).await;
    assert_eq!(heard.borrow().len(), 1);
    assert_eq!(state(&second).await, "half_open");
}
