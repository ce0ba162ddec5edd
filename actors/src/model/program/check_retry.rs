//! What is wrong with the ways of adjusted parameters, and with what retries cost.

use super::{
    Program,
    check::{invalid, range},
};
use crate::model::{OnFloor, ParamSpec, Problem, Restore};

/// Dearest retry, in thousandths of a token: no sum of them overflows.
const DEAREST: u32 = 1_000_000_000;

pub(super) fn check_return(at: &str, spec: &ParamSpec, found: &mut Vec<Problem>) {
    if let Some(restore) = &spec.restore {
        if restore.add_micros.is_some_and(|add| add <= 0) {
            let help = "write a positive number, or leave it out for a tenth";
            found.push(range(format!("{at}.restore.add"), "`add` must raise the parameter", help));
        }
        if !spec.is_adjustable() && *restore != Restore::default() {
            let message = format!("a parameter of type {} cannot be adjusted or restored", spec.kind.name());
            found.push(invalid(format!("{at}.restore"), message, "leave restore out, or change the type"));
        }
    }
    if spec.on_floor != OnFloor::Continue && spec.floor().is_none() {
        let message = "`on_floor` needs a floor, and the parameter has no `min`";
        found.push(invalid(format!("{at}.on_floor"), message, "write min, or leave on_floor out"));
    }
}

impl Program {
    pub(super) fn check_costs(&self, found: &mut Vec<Problem>) {
        for (name, rule) in &self.classes {
            if rule.cost_permille.is_some_and(|cost| cost > DEAREST) {
                let message = "`cost` must be between 0 and 1000000 tokens with at most three decimals";
                found.push(range(format!("classes.{name}.cost"), message, "1.0 is one token, 0.0 is free"));
            }
        }
    }
}
