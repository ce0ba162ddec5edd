//! The position of a value between the cautious and the bold end of its parameter, which adjustments count in.
//!
//! All is in millionths of the unit, in 128 bits. A choice has no unit; its unit is one place in the list, whose first
//! entry is the most cautious, as the smallest number is. So one arithmetic does for numbers and for ladders.

use super::{Decimal, ParamKind, ParamSpec, ParamValue, parse_duration_ms};

/// One unit of a parameter, in millionths.
const UNIT: i128 = 1_000_000;

impl ParamSpec {
    /// Whether failures can adjust the parameter, which needs values with an order.
    #[must_use]
    pub const fn is_adjustable(&self) -> bool {
        self.is_numeric() || self.is_ladder()
    }

    /// Whether the parameter is a `choice`, whose values are steps of a ladder.
    #[must_use]
    pub const fn is_ladder(&self) -> bool {
        matches!(self.kind, ParamKind::Choice(_))
    }

    /// The most cautious value: `min`, or the first of the choices.
    #[must_use]
    pub fn floor(&self) -> Option<ParamValue> {
        match &self.kind {
            ParamKind::Choice(choices) => choices.first().map(|first| first.as_str().into()),
            _ => self.min.clone(),
        }
    }

    /// The position of a value, in millionths; `None` for a value without an order, and for one that is no value of
    /// this parameter, such as a choice that a sibling has and this program does not.
    #[must_use]
    pub fn position(&self, value: &ParamValue) -> Option<i128> {
        match (&self.kind, value) {
            (ParamKind::Choice(choices), ParamValue::String(text)) => {
                let place = choices.iter().position(|choice| choice == text)?;
                Some(i128::try_from(place).ok()? * UNIT)
            }
            // A saved time is text when it is read back.
            (ParamKind::Duration, ParamValue::String(text)) => {
                parse_duration_ms(text).ok().map(|ms| i128::from(ms) * UNIT)
            }
            (ParamKind::Integer | ParamKind::Decimal | ParamKind::Duration, value) => value.as_micros(),
            _ => None,
        }
    }

    /// The value at this many millionths; a position that does not fit is cut to one that does. `None` where
    /// [`Self::position`] is `None`.
    #[must_use]
    pub fn value_at(&self, micros: i128) -> Option<ParamValue> {
        let cut = |x: i128| i64::try_from(x).unwrap_or(if x < 0 { i64::MIN } else { i64::MAX });
        match &self.kind {
            ParamKind::Integer => Some(ParamValue::Integer(cut(micros.div_euclid(UNIT)))),
            ParamKind::Decimal => Some(ParamValue::Decimal(Decimal { micros: cut(micros) })),
            ParamKind::Duration => {
                Some(ParamValue::DurationMs(u64::try_from(micros.max(0) / UNIT).unwrap_or(u64::MAX)))
            }
            ParamKind::Choice(choices) => {
                let place = usize::try_from(micros.max(0) / UNIT).unwrap_or(usize::MAX);
                choices.get(place).or(choices.last()).map(|choice| choice.as_str().into())
            }
            ParamKind::String | ParamKind::Boolean | ParamKind::Url | ParamKind::List { .. } => None,
        }
    }

    /// The smallest change of a value, in millionths.
    #[must_use]
    pub const fn grain(&self) -> i128 {
        match self.kind {
            ParamKind::Decimal => 1,
            _ => UNIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_again_where_it_stands() {
        let values: [(ParamSpec, ParamValue); 4] = [
            (ParamSpec::integer("n"), (-3).into()),
            (ParamSpec::decimal("n"), ParamValue::Decimal(Decimal { micros: 250_001 })),
            (ParamSpec::duration("n"), ParamValue::DurationMs(2_500)),
            (ParamSpec::choice("n", ["slow", "fast"]), "fast".into()),
        ];
        for (spec, value) in values {
            let position = spec.position(&value).unwrap();
            assert_eq!(spec.value_at(position), Some(value));
        }
    }

    #[test]
    fn a_time_that_was_saved_as_text_has_its_place() {
        let spec = ParamSpec::duration("wait");
        assert_eq!(spec.position(&"2s500ms".into()), spec.position(&ParamValue::DurationMs(2_500)));
    }

    #[test]
    fn what_is_no_value_of_the_parameter_stands_nowhere() {
        let pace = ParamSpec::choice("pace", ["slow", "fast"]);
        assert_eq!(pace.position(&"furious".into()), None);
        assert_eq!(pace.position(&1.into()), None);
        assert_eq!(ParamSpec::string("host").position(&"shop".into()), None);
        assert_eq!(ParamSpec::choice("none", Vec::<String>::new()).value_at(0), None);
    }

    #[test]
    fn a_ladder_ends_at_its_ends() {
        let pace = ParamSpec::choice("pace", ["slow", "fast"]);
        assert_eq!(pace.value_at(-UNIT), Some("slow".into()));
        assert_eq!(pace.value_at(9 * UNIT), Some("fast".into()));
        assert_eq!(pace.floor(), Some("slow".into()));
    }
}
