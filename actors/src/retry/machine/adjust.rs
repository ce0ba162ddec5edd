//! Parameters that change after failures: fewer queries per interval when the other side says "too many".
//!
//! All arithmetic is on where a value stands (`ParamSpec::position`): millionths of the parameter's unit in 128 bits,
//! so nothing overflows and nothing rounds by accident, and a choice stands at its place in the list. A decrease
//! rounds down and moves by at least one unit, because a value that multiplication no longer moves would repeat the
//! same failure for ever. The way back is additive and slow, and rounds up: a value that was found by halving is lost
//! again by doubling.

use crate::model::{
    Adjust, ClockShift, Decimal, OnFloor, ParamReason, ParamSpec, ParamValue, Timestamp, format_duration_ms,
    say_duration_ms,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of changes that are kept with a value. It takes seven halvings from a hundred to one, and all are saved
/// with each change; older changes are dropped.
const CHAIN: usize = 8;

/// An adjusted value, of one run or shared by siblings. Saved by position, not by name: a new field goes to the end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Adjusted {
    /// The value in force.
    pub(super) value: ParamValue,
    /// When the value was last lowered, or last found to be at its floor: both begin a cooldown, and hold back the
    /// way up.
    pub(super) lowered_at: Option<Timestamp>,
    /// When a success last raised it.
    #[serde(default)]
    pub(super) raised_at: Option<Timestamp>,
    /// The value before the last decrease, and the time of that decrease: bad, as far as we know.
    #[serde(default)]
    pub(super) last_bad: Option<(ParamValue, Timestamp)>,
    /// How the value came from the requested one to the present one: the latest changes, oldest first.
    #[serde(default)]
    pub(super) chain: Vec<ParamReason>,
    /// Whether the value was lowered for errors of an attempt that still lives: the end of that attempt is the same
    /// incident.
    #[serde(default)]
    pub(super) inline: bool,
    /// When a run last used the value, where it is shared; precise to the day.
    #[serde(default)]
    pub(super) used_at: Option<Timestamp>,
}

impl Adjusted {
    /// Adds a change to the chain.
    pub(super) fn note(&mut self, reason: ParamReason) {
        if self.chain.len() == CHAIN {
            self.chain.remove(0);
        }
        self.chain.push(reason);
    }

    /// Moves the times to the present clock; none is later than `now`.
    pub(super) fn wake(&mut self, now: Timestamp, shift: ClockShift) {
        for at in [&mut self.lowered_at, &mut self.raised_at, &mut self.used_at] {
            *at = at.map(|at| shift.apply(at).min(now));
        }
        if let Some((_, at)) = &mut self.last_bad {
            *at = shift.apply(*at).min(now);
        }
    }
}

/// What one failure does to one parameter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The value stays: it is no number, there is nothing to change, or the last decrease is so recent that this
    /// failure is the same incident.
    Stay,
    /// The value changes; the new one is to be kept.
    Move(Adjusted),
    /// The value is at its floor and the failures go on; the time at which this was said is to be kept.
    Exhausted(Adjusted),
}

/// The value that an attempt gets: the smaller of the requested value and the adjusted one, not below the floor.
/// Values without an order are as requested.
#[must_use]
pub(super) fn effective(base: &ParamValue, adjusted: Option<&ParamValue>, spec: &ParamSpec) -> ParamValue {
    let Some(asked) = spec.position(base) else { return base.clone() };
    let at = stands_at(asked, adjusted, spec);
    // The requested value stays as it was written down.
    if at >= asked { base.clone() } else { spec.value_at(at).unwrap_or_else(|| base.clone()) }
}

/// The position of that value, between the floor and the requested value.
fn stands_at(asked: i128, adjusted: Option<&ParamValue>, spec: &ParamSpec) -> i128 {
    let Some(at) = adjusted.and_then(|value| spec.position(value)) else { return asked };
    // A sibling of another program may have a lower floor.
    floor_of(spec).map_or(at, |floor| at.max(floor)).min(asked)
}

fn floor_of(spec: &ParamSpec) -> Option<i128> {
    if spec.is_ladder() { spec.position(&spec.floor()?) } else { spec.position(spec.min.as_ref()?) }
}

