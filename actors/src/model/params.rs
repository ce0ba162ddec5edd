//! Parameters: their definitions, their values, and what is refused.

use super::{
    OnFloor, Restore, format_duration_ms, parse_duration_ms,
    template::{Piece, pieces},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

/// The values of a run or an attempt, by name. Secrets stand as [`ParamValue::Secret`].
pub type Params = BTreeMap<String, ParamValue>;

/// What a secret shows instead of its value.
const SECRET_TEXT: &str = "***";

/// A number with six decimals at most, kept as millionths: no rounding, equal on every machine.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Decimal {
    /// Millionths.
    pub micros: i64,
}

impl Decimal {
    /// Parses `12`, `-0.5`, `3.141593`.
    ///
    /// # Errors
    /// A sentence, for anything else, more than six decimals, or a number too large.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("must be a number with at most six decimals, not `{text}`");
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || !plain(whole)
            || !plain(fraction)
            || fraction.len() > 6
            || digits.ends_with('.')
        {
            return Err(bad());
        }
        let micros = format!("{whole}{fraction:0<6}").parse::<i64>().map_err(|_| bad())?;
        Ok(Self { micros: if negative { -micros } else { micros } })
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.micros.unsigned_abs() / 1_000_000, self.micros.unsigned_abs() % 1_000_000);
        let sign = if self.micros < 0 { "-" } else { "" };
        let fraction = format!("{rest:06}");
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            digits => write!(f, "{sign}{whole}.{digits}"),
        }
    }
}

/// A checked value.
///
/// In JSON, stored and shown alike, it stands plainly: `50`, `true`, `"5s"`, `"***"`. Read back, a time is text until its
/// [`ParamSpec::check`] has seen it again.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ParamValue {
    /// Text, also that of a `url` or `choice`.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with decimals.
    Decimal(Decimal),
    /// `true` or `false`.
    Boolean(bool),
    /// Milliseconds; written with units.
    DurationMs(u64),
    /// A secret is set; its value is not here but in a file of its own until the run ends.
    Secret,
}

impl ParamValue {
    /// As JSON in the API: numbers and booleans as such, the rest as text, a secret as `***`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Integer(n) => (*n).into(),
            Self::Boolean(b) => (*b).into(),
            Self::Decimal(d) => {
                d.to_string().parse::<serde_json::Number>().map_or_else(|_| d.to_string().into(), Into::into)
            }
            Self::String(_) | Self::DurationMs(_) | Self::Secret => self.to_string().into(),
        }
    }

    /// In millionths of the unit, for adjustment; nothing for values that are no number.
    #[must_use]
    pub fn as_micros(&self) -> Option<i128> {
        match self {
            Self::Integer(n) => Some(i128::from(*n) * 1_000_000),
            Self::Decimal(d) => Some(i128::from(d.micros)),
            Self::DurationMs(ms) => Some(i128::from(*ms) * 1_000_000),
            Self::String(_) | Self::Boolean(_) | Self::Secret => None,
        }
    }

    /// Whether it is a number, which may begin an argument with `-`.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Decimal(_))
    }
}

/// As it stands in an argument.
impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Decimal(d) => write!(f, "{d}"),
            Self::Boolean(b) => write!(f, "{b}"),
            Self::DurationMs(ms) => f.write_str(&format_duration_ms(*ms)),
            Self::Secret => f.write_str(SECRET_TEXT),
        }
    }
}

impl Serialize for ParamValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ParamValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(b) => Ok(Self::Boolean(b)),
            serde_json::Value::Number(n) => match n.as_i64() {
                Some(n) => Ok(Self::Integer(n)),
                None => Decimal::parse(&n.to_string()).map(Self::Decimal).map_err(D::Error::custom),
            },
            serde_json::Value::String(text) if text == SECRET_TEXT => Ok(Self::Secret),
            serde_json::Value::String(text) => Ok(Self::String(text)),
            other => Err(D::Error::custom(format!("`{other}` is no parameter value"))),
        }
    }
}

