//! Which parameters an attempt gets: what failures lowered, what success raises again, and what a probe asks for.

use super::{
    Change, Machine,
    adjust::{self, Adjusted, Raise, Step},
    saved,
    streak::Streak,
};
use crate::model::{
    Adjust, Event, OnFloor, ParamReason, ParamReasons, ParamSpec, ParamValue, Params, ProbeParams, Program,
    Put, RunId, Scope, Timestamp, render_key,
};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The failure, or the errors, for which parameters are adjusted.
#[derive(Clone, Copy)]
pub(super) struct Incident<'a> {
    pub(super) program: &'a Program,
    pub(super) base: &'a Params,
    pub(super) class: &'a str,
    pub(super) adjust: &'a BTreeMap<String, Adjust>,
}

/// Whether a parameter is to be adjusted for an incident.
enum Wish {
    Yes,
    /// The parameter was adjusted already, for errors of the attempt that ended now.
    Done,
    /// The run is over, and no other run has the parameter.
    Unneeded,
}

/// How long a shared value is kept that no run has used. Eight days: longer than the pause between two starts of a
/// weekly job. A run that comes later begins with what it asks for, as the first one did. Without an end, each value
/// that a host ever refused would be kept for ever, at a kilobyte.
pub(super) const UNUSED_MS: u64 = 8 * 24 * 3_600_000;

/// How precisely the time of a value's last use is saved: once a day costs nothing, while each end would be a write.
const USED_STEP_MS: u64 = 24 * 3_600_000;

/// The most values that are forgotten with one end, which takes some tens of microseconds. The rest follows with the
/// next end.
const FORGOTTEN_AT_ONCE: usize = 16;

/// Adjusted values that siblings share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    values: HashMap<String, Kept, RandomState>,
    /// All values, by the time at which it is checked whether they may be forgotten. An entry is not moved with each
    /// use, but at that time.
    idle: BTreeSet<(Timestamp, String)>,
}

/// A value, and its time in [`Shared::idle`].
#[derive(Clone, Debug)]
struct Kept {
    adjusted: Adjusted,
    looked_at: Timestamp,
}

/// Identifies a shared value: the siblings' key, a slash, and the parameter's name, which has no slash. One text,
/// because it is looked up and saved as a whole.
struct Path {
    text: String,
    key: usize,
}

impl Path {
    /// The path; `None` when the run shares the parameter with no other run.
    fn of(program: &Program, spec: &ParamSpec, name: &str, base: &Params) -> Option<Self> {
        let mut text = render_key(spec.adjust_scope.as_deref()?, &program.name, base)?;
        let key = text.len();
        text.reserve_exact(1 + name.len());
        text.push('/');
        text.push_str(name);
        Some(Self { text, key })
    }

    fn key(&self) -> &str {
        self.text.get(..self.key).unwrap_or_default()
    }
}

impl Shared {
    /// Adjusts the parameters that the class adjusts. A run that gives up still adjusts what it shares: its siblings
    /// go on.
    pub(super) fn adjust_all(
        &mut self,
        now: Timestamp,
        incident: &Incident<'_>,
        streak: &mut Streak,
        goes_on: bool,
    ) -> Change {
        // A parameter that was lowered for errors of this very attempt is not lowered again for its end.
        let mut seen = BTreeSet::new();
        for (name, adjusted) in streak.rest.get_mut().into_iter().flat_map(|rest| &mut rest.params) {
            if std::mem::take(&mut adjusted.inline) {
                seen.insert(name.clone());
            }
        }
        self.adjust_for(now, incident, streak, |name, shared| match (shared, goes_on) {
            (false, false) => Wish::Unneeded,
            (false, true) if seen.contains(name) => Wish::Done,
            _ => Wish::Yes,
        })
    }

