//! Who died when, by the hand of the test.

/// How long after a death an end that came by itself may still have been taken for one by that death, and how long before
/// it by a supervisor on a busy machine that had not heard of it yet. Nanoseconds.
const AFTERMATH_NS: u64 = 600_000_000;
const UNHEARD_OF_NS: u64 = 150_000_000;
/// How long before the death of everybody an end must have come in order to be known: its output is read first, which
/// may take a busy machine that long.
const UNHEARD_NS: u64 = 2_000_000_000;

/// A span of the monotonic clock in which a daemon could act, nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) from_ns: u64,
    pub(crate) to_ns: u64,
}

#[derive(Default)]
pub(crate) struct Deaths {
    daemons: Vec<u64>,
    keepers: Vec<u64>,
    stops: Vec<u64>,
    lives: Vec<Life>,
}

impl Deaths {
    pub(crate) fn daemon(&mut self, at_ns: u64) {
        self.daemons.push(at_ns);
    }

    pub(crate) fn keeper(&mut self, at_ns: u64) {
        self.keepers.push(at_ns);
    }

    /// A daemon was asked to end.
    pub(crate) fn stop(&mut self, at_ns: u64) {
        self.stops.push(at_ns);
    }

    /// A daemon can act from now on.
    pub(crate) fn life_began(&mut self, at_ns: u64) {
        self.lives.push(Life { from_ns: at_ns, to_ns: u64::MAX });
    }

    /// And not any more.
    pub(crate) fn life_ended(&mut self, at_ns: u64) {
        if let Some(last) = self.lives.last_mut() {
            last.to_ns = at_ns;
        }
    }

    /// A keeper died while the attempt lived, or before anybody can have heard of its end (`None`: it never said one).
    pub(crate) fn keeper_died(&self, began_ns: u64, ended_ns: Option<u64>) -> bool {
        self.keepers.iter().any(|at| touches(*at, began_ns, ended_ns, UNHEARD_NS))
    }

    /// A keeper and a daemon died within two seconds of each other, so that what a pipe held had no holder.
    pub(crate) fn both_died(&self, began_ns: u64, ended_ns: Option<u64>) -> bool {
        let near = |at: &u64| self.daemons.iter().any(|other| other.abs_diff(*at) < 2_000_000_000);
        let mut both = self.keepers.iter().filter(|at| near(at));
        both.any(|at| touches(*at, began_ns, ended_ns, 2_000_000_000))
    }

    /// The end came while the attempt was being stopped, because its daemon died or was asked to end.
    pub(crate) fn ended_while_stopped(&self, ended_ns: u64) -> bool {
        let all = self.daemons.iter().chain(&self.stops).chain(&self.keepers);
        all.into_iter().any(|at| ended_ns + UNHEARD_OF_NS >= *at && ended_ns <= at + AFTERMATH_NS)
    }

    /// When somebody could act first from this moment on; `None` when nobody did until now.
    pub(crate) fn first_chance(&self, from_ns: u64) -> Option<u64> {
        let chances = self.lives.iter().filter(|life| life.to_ns > from_ns);
        chances.map(|life| life.from_ns.max(from_ns)).min()
    }

    /// The life in which this moment lies.
    pub(crate) fn life(&self, at_ns: u64) -> Option<Life> {
        self.lives.iter().find(|life| life.from_ns <= at_ns && at_ns <= life.to_ns).copied()
    }
}

fn touches(at: u64, began_ns: u64, ended_ns: Option<u64>, margin_ns: u64) -> bool {
    began_ns <= at + margin_ns && ended_ns.is_none_or(|ended| at <= ended + margin_ns)
}
