//! From tables of typed values to what retries share, and to the ways of adjusted parameters.

use super::{
    Severity,
    build::as_table,
    build_rules::Fields,
    document::Document,
    place::report,
    walk::{Table, Value},
};
use crate::{OnEmpty, OnFloor, Param, Problem, Program, Restore, RetryBudget};

pub(super) fn retry_budget(document: &mut Document) -> Option<RetryBudget> {
    let node = document.tables.get("retry_budget")?.clone();
    let empty = Table::new();
    let table = as_table(&node).unwrap_or(&empty);
    let budget = Fields { table, sources: &document.sources, home: node.at.file }.budget();
    report(document, node.at, table, budget.check(), Severity::Error);
    Some(budget)
}

/// Classes whose retries the budget could never pay.
pub(super) fn dear_classes(program: &Program, budget: Option<RetryBudget>) -> Vec<Problem> {
    let costs = program.classes.iter().map(|(name, rule)| (name, rule.cost_permille));
    budget.map(|budget| budget.check_costs(costs)).unwrap_or_default()
}

impl Fields<'_> {
    /// The tokens that this table speaks of.
    pub(super) fn budget(&self) -> RetryBudget {
        let mut budget = RetryBudget::default();
        self.number("capacity", &mut budget.capacity_permille);
        self.number("deposit", &mut budget.deposit_permille);
        self.number("refill_per_minute", &mut budget.refill_per_minute_permille);
        self.word("on_empty", &mut budget.on_empty, &[("wait", OnEmpty::Wait), ("give_up", OnEmpty::GiveUp)]);
        budget
    }

    /// How an adjusted value of this parameter goes on.
    pub(super) fn fill_return(&self, spec: &mut Param) {
        if matches!(self.table.get("restore").map(|node| &node.value), Some(Value::Off)) {
            spec.restore = None;
        } else if let Some(restore) = self.below("restore") {
            let mut rule = Restore::default();
            restore.number("hold", &mut rule.hold_ms);
            restore.number("every", &mut rule.every_ms);
            restore.number("avoid", &mut rule.avoid_ms);
            rule.add_micros = restore.optional("add");
            spec.restore = Some(rule);
        }
        let meanings =
            [("continue", OnFloor::Continue), ("trip", OnFloor::Trip), ("give_up", OnFloor::GiveUp)];
        self.word("on_floor", &mut spec.on_floor, &meanings);
    }
}