/// Returns what a failure at `now` makes of a parameter whose run requested `base`, and whose adjusted value is
/// `kept`.
#[must_use]
pub(super) fn step(
    base: &ParamValue,
    kept: Option<&Adjusted>,
    spec: &ParamSpec,
    rule: Adjust,
    now: Timestamp,
) -> Step {
    let Some(asked) = spec.position(base) else { return Step::Stay };
    let kept_value = kept.map(|kept| &kept.value);
    let at = stands_at(asked, kept_value, spec);
    let lowered_at = kept.and_then(|kept| kept.lowered_at);
    if rule.lowers(at) && lowered_at.is_some_and(|then| now.since(then) < spec.cooldown_ms()) {
        return Step::Stay;
    }
    let grain = spec.grain();
    let target = match rule {
        Adjust::Multiply { permille } => at * i128::from(permille) / 1_000,
        Adjust::Add { micros } => at + i128::from(micros),
        Adjust::Set { micros } => i128::from(micros),
        Adjust::Step { steps } => at + i128::from(steps) * grain,
    };
    if rule.lowers(at) {
        let current = effective(base, kept_value, spec);
        return lower(current, (at, target), kept, spec, now);
    }
    let ceiling = spec.max.as_ref().and_then(|max| spec.position(max)).map_or(asked, |max| max.min(asked));
    let whole = (target + grain - 1).div_euclid(grain) * grain;
    let raised = whole.min(ceiling);
    let Some(value) = spec.value_at(raised).filter(|_| raised > at) else { return Step::Stay };
    let last_bad = kept.and_then(|kept| kept.last_bad.clone());
    let chain = kept.map(|kept| kept.chain.clone()).unwrap_or_default();
    Step::Move(Adjusted {
        value,
        lowered_at,
        raised_at: Some(now),
        last_bad,
        chain,
        inline: false,
        used_at: None,
    })
}

/// Makes one step down from `current`, which stands at `at`, towards `target`.
fn lower(
    current: ParamValue,
    (at, target): (i128, i128),
    kept: Option<&Adjusted>,
    spec: &ParamSpec,
    now: Timestamp,
) -> Step {
    let grain = spec.grain();
    // Without a floor of its own a value stops at zero: halving must not make it negative.
    let floor = floor_of(spec).unwrap_or(if at >= 0 { 0 } else { i128::from(i64::MIN) * grain });
    let chain = kept.map(|kept| kept.chain.clone()).unwrap_or_default();
    if at <= floor {
        let (raised_at, last_bad) = kept.map_or((None, None), |kept| (kept.raised_at, kept.last_bad.clone()));
        let (value, lowered_at) = (current, Some(now));
        return Step::Exhausted(Adjusted {
            value,
            lowered_at,
            raised_at,
            last_bad,
            chain,
            inline: false,
            used_at: None,
        });
    }
    let whole = target.div_euclid(grain) * grain;
    let moved = spec.value_at(whole.min(at - grain).max(floor)).filter(|_| target != at);
    let Some(value) = moved else { return Step::Stay };
    let last_bad = Some((current, now));
    Step::Move(Adjusted {
        value,
        lowered_at: Some(now),
        raised_at: None,
        last_bad,
        chain,
        inline: false,
        used_at: None,
    })
}

/// Why a failure at `now` leaves a parameter as it is although its class lowers it, as the continuation of "it stays
/// so"; `None` when the failure lowers it.
#[must_use]
pub(super) fn not_lowered_because(
    base: &ParamValue,
    kept: Option<&Adjusted>,
    spec: &ParamSpec,
    rule: Adjust,
    now: Timestamp,
) -> Option<String> {
    let at = stands_at(spec.position(base)?, kept.map(|kept| &kept.value), spec);
    let ago_ms = kept.and_then(|kept| kept.lowered_at).map(|then| now.since(then));
    let cooldown_ms = spec.cooldown_ms();
    let ago_ms = ago_ms.filter(|ago_ms| rule.lowers(at) && *ago_ms < cooldown_ms)?;
    if floor_of(spec).is_some_and(|floor| at <= floor) {
        return Some("that is its floor".to_owned());
    }
    let (ago, cooldown) = (say_duration_ms(ago_ms), format_duration_ms(cooldown_ms));
    Some(format!(
        "it was lowered {ago} ago, and within adjust_cooldown = {cooldown} that counts as the same incident"
    ))
}

