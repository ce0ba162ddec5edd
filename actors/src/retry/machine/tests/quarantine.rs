//! How long a run is left alone that was started too often, where scopes have a say in it.

use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// Fails all the time, and may be started again twice within a minute.
fn unlucky(own_ms: Option<u64>) -> Program {
    let mut program = daemon();
    program.retry.intensity = Some(Intensity { restarts: 2, window_ms: MINUTE });
    program.retry.quarantine_ms = own_ms;
    program
}

fn of_site(ms: u64) -> (Scope, u64) {
    (Scope("site:shop.example".into()), ms)
}

/// One machine and one run of this program, at the end that begins its quarantine.
struct Unlucky {
    machine: Machine,
    program: Program,
    base: Params,
    now: Timestamp,
}

impl Unlucky {
    fn of(program: Program) -> Self {
        let mut unlucky =
            Self { machine: Machine::new(7), program, base: Params::new(), now: Timestamp(1_000_000) };
        for delay in [1_000, 2_000] {
            let decision = unlucky.fails(None).decision;
            assert!(
                matches!(decision, Decision::RetryAt { delay_ms, .. } if delay_ms == delay),
                "{decision:?}"
            );
        }
        unlucky
    }

    fn fails(&mut self, scopes: Option<&(Scope, u64)>) -> Verdict {
        self.ends(&failed("crash"), scopes)
    }

    fn ends(&mut self, outcome: &Outcome, quarantine: Option<&(Scope, u64)>) -> Verdict {
        let end =
            End { run: run(1), program: &self.program, base: &self.base, outcome, uptime_ms: 0, quarantine };
        let verdict = self.machine.ended(self.now, end);
        if let Decision::RetryAt { at, .. } = verdict.decision {
            self.now = at;
        }
        verdict
    }

    fn foreseen(&self, quarantine: Option<&(Scope, u64)>) -> Outlook {
        self.machine.forecast(Supposed {
            run: run(1),
            program: &self.program,
            base: &self.base,
            class: "crash",
            attempt: 3,
            ends_at: self.now,
            uptime_ms: 0,
            probe: ProbeParams::Floor,
            priority: 0,
            budgets: &[],
            quarantine,
        })
    }
}

#[test]
fn a_run_is_left_alone_for_the_longest_of_what_its_program_and_its_scopes_ask_for() {
    for (own_ms, scope_ms, waits_ms, said) in [
        (None, Some(HOUR), HOUR, "for 1h by site:shop.example, then one start"),
        (Some(10 * MINUTE), None, 10 * MINUTE, "for 10m, then one start"),
        (Some(10 * MINUTE), Some(HOUR), HOUR, "for 1h by site:shop.example, then one start"),
        (Some(HOUR), Some(10 * MINUTE), HOUR, "for 1h, then one start"),
        (Some(HOUR), Some(HOUR), HOUR, "for 1h, then one start"),
    ] {
        let scopes = scope_ms.map(of_site);
        let mut life = Unlucky::of(unlucky(own_ms));
        let foreseen: Vec<_> = life.foreseen(scopes.as_ref()).starts.iter().take(2).map(|s| s.at).collect();
        let mut happened = Vec::new();
        for because in ["intensity allows; quarantined ", "start after its quarantine failed; quarantined "] {
            let verdict = life.fails(scopes.as_ref());
            let Decision::RetryAt { at, raw_ms, delay_ms, why, .. } = verdict.decision else {
                panic!("{own_ms:?} {scope_ms:?}: it goes on")
            };
            assert!(verdict.quarantined);
            assert_eq!((raw_ms, delay_ms), (waits_ms, waits_ms), "{why}");
            assert!(why.to_string().ends_with(&format!("{because}{said}")), "{why}");
            happened.push(at);
        }
        assert_eq!(foreseen, happened, "{own_ms:?} {scope_ms:?}");
    }
}

#[test]
fn where_nobody_says_how_long_an_operator_ends_a_quarantine() {
    let mut life = Unlucky::of(unlucky(None));
    let foreseen = life.foreseen(None);
    let verdict = life.fails(None);
    let Decision::GiveUp { phase, reason, why } = &verdict.decision else { panic!("it is over") };
    assert_eq!((*phase, *reason), (Phase::Quarantined, EndReason::Intensity));
    assert!(why.ends_with("; an operator may start it again"), "{why}");
    assert!(!verdict.quarantined);
    assert_eq!((foreseen.starts, foreseen.end), (Vec::new(), Some(verdict.decision)));
}

#[test]
fn a_quarantine_of_a_scope_that_is_gone_when_the_one_start_failed_begins_no_other() {
    let site = of_site(HOUR);
    let mut life = Unlucky::of(unlucky(None));
    assert!(life.fails(Some(&site)).quarantined);
    let verdict = life.fails(None);
    assert!(matches!(verdict.decision, Decision::RetryAt { delay_ms: 8_000, .. }), "{verdict:?}");
    assert!(!verdict.quarantined);
}

#[test]
fn a_scope_says_how_long_but_not_how_often() {
    let mut program = unlucky(None);
    program.retry.intensity = None;
    let site = of_site(HOUR);
    let mut life = Unlucky::of(program);
    for _ in 0..20 {
        assert!(!life.fails(Some(&site)).quarantined);
    }
}

#[test]
fn a_daemon_that_ends_well_too_often_is_left_alone_by_its_scope_too() {
    let site = of_site(HOUR);
    let mut life = Unlucky::of(unlucky(None));
    let verdict = life.ends(&failed("clean_exit"), Some(&site));
    let Decision::RetryAt { delay_ms, why, .. } = verdict.decision else { panic!("it goes on") };
    assert_eq!(delay_ms, HOUR);
    assert!(why.to_string().contains("by site:shop.example"), "{why}");
}

#[test]
fn once_nothing_is_limited_any_more_no_wait_is_a_quarantine() {
    let mut unlucky = Unlucky::of(unlucky(Some(HOUR)));
    assert!(unlucky.fails(None).quarantined);
    unlucky.program.retry.intensity = None;
    assert!(!unlucky.fails(None).quarantined);
}
