//! Which parameters an attempt gets: what failures lowered, what success raises again, and what a probe asks for.

use super::{
    Change, End, Machine,
    adjust::{self, Adjusted, Raise, Step},
    judge::Failure,
    saved,
    streak::Streak,
};
use crate::model::{
    Adjust, Event, OnFloor, ParamReason, ParamReasons, ParamSpec, ParamValue, Params, ProbeParams, Program,
    RunId, Scope, Timestamp, render_key,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The failure, or the errors, that parameters are adjusted for.
struct Incident<'a> {
    program: &'a Program,
    base: &'a Params,
    class: &'a str,
    adjust: &'a BTreeMap<String, Adjust>,
}

/// Adjusted values that siblings share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// By the siblings' key, then by parameter: few share more than one, and so a list is shorter than a table.
    values: HashMap<String, Vec<(String, Adjusted)>>,
}

impl Shared {
    /// Adjusts what the class adjusts. A run that gives up still adjusts what it shares: its siblings go on.
    pub(super) fn adjust_all(
        &mut self,
        now: Timestamp,
        end: End<'_>,
        failure: &Failure<'_>,
        streak: &mut Streak,
        goes_on: bool,
    ) -> Change {
        // What fell for errors of this very attempt does not fall again for its end.
        let mut seen = BTreeSet::new();
        for (name, adjusted) in &mut streak.params {
            if std::mem::take(&mut adjusted.inline) {
                seen.insert(name.clone());
            }
        }
        let incident =
            Incident { program: end.program, base: end.base, class: failure.class, adjust: failure.adjust };
        self.adjust_for(now, &incident, streak, |name, shared| shared || (goes_on && !seen.contains(name)))
    }

    fn adjust_for(
        &mut self,
        now: Timestamp,
        incident: &Incident<'_>,
        streak: &mut Streak,
        wanted: impl Fn(&str, bool) -> bool,
    ) -> Change {
        let mut change = Change::default();
        for (name, rule) in incident.adjust {
            let (Some(spec), Some(base)) = (incident.program.params.get(name), incident.base.get(name))
            else {
                continue;
            };
            let key = shared_key(spec, incident.base);
            if !wanted(name, key.is_some()) {
                continue;
            }
            let kept = self.kept(key.as_deref(), Some(streak), name);
            let before = adjust::effective(base, kept.map(|kept| &kept.value), spec);
            let (adjusted, event) = match adjust::step(base, kept, spec, *rule, now) {
                Step::Stay => continue,
                Step::Exhausted(adjusted) => {
                    let value = adjusted.value.clone();
                    (adjusted, Event::ParamExhausted { name: name.clone(), value })
                }
                Step::Move(mut adjusted) => {
                    let why = lowered_because(incident.class, *rule, &adjusted, spec, key.as_deref());
                    let (from, to) = (before, adjusted.value.clone());
                    adjusted.note(ParamReason { from: from.clone(), to: to.clone(), why: why.clone() });
                    (adjusted, Event::ParamChanged { name: name.clone(), from, to, why })
                }
            };
            change.events.push((key.clone().map(Scope), event));
            if let Some(key) = key {
                change.saved.push(saved::put_shared(&key, name, Some(&adjusted)));
                self.keep(key, name, adjusted);
            } else {
                streak.params.insert(name.clone(), adjusted);
            }
        }
        change
    }