/// Why a success at `now` leaves a parameter lowered, as the continuation of "it stays so"; `None` when the success
/// raises it or there is nothing to raise.
#[must_use]
pub(super) fn not_raised_because(
    base: &ParamValue,
    kept: &Adjusted,
    spec: &ParamSpec,
    now: Timestamp,
) -> Option<String> {
    let (at, asked) = (spec.position(&kept.value)?, spec.position(base)?);
    if at >= asked || recover(base, kept, spec, now).is_some() {
        return None;
    }
    let Some(rule) = spec.restore else { return Some("restore = false keeps it there".to_owned()) };
    let waits = |since: Option<Timestamp>, ms: u64| {
        let ago_ms = now.since(since?);
        (ago_ms < ms).then(|| (say_duration_ms(ago_ms), format_duration_ms(ms)))
    };
    Some(if let Some((ago, hold)) = waits(kept.lowered_at, rule.hold_ms) {
        format!("it was lowered {ago} ago, and restore.hold = {hold} is not over")
    } else if let Some((ago, every)) = waits(kept.raised_at.max(kept.lowered_at), rule.every_ms) {
        format!("it changed {ago} ago, and goes up once in restore.every = {every}")
    } else if let Some((bad, _)) = &kept.last_bad {
        format!("{bad} was too much not long ago")
    } else {
        "there is no value between it and what was asked for".to_owned()
    })
}

/// Whether a failure that these rules answer finds a parameter at its floor, and the rules say that the run gives up
/// then. A cooldown does not matter: the floor is too much whatever happened of late.
#[must_use]
pub(super) fn ends_at_floor(
    base: &ParamValue,
    kept: Option<&Adjusted>,
    spec: &ParamSpec,
    rule: Adjust,
) -> bool {
    if spec.on_floor != OnFloor::GiveUp {
        return false;
    }
    let kept = kept.map(|kept| Adjusted { lowered_at: None, ..kept.clone() });
    matches!(step(base, kept.as_ref(), spec, rule, Timestamp::default()), Step::Exhausted(_))
}

/// What a success at `now` makes of an adjusted value: higher, by one step of the way back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Raise {
    /// The value to be kept; `None` when it is what the run requested and there is no value left to avoid.
    pub(super) adjusted: Option<Adjusted>,
    /// The new value.
    pub(super) value: ParamValue,
    /// The most by which this step might have raised the value, in millionths of its unit.
    pub(super) add_micros: i128,
    /// The last bad value, where it stopped the raise short: at nine tenths of it, or one step below.
    pub(super) avoided: Option<ParamValue>,
}

/// Raises a value after a success at `now` of a run that requested `base`; `None` when the value stays. The result is
/// never above `base`. A value that other runs raised above `base` stays theirs.
#[must_use]
pub(super) fn recover(base: &ParamValue, kept: &Adjusted, spec: &ParamSpec, now: Timestamp) -> Option<Raise> {
    let rule = spec.restore?;
    let (at, asked) = (spec.position(&kept.value)?, spec.position(base)?);
    let waits = |since: Option<Timestamp>, ms: u64| since.is_some_and(|then| now.since(then) < ms);
    let changed = kept.raised_at.max(kept.lowered_at);
    if at >= asked || waits(kept.lowered_at, rule.hold_ms) || waits(changed, rule.every_ms) {
        return None;
    }
    let grain = spec.grain();
    let up = |micros: i128| (micros + grain - 1).div_euclid(grain) * grain;
    // A tenth of a position in a list means nothing.
    let usual = if spec.is_ladder() { grain } else { asked.abs() / 10 };
    let add_micros = up(rule.add_micros.map_or(usual, i128::from)).max(grain);
    let bad = kept.last_bad.as_ref().filter(|(_, since)| now.since(*since) < rule.avoid_ms);
    let cap = bad.and_then(|(bad, _)| spec.position(bad)).map(|bad| {
        let cap = if bad > 0 && !spec.is_ladder() { bad * 9 / 10 } else { bad - grain };
        cap.div_euclid(grain) * grain
    });
    let free = up(at + add_micros).min(asked);
    let raised = cap.map_or(free, |cap| free.min(cap));
    let value = spec.value_at(raised).filter(|_| raised > at)?;
    let whole = raised == asked && bad.is_none();
    let adjusted = (!whole).then(|| Adjusted { value: value.clone(), raised_at: Some(now), ..kept.clone() });
    let avoided = cap.filter(|cap| *cap < free).and(bad).map(|(bad, _)| bad.clone());
    Some(Raise { adjusted, value, add_micros, avoided })
}

