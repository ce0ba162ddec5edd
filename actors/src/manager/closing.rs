//! Secrets outlive the storing of output: what is still taken in when a run ends is redacted by their values, also by the
//! next supervisor, should we die before it is stored.

use crate::model::RunId;
use std::collections::{HashMap, HashSet};

/// Spools of runs with secrets that are being closed.
#[derive(Debug, Default)]
pub(super) struct Closing {
    spools: HashMap<RunId, u32>,
    forget: HashSet<RunId>,
}

impl Closing {
    /// A spool of this run is being closed.
    pub(super) fn begin(&mut self, run: RunId) {
        *self.spools.entry(run).or_default() += 1;
    }

    /// A spool of this run is closed. Whether the run's secrets are forgotten now.
    pub(super) fn closed(&mut self, run: RunId) -> bool {
        let Some(left) = self.spools.get_mut(&run) else { return self.forget.remove(&run) };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        self.spools.remove(&run);
        self.forget.remove(&run)
    }

    /// The run is over. Whether its secrets are forgotten now, and not when its last spool is closed.
    pub(super) fn is_over(&mut self, run: RunId) -> bool {
        let waits = self.spools.contains_key(&run);
        if waits {
            self.forget.insert(run);
        }
        !waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_forgotten_when_the_last_spool_is_closed() {
        let (run, other) = (RunId::from_parts(1, 1), RunId::from_parts(1, 2));
        let mut closing = Closing::default();
        closing.begin(run);
        closing.begin(run);
        assert!(closing.is_over(other), "it has no spool");
        assert!(!closing.is_over(run));
        assert!(!closing.closed(run));
        assert!(closing.closed(run));
        closing.begin(run);
        assert!(!closing.closed(run), "the run goes on");
        assert!(closing.is_over(run));
    }
}
