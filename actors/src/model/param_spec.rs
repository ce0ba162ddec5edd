//! The definitions of parameters, and which values fit them.

use super::{
    OnFloor, Restore,
    address::check_address,
    params::{Decimal, ParamValue, Params, SECRET_TEXT},
    parse_duration_ms,
};
use serde::{Deserialize, Serialize};

/// What a parameter may hold.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParamKind {
    /// Any text without NUL.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number with at most six decimals.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// A whole number of milliseconds, written with units.
    Duration,
    /// `http://` or `https://` with a host, and no white space.
    Url,
    /// One of these texts. Where a class adjusts the parameter they are a ladder, the most cautious first.
    Choice(Vec<String>),
    /// Several values of one kind, in order.
    List {
        /// What each item may hold; not a list.
        items: Box<Self>,
        /// The largest number of items; default [`ParamSpec::MAX_ITEMS`].
        max_items: u32,
    },
}

impl ParamKind {
    /// The name of the kind in the configuration file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Url => "url",
            Self::Choice(_) => "choice",
            Self::List { .. } => "list",
        }
    }

    /// What one value may hold: the items' kind for a list, else the kind itself.
    #[must_use]
    pub fn of_one(&self) -> &Self {
        match self {
            Self::List { items, .. } => items,
            other => other,
        }
    }
}

/// The definition of one parameter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ParamSpec {
    /// The parameter's name: letters, digits and `_`.
    pub name: String,
    /// What the parameter may hold.
    pub kind: ParamKind,
    /// Whether a start without the parameter is refused.
    pub required: bool,
    /// The value when none is given; `None`: the parameter is unset then.
    pub default: Option<ParamValue>,
    /// The smallest value, also the floor of any adjustment.
    pub min: Option<ParamValue>,
    /// The largest value.
    pub max: Option<ParamValue>,
    /// Whether the value is secret: it reaches the child by its environment only, is shown as `***`, and lies in a
    /// file of the store (mode 0600) until the run is over.
    pub secret: bool,
    /// The environment variable that carries the value, besides any argument.
    pub env: Option<String>,
    /// Whether the value may begin an argument with `-`.
    pub allow_dash: bool,
    /// The key of siblings: those whose key renders the same share the adjusted value. `None`: the run has its own.
    pub adjust_scope: Option<String>,
    /// The shortest time between two decreases, in milliseconds; `None`: the default of [`ParamSpec::cooldown_ms`].
    pub adjust_cooldown_ms: Option<u64>,
    /// How an adjusted value returns to the requested one; `None`: it does not. Default [`Restore::default`].
    pub restore: Option<Restore>,
    /// What follows a failure that finds the parameter at its floor. Default continue.
    pub on_floor: OnFloor,
}

/// Why a start's parameters are refused: one problem for each parameter concerned.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ParamProblem {
    /// The name of the parameter.
    pub name: String,
    /// What is wrong with it, as the rest of a sentence after its name.
    pub detail: String,
}

macro_rules! constructors {
    ($($method:ident => $kind:expr, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[must_use]
        pub fn $method(name: impl Into<String>) -> Self {
            Self::new(name, $kind)
        }
    )*};
}

impl ParamSpec {
    /// The largest number of items of a list that sets none: more than is typed by hand, and far below what a command
    /// line may hold.
    pub const MAX_ITEMS: u32 = 64;

    constructors! {
        string => ParamKind::String, "A text parameter.";
        integer => ParamKind::Integer, "A whole number.";
        decimal => ParamKind::Decimal, "A number with at most six decimals.";
        boolean => ParamKind::Boolean, "`true` or `false`.";
        duration => ParamKind::Duration, "A time with units, such as `5s`.";
        url => ParamKind::Url, "An `http://` or `https://` address.";
    }

