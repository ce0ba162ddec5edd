//! The actor alone, under a clock that the test moves.

use super::*;
use crate::{
    clerk::{Door, Due},
    clock,
    model::{BreakerPolicy, Event, RunId, Scope, Timestamp},
};
use actix::{Actor, Context, Handler};
use std::{cell::RefCell, rc::Rc, time::Duration};

/// State entered, and how long after the test began: its own time, and when it was heard.
type Heard = Rc<RefCell<Vec<(String, u64, u64)>>>;

struct Recorder {
    heard: Heard,
    began: Timestamp,
    breaker: Option<Door<Machine>>,
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Due<Machine>> for Recorder {
    type Result = ();

    /// Asks what changed, as the Manager does.
    fn handle(&mut self, _: Due<Machine>, _: &mut Context<Self>) {
        let (heard, began) = (self.heard.clone(), self.began);
        let breaker = self.breaker.clone().expect("it was told");
        actix_rt::spawn(async move {
            let changes = breaker.take_due(clock::now()).await.expect("it lives");
            assert!(!changes.saved.is_empty(), "a change is saved");
            for Change { at, event, .. } in changes.events {
                if let Event::BreakerChanged { to, .. } = event {
                    heard.borrow_mut().push((to.to_string(), at.since(began), clock::now().since(began)));
                }
            }
        });
    }
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Of(Door<Machine>);

impl Handler<Of> for Recorder {
    type Result = ();

    fn handle(&mut self, Of(breaker): Of, _: &mut Context<Self>) {
        self.breaker = Some(breaker);
    }
}

fn start() -> (Door<Machine>, Heard) {
    let (heard, began) = (Heard::default(), clock::now());
    let recorder = Recorder { heard: heard.clone(), began, breaker: None }.start();
    let breaker = BreakerActor::new(Machine::new(7), recorder.clone().recipient()).start();
    let breaker = Door::new(&breaker);
    recorder.do_send(Of(breaker.clone()));
    (breaker, heard)
}

fn site() -> Scope {
    Scope("site:shop.example".into())
}

async fn admit(breaker: &Door<Machine>, n: u128) -> Admission {
    let policy = BreakerPolicy {
        failures: 1,
        penalty_ms: 5_000,
        penalty_jitter_permille: 0,
        ..BreakerPolicy::default()
    };
    let (run, gates) = (RunId::from_parts(0, n), vec![Gate { scope: site(), policy: policy.into() }]);
    let answer = breaker.ask(clock::now(), Ask::Admit(Admit { run, gates, peek: false })).await.unwrap();
    let Answer::Admitted { admission, .. } = answer else { panic!("{answer:?}") };
    admission
}

async fn operate(breaker: &Door<Machine>, scope: Scope) -> Option<Changes> {
    let reset = Ask::Operate { scope, act: OperatorAct::Reset, by: None, reason: None };
    let answer = breaker.ask(clock::now(), reset).await.unwrap();
    let Answer::Operated(changes) = answer else { panic!("{answer:?}") };
    changes
}

async fn after(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Opens the scope; what was saved with it.
async fn trip(breaker: &Door<Machine>) -> Changes {
    let Admission::Granted { permits, .. } = admit(breaker, 1).await else { panic!("denied") };
    let outcomes = permits.into_iter().map(|p| (p, Outcome::Failure { weight_permille: 1_000 })).collect();
    let run = RunId::from_parts(0, 1);
    let settle = Ask::Settle(Settle { run, class: None, outcomes, keep: false });
    let answer = breaker.ask(clock::now(), settle).await.unwrap();
    let Answer::Settled { changes, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(changes.events.len(), 1);
    changes
}

async fn state(breaker: &Door<Machine>) -> String {
    let answer = breaker.ask(clock::now(), Ask::Get(GetBreakers::All)).await.unwrap();
    let Answer::Breakers(mut all) = answer else { panic!("{answer:?}") };
    all.remove(0).state.to_string()
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
    assert_eq!(operate(&breaker, site()).await.unwrap().events.len(), 1);
    after(20_000).await;
    assert!(heard.borrow().is_empty());
    assert_eq!(state(&breaker).await, "closed");
    assert!(operate(&breaker, Scope("x".into())).await.is_none());
}

#[actix::test]
async fn each_reopening_sets_the_alarm_again() {
    tokio::time::pause();
    let (breaker, heard) = start();
    let _ = trip(&breaker).await;
    after(5_100).await;
    let Admission::Granted { probe: Some(_), .. } = admit(&breaker, 2).await else { panic!("no probe") };
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
    let restore = Ask::Restore { clock: clock::reading(), saved };
    let answer = second.ask(clock::now(), restore).await.unwrap();
    assert!(matches!(answer, Answer::Changed(changes) if changes.events.is_empty()));
    assert_eq!(state(&second).await, "open");
    after(5_100).await;
    assert_eq!(heard.borrow().len(), 1);
    assert_eq!(state(&second).await, "half_open");
}