impl From<&str> for ParamValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}
impl From<String> for ParamValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}
impl From<i64> for ParamValue {
    fn from(n: i64) -> Self {
        Self::Integer(n)
    }
}
impl From<i32> for ParamValue {
    fn from(n: i32) -> Self {
        Self::Integer(n.into())
    }
}
impl From<bool> for ParamValue {
    fn from(b: bool) -> Self {
        Self::Boolean(b)
    }
}

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
    /// One of these. Where a class adjusts it they are a ladder, the most cautious first.
    Choice(Vec<String>),
}

impl ParamKind {
    /// The name in the configuration file.
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
        }
    }
}

/// The definition of one parameter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ParamSpec {
    /// Its name: letters, digits and `_`.
    pub name: String,
    /// What it may hold.
    pub kind: ParamKind,
    /// Whether a start without it is refused.
    pub required: bool,
    /// Its value when none is given.
    pub default: Option<ParamValue>,
    /// Smallest value, also the floor of any adjustment.
    pub min: Option<ParamValue>,
    /// Largest value.
    pub max: Option<ParamValue>,
    /// Environment only, shown as `***`; its value lies in a file of the store (mode 0600) until the run is over.
    pub secret: bool,
    /// The environment variable that carries it, beside any argument.
    pub env: Option<String>,
    /// Whether its value may begin an argument with `-`.
    pub allow_dash: bool,
    /// Siblings whose key renders the same share the adjusted value; without it the run has its own.
    pub adjust_scope: Option<String>,
    /// At most one decrease in so many milliseconds; `None`: [`ParamSpec::cooldown_ms`] says.
    pub adjust_cooldown_ms: Option<u64>,
    /// How an adjusted value finds its way back; `None`: it does not. Default [`Restore::default`].
    pub restore: Option<Restore>,
    /// What a failure does that finds it at its floor. Default continue.
    pub on_floor: OnFloor,
}