    fn adjust_for(
        &mut self,
        now: Timestamp,
        incident: &Incident<'_>,
        streak: &mut Streak,
        wanted: impl Fn(&str, bool) -> Wish,
    ) -> Change {
        let mut change = Change::default();
        for (name, rule) in incident.adjust {
            let (Some(spec), Some(base)) = (incident.program.params.get(name), incident.base.get(name))
            else {
                continue;
            };
            let path = Path::of(incident.program, spec, name, incident.base);
            let kept = self.kept(path.as_ref(), Some(streak), name);
            let stays = |why: &str| {
                let value = adjust::effective(base, kept.map(|kept| &kept.value), spec);
                format!("{name} stays {value}: {why}")
            };
            match wanted(name, path.is_some()) {
                Wish::Yes => {}
                Wish::Unneeded => continue,
                Wish::Done => {
                    change.unchanged.push(stays("it was lowered for the same errors while it ran"));
                    continue;
                }
            }
            let (adjusted, event) = match adjust::step(base, kept, spec, *rule, now) {
                Step::Stay => {
                    let why = adjust::not_lowered_because(base, kept, spec, *rule, now);
                    change.unchanged.extend(why.map(|why| stays(&why)));
                    change.saved.extend(path.and_then(|path| self.used(now, &path)));
                    continue;
                }
                Step::Exhausted(adjusted) => {
                    let value = adjusted.value.clone();
                    (adjusted, Event::ParamExhausted { name: name.clone(), value })
                }
                Step::Move(mut adjusted) => {
                    let before = adjust::effective(base, kept.map(|kept| &kept.value), spec);
                    let why = lowered_because(incident.class, *rule, &adjusted, spec, path.as_ref());
                    let (from, to) = (before, adjusted.value.clone());
                    adjusted.note(ParamReason { from: from.clone(), to: to.clone(), why: why.clone() });
                    (adjusted, Event::ParamChanged { name: name.clone(), from, to, why })
                }
            };
            change.events.push((path.as_ref().map(|path| Scope(path.key().to_owned())), event));
            if let Some(path) = path {
                change.saved.push(self.keep(now, path.text, adjusted));
            } else {
                streak.rest.make().params.insert(name.clone(), adjusted);
            }
        }
        change
    }

