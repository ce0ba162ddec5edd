//! What was found to be wrong, and what was counted.

use std::{collections::BTreeMap, fmt::Write};

/// A promise that may be broken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Wrong {
    RunAgain,
    FalseSuccess,
    JudgedTwice,
    ForgottenRetry,
    LinesLost,
    LinesDoubled,
    LinesForeign,
    LinesMiscounted,
    FalseExit,
    ExitUnknownThoughSeen,
    LostThoughSeen,
    FalseClass,
    SpoolLeft,
    Twin,
    Orphan,
    Unjournalled,
    NeverEnded,
    TooEarly,
    TooLate,
    EndDatedLate,
    BreakerPassed,
    Disorder,
    ReplayDiffers,
}

/// All that a test found.
#[derive(Default)]
pub(crate) struct Found {
    wrong: Vec<(Wrong, String, String)>,
    figures: BTreeMap<&'static str, u64>,
    /// What is going on now, for those who read what was found.
    pub(crate) scene: String,
    who: &'static str,
    by_who: BTreeMap<&'static str, (u64, BTreeMap<Wrong, u64>)>,
    late_ms: Vec<u64>,
}

impl Found {
    /// The round that begins, and who dies in it.
    pub(crate) fn scene(&mut self, scene: String, who: &'static str) {
        self.scene = scene;
        self.who = who;
        self.by_who.entry(who).or_default().0 += 1;
    }

    pub(crate) fn wrong(&mut self, what: Wrong, evidence: String) {
        *self.by_who.entry(self.who).or_default().1.entry(what).or_default() += 1;
        // At once: a long run that is cut off has said what it knew.
        crate::say(&format!("WRONG {what:?} in {}\n    {evidence}\n", self.scene));
        self.wrong.push((what, self.scene.clone(), evidence));
    }

    pub(crate) fn count(&mut self, what: &'static str, by: u64) {
        *self.figures.entry(what).or_default() += by;
    }

    pub(crate) fn late(&mut self, ms: u64) {
        self.late_ms.push(ms);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }

    /// For people: figures, who died how often with what coming of it, and the first of each kind with its evidence.
    pub(crate) fn report(&self) -> String {
        let mut text = String::new();
        for (what, count) in &self.figures {
            let _ = writeln!(text, "{count:>12}  {what}");
        }
        let mut late = self.late_ms.clone();
        late.sort_unstable();
        if let (Some(most), Some(middle)) = (late.last(), late.get(late.len() / 2)) {
            let _ = writeln!(text, "{:>12}  deadlines; ms late, middle {middle}, most {most}", late.len());
        }
        for (who, (times, wrong)) in &self.by_who {
            let _ = write!(text, "{times:>6} times died: {who};");
            if wrong.is_empty() {
                let _ = write!(text, " nothing is wrong");
            }
            for (what, count) in wrong {
                let _ = write!(text, " {what:?} {count}");
            }
            text.push('\n');
        }
        let mut shown = BTreeMap::<Wrong, u32>::new();
        for (what, scene, evidence) in &self.wrong {
            let times = shown.entry(*what).or_default();
            *times += 1;
            if *times <= 4 {
                let _ = writeln!(text, "WRONG {what:?} in {scene}\n    {evidence}");
            }
        }
        text
    }
}