/// Why a start's parameters are refused: one for each parameter concerned.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ParamProblem {
    /// The parameter.
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
    constructors! {
        string => ParamKind::String, "A text parameter.";
        integer => ParamKind::Integer, "A whole number.";
        decimal => ParamKind::Decimal, "A number with at most six decimals.";
        boolean => ParamKind::Boolean, "`true` or `false`.";
        duration => ParamKind::Duration, "A time with units, such as `5s`.";
        url => ParamKind::Url, "An `http://` or `https://` address.";
    }

    /// A parameter of this kind, optional and without a default.
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

    /// One of these texts.
    #[must_use]
    pub fn choice<T: Into<String>>(name: impl Into<String>, choices: impl IntoIterator<Item = T>) -> Self {
        Self::new(name, ParamKind::Choice(choices.into_iter().map(Into::into).collect()))
    }

    /// A start without it is refused.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Its value when none is given.
    #[must_use]
    pub fn default(mut self, value: impl Into<ParamValue>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// Smallest and largest value; the smallest is also the floor of any adjustment.
    #[must_use]
    pub fn range<V: Into<ParamValue>>(mut self, range: std::ops::RangeInclusive<V>) -> Self {
        let (min, max) = range.into_inner();
        self.min = Some(min.into());
        self.max = Some(max.into());
        self
    }

    /// Reaches the child in this environment variable only, and is shown as `***`. Its value lies in a file of the store (mode
    /// 0600) until the run is over.
    #[must_use]
    pub fn secret(mut self, env: impl Into<String>) -> Self {
        self.secret = true;
        self.env = Some(env.into());
        self
    }

    /// Reaches the child in this environment variable, beside any argument.
    #[must_use]
    pub fn env(mut self, env: impl Into<String>) -> Self {
        self.env = Some(env.into());
        self
    }

    /// Its value may begin an argument with `-`.
    #[must_use]
    pub fn allow_dash(mut self) -> Self {
        self.allow_dash = true;
        self
    }

    /// Siblings whose key renders the same share the adjusted value, as in `"site:{host}"`.
    #[must_use]
    pub fn adjust_scope(mut self, key: impl Into<String>) -> Self {
        self.adjust_scope = Some(key.into());
        self
    }

    /// At most one decrease in so many milliseconds; siblings of one incident then halve once.
    #[must_use]
    pub const fn adjust_cooldown_ms(mut self, ms: u64) -> Self {
        self.adjust_cooldown_ms = Some(ms);
        self
    }

    /// The cooldown in force: 60,000 where siblings share the value, so that one incident which all of them see lowers it
    /// once; none where the value is the run's own, whose every attempt ran with the value before.
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
        let value = match &self.kind {
            ParamKind::String | ParamKind::Url | ParamKind::Choice(_) => ParamValue::String(text.to_owned()),
            ParamKind::Integer => ParamValue::Integer(
                text.parse().map_err(|_| format!("must be a whole number, not `{text}`"))?,
            ),
            ParamKind::Decimal => ParamValue::Decimal(Decimal::parse(text)?),
            ParamKind::Boolean => ParamValue::Boolean(
                text.parse().map_err(|_| format!("must be `true` or `false`, not `{text}`"))?,
            ),
            ParamKind::Duration => ParamValue::DurationMs(parse_duration_ms(text)?),
        };
        self.check(value)
    }

    /// Brings a value into this kind (text is read, a whole number is a decimal too) and checks it.
    ///
    /// # Errors
    /// What is wrong, as the rest of a sentence after the parameter's name.
    pub fn check(&self, value: ParamValue) -> Result<ParamValue, String> {
        let value = match (&self.kind, value) {
            (_, ParamValue::Secret) if self.secret => return Ok(ParamValue::Secret),
            (_, ParamValue::Secret) => ParamValue::String(SECRET_TEXT.to_owned()),
            (
                ParamKind::Integer | ParamKind::Decimal | ParamKind::Boolean | ParamKind::Duration,
                ParamValue::String(text),
            ) => {
                return self.parse(&text);
            }
            (ParamKind::Decimal, ParamValue::Integer(n)) => ParamValue::Decimal(Decimal {
                micros: n.checked_mul(1_000_000).ok_or_else(|| format!("{n} is too large"))?,
            }),
            (
                ParamKind::String | ParamKind::Choice(_),
                value @ (ParamValue::Integer(_) | ParamValue::Decimal(_) | ParamValue::Boolean(_)),
            ) => ParamValue::String(value.to_string()),
            (_, value) => value,
        };
        match (&self.kind, &value) {
            (ParamKind::Integer, ParamValue::Integer(_))
            | (ParamKind::Decimal, ParamValue::Decimal(_))
            | (ParamKind::Boolean, ParamValue::Boolean(_))
            | (ParamKind::Duration, ParamValue::DurationMs(_)) => self.check_range(value),
            (ParamKind::String, ParamValue::String(text)) => no_nul(text).map(|()| value.clone()),
            (ParamKind::Url, ParamValue::String(text)) => check_url(text).map(|()| value.clone()),
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

fn no_nul(text: &str) -> Result<(), String> {
    if text.contains('\0') { Err("contains a NUL byte, which no argument can".into()) } else { Ok(()) }
}

fn check_url(text: &str) -> Result<(), String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !text.contains(char::is_whitespace) => {
            no_nul(text)
        }
        _ => Err(format!("must be an http:// or https:// address, not `{text}`")),
    }
}

/// Longest usual key in bytes, such as `site:` and a host: it is asked for at each start and each end, and a text that
/// grows while it is written is copied each time.
const KEY_LENGTH: usize = 48;

/// Renders the key under which siblings share something; nothing when one of its parameters is unset.
#[must_use]
pub fn render_key(template: &str, params: &Params) -> Option<String> {
    let mut key = String::with_capacity(KEY_LENGTH);
    for piece in pieces(template) {
        match piece.ok()? {
            Piece::Text(text) => key.push_str(text),
            // Writing into a string cannot fail.
            Piece::Param(name) => drop(write!(key, "{}", params.get(name)?)),
        }
    }
    Some(key)
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
