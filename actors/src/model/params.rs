//! The values of parameters.

use super::format_duration_ms;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The values of a run or an attempt, by name. Secrets stand as [`ParamValue::Secret`].
pub type Params = BTreeMap<String, ParamValue>;

/// What a secret shows instead of its value.
pub(super) const SECRET_TEXT: &str = "***";

/// A number with six decimals at most, kept as millionths: no rounding, equal on every machine.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Decimal {
    /// The number in millionths.
    pub micros: i64,
}

impl Decimal {
    /// Parses `12`, `-0.5`, `3.141593`.
    ///
    /// # Errors
    /// A sentence, for anything else, more than six decimals, or a number too large.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("must be a number with at most six decimals, not `{text}`");
        let too_large = || format!("must be a number whose millionths fit into 64 bits, not `{text}`");
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
        let micros = format!("{whole}{fraction:0<6}").parse::<i64>().map_err(|_| too_large())?;
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
/// In JSON, stored and shown alike, it stands plainly: `50`, `true`, `"5s"`, `["a","b"]`, `"***"`. Read back, a time is text
/// until its [`ParamSpec::check`](super::ParamSpec::check) has seen it again.
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
    /// Several values in order, none of them a list.
    List(Vec<Self>),
    /// A secret is set; its value is not here but in a file of its own until the run ends.
    Secret,
}

impl ParamValue {
    /// As JSON in the API: numbers and booleans as such, a list as an array, the rest as text, a secret as `***`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Integer(n) => (*n).into(),
            Self::Boolean(b) => (*b).into(),
            Self::Decimal(d) => {
                d.to_string().parse::<serde_json::Number>().map_or_else(|_| d.to_string().into(), Into::into)
            }
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::String(_) | Self::DurationMs(_) | Self::Secret => self.to_string().into(),
        }
    }

    /// Reads a value from JSON; `***` is a text here.
    ///
    /// # Errors
    /// The index in a list, from 0, and what is wrong, as the rest of a sentence.
    pub fn from_json(json: serde_json::Value) -> Result<Self, (Option<usize>, String)> {
        use serde_json::Value;
        match json {
            Value::Bool(flag) => Ok(Self::Boolean(flag)),
            Value::String(text) => Ok(Self::String(text)),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Ok(Self::Integer(whole)),
                None => Decimal::parse(&number.to_string()).map(Self::Decimal).map_err(|why| (None, why)),
            },
            Value::Array(items) => {
                let item = |(at, item)| match item {
                    Value::Array(_) => Err((Some(at), "must be one value: a list has no lists in it".into())),
                    item => Self::from_json(item).map_err(|(_, why)| (Some(at), why)),
                };
                items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Self::List)
            }
            Value::Null | Value::Object(_) => {
                Err((None, "must be a string, a number, a boolean or a list of these".into()))
            }
        }
    }

    /// The value in millionths of the unit, for adjustment; `None` for values that are no number.
    #[must_use]
    pub fn as_micros(&self) -> Option<i128> {
        match self {
            Self::Integer(n) => Some(i128::from(*n) * 1_000_000),
            Self::Decimal(d) => Some(i128::from(d.micros)),
            Self::DurationMs(ms) => Some(i128::from(*ms) * 1_000_000),
            Self::String(_) | Self::Boolean(_) | Self::List(_) | Self::Secret => None,
        }
    }

    /// As it stands in an environment variable: a list has one item a line.
    #[must_use]
    pub fn to_variable(&self) -> String {
        match self {
            Self::List(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            other => other.to_string(),
        }
    }

    /// Whether it is a number, which may begin an argument with `-`.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::Decimal(_))
    }
}

/// As it stands in an argument, and a list as a sentence has it.
impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Decimal(d) => write!(f, "{d}"),
            Self::Boolean(b) => write!(f, "{b}"),
            Self::DurationMs(ms) => f.write_str(&format_duration_ms(*ms)),
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    item.fmt(f)?;
                }
                Ok(())
            }
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
        let json = serde_json::Value::deserialize(deserializer)?;
        match json {
            serde_json::Value::String(text) if text == SECRET_TEXT => Ok(Self::Secret),
            json => Self::from_json(json).map_err(|(_, why)| serde::de::Error::custom(why)),
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
impl<T: Into<Self>> From<Vec<T>> for ParamValue {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().map(Into::into).collect()
    }
}
impl<T: Into<Self>, const N: usize> From<[T; N]> for ParamValue {
    fn from(items: [T; N]) -> Self {
        items.into_iter().map(Into::into).collect()
    }
}
impl FromIterator<Self> for ParamValue {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self::List(items.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_an_array_in_json_and_comes_back_as_it_was() {
        let list = ParamValue::from(vec![ParamValue::from("a, b"), 5.into(), true.into()]);
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"["a, b",5,true]"#);
        assert_eq!(serde_json::from_str::<ParamValue>(r#"["a, b",5,true]"#).unwrap(), list);
        assert_eq!((list.to_string(), list.to_variable()), ("a, b, 5, true".into(), "a, b\n5\ntrue".into()));
        for (bad, at) in [(r#"["a",["b"]]"#, Some(1)), (r#"["a",null]"#, Some(1)), (r#"{"a":1}"#, None)] {
            let json = serde_json::from_str(bad).unwrap();
            assert_eq!(ParamValue::from_json(json).unwrap_err().0, at, "{bad}");
        }
    }

    #[test]
    fn a_number_that_is_too_large_is_told_so() {
        for large in ["9223372036854775808", "-9223372036854775808", "9223372036854.775808"] {
            assert!(Decimal::parse(large).unwrap_err().contains("64 bits"), "{large}");
        }
        assert!(Decimal::parse("0.1234567").unwrap_err().contains("six decimals"));
    }
}