    /// Evidence of health: what was lowered gets a step back towards what the run asked for. The run's own parameters
    /// are in `streak`, where it goes on.
    pub(super) fn recover_all(
        &mut self,
        now: Timestamp,
        program: &Program,
        base: &Params,
        mut streak: Option<&mut Streak>,
    ) -> Change {
        let mut change = Change::default();
        for (name, spec) in &program.params {
            let Some(base_value) = base.get(name) else { continue };
            let key = shared_key(spec, base);
            let Some(kept) = self.kept(key.as_deref(), streak.as_deref(), name) else { continue };
            let Some(mut raise) = adjust::recover(base_value, kept, spec, now) else { continue };
            let why = raised_because(&raise, spec, base_value, key.as_deref());
            let (from, to) = (kept.value.clone(), raise.value.clone());
            if let Some(adjusted) = &mut raise.adjusted {
                adjusted.note(ParamReason { from: from.clone(), to: to.clone(), why: why.clone() });
            }
            let event = Event::ParamChanged { name: name.clone(), from, to, why };
            change.events.push((key.clone().map(Scope), event));
            if let Some(key) = key {
                change.saved.push(saved::put_shared(&key, name, raise.adjusted.as_ref()));
                match raise.adjusted {
                    Some(adjusted) => self.keep(key, name, adjusted),
                    None => self.forget(&key, name),
                }
            } else if let Some(streak) = streak.as_deref_mut() {
                match raise.adjusted {
                    Some(adjusted) => drop(streak.params.insert(name.clone(), adjusted)),
                    None => drop(streak.params.remove(name)),
                }
            }
        }
        change
    }

    /// Keeps a value in place of the one before.
    pub(super) fn keep(&mut self, key: String, name: &str, adjusted: Adjusted) {
        let params = self.values.entry(key).or_default();
        match params.iter_mut().find(|(kept, _)| kept == name) {
            Some((_, kept)) => *kept = adjusted,
            None => params.push((name.to_owned(), adjusted)),
        }
    }

    fn forget(&mut self, key: &str, name: &str) {
        if let Some(params) = self.values.get_mut(key) {
            params.retain(|(kept, _)| kept != name);
            if params.is_empty() {
                self.values.remove(key);
            }
        }
    }

    fn find(&self, key: &str, name: &str) -> Option<&Adjusted> {
        self.values.get(key)?.iter().find(|(kept, _)| kept == name).map(|(_, adjusted)| adjusted)
    }

    /// What these siblings share, and nothing else.
    pub(super) fn of(&self, keys: impl Iterator<Item = String>) -> Self {
        Self {
            values: keys
                .filter_map(|key| self.values.get(&key).cloned().map(|values| (key, values)))
                .collect(),
        }
    }

    /// Everything, by the siblings' key.
    #[cfg(test)]
    pub(super) const fn all(&self) -> &HashMap<String, Vec<(String, Adjusted)>> {
        &self.values
    }

    fn kept<'a>(&'a self, key: Option<&str>, streak: Option<&'a Streak>, name: &str) -> Option<&'a Adjusted> {
        match key {
            Some(key) => self.find(key, name),
            None => streak.and_then(|streak| streak.params.get(name)),
        }
    }

    /// The first parameter that this failure finds at its floor, where that ends the run.
    pub(super) fn ends_at_floor<'a>(
        &self,
        end: End<'_>,
        failure: &'a Failure<'_>,
        streak: &Streak,
    ) -> Option<(&'a str, String)> {
        failure.adjust.iter().find_map(|(name, rule)| {
            let spec = end.program.params.get(name).filter(|spec| spec.on_floor == OnFloor::GiveUp)?;
            let base = end.base.get(name)?;
            let key = shared_key(spec, end.base);
            let kept = self.kept(key.as_deref(), Some(streak), name);
            let value = adjust::effective(base, kept.map(|kept| &kept.value), spec);
            adjust::ends_at_floor(base, kept, spec, *rule).then(|| (name.as_str(), value.to_string()))
        })
    }
}

impl Machine {
    /// So many errors of a class while the attempt lives: what the class adjusts changes now.
    pub fn adjust(
        &mut self,
        now: Timestamp,
        run: RunId,
        program: &Program,
        base: &Params,
        class: &str,
    ) -> Change {
        let known = self.streaks.remove(&run);
        let was_known = known.is_some();
        let mut streak = known.unwrap_or_default();
        let before = streak.params.clone();
        let (_, adjust) = program.retry_terms(class);
        let incident = Incident { program, base, class, adjust };
        let mut change = self.shared.adjust_for(now, &incident, &mut streak, |_, _| true);
        let own_changed = streak.params != before;
        if own_changed {
            for (name, adjusted) in &mut streak.params {
                adjusted.inline |= before.get(name) != Some(adjusted);
            }
            change.saved.push(saved::put_run(run, &streak));
        }
        if was_known || own_changed {
            self.streaks.insert(run, streak);
        }
        change
    }

