//! The states of a run as Retry's specification names them, and every step between two of them that is legal: the real
//! Manager and the real Retry together, through random histories.

use super::*;
use crate::{
    clerk::Rules,
    model::{Intensity, RetryBudget, Run},
    retry::Machine as Retry,
};
use proptest::prelude::*;

/// Where a run is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Idle,
    Starting,
    Running,
    Backoff,
    WaitBreaker,
    Deferred,
    Done,
    GaveUp,
    Quarantined,
    Stopped,
}

/// Whether a run may go from one to the other in one step that somebody sees.
const fn is_legal(from: State, to: State) -> bool {
    use State::{
        Backoff, Deferred, Done, GaveUp, Idle, Quarantined, Running, Starting, Stopped, WaitBreaker,
    };
    match (from, to) {
        // A first start needs no tokens, and nothing comes before it.
        (Idle, Starting | WaitBreaker | Stopped) => true,
        (Idle, Idle | Running | Backoff | Deferred | Done | GaveUp | Quarantined) => false,
        // Made, or it could not be made: again later, or never.
        (Starting, Running | Backoff | GaveUp | Quarantined | Stopped) => true,
        (Starting, Idle | Starting | WaitBreaker | Deferred | Done) => false,
        // An end, and what is due at once starts, or is held back, in the same breath.
        (Running, Backoff | Starting | WaitBreaker | Deferred | Done | GaveUp | Quarantined | Stopped) => {
            true
        }
        (Running, Idle | Running) => false,
        (Backoff, Starting | WaitBreaker | Deferred | Stopped) => true,
        (Backoff, Idle | Running | Backoff | Done | GaveUp | Quarantined) => false,
        // Held back by one it may be held back by the other next; `max_failing` may end the wait.
        (WaitBreaker, Starting | Deferred | GaveUp | Stopped) => true,
        (WaitBreaker, Idle | Running | Backoff | WaitBreaker | Done | Quarantined) => false,
        (Deferred, Starting | WaitBreaker | GaveUp | Stopped) => true,
        (Deferred, Idle | Running | Backoff | Deferred | Done | Quarantined) => false,
        // Over: an operator's start alone leads on, as if it were new; then the breakers are asked.
        (Done | GaveUp | Quarantined | Stopped, Idle | Starting | WaitBreaker) => true,
        (
            Done | GaveUp | Quarantined | Stopped,
            Running | Backoff | Deferred | Done | GaveUp | Quarantined | Stopped,
        ) => false,
    }
}

fn state(run: &Run) -> State {
    let budget = run.held.as_ref().is_some_and(|held| held.reason == crate::model::HeldReason::Budget);
    match run.phase {
        Phase::Queued => State::Idle,
        Phase::Starting => State::Starting,
        Phase::Running | Phase::Stopping => State::Running,
        Phase::Backoff => State::Backoff,
        Phase::Blocked if budget => State::Deferred,
        Phase::Blocked => State::WaitBreaker,
        Phase::Succeeded => State::Done,
        Phase::Failed => State::GaveUp,
        Phase::Quarantined => State::Quarantined,
        Phase::Stopped => State::Stopped,
    }
}

#[derive(Clone, Debug)]
enum Act {
    Launches,
    CannotLaunch(bool),
    Ends(Option<&'static str>),
    Stop,
    Start,
    Refuse,
}

fn acts() -> impl Strategy<Value = Vec<(u64, usize, Act)>> {
    let class = prop::sample::select(vec!["crash", "network", "config", "rate_limited"]);
    let act = prop_oneof![
        6 => Just(Act::Launches),
        1 => any::<bool>().prop_map(Act::CannotLaunch),
        6 => prop::option::weighted(0.9, class).prop_map(Act::Ends),
        1 => Just(Act::Stop),
        1 => Just(Act::Start),
        1 => Just(Act::Refuse),
    ];
    prop::collection::vec((0..40_000u64, 0..2usize, act), 1..60)
}

/// Both machines and what one tells the other.
struct Pair {
    world: World,
    retry: Retry,
    seen: [State; 2],
    runs: Vec<RunId>,
    automatic: bool,
}

impl Pair {
    fn new() -> Self {
        let mut job = program("job");
        job.retry.intensity = Some(Intensity { restarts: 3, window_ms: 60_000 });
        job.retry.max_failing_ms = Some(300_000);
        let mut world = World::new(vec![job]);
        let budget = Some(RetryBudget::tokens(1.0).refill_per_minute(2.0));
        let mut retry = Retry::new(7);
        retry.set_budget(world.now, budget);
        let effects = world.machine.set_budget(budget, world.now);
        world.run(effects);
        let mut pair = Self { world, retry, seen: [State::Idle; 2], runs: Vec::new(), automatic: true };
        for n in 0..2 {
            let start = Start { program: "job".into(), ..Start::default() };
            let checked = pair.world.machine.check_start(&start).expect("it fits");
            let id = RunId::from_parts(1, n);
            let effects = pair.world.machine.start(checked, &start, id, pair.world.now);
            pair.runs.push(id);
            pair.carry_out(effects);
        }
        pair
    }

