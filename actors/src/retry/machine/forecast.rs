//! What happens if a run goes on failing the same way. There is no second implementation of the rules: a copy of what
//! is known about the run goes through the assumed ends, and decides about them as the machine would.

use super::{Decision, End, Machine, Outcome};
use crate::model::{Params, ProbeParams, Program, RetryBudget, RunId, Scope, Timestamp};

/// The largest number of ends that a forecast goes through. A run that has not given up by then is taken as one that
/// never gives up.
const FURTHEST: u32 = 100;

/// The assumption: the attempt of this number fails with this class at this time, and each later attempt fails in the
/// same way after an equally long life.
#[derive(Clone, Copy, Debug)]
pub struct Supposed<'a> {
    /// The run to look ahead for.
    pub run: RunId,
    /// The run's definition.
    pub program: &'a Program,
    /// The run's parameters as requested, before any adjustment.
    pub base: &'a Params,
    /// The class of each end.
    pub class: &'a str,
    /// The number of the attempt that fails first.
    pub attempt: u32,
    /// When that attempt fails.
    pub ends_at: Timestamp,
    /// How long each later attempt lives, in milliseconds.
    pub uptime_ms: u64,
    /// The parameters of a start that probes a half-open breaker.
    pub probe: ProbeParams,
    /// The run's priority among starts that wait for tokens.
    pub priority: i32,
    /// The budgets of the scopes that gate the run's starts.
    pub budgets: &'a [(Scope, RetryBudget)],
    /// The longest `quarantine` among these scopes, in milliseconds, with its scope. `None` when no scope sets one.
    pub quarantine: Option<&'a (Scope, u64)>,
}

/// What would follow if no operator intervened and no breaker refused a start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// The parameters of a start made now.
    pub now: Params,
    /// The parameters of a start made now that probes a breaker.
    pub now_as_probe: Params,
    /// The starts after the assumed failures, in order.
    pub starts: Vec<Foreseen>,
    /// What ends the run: giving up or quarantine. `None` when the run goes on beyond the furthest end that was
    /// looked at.
    pub end: Option<Decision>,
}

/// A start in the future.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    /// The number of the attempt.
    pub attempt: u32,
    /// When the attempt is due.
    pub at: Timestamp,
    /// The parameters of the attempt.
    pub params: Params,
    /// The parameters of the attempt if it probes a breaker.
    pub as_probe: Params,
    /// When the budgets of its scopes and that of all programs have tokens for it; `None` when that is not later than
    /// `at`. What other runs will take or bring is not known.
    pub tokens_at: Option<Timestamp>,
}

impl Machine {
    /// Returns what happens if the run goes on failing the same way. Changes nothing.
    #[must_use]
    pub fn forecast(&self, supposed: Supposed<'_>) -> Outlook {
        let Supposed { run, program, base, class, attempt, mut ends_at, uptime_ms, .. } = supposed;
        let Supposed { probe, priority, budgets, quarantine, .. } = supposed;
        let mut copy = self.copy_about(run, program, base);
        let outcome = Outcome::Failed { class: class.to_owned(), retry_after_ms: None };
        let from = ends_at;
        let mut outlook = Outlook {
            now: copy.prepare(run, program, base, None),
            now_as_probe: copy.prepare(run, program, base, Some(probe)),
            ..Outlook::default()
        };
        // The tokens that this run itself takes on the way.
        let mut taken =
            self.streaks.get(&run).filter(|own| own.automatic).map_or(0, |own| own.cost_permille.into());
        for n in 1..=FURTHEST {
            let end = End { run, program, base, outcome: &outcome, uptime_ms, quarantine };
            match copy.ended(ends_at, end).decision {
                Decision::RetryAt { at, .. } => {
                    let params = copy.prepare(run, program, base, None);
                    let as_probe = copy.prepare(run, program, base, Some(probe));
                    taken += copy.streaks.get(&run).map_or(0, |own| u64::from(own.cost_permille));
                    let taken = (priority, taken);
                    let tokens_at =
                        self.budgets.foreseen(from, run, taken, budgets).filter(|ready| *ready > at);
                    outlook.starts.push(Foreseen {
                        attempt: attempt.saturating_add(n),
                        at,
                        params,
                        as_probe,
                        tokens_at,
                    });
                    ends_at = at.plus(uptime_ms);
                }
                end @ (Decision::GiveUp { .. } | Decision::Done { .. }) => {
                    outlook.end = Some(end);
                    break;
                }
            }
        }
        outlook
    }

    /// Returns a machine that knows this run and what it shares, and nothing else.
    fn copy_about(&self, run: RunId, program: &Program, base: &Params) -> Self {
        let mut copy = Self::new(self.seed);
        if let Some(streak) = self.streaks.get(&run) {
            copy.streaks.insert(run, streak.clone());
        }
        copy.shared = self.shared.of(program, base);
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Adjust, ClassOverride, Command, EndReason, ParamSpec, RetryPolicy};
    use proptest::prelude::*;

    fn scraper(retries: u32) -> Program {
        Program::new("scraper", Command::Argv(vec!["x".into()]))
            .param(ParamSpec::integer("qpi").default(100).range(10..=200).adjust_scope("site:{host}"))
            .param(ParamSpec::string("host"))
            .class("rate_limited", ClassOverride::retry().adjust("qpi", Adjust::multiply(0.5)))
            .retry(RetryPolicy::exponential("1s").max_retries(retries))
    }

    fn base() -> Params {
        [("qpi".to_owned(), 100.into()), ("host".to_owned(), "shop".into())].into()
    }