    /// Creates a parameter of this kind, optional and without a default.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: ParamKind) -> Self {
        Self {
            name: name.into(),
            kind,
            required: false,
            default: None,
            min: None,
            max: None,
            secret: false,
            env: None,
            allow_dash: false,
            adjust_scope: None,
            adjust_cooldown_ms: None,
            restore: Some(Restore::default()),
            on_floor: OnFloor::Continue,
        }
    }

    /// Creates a parameter that holds one of these texts.
    #[must_use]
    pub fn choice<T: Into<String>>(name: impl Into<String>, choices: impl IntoIterator<Item = T>) -> Self {
        Self::new(name, ParamKind::Choice(choices.into_iter().map(Into::into).collect()))
    }

    /// Creates a parameter that holds several texts, at most [`ParamSpec::MAX_ITEMS`]; `{name*}` in arguments stands
    /// for each. A list without items is unset.
    #[must_use]
    pub fn list(name: impl Into<String>) -> Self {
        Self::new(name, ParamKind::List { items: Box::default(), max_items: Self::MAX_ITEMS })
    }

    /// Sets what each item of a list may hold. Default text. Has no effect on a parameter that is no list.
    #[must_use]
    pub fn items(mut self, kind: ParamKind) -> Self {
        if let ParamKind::List { items, .. } = &mut self.kind {
            **items = kind;
        }
        self
    }

    /// Sets the largest number of items of a list. Default 64. Has no effect on a parameter that is no list.
    #[must_use]
    pub const fn max_items(mut self, most: u32) -> Self {
        if let ParamKind::List { max_items, .. } = &mut self.kind {
            *max_items = most;
        }
        self
    }

    /// Makes a start without the parameter be refused.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Sets the value when none is given.
    #[must_use]
    pub fn default(mut self, value: impl Into<ParamValue>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Sets the smallest and the largest value; the smallest is also the floor of any adjustment.
    #[must_use]
    pub fn range<V: Into<ParamValue>>(mut self, range: std::ops::RangeInclusive<V>) -> Self {
        let (min, max) = range.into_inner();
        self.min = Some(min.into());
        self.max = Some(max.into());
        self
    }

    /// Makes the value secret: it reaches the child in this environment variable only, and is shown as `***`. It lies
    /// in a file of the store (mode 0600) until the run is over.
    #[must_use]
    pub fn secret(mut self, env: impl Into<String>) -> Self {
        self.secret = true;
        self.env = Some(env.into());
        self
    }

    /// Passes the value to the child in this environment variable, besides any argument.
    #[must_use]
    pub fn env(mut self, env: impl Into<String>) -> Self {
        self.env = Some(env.into());
        self
    }

    /// Lets the value begin an argument with `-`.
    #[must_use]
    pub fn allow_dash(mut self) -> Self {
        self.allow_dash = true;
        self
    }

    /// Sets the key of siblings, as in `"site:{host}"`: those whose key renders the same share the adjusted value.
    #[must_use]
    pub fn adjust_scope(mut self, key: impl Into<String>) -> Self {
        self.adjust_scope = Some(key.into());
        self
    }

    /// Sets the shortest time between two decreases, in milliseconds; siblings of one incident then halve once.
    #[must_use]
    pub const fn adjust_cooldown_ms(mut self, ms: u64) -> Self {
        self.adjust_cooldown_ms = Some(ms);
        self
    }

    /// The cooldown in force, in milliseconds: 60,000 where siblings share the value, so that one incident which all
    /// of them see lowers it once; 0 where the value is the run's own, whose every attempt ran with the value before.
    #[must_use]
    pub const fn cooldown_ms(&self) -> u64 {
        match (self.adjust_cooldown_ms, &self.adjust_scope) {
            (Some(ms), _) => ms,
            (None, Some(_)) => 60_000,
            (None, None) => 0,
        }
    }

    /// Reads a value of this kind from text, as the command line and the file give it. Ranges are checked too.
    ///
    /// # Errors
    /// What is wrong, as the rest of a sentence after the parameter's name.
    pub fn parse(&self, text: &str) -> Result<ParamValue, String> {
        self.check(ParamValue::String(text.to_owned()))
    }

    /// Brings a value into this kind (text is read, a whole number is a decimal too and the reverse, one value is a list of
    /// one) and checks it.
    ///
    /// # Errors
    /// What is wrong, as the rest of a sentence after the parameter's name.
    pub fn check(&self, value: ParamValue) -> Result<ParamValue, String> {
        let value = match value {
            ParamValue::Secret if self.secret => return Ok(ParamValue::Secret),
            ParamValue::Secret => ParamValue::String(SECRET_TEXT.to_owned()),
            other => other,
        };
        match (&self.kind, value) {
            (ParamKind::List { items, max_items }, ParamValue::List(values)) => {
                self.check_list(items, *max_items, values)
            }
            (ParamKind::List { items, max_items }, value) => self.check_list(items, *max_items, vec![value]),
            (_, ParamValue::List(values)) => {
                Err(format!("takes one value and not {}, because it is no list", values.len()))
            }
            (kind, value) => self.check_one(kind, value),
        }
    }

    /// Why a secret is refused, without showing what it is.
    pub(super) fn secret_refusal(&self, given: &Params) -> String {
        let Some(value) = given.get(&self.name).or(self.default.as_ref()) else {
            return "is required".to_owned();
        };
        let free = Self { min: None, max: None, ..self.clone() };
        let bound = |bound: &Option<ParamValue>| bound.as_ref().map(ToString::to_string).unwrap_or_default();
        match (&self.kind, value) {
            (ParamKind::List { items, max_items }, _) => {
                let kind = items.name();
                format!("is not a list of {kind} with at most {max_items} items, each on one line")
            }
            _ if free.check(value.clone()).is_ok() => {
                format!("is out of its range {}..{}", bound(&self.min), bound(&self.max))
            }
            (ParamKind::String, ParamValue::String(_)) => {
                "contains a NUL byte, which no variable can".to_owned()
            }
            (kind, _) => format!("is not of type {}", kind.name()),
        }
    }

    fn check_list(&self, kind: &ParamKind, most: u32, values: Vec<ParamValue>) -> Result<ParamValue, String> {
        if values.len() > most as usize {
            return Err(format!("has {} items, and at most {most} are allowed (max_items)", values.len()));
        }
        if values.is_empty() && self.required {
            return Err("is required, and has no item".to_owned());
        }
        let item = |(at, value): (usize, ParamValue)| {
            let checked = match value {
                ParamValue::List(_) => Err("must be one value: a list has no lists in it".to_owned()),
                value => self.check_one(kind, value),
            };
            let checked = checked.and_then(|value| match &value {
                // A variable has one item a line.
                ParamValue::String(text) if self.env.is_some() && text.contains('\n') => {
                    Err("contains a line break, and its variable has one item a line".to_owned())
                }
                _ => Ok(value),
            });
            checked.map_err(|why| format!("has a wrong item: number {} {why}", at + 1))
        };
        values.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(ParamValue::List)
    }

    fn check_one(&self, kind: &ParamKind, value: ParamValue) -> Result<ParamValue, String> {
        let value = match (kind, value) {
            (ParamKind::Integer, ParamValue::String(text)) => whole(&text)?,
            (ParamKind::Decimal, ParamValue::String(text)) => ParamValue::Decimal(Decimal::parse(&text)?),
            (ParamKind::Boolean, ParamValue::String(text)) => ParamValue::Boolean(
                text.parse().map_err(|_| format!("must be `true` or `false`, not `{text}`"))?,
            ),
            (ParamKind::Duration, ParamValue::String(text)) => {
                ParamValue::DurationMs(parse_duration_ms(&text)?)
            }
            (ParamKind::Decimal, ParamValue::Integer(n)) => ParamValue::Decimal(Decimal {
                micros: n.checked_mul(1_000_000).ok_or_else(|| format!("{n} is too large"))?,
            }),
            // `5.0` of a language that has only such numbers.
            (ParamKind::Integer, ParamValue::Decimal(d)) if d.micros % 1_000_000 == 0 => {
                ParamValue::Integer(d.micros / 1_000_000)
            }
            (
                ParamKind::String | ParamKind::Choice(_),
                value @ (ParamValue::Integer(_) | ParamValue::Decimal(_) | ParamValue::Boolean(_)),
            ) => ParamValue::String(value.to_string()),
            (_, value) => value,
        };
        match (kind, &value) {
            (ParamKind::Integer, ParamValue::Integer(_))
            | (ParamKind::Decimal, ParamValue::Decimal(_))
            | (ParamKind::Boolean, ParamValue::Boolean(_))
            | (ParamKind::Duration, ParamValue::DurationMs(_)) => self.check_range(value),
            (ParamKind::String, ParamValue::String(text)) => no_nul(text).map(|()| value),
            (ParamKind::Url, ParamValue::String(text)) => check_address(text).map(|()| value),
            (ParamKind::Choice(choices), ParamValue::String(text)) if choices.contains(text) => Ok(value),
            (ParamKind::Choice(choices), value) => {
                Err(format!("must be one of {}, not `{value}`", choices.join(", ")))
            }
            (kind, value) => Err(format!("must be of type {}, not `{value}`", kind.name())),
        }
    }

    fn check_range(&self, value: ParamValue) -> Result<ParamValue, String> {
        let micros = value.as_micros();
        let below = self.min.as_ref().is_some_and(|min| micros < min.as_micros());
        let above = self.max.as_ref().is_some_and(|max| micros > max.as_micros());
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if below || above => {
                Err(format!("must be between {min} and {max}, not {value}"))
            }
            (Some(min), _) if below => Err(format!("must be at least {min}, not {value}")),
            (_, Some(max)) if above => Err(format!("must be at most {max}, not {value}")),
            _ => Ok(value),
        }
    }
}

fn whole(text: &str) -> Result<ParamValue, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map(ParamValue::Integer).map_err(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow | NegOverflow => format!("must be a whole number that fits into 64 bits, not `{text}`"),
        _ => format!("must be a whole number, not `{text}`"),
    })
}

fn no_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("contains a NUL byte, which no argument can".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_brought_into_their_kind_and_range() {
        let qpi = ParamSpec::integer("qpi").range(10..=200);
        assert_eq!(qpi.parse("50"), Ok(ParamValue::Integer(50)));
        assert_eq!(qpi.check("50".into()), Ok(ParamValue::Integer(50)));
        assert_eq!(qpi.parse("9"), Err("must be between 10 and 200, not 9".into()));
        assert!(qpi.parse("5.5").is_err());
        assert_eq!(ParamSpec::decimal("x").check(3.into()).map(|v| v.to_string()), Ok("3".into()));
        assert_eq!(ParamSpec::decimal("x").parse("-0.250").map(|v| v.to_string()), Ok("-0.25".into()));
        assert!(ParamSpec::string("s").parse("a\0b").is_err());
        assert!(ParamSpec::url("u").parse("ftp://x").is_err());
        assert!(ParamSpec::choice("c", ["a", "b"]).parse("c").is_err());
    }
}