    fn input(&mut self, input: Input) {
        let effects = self.world.machine.step(input, self.world.now);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        self.look();
        for effect in effects {
            if let Some(input) = self.answer(effect) {
                self.input(input);
            }
        }
    }

    fn answer(&mut self, effect: Effect) -> Option<Input> {
        let now = self.world.now;
        match effect {
            Effect::AskRetry(ask) => Some(Input::Retry(Rules::answer(&mut self.retry, now, ask))),
            other => self.world.answer(other),
        }
    }

    /// Each step that somebody could see is a legal one.
    fn look(&mut self) {
        for (place, run) in self.runs.clone().into_iter().enumerate() {
            let Some(now) = self.world.machine.run(run).map(state) else { continue };
            let before = std::mem::replace(&mut self.seen[place], now);
            assert!(before == now || is_legal(before, now), "{before:?} → {now:?}");
            let over = matches!(before, State::Done | State::GaveUp | State::Quarantined | State::Stopped);
            assert!(before == now || !over || !self.automatic, "{before:?} → {now:?} by itself");
        }
    }

    fn pass(&mut self, until: Timestamp) {
        loop {
            let next = self.retry.next_due().into_iter().chain(self.world.machine.next_deadline()).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.world.now = self.world.now.max(at);
            while let Some(run) = self.retry.take_due(self.world.now) {
                self.input(Input::Due(run));
            }
            self.input(Input::Tick);
        }
        self.world.now = until;
    }

    fn act(&mut self, run: RunId, act: &Act) {
        let phase = self.world.machine.run(run).map(|run| run.phase);
        let attempt = self.world.attempt(run);
        self.automatic = false;
        match act {
            Act::Launches if phase == Some(Phase::Starting) => {
                let spool = Spool { token: 1, stdout: "o".into(), stderr: "e".into() };
                let (pid, start_ticks, secrets) = (7, 1, Vec::new());
                self.input(Input::Launcher(Report::Launched { attempt, pid, start_ticks, spool, secrets }));
            }
            Act::CannotLaunch(for_now) if phase == Some(Phase::Starting) => {
                let problem = if *for_now { SpawnProblem::Scarcity } else { SpawnProblem::NotFound };
                let failure = SpawnFailure {
                    problem,
                    errno: String::new(),
                    message: "it cannot".into(),
                    help: String::new(),
                };
                self.input(Input::Launcher(Report::LaunchFailed { attempt, failure }));
            }
            Act::Ends(class) if matches!(phase, Some(Phase::Running | Phase::Stopping)) => {
                self.world.class = *class;
                let exit = ExitStatus::Code(i32::from(class.is_some()));
                let sizes = SpoolSizes { stdout: 1, stderr: 0 };
                // What ended is told twice: once is enough.
                for _ in 0..2 {
                    self.input(Input::Launcher(Report::Exited { attempt, exit, sizes, leftovers: false }));
                }
                self.input(Input::Launcher(Report::Emptied { attempt, sizes }));
            }
            Act::Stop => {
                if let Ok(effects) = self.world.machine.stop(run, None, self.world.now) {
                    self.carry_out(effects);
                }
            }
            Act::Start => {
                if let Ok(effects) = self.world.machine.restart(
                    manager::Restart { stop_running: true, ..manager::Restart::new(run) },
                    self.world.now,
                ) {
                    self.carry_out(effects);
                }
            }
            Act::Refuse => {
                let (scope, why) = (Scope::program("job"), "open".to_owned());
                let retry_at = Some(self.world.now.plus(5_000));
                let denied = Admission::Denied { scope, retry_at, why, changes: Changes::default() };
                self.world.admissions = vec![denied];
            }
            Act::Launches | Act::CannotLaunch(_) | Act::Ends(_) => {}
        }
        self.automatic = true;
    }
}

proptest! {
    // I21 and I22: only legal steps; nothing starts by itself after the end; an end that is told twice is one.
    #[test]
    fn a_run_goes_only_where_the_table_of_states_lets_it(log in acts()) {
        let mut pair = Pair::new();
        for (gap, which, act) in log {
            let until = pair.world.now.plus(gap);
            pair.pass(until);
            let run = pair.runs[which];
            pair.act(run, &act);
        }
        // No dead end: who waits has started or given up an hour later.
        let until = pair.world.now.plus(3_600_000);
        pair.world.admissions.clear();
        pair.pass(until);
        for state in pair.seen {
            prop_assert!(!matches!(state, State::Backoff | State::WaitBreaker | State::Deferred), "{state:?}");
        }
    }
}