    proptest! {
        #[test]
        fn what_was_foreseen_is_what_happens(
            seed in 0..=u64::MAX, id in 0..=u128::MAX, retries in 0..12u32, uptime_ms in 0..200_000u64, before in 0..4u32,
        ) {
            let (run, program, base) = (RunId::from_bytes(id.to_be_bytes()), scraper(retries), base());
            let mut machine = Machine::new(seed);
            let outcome = Outcome::Failed { class: "rate_limited".into(), retry_after_ms: None };
            let end = End { run, program: &program, base: &base, outcome: &outcome, uptime_ms, quarantine: None };
            let (mut ends_at, mut attempt) = (Timestamp(1_000_000), 1);
            for _ in 0..before.min(retries) {
                let Decision::RetryAt { at, .. } = machine.ended(ends_at, end).decision else { break };
                (ends_at, attempt) = (at.plus(uptime_ms), attempt + 1);
            }
            let supposed =
                Supposed { run, program: &program, base: &base, class: "rate_limited", attempt, ends_at, uptime_ms, probe: ProbeParams::Floor, priority: 0, budgets: &[], quarantine: None };
            let outlook = machine.forecast(supposed);
            prop_assert_eq!(&machine.forecast(supposed), &outlook, "asking changes nothing");
            let mut starts = Vec::new();
            let end = loop {
                match machine.ended(ends_at, end).decision {
                    Decision::RetryAt { at, .. } => {
                        attempt += 1;
                        let params = machine.prepare(run, &program, &base, None);
                        let as_probe = machine.prepare(run, &program, &base, Some(ProbeParams::Floor));
                        starts.push(Foreseen { attempt, at, params, as_probe, tokens_at: None });
                        ends_at = at.plus(uptime_ms);
                    }
                    end => break end,
                }
            };
            prop_assert_eq!(outlook.starts, starts);
            prop_assert_eq!(outlook.end, Some(end));
        }
    }

    #[test]
    fn a_run_that_never_gives_up_has_no_end_in_sight() {
        let mut program = scraper(0);
        program.restart = crate::model::Restart::Always;
        program.retry = RetryPolicy::exponential("10s").no_intensity();
        let (run, base) = (RunId::from_parts(1, 2), base());
        let ends_at = Timestamp(5);
        let outlook = Machine::new(1).forecast(Supposed {
            run,
            program: &program,
            base: &base,
            class: "crash",
            attempt: 7,
            ends_at,
            uptime_ms: 10,
            probe: ProbeParams::Floor,
            priority: 0,
            budgets: &[],
            quarantine: None,
        });
        assert_eq!((outlook.starts.len(), &outlook.end), (100, &None));
        assert_eq!(outlook.starts.first().map(|start| start.attempt), Some(8));
    }

    #[test]
    fn the_budget_of_a_scope_holds_back_what_is_foreseen_as_it_will_hold_back_what_happens() {
        let (run, other, program, base) =
            (RunId::from_parts(1, 2), RunId::from_parts(1, 3), scraper(5), base());
        let budgets =
            [(Scope("site:shop".into()), RetryBudget::tokens(1.0).deposit(0.0).refill_per_minute(1.0))];
        let outcome = Outcome::Failed { class: "crash".into(), retry_after_ms: None };
        let end = |run| End {
            run,
            program: &program,
            base: &base,
            outcome: &outcome,
            uptime_ms: 10,
            quarantine: None,
        };
        let mut machine = Machine::new(1);
        let now = Timestamp(1_000_000);
        let tokens_at = |machine: &Machine, budgets| {
            let supposed = Supposed {
                run,
                program: &program,
                base: &base,
                class: "crash",
                attempt: 1,
                ends_at: now,
                uptime_ms: 10,
                probe: ProbeParams::Floor,
                priority: 0,
                budgets,
                quarantine: None,
            };
            let starts = machine.forecast(supposed).starts;
            starts.iter().take(2).map(|start| start.tokens_at).collect::<Vec<_>>()
        };
        assert_eq!(tokens_at(&machine, &[]), [None, None], "without a budget");
        assert_eq!(tokens_at(&machine, &budgets), [None, Some(now.plus(60_000))], "one token is there");
        let _ = machine.ended(now, end(other));
        assert!(matches!(machine.reserve(now, other, 0, &budgets), super::super::Leave::Promised));
        let _ = machine.pay(now, other);
        let later = [Some(now.plus(60_000)), Some(now.plus(120_000))];
        assert_eq!(tokens_at(&machine, &budgets), later, "a sibling took it");
        let _ = machine.ended(now, end(run));
        let super::super::Leave::Deferred { retry_at, .. } = machine.reserve(now, run, 0, &budgets) else {
            panic!("there is no token for it")
        };
        assert_eq!(retry_at, later[0], "and that is what happens");
    }

    #[test]
    fn what_cannot_be_tried_again_ends_at_once() {
        let (run, program, base) = (RunId::from_parts(1, 2), scraper(5), base());
        let ends_at = Timestamp(5);
        let supposed = Supposed {
            run,
            program: &program,
            base: &base,
            class: "config",
            attempt: 1,
            ends_at,
            uptime_ms: 10,
            probe: ProbeParams::Floor,
            priority: 0,
            budgets: &[],
            quarantine: None,
        };
        let outlook = Machine::new(1).forecast(supposed);
        assert!(outlook.starts.is_empty());
        let reason = match outlook.end {
            Some(Decision::GiveUp { reason, .. }) => Some(reason),
            _ => None,
        };
        assert_eq!(reason, Some(EndReason::NotRetryable));
    }
}
