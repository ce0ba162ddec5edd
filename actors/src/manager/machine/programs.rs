//! The programs: what is configured, and what follows from that for a run.

use crate::{
    breaker::{self, Gate},
    model::{BreakerPolicy, Params, Program, RetryBudget, Run, RunId, Scope, render_key, rules_of_scope},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Most scopes that may gate one start: each costs a message's share and a place in memory.
/// Further ones are left out; the configuration check refuses them before.
const GATES_MAX: usize = 8;

/// Everything that is configured, and which programs an operator stopped.
#[derive(Debug, Default)]
pub(super) struct Programs {
    programs: HashMap<String, Arc<Program>>,
    shared_breakers: Vec<(String, Arc<BreakerPolicy>)>,
    /// The rules of a shared scope that none of these names.
    usual_breaker: Arc<BreakerPolicy>,
    /// Whether retries need tokens of the budget of all programs …
    under_budget: bool,
    /// … or of some scope's.
    scoped_budgets: bool,
    /// Whether some scope has a `quarantine` of its own.
    scoped_quarantines: bool,
    /// Programs whose last run an operator stopped: they are not started with the manager.
    stopped_by_hand: BTreeMap<String, RunId>,
}

/// Names by what a configuration did to them.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Programs {
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Program>> {
        self.programs.get(name)
    }

    pub(super) fn is_configured(&self, name: &str) -> bool {
        self.programs.contains_key(name)
    }

    /// Every name, in order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.programs.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Replaces all programs and the rules of shared scopes.
    pub(super) fn replace(
        &mut self,
        programs: Vec<Program>,
        shared_breakers: Vec<(String, Arc<BreakerPolicy>)>,
    ) -> Replaced {
        let mut replaced = Replaced::default();
        let mut new = HashMap::new();
        for program in programs {
            match self.programs.remove(&program.name) {
                None => replaced.added.push(program.name.clone()),
                Some(old) if *old != program => replaced.changed.push(program.name.clone()),
                Some(_) => {}
            }
            new.insert(program.name.clone(), Arc::new(program));
        }
        replaced.removed = self.names();
        (self.programs, self.shared_breakers) = (new, shared_breakers);
        let own = self.programs.values().filter_map(|program| program.breaker.as_ref());
        let mut policies = own.chain(self.shared_breakers.iter().map(|(_, policy)| policy));
        self.scoped_budgets = policies.clone().any(|policy| policy.retry_budget.is_some());
        self.scoped_quarantines = policies.any(|policy| policy.quarantine_ms.is_some());
        replaced
    }

    /// The rules of shared scopes, as configured.
    pub(super) fn shared_breakers(&self) -> &[(String, Arc<BreakerPolicy>)] {
        &self.shared_breakers
    }

    /// The rules of a shared scope: the exact name, else the longest literal prefix before `*`.
    pub(super) fn shared_rules(&self, key: &str) -> Option<&Arc<BreakerPolicy>> {
        rules_of_scope(&self.shared_breakers, key)
    }

    /// The scopes that gate a start of this program, in order: its own, shared ones, the user's, the global one.
    pub(super) fn gates(&self, program: &Program, params: &Params, user: Option<&str>) -> Vec<Gate> {
        let mut gates = Vec::new();
        if let Some(policy) = &program.breaker {
            gates.push(Gate { scope: Scope::program(&program.name), policy: policy.clone() });
        }
        for template in &program.breakers {
            // A key whose parameter is unset names no scope: there is nothing that two runs could share.
            if let Some(key) = render_key(template, &program.name, params)
                // Two texts may come out as one scope, which hears of each outcome once.
                && !gates.iter().any(|gate: &Gate| gate.scope.0 == key)
            {
                let policy = self.shared_rules(&key).unwrap_or(&self.usual_breaker).clone();
                gates.push(Gate { scope: Scope(key), policy });
            }
        }
        let user = user.map(|user| format!("user:{user}"));
        for name in user.into_iter().chain(["global".to_owned()]) {
            if let Some(policy) = self.shared_rules(&name).cloned() {
                gates.push(Gate { scope: Scope(name), policy });
            }
        }
        gates.truncate(GATES_MAX);
        gates
    }

    /// The scopes that gate a run's starts by this definition of its program.
    pub(super) fn gates_of(&self, run: &Run, program: &Program) -> Vec<Gate> {
        self.gates(program, &run.params, run.requested_by.as_deref())
    }

    /// Sets whether retries need tokens of a budget of all programs.
    pub(super) const fn set_budget(&mut self, is_there: bool) {
        self.under_budget = is_there;
    }

    /// The budgets of the scopes that gate a run's starts.
    pub(super) fn budgets_of(&self, run: &Run, program: &Program) -> Vec<(Scope, RetryBudget)> {
        if !self.scoped_budgets {
            return Vec::new(); // No need to work the scopes out.
        }
        let gates = self.gates_of(run, program).into_iter();
        gates.filter_map(|gate| Some((gate.scope, gate.policy.retry_budget?))).collect()
    }

    /// Whether a start needs, or brings, tokens: of these budgets or of that of all programs.
    pub(super) const fn needs_tokens(&self, scoped: &[(Scope, RetryBudget)]) -> bool {
        self.under_budget || !scoped.is_empty()
    }

    /// The longest `quarantine` among the scopes that gate a run's starts, with whose it is.
    pub(super) fn quarantine_of(&self, run: &Run, program: &Program) -> Option<(Scope, u64)> {
        if !self.scoped_quarantines {
            return None; // Likewise.
        }
        breaker::longest_quarantine(&self.gates_of(run, program))
    }

    /// The run of this program that an operator stopped, while nothing was started since.
    pub(super) fn stopped_by_hand(&self, name: &str) -> Option<RunId> {
        self.stopped_by_hand.get(name).copied()
    }

    /// Remembers an operator's stop of the last run of a program.
    pub(super) fn stop_by_hand(&mut self, name: String, run: RunId) {
        self.stopped_by_hand.insert(name, run);
    }

    /// The program was started again.
    pub(super) fn start_by_hand(&mut self, name: &str) {
        self.stopped_by_hand.remove(name);
    }

    /// Runs that are kept because `autostart` looks at them.
    pub(super) fn all_stopped_by_hand(&self) -> impl Iterator<Item = RunId> {
        self.stopped_by_hand.values().copied()
    }
}
