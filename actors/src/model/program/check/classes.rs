//! What is wrong with what classes do.

use super::{
    classify::check_class_name,
    values::{invalid, is_priority, range, wrong_priority},
};
use crate::model::{
    Adjust, Class, ClassOverride, Problem, Program, did_you_mean, format_duration_ms, policy::LONGEST_WAIT_MS,
};

/// The heaviest weight, in thousandths: a thousand failures at once open any breaker.
const HEAVIEST_WEIGHT: u32 = 1_000_000;
/// The largest factor of an adjustment, in thousandths.
const LARGEST_FACTOR: u32 = 1_000_000;
/// The highest cost of a retry, in thousandths of a token: no sum of them overflows.
const DEAREST: u32 = 1_000_000_000;

impl Program {
    pub(super) fn check_classes(&self, found: &mut Vec<Problem>) {
        for (name, rule) in &self.classes {
            let at = format!("classes.{name}");
            check_class_name(&at, name, found);
            found.extend(rule.rejected.iter().map(|problem| problem.clone().below(&at)));
            if rule.weight_permille.is_some_and(|weight| weight > HEAVIEST_WEIGHT) {
                let message = "`weight` must be between 0.0 and 1000.0 with at most three decimals";
                found.push(range(format!("{at}.weight"), message, "1.0 is one failure, 0.0 is neutral"));
            }
            if rule.priority.is_some_and(|priority| !is_priority(priority)) {
                found.push(wrong_priority(format!("{at}.priority")));
            }
            if rule.delay_ms.is_some() || rule.max_delay_ms.is_some() {
                self.check_class_delays(name, &at, found);
            }
            for (param, adjust) in &rule.adjust {
                self.check_adjust(&format!("{at}.adjust.{param}"), param, adjust, found);
            }
            if let Some(inline) = rule.inline {
                if inline.count == 0 {
                    found.push(range(format!("{at}.inline.count"), "`count` is 0", "write 1 or more"));
                }
                if inline.per_ms == 0 {
                    found.push(range(format!("{at}.inline.per"), "`per` is 0s", "write for example \"1m\""));
                }
            }
        }
    }

    fn check_class_delays(&self, name: &str, at: &str, found: &mut Vec<Problem>) {
        let rule = self.class_rule(name);
        let delay_ms = rule.delay_ms.unwrap_or(self.retry.delay_ms);
        let max_ms = rule.max_delay_ms.unwrap_or(self.retry.max_delay_ms);
        let (delay, max) = (format_duration_ms(delay_ms), format_duration_ms(max_ms));
        if delay_ms > max_ms {
            let message = format!("`delay` ({delay}) is longer than `max_delay` ({max}) of this class");
            let help = format!("write max_delay = \"{delay}\" or longer for the class");
            let problem = Problem::new("config.conflict", format!("{at}.max_delay"), message, help);
            found.push(problem.against(format!("{at}.delay")));
        }
        if max_ms > LONGEST_WAIT_MS {
            let message = "`max_delay` is longer than 7d";
            found.push(range(format!("{at}.max_delay"), message, "write \"7d\" or a shorter time"));
        }
    }

    fn check_adjust(&self, path: &str, param: &str, adjust: &Adjust, found: &mut Vec<Problem>) {
        let steps = matches!(adjust, Adjust::Step { .. });
        match self.params.get(param) {
            None => found.push(self.unknown_param(path, param)),
            Some(spec) if spec.secret || !spec.is_adjustable() => {
                let kind = if spec.secret { "secret" } else { spec.kind.name() };
                let message = format!("`{param}` is of type {kind}, which cannot be adjusted");
                let help = "only integer, decimal, duration and choice parameters can";
                found.push(invalid(path, message, help));
            }
            Some(spec) if spec.is_ladder() && !steps => {
                let message = format!("`{param}` is of type choice, which changes by `step` alone");
                let help = "write { step = -1 }, one place towards the first of its choices";
                found.push(invalid(path, message, help));
            }
            Some(spec) if spec.is_numeric() && steps => {
                let message = format!("`{param}` is of type {}, which has no steps", spec.kind.name());
                found.push(invalid(path, message, "write for example { multiply = 0.5 } or { add = -10 }"));
            }
            Some(_) => {}
        }
        match *adjust {
            Adjust::Multiply { permille } if permille > LARGEST_FACTOR => {
                let message = "`multiply` must be between 0.0 and 1000.0 with at most three decimals";
                found.push(range(path, message, "0.5 halves the parameter"));
            }
            Adjust::Add { micros: i64::MAX } | Adjust::Set { micros: i64::MAX } => {
                let message = "the adjustment is not a number with at most six decimals";
                found.push(range(path, message, "write for example -10"));
            }
            Adjust::Step { steps: 0 } => {
                let message = "a `step` of 0 changes nothing";
                found.push(range(path, message, "write -1, one place towards the first of the choices"));
            }
            Adjust::Multiply { .. } | Adjust::Add { .. } | Adjust::Set { .. } | Adjust::Step { .. } => {}
        }
    }

    /// Delays of classes that the shortest delay overrules.
    pub(super) fn short_class_delays(&self) -> Vec<Problem> {
        let min_ms = self.retry.min_delay_ms;
        let short = |(name, rule): (&String, &ClassOverride)| {
            let delay_ms = rule.delay_ms.filter(|ms| *ms < min_ms)?;
            let (delay, min) = (format_duration_ms(delay_ms), format_duration_ms(min_ms));
            let message = format!("`delay` ({delay}) is shorter than `retry.min_delay` ({min}), which holds");
            let help = format!("write delay = \"{min}\" or longer, or a shorter retry.min_delay");
            let problem = Problem::new("config.conflict", format!("classes.{name}.delay"), message, help);
            Some(problem.against("retry.min_delay"))
        };
        self.classes.iter().filter_map(short).collect()
    }

    /// Rules about classes that nothing finds; a mistyped name would otherwise do nothing, silently.
    pub(super) fn unknown_classes(&self) -> Vec<Problem> {
        let own: Vec<&str> = self.classify.iter().map(|rule| rule.class.as_str()).collect();
        let known = || Class::BUILTIN.iter().copied().chain(own.iter().copied());
        let unknown = self.classes.keys().filter(|name| !known().any(|class| class == name.as_str()));
        unknown
            .map(|name| {
                let help = match did_you_mean(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add a [[…classify]] rule that finds it".to_owned(),
                };
                let message = format!("no rule finds the class `{name}`");
                Problem::new("config.unknown_class", format!("classes.{name}"), message, help)
            })
            .collect()
    }

    pub(super) fn check_costs(&self, found: &mut Vec<Problem>) {
        for (name, rule) in &self.classes {
            if rule.cost_permille.is_some_and(|cost| cost > DEAREST) {
                let message = "`cost` must be between 0 and 1000000 tokens with at most three decimals";
                found.push(range(format!("classes.{name}.cost"), message, "1.0 is one token, 0.0 is free"));
            }
        }
    }
}