    /// Evidence of health: moves what was lowered one step back towards what the run requested. The run's own
    /// parameters are in `streak`, where it goes on.
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
            let path = Path::of(program, spec, name, base);
            let Some(kept) = self.kept(path.as_ref(), streak.as_deref(), name) else { continue };
            let Some(mut raise) = adjust::recover(base_value, kept, spec, now) else {
                let why = adjust::not_raised_because(base_value, kept, spec, now);
                change.unchanged.extend(why.map(|why| format!("{name} stays {}: {why}", kept.value)));
                change.saved.extend(path.and_then(|path| self.used(now, &path)));
                continue;
            };
            let why = raised_because(&raise, spec, base_value, path.as_ref());
            let (from, to) = (kept.value.clone(), raise.value.clone());
            if let Some(adjusted) = &mut raise.adjusted {
                adjusted.note(ParamReason { from: from.clone(), to: to.clone(), why: why.clone() });
            }
            let event = Event::ParamChanged { name: name.clone(), from, to, why };
            change.events.push((path.as_ref().map(|path| Scope(path.key().to_owned())), event));
            if let Some(path) = path {
                change.saved.push(match raise.adjusted {
                    Some(adjusted) => self.keep(now, path.text, adjusted),
                    None => self.forget(&path.text),
                });
            } else if let Some(streak) = streak.as_deref_mut() {
                let params = &mut streak.rest.make().params;
                match raise.adjusted {
                    Some(adjusted) => drop(params.insert(name.clone(), adjusted)),
                    None => drop(params.remove(name)),
                }
            }
        }
        change
    }

    /// Brings back a saved value. Returns the state to save.
    pub(super) fn restore(&mut self, now: Timestamp, path: String, adjusted: Adjusted) -> Put {
        // Earlier versions did not save when a value was used.
        let used_at = adjusted.used_at.unwrap_or(now);
        self.keep(used_at, path, adjusted)
    }

    /// Keeps a value that was used now. Returns the state to save.
    fn keep(&mut self, now: Timestamp, path: String, mut adjusted: Adjusted) -> Put {
        adjusted.used_at = Some(now);
        let put = saved::put_shared(&path, Some(&adjusted));
        if let Some(kept) = self.values.get_mut(&path) {
            kept.adjusted = adjusted;
            return put;
        }
        let looked_at = now.plus(UNUSED_MS);
        self.idle.insert((looked_at, path.clone()));
        self.values.insert(path, Kept { adjusted, looked_at });
        put
    }

    fn forget(&mut self, path: &str) -> Put {
        if let Some((path, kept)) = self.values.remove_entry(path) {
            self.idle.remove(&(kept.looked_at, path));
        }
        // A table that is three quarters empty is larger than a burst of new values needs.
        if self.values.capacity() / 4 > self.values.len() {
            self.values.shrink_to(self.values.len() * 2);
        }
        saved::put_shared(path, None)
    }

    /// A run has used this value. Returns the state to save, if what is saved is old.
    fn used(&mut self, now: Timestamp, path: &Path) -> Option<Put> {
        let adjusted = &mut self.values.get_mut(&path.text)?.adjusted;
        if adjusted.used_at.is_some_and(|at| now.since(at) < USED_STEP_MS) {
            return None;
        }
        adjusted.used_at = Some(now);
        Some(saved::put_shared(&path.text, Some(adjusted)))
    }

    /// An attempt ended that ran with the shared values of this program. Those in `but` are left out: they are looked
    /// at anyway.
    pub(super) fn used_all(
        &mut self,
        now: Timestamp,
        program: &Program,
        base: &Params,
        but: Option<&BTreeMap<String, Adjust>>,
    ) -> Vec<Put> {
        if self.values.is_empty() {
            return Vec::new();
        }
        let wanted = |name: &str| but.is_none_or(|but| !but.contains_key(name));
        let specs = program.params.iter().filter(|(name, _)| wanted(name));
        let paths = specs.filter_map(|(name, spec)| Path::of(program, spec, name, base));
        paths.filter_map(|path| self.used(now, &path)).collect()
    }

    /// Whether some value is due to be looked at.
    pub(super) fn has_idle(&self, now: Timestamp) -> bool {
        self.idle.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Forgets values that no run has used for [`UNUSED_MS`]. Returns the state to save.
    pub(super) fn forget_unused(&mut self, now: Timestamp) -> Vec<Put> {
        let mut saved = Vec::new();
        for _ in 0..FORGOTTEN_AT_ONCE {
            if !self.has_idle(now) {
                break;
            }
            let Some((_, path)) = self.idle.pop_first() else { break };
            let Some(kept) = self.values.get_mut(&path) else { continue };
            let until = kept.adjusted.used_at.unwrap_or_default().plus(UNUSED_MS);
            if until > now {
                kept.looked_at = until;
                self.idle.insert((until, path));
            } else {
                saved.push(self.forget(&path));
            }
        }
        saved
    }

    /// Copies what a run of this program shares, and nothing else.
    pub(super) fn of(&self, program: &Program, base: &Params) -> Self {
        let paths = program.params.iter().filter_map(|(name, spec)| Path::of(program, spec, name, base));
        let known =
            paths.filter_map(|path| self.values.get(&path.text).map(|kept| (path.text, kept.clone())));
        Self { values: known.collect(), idle: BTreeSet::new() }
    }

    /// All values, by their paths.
    #[cfg(test)]
    pub(super) fn all(&self) -> BTreeMap<String, Adjusted> {
        self.values.iter().map(|(path, kept)| (path.clone(), kept.adjusted.clone())).collect()
    }

    fn kept<'a>(
        &'a self,
        path: Option<&Path>,
        streak: Option<&'a Streak>,
        name: &str,
    ) -> Option<&'a Adjusted> {
        match path {
            Some(path) => self.values.get(&path.text).map(|kept| &kept.adjusted),
            None => streak.and_then(|streak| streak.rest.get().params.get(name)),
        }
    }

    /// The first parameter that this failure finds at its floor, where that ends the run.
    pub(super) fn ends_at_floor<'a>(
        &self,
        incident: &Incident<'a>,
        streak: &Streak,
    ) -> Option<(&'a str, String)> {
        incident.adjust.iter().find_map(|(name, rule)| {
            let spec = incident.program.params.get(name).filter(|spec| spec.on_floor == OnFloor::GiveUp)?;
            let base = incident.base.get(name)?;
            let path = Path::of(incident.program, spec, name, incident.base);
            let kept = self.kept(path.as_ref(), Some(streak), name);
            let value = adjust::effective(base, kept.map(|kept| &kept.value), spec);
            adjust::ends_at_floor(base, kept, spec, *rule).then(|| (name.as_str(), value.to_string()))
        })
    }
}

