//! What the Manager knows of a run or a program that somebody asks about, taken in one moment.

use super::{Machine, Stage, Wait};
use crate::{
    breaker::Gate,
    explain::{Explanation, Facts, Overview, forecast},
    model::{AttemptId, RunId, Timestamp},
};
use std::collections::BTreeMap;

impl Machine {
    /// What is known of a run.
    #[must_use]
    pub fn facts(&self, id: RunId, now: Timestamp) -> Option<Facts> {
        let run = self.run(id)?.clone();
        let program = self.programs.get(&run.program).cloned();
        let gates = program.as_ref().map(|p| self.programs.gates_of(&run, p));
        let gates = gates.unwrap_or_default();
        let by_hand = self.stopped_by_hand(&run.program) == Some(id);
        Some(Facts {
            holds_autostart: by_hand && program.as_ref().is_some_and(|program| program.autostart),
            shared: self.shared_params_of(&run),
            line: self.place_in_line(id),
            output_waits: self.waits_for(AttemptId { run: id, number: run.attempt }),
            keeper_silent_since: self.keeper_silent_since(),
            forecast: program.as_ref().and_then(|program| forecast(&run, program, &gates, now)),
            gates,
            program,
            run,
        })
    }

    fn place_in_line(&self, id: RunId) -> Option<(usize, usize)> {
        let live = self.runs.live(id)?;
        match live.stage {
            Stage::Waits(Wait::Queued) => self.lines.place_in_queue(&live.run.program, id),
            Stage::Waits(Wait::Blocked) => {
                self.lines.place_in_line(live.run.held.as_ref()?.scope.as_ref()?, id)
            }
            _ => None,
        }
    }

    /// What is known of a program; nothing when there is none of this name.
    #[must_use]
    pub fn overview(&self, name: &str, now: Timestamp) -> Option<Overview> {
        let program = self.program_or_last(name)?.clone();
        let mut counts = BTreeMap::new();
        let mut ids = Vec::new();
        for run in self.living().rev().filter(|run| run.program == name) {
            *counts.entry(run.phase).or_default() += 1;
            if ids.len() < Explanation::RUNS_MAX {
                ids.push(run.id);
            }
        }
        let living: Vec<_> = ids.into_iter().filter_map(|id| self.facts(id, now)).collect();
        let last = self.runs().find(|run| run.program == name && run.phase.is_ended()).cloned();
        let mut gates: Vec<Gate> = Vec::new();
        let of_last = last.as_ref().and_then(|run| self.facts(run.id, now)).map(|facts| facts.gates);
        let of_living = living.iter().map(|facts| facts.gates.clone());
        for gate in of_living.chain(of_last).flatten() {
            if gates.iter().all(|known| known.scope != gate.scope) {
                gates.push(gate);
            }
        }
        let removed = self.program(name).is_none();
        Some(Overview { program, removed, living, counts, last, gates })
    }
}