    /// Why the parameters of an attempt that [`Self::prepare`] made are not as asked for.
    #[must_use]
    pub fn reasons(
        &self,
        run: RunId,
        program: &Program,
        base: &Params,
        effective: &Params,
        probe: Option<ProbeParams>,
    ) -> ParamReasons {
        let own = self.streaks.get(&run).map(|own| &**own);
        let mut reasons = ParamReasons::new();
        for (name, value) in effective {
            let (Some(asked), Some(spec)) = (base.get(name), program.params.get(name)) else { continue };
            if value == asked {
                continue;
            }
            let kept = self.shared.kept(shared_key(spec, base).as_deref(), own, name);
            let mut chain = kept.map(|kept| kept.chain.clone()).unwrap_or_default();
            let adjusted = adjust::effective(asked, kept.map(|kept| &kept.value), spec);
            if let Some(probe) = probe.filter(|_| adjusted != *value) {
                let why = format!("a probe of a half-open breaker: half_open.params = \"{}\"", probe.name());
                chain.push(ParamReason { from: adjusted, to: value.clone(), why });
            }
            reasons.insert(name.clone(), chain);
        }
        reasons
    }

    /// The parameters of the next attempt; `probe` when it probes a half-open breaker.
    #[must_use]
    pub fn prepare(
        &self,
        run: RunId,
        program: &Program,
        base: &Params,
        probe: Option<ProbeParams>,
    ) -> Params {
        let own = self.streaks.get(&run);
        let mut params = base.clone();
        for (name, value) in &mut params {
            let Some(spec) = program.params.get(name) else { continue };
            let kept = self.shared.kept(shared_key(spec, base).as_deref(), own.map(|own| &**own), name);
            *value = adjust::effective(value, kept.map(|kept| &kept.value), spec);
        }
        let wanted = |spec: &ParamSpec| match probe {
            None | Some(ProbeParams::Current) => None,
            Some(ProbeParams::Floor) => spec.floor(),
            Some(ProbeParams::Default) => spec.default.clone(),
        };
        // The others say what is probed, such as the host: a probe of another host would prove nothing.
        for name in program.classes.values().flat_map(|class| class.adjust.keys()) {
            if let Some(value) = params.get_mut(name)
                && let Some(wanted) = program.params.get(name).and_then(wanted)
            {
                *value = wanted;
            }
        }
        params
    }
}

/// The key under which siblings share the parameter, if they do.
fn shared_key(spec: &ParamSpec, base: &Params) -> Option<String> {
    spec.adjust_scope.as_deref().and_then(|key| render_key(key, base))
}

fn shared_by(key: Option<&str>) -> String {
    key.map_or_else(String::new, |key| format!("; shared by {key}"))
}

fn lowered_because(
    class: &str,
    rule: Adjust,
    adjusted: &Adjusted,
    spec: &ParamSpec,
    key: Option<&str>,
) -> String {
    let floor = match spec.floor() {
        Some(floor) if floor == adjusted.value => ", which is its floor".to_owned(),
        _ => String::new(),
    };
    let shared = shared_by(key);
    format!("{class}: {} gives {}{floor}{shared}", adjust::in_words(rule), adjusted.value)
}

fn raised_because(raise: &Raise, spec: &ParamSpec, base: &ParamValue, key: Option<&str>) -> String {
    let added = adjust::increase(spec, raise.add_micros);
    let rest = match &raise.avoided {
        Some(bad) if spec.is_ladder() => format!(", below {bad}, which was too much not long ago"),
        Some(bad) => format!(", to nine tenths of {bad}, which was too much not long ago"),
        None if spec.position(&raise.value) == spec.position(base) => {
            ", which is what was asked for".to_owned()
        }
        None if spec.is_ladder() => format!(", on the way to the {base} that was asked for"),
        None => format!(" of the {base} that was asked for"),
    };
    format!("success: {added} gives {}{rest}{}", raise.value, shared_by(key))
}