impl Machine {
    /// A living attempt has shown a number of errors of a class: changes what the class adjusts now.
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
        let before = streak.rest.clone();
        let (_, adjust) = program.retry_terms(class);
        let incident = Incident { program, base, class, adjust };
        let mut change = self.shared.adjust_for(now, &incident, &mut streak, |_, _| Wish::Yes);
        let own_changed = streak.rest != before;
        if own_changed {
            for (name, adjusted) in streak.rest.get_mut().into_iter().flat_map(|rest| &mut rest.params) {
                adjusted.inline |= before.get().params.get(name) != Some(adjusted);
            }
            change.saved.push(saved::put_run(run, &streak));
        }
        if was_known || own_changed {
            self.streaks.insert(run, streak);
        }
        change
    }

    /// Why the parameters of an attempt that [`Self::prepare`] made differ from the requested ones.
    #[must_use]
    pub fn reasons(
        &self,
        run: RunId,
        program: &Program,
        base: &Params,
        effective: &Params,
        probe: Option<ProbeParams>,
    ) -> ParamReasons {
        let own = self.streaks.get(&run);
        let mut reasons = ParamReasons::new();
        for (name, value) in effective {
            let (Some(asked), Some(spec)) = (base.get(name), program.params.get(name)) else { continue };
            if value == asked {
                continue;
            }
            let kept = self.shared.kept(Path::of(program, spec, name, base).as_ref(), own, name);
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

    /// The parameters of the next attempt; `probe` is set when it probes a half-open breaker.
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
            let kept = self.shared.kept(Path::of(program, spec, name, base).as_ref(), own, name);
            *value = adjust::effective(value, kept.map(|kept| &kept.value), spec);
        }
        let wanted = |spec: &ParamSpec| match probe {
            None | Some(ProbeParams::Current) => None,
            Some(ProbeParams::Floor) => spec.floor(),
            Some(ProbeParams::Default) => spec.default.clone(),
        };
        // The other parameters say what is probed, such as the host: a probe of another host would prove nothing.
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

fn shared_by(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!("; shared by {}", path.key()))
}

fn lowered_because(
    class: &str,
    rule: Adjust,
    adjusted: &Adjusted,
    spec: &ParamSpec,
    path: Option<&Path>,
) -> String {
    let floor = match spec.floor() {
        Some(floor) if floor == adjusted.value => ", which is its floor".to_owned(),
        _ => String::new(),
    };
    let shared = shared_by(path);
    format!("{class}: {} gives {}{floor}{shared}", adjust::in_words(rule), adjusted.value)
}

fn raised_because(raise: &Raise, spec: &ParamSpec, base: &ParamValue, path: Option<&Path>) -> String {
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
    format!("success: {added} gives {}{rest}{}", raise.value, shared_by(path))
}
