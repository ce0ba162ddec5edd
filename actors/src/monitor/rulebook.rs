//! The rules of programs as the Monitor uses them.

use super::machine::{Items, ReadyLine, Rules};
use crate::model::{Program, Ready};
use std::{collections::HashMap, sync::Arc};

/// Compiled rules by program: compiling takes milliseconds, which a restart must not.
#[derive(Default)]
pub(crate) struct Rulebook {
    rules: HashMap<String, Arc<Rules>>,
    ready: HashMap<String, Arc<ReadyLine>>,
    items: HashMap<String, Arc<Items>>,
}

/// The number of sets of rules that are kept; beyond it all are dropped and compiled again when needed.
const KEPT_RULES: usize = 1_024;

impl Rulebook {
    /// The compiled rules of a program. Programs with the same rules share them: an automaton takes half a megabyte and
    /// ten milliseconds, and most programs have the built-in rules alone.
    pub(crate) fn of(&mut self, program: &Program) -> Arc<Rules> {
        // Rules that cannot be written cannot be shared; rules are plain data, which can.
        let key = serde_json::to_string(&program.classify).unwrap_or_else(|_| program.name.clone());
        if let Some(rules) = self.rules.get(&key) {
            return rules.clone();
        }
        let rules = Arc::new(Rules::of(program));
        for problem in rules.problems() {
            log::warn!("rule left out; program={} problem={problem}", program.name);
        }
        if self.rules.len() >= KEPT_RULES {
            self.rules.clear();
        }
        self.rules.insert(key, rules.clone());
        rules
    }

    /// The compiled `ready` rule of a program; `None` when it cannot be used.
    pub(crate) fn ready(&mut self, program: &Program, rule: &Ready) -> Option<Arc<ReadyLine>> {
        let key = serde_json::to_string(rule).unwrap_or_else(|_| program.name.clone());
        if let Some(ready) = self.ready.get(&key) {
            return Some(ready.clone());
        }
        let ready = ReadyLine::of(rule).map(Arc::new);
        let ready = ready.inspect_err(|problem| {
            log::warn!("rule left out; program={} problem=ready: {problem}", program.name);
        });
        if self.ready.len() >= KEPT_RULES {
            self.ready.clear();
        }
        let ready = ready.ok()?;
        self.ready.insert(key, ready.clone());
        Some(ready)
    }

    /// What finds items in a program's output; `None` when the program counts none.
    pub(crate) fn items_of(&mut self, program: &Program) -> Option<Arc<Items>> {
        let expression = program.success_items.as_ref()?;
        if let Some(items) = self.items.get(expression) {
            return Some(items.clone());
        }
        let items = Arc::new(Items::of(program)?);
        if self.items.len() >= KEPT_RULES {
            self.items.clear();
        }
        self.items.insert(expression.clone(), items.clone());
        Some(items)
    }
}
