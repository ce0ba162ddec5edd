//! The rules of all scopes, each once: ten thousand sites under one pattern have one set of rules between them.

use crate::model::BreakerPolicy;
use std::{collections::HashSet, sync::Arc};

/// So many are kept before any is looked for that no scope has any more: rules come from configurations, which have
/// fewer, so that most machines never look.
const FEW: usize = 256;

/// Every set of rules that some scope has, and for a while those that none has any more.
#[derive(Debug, Default)]
pub(super) struct Rules {
    all: HashSet<Arc<BreakerPolicy>>,
    /// How many are there when unused ones are dropped.
    sweep_at: usize,
}

impl Rules {
    /// These rules, as every scope has them that has the same.
    pub(super) fn share(&mut self, rules: &Arc<BreakerPolicy>) -> Arc<BreakerPolicy> {
        if let Some(shared) = self.all.get(rules) {
            return shared.clone();
        }
        if self.all.len() >= self.sweep_at {
            self.all.retain(|rules| Arc::strong_count(rules) > 1);
            // Twice as many as are in use, so that a sweep is paid for by as many new ones.
            self.sweep_at = self.all.len().saturating_mul(2).max(FEW);
        }
        self.all.insert(rules.clone());
        rules.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rules_are_one_and_those_that_nobody_has_are_dropped_in_time() {
        let mut rules = Rules::default();
        let kept = rules.share(&BreakerPolicy::failures(1).into());
        assert!(Arc::ptr_eq(&kept, &rules.share(&BreakerPolicy::failures(1).into())));
        for failures in 2..2_000 {
            drop(rules.share(&BreakerPolicy::failures(failures).into()));
            assert!(rules.all.len() <= FEW);
        }
        assert!(Arc::ptr_eq(&kept, &rules.share(&BreakerPolicy::failures(1).into())));
    }
}