/// An amount in words, as it would be written for this parameter: `plus 10`, `1 step up`.
#[must_use]
pub(super) fn increase(spec: &ParamSpec, micros: i128) -> String {
    match spec.value_at(micros).filter(|_| !spec.is_ladder()) {
        Some(amount) => format!("plus {amount}"),
        None => steps(micros / spec.grain(), "up"),
    }
}

fn steps(count: impl fmt::Display, way: &str) -> String {
    let count = count.to_string();
    let noun = if count == "1" { "step" } else { "steps" };
    format!("{count} {noun} {way}")
}

/// The rule in words: `times 0.5`, `minus 10`, `set to 10`, `1 step down`.
#[must_use]
pub(super) fn in_words(rule: Adjust) -> String {
    let decimal = |micros: i64| Decimal { micros };
    match rule {
        Adjust::Multiply { permille } => format!("times {}", decimal(i64::from(permille) * 1_000)),
        Adjust::Add { micros } if micros < 0 => format!("minus {}", decimal(micros.saturating_neg())),
        Adjust::Add { micros } => format!("plus {}", decimal(micros)),
        Adjust::Set { micros } => format!("set to {}", decimal(micros)),
        Adjust::Step { steps: by } => steps(by.unsigned_abs(), if by < 0 { "down" } else { "up" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HALVE: Adjust = Adjust::Multiply { permille: 500 };

    fn qpi() -> ParamSpec {
        ParamSpec::integer("qpi").range(10..=200).adjust_cooldown_ms(60_000)
    }

    fn at(value: i64, lowered_at: u64) -> Adjusted {
        let lowered_at = Some(Timestamp(lowered_at));
        let (value, chain) = (value.into(), Vec::new());
        Adjusted { value, lowered_at, raised_at: None, last_bad: None, chain, inline: false, used_at: None }
    }

    /// The value that a step leads to, and the time of its last decrease.
    #[track_caller]
    fn after(step: Step) -> (ParamValue, Option<u64>) {
        match step {
            Step::Move(next) => (next.value, next.lowered_at.map(|at| at.0)),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn moved(spec: &ParamSpec, from: impl Into<ParamValue>, rule: Adjust) -> ParamValue {
        let from = from.into();
        match step(&from, None, spec, rule, Timestamp(1)) {
            Step::Move(adjusted) => adjusted.value,
            Step::Stay => panic!("{from} stays"),
            Step::Exhausted(_) => panic!("{from} is exhausted"),
        }
    }

    #[test]
    fn halving_stops_at_the_floor_and_then_says_so_once_per_cooldown() {
        let (base, spec) = (ParamValue::Integer(100), qpi());
        let (mut kept, mut values, mut now) = (None::<Adjusted>, Vec::new(), 0);
        for _ in 0..6 {
            now += 60_000;
            match step(&base, kept.as_ref(), &spec, HALVE, Timestamp(now)) {
                Step::Move(next) => {
                    values.push(next.value.to_string());
                    kept = Some(next);
                }
                Step::Exhausted(next) => {
                    values.push("exhausted".into());
                    assert_eq!(
                        step(&base, Some(&next), &spec, HALVE, Timestamp(now + 59_999)),
                        Step::Stay,
                        "once per cooldown"
                    );
                    kept = Some(next);
                }
                Step::Stay => values.push("stay".into()),
            }
        }
        assert_eq!(values, ["50", "25", "12", "10", "exhausted", "exhausted"]);
    }

    #[test]
    fn one_incident_lowers_once() {
        let (base, spec) = (ParamValue::Integer(100), qpi());
        assert_eq!(step(&base, Some(&at(50, 1_000)), &spec, HALVE, Timestamp(60_999)), Step::Stay);
        let later = step(&base, Some(&at(50, 1_000)), &spec, HALVE, Timestamp(61_000));
        assert_eq!(after(later), (25.into(), Some(61_000)));
    }

    #[test]
    fn a_value_of_one_run_falls_at_each_failure_and_a_shared_one_once_a_minute() {
        let base = ParamValue::Integer(100);
        let own = ParamSpec::integer("qpi");
        let shared = ParamSpec::integer("qpi").adjust_scope("site:{host}");
        let soon = Timestamp(1_001);
        assert_eq!(after(step(&base, Some(&at(50, 1_000)), &own, HALVE, soon)), (25.into(), Some(1_001)));
        assert_eq!(step(&base, Some(&at(50, 1_000)), &shared, HALVE, soon), Step::Stay);
    }

    #[test]
    fn every_kind_of_number_is_lowered_by_at_least_one_unit() {
        let free = ParamSpec::integer("n");
        assert_eq!(moved(&free, 3, Adjust::Multiply { permille: 999 }), 2.into());
        assert_eq!(moved(&free, 1, HALVE), 0.into());
        assert_eq!(moved(&free, -3, Adjust::Add { micros: -300_000 }), (-4).into());
        assert_eq!(moved(&qpi(), 100, Adjust::Set { micros: 10_000_000 }), 10.into());
        assert_eq!(moved(&qpi(), 100, Adjust::Set { micros: 0 }), 10.into());
        let rate = ParamSpec::decimal("rate");
        let half = ParamValue::Decimal(Decimal { micros: 500_000 });
        assert_eq!(moved(&rate, half, HALVE).to_string(), "0.25");
        let pause = ParamSpec::duration("pause");
        assert_eq!(moved(&pause, ParamValue::DurationMs(5_000), HALVE).to_string(), "2s500ms");
    }

    #[test]
    fn a_raise_ends_at_what_the_run_asked_for() {
        let (base, spec) = (ParamValue::Integer(100), qpi());
        let raise = Adjust::Add { micros: 30_000_000 };
        assert_eq!(after(step(&base, Some(&at(50, 1)), &spec, raise, Timestamp(2))), (80.into(), Some(1)));
        assert_eq!(after(step(&base, Some(&at(80, 1)), &spec, raise, Timestamp(2))), (100.into(), Some(1)));
        assert_eq!(step(&base, Some(&at(100, 1)), &spec, raise, Timestamp(2)), Step::Stay);
    }

    #[test]
    fn text_is_never_adjusted() {
        let spec = ParamSpec::string("host");
        assert_eq!(step(&"shop".into(), None, &spec, HALVE, Timestamp(1)), Step::Stay);
        assert_eq!(effective(&"shop".into(), Some(&5.into()), &spec), "shop".into());
    }

    fn pace() -> ParamSpec {
        ParamSpec::choice("pace", ["crawl", "walk", "run", "fly"])
    }

    #[test]
    fn a_ladder_is_stepped_down_to_its_first_choice_and_not_above_what_was_asked_for() {
        let down = |steps| Adjust::Step { steps };
        assert_eq!(moved(&pace(), "fly", down(-1)), "run".into());
        assert_eq!(moved(&pace(), "fly", down(-2)), "walk".into());
        assert_eq!(moved(&pace(), "walk", down(-9)), "crawl".into());
        assert_eq!(moved(&pace(), "fly", down(i32::MIN)), "crawl".into());
        let base = "run".into();
        let floor = step(&"crawl".into(), None, &pace(), down(-1), Timestamp(1));
        assert!(matches!(floor, Step::Exhausted(_)), "{floor:?}");
        let at_walk = Adjusted { value: "walk".into(), ..at(0, 1) };
        let up = step(&base, Some(&at_walk), &pace(), down(i32::MAX), Timestamp(2));
        assert_eq!(after(up), ("run".into(), Some(1)));
        assert_eq!(step(&base, None, &pace(), down(1), Timestamp(2)), Step::Stay);
    }

    #[test]
    fn siblings_on_a_ladder_step_down_once_for_one_incident() {
        let spec = pace().adjust_scope("site:{host}");
        let kept = Adjusted { value: "run".into(), ..at(0, 1_000) };
        let down = |now| step(&"fly".into(), Some(&kept), &spec, Adjust::Step { steps: -1 }, Timestamp(now));
        assert_eq!(down(60_999), Step::Stay);
        assert_eq!(after(down(61_000)), ("walk".into(), Some(61_000)));
    }

    #[test]
    fn a_choice_of_siblings_that_this_program_has_not_changes_nothing() {
        let swim = "swim".into();
        assert_eq!(effective(&"fly".into(), Some(&swim), &pace()), "fly".into());
        let kept = Adjusted { value: swim, ..at(0, 1) };
        assert_eq!(recover(&"fly".into(), &kept, &pace(), Timestamp(u64::MAX)), None);
    }

    #[test]
    fn a_value_that_was_saved_and_read_back_is_adjusted_as_before() {
        let read_back = |value: &ParamValue| -> ParamValue {
            let bytes = serde_json::to_vec(value).unwrap_or_default();
            serde_json::from_slice(&bytes).unwrap_or_else(|_| "unread".into())
        };
        let decimal = |micros| ParamValue::Decimal(Decimal { micros });
        for (spec, base, value, halved) in [
            (
                ParamSpec::duration("wait"),
                ParamValue::DurationMs(8_000),
                ParamValue::DurationMs(5_000),
                ParamValue::DurationMs(2_500),
            ),
            (ParamSpec::decimal("rate"), decimal(8_000_000), decimal(5_000_000), decimal(2_500_000)),
        ] {
            let kept = Adjusted { value: read_back(&value), ..at(0, 1) };
            assert_eq!(effective(&base, Some(&kept.value), &spec), value);
            assert_eq!(after(step(&base, Some(&kept), &spec, HALVE, Timestamp(2))), (halved, Some(2)));
            assert_eq!(effective(&read_back(&base), Some(&base), &spec), read_back(&base), "as written down");
        }
    }

    #[test]
    fn the_smaller_of_base_and_adjusted_is_effective() {
        for (base, adjusted, effective_value) in [(100, 50, 50), (30, 50, 30), (100, 5, 10)] {
            assert_eq!(effective(&base.into(), Some(&adjusted.into()), &qpi()), effective_value.into());
        }
    }

    proptest! {
        #[test]
        fn values_stay_between_floor_and_base_and_fall_once_per_cooldown(
            base in 10..=200i64,
            moves in proptest::collection::vec((0..3u8, -2_000..2_000i64, 0..90_000u64), 1..60),
        ) {
            let (spec, base) = (qpi(), ParamValue::Integer(base));
            let (mut kept, mut now, mut lowered): (Option<Adjusted>, _, Option<u64>) = (None, 0, None);
            for (kind, amount, gap) in moves {
                now += gap;
                let rule = match kind {
                    0 => Adjust::Multiply { permille: u32::try_from(amount.abs()).unwrap() },
                    1 => Adjust::Add { micros: amount * 100_000 },
                    _ => Adjust::Set { micros: amount * 1_000_000 },
                };
                let before = effective(&base, kept.as_ref().map(|k| &k.value), &spec);
                match step(&base, kept.as_ref(), &spec, rule, Timestamp(now)) {
                    Step::Move(next) => {
                        prop_assert_ne!(&next.value, &before);
                        if next.value.as_micros() < before.as_micros() {
                            prop_assert!(lowered.is_none_or(|then| now - then >= spec.cooldown_ms()));
                            lowered = Some(now);
                        }
                        kept = Some(next);
                    }
                    Step::Exhausted(next) => {
                        prop_assert_eq!(&next.value, &ParamValue::Integer(10));
                        kept = Some(next);
                    }
                    Step::Stay => {}
                }
                let value = effective(&base, kept.as_ref().map(|k| &k.value), &spec).as_micros();
                prop_assert!(value >= Some(10_000_000) && value <= base.as_micros());
            }
        }
    }
}
