//! The rules of all scopes, each stored once: ten thousand sites under one pattern share one set of rules.

use crate::model::BreakerPolicy;
use std::{collections::HashSet, sync::Arc};

/// The number of sets that are kept before unused ones are looked for. Rules come from configurations, which have
/// fewer, so that most machines never look.
const FEW: usize = 256;

/// Every set of rules that some scope uses, and for a while those that none uses any more.
#[derive(Debug, Default)]
pub(super) struct Rules {
    all: HashSet<Arc<BreakerPolicy>>,
    /// The number of sets at which unused ones are dropped.
    sweep_at: usize,
}

impl Rules {
    /// Returns these rules in the copy that all scopes with equal rules share.
    pub(super) fn share(&mut self, rules: &Arc<BreakerPolicy>) -> Arc<BreakerPolicy> {
        if let Some(shared) = self.all.get(rules) {
            return shared.clone();
        }
        if self.all.len() >= self.sweep_at {
            self.all.retain(|rules| Arc::strong_count(rules) > 1);
            // Twice as many as are in use, so that each sweep is paid for by as many new sets.
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
