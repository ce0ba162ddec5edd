//! One value of a given kind, and what is wrong with another.

use super::{command_line::split_command, keys::Kind, tree::Value};
use crate::actors::model::{
    Adjust, Decimal, Jitter, ParamValue, did_you_mean, parse_duration_ms, parse_size, signal_name,
    signal_number,
};
use toml::de::DeValue;

/// Why a value does not fit.
pub(super) struct Wrong {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) help: String,
}

/// What came out.
pub(super) enum Leaf {
    Value(Value),
    Words(Vec<String>),
}

fn wrong<T>(code: &'static str, message: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { code, message: message.into(), help: help.into() })
}

/// What a kind asks for, and an example.
fn expected(kind: &Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Text | Kind::Path | Kind::Word(_) => ("text", "write it in \"quotes\""),
        Kind::Flag => ("true or false", "write true or false, without quotes"),
        Kind::Count | Kind::Integer => ("a whole number", "write for example 5"),
        Kind::Duration => ("text with a unit of time", "write for example \"5s\""),
        Kind::Lasts => ("text with a unit of time", "write for example \"5s\", or \"forever\""),
        Kind::Step => ("text with a unit of time", "write for example \"5s\" or \"-1h\""),
        Kind::Size => ("text with a unit of size", "write for example \"64KiB\""),
        Kind::Ratio => ("a number", "write for example 0.5"),
        Kind::Amount => ("a number or a duration", "write for example 10 or \"5s\""),
        Kind::Scalar => ("text, a number, a boolean or a list of these", "write one value"),
        Kind::Signal => ("a signal's name", "write for example \"SIGTERM\""),
        Kind::Jitter => ("a word or a share", "write none, full, equal, decorrelated or a share such as 0.2"),
        Kind::Argv => {
            ("a list of texts, or one text", "write for example [\"./server\", \"--port\", \"8081\"]")
        }
        Kind::Args => ("a list", "write it in [brackets], as in [\"--site\", \"{host}\"]"),
        Kind::Arg => (
            "text, a list of texts or a table with `when`",
            "write it in \"quotes\", or as [\"--since\", \"{since}\"] or { when = \"headless\", args = [\"--headless\"] }",
        ),
        Kind::Adjust => ("one of multiply, add, set, step", "write for example { multiply = 0.5 }"),
        Kind::List(_) => ("a list", "write it in [brackets]"),
        Kind::Map(_) | Kind::Table(_) | Kind::Tables(_) => ("a table", "write { key = value } or a [table]"),
        Kind::TableOrFalse(_) => ("a table or false", "leave it out for the defaults, or write false"),
        Kind::Rows(_) => ("a list of tables", "write [[double brackets]] around the table's name"),
    }
}

/// A value that is no table and no list.
pub(super) fn read(name: &str, kind: &Kind, item: &DeValue<'_>) -> Result<Leaf, Wrong> {
    let value = match (kind, item) {
        (Kind::Path, DeValue::String(text)) => Value::Text(path(name, text)?),
        (Kind::Text | Kind::Arg, DeValue::String(text)) => Value::Text(text.to_string()),
        (Kind::Word(words), DeValue::String(text)) => Value::Text(word(name, words, text)?),
        (Kind::Word(words), _) => {
            return wrong("config.type", format!("`{name}` is {}", article(item)), one_of(words));
        }
        (Kind::Flag, DeValue::Boolean(flag)) => Value::Flag(*flag),
        (Kind::Count | Kind::Integer, DeValue::Integer(_)) => Value::Number(whole(name, kind, item)?),
        (Kind::Duration | Kind::Lasts | Kind::Step, DeValue::String(text)) => time(name, kind, text)?,
        (Kind::Duration | Kind::Lasts | Kind::Step, DeValue::Integer(_) | DeValue::Float(_)) => {
            return needs_unit(name, item);
        }
        (Kind::Size, DeValue::String(text)) => match parse_size(text).map(i64::try_from) {
            Ok(Ok(bytes)) => Value::Number(bytes),
            Ok(Err(_)) => {
                return wrong("config.size", format!("`{name}` is too large a size"), "write a smaller one");
            }
            Err(why) => {
                return wrong("config.size", format!("`{name}`: {why}"), "write for example \"64KiB\"");
            }
        },
        (Kind::Size, DeValue::Integer(_) | DeValue::Float(_)) => return needs_unit_of_size(name, item),
        (Kind::Ratio, DeValue::Integer(_) | DeValue::Float(_)) => Value::Number(permille(name, item)?),
        (Kind::Amount, _) if !matches!(item, DeValue::Table(_) | DeValue::Array(_)) => {
            Value::Number(micros(name, item)?)
        }
        (Kind::Scalar, _) => match scalar(name, item)? {
            Some(value) => Value::Scalar(value),
            None => return mismatch(name, kind, item),
        },
        (Kind::Signal, DeValue::String(text)) => match signal_number(text) {
            Some(number) => Value::Number(number.into()),
            None => {
                let known: Vec<_> = (1..=64).filter_map(signal_name).collect();
                let near = did_you_mean(text, known).map(|near| format!("did you mean \"{near}\"?"));
                let help = near.unwrap_or_else(|| "write for example \"SIGTERM\"".into());
                return wrong("config.signal", format!("`{text}` is not a signal"), help);
            }
        },
        (Kind::Signal, DeValue::Integer(_)) => {
            let name_of = number_text(item).parse().ok().and_then(signal_name).unwrap_or("SIGTERM");
            let message = format!("`{name}` is a number, and these differ between machines");
            return wrong("config.signal", message, format!("write \"{name_of}\""));
        }
        (Kind::Jitter, _) => Value::Jitter(jitter(name, item)?),
        (Kind::Argv, DeValue::String(text)) => {
            return split_command(text)
                .map(Leaf::Words)
                .or_else(|(message, help)| wrong("config.command", format!("`{name}`: {message}"), help));
        }
        (Kind::Adjust, DeValue::Table(table)) => {
            let mut entries = table.iter();
            match (entries.next(), entries.next()) {
                (Some((how, item)), None) => Value::Adjust(adjust(how.get_ref(), item.get_ref())?),
                _ => {
                    let message =
                        format!("the adjustment of `{name}` needs exactly one of multiply, add, set, step");
                    return wrong("config.value", message, expected(kind).1);
                }
            }
        }
        _ => return mismatch(name, kind, item),
    };
    Ok(Leaf::Value(value))
}

fn path(name: &str, text: &str) -> Result<String, Wrong> {
    if text.contains('\0') {
        return wrong("config.value", format!("`{name}` has a NUL byte, which no path can"), "take it out");
    }
    Ok(text.to_owned())
}

fn mismatch<T>(name: &str, kind: &Kind, item: &DeValue<'_>) -> Result<T, Wrong> {
    let (wanted, help) = expected(kind);
    wrong("config.type", format!("`{name}` must be {wanted}, not {}", article(item)), help)
}

fn article(item: &DeValue<'_>) -> &'static str {
    match item {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("write one of {}", quoted.join(", "))
}

fn word(name: &str, words: &[&str], text: &str) -> Result<String, Wrong> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    // `on_failure` and `on-failure` are the same slip of the hand.
    let near = did_you_mean(text, words.iter().copied())
        .map_or_else(|| one_of(words), |near| format!("did you mean \"{near}\"?"));
    wrong("config.value", format!("`{name}` cannot be \"{text}\""), near)
}

/// The digits of a number, in base ten.
fn number_text(item: &DeValue<'_>) -> String {
    match item {
        DeValue::Integer(n) => i128::from_str_radix(n.as_str(), n.radix())
            .map_or_else(|_| n.as_str().to_owned(), |n| n.to_string()),
        DeValue::Float(n) => n.as_str().trim_start_matches('+').to_owned(),
        _ => String::new(),
    }
}

fn whole(name: &str, kind: &Kind, item: &DeValue<'_>) -> Result<i64, Wrong> {
    let text = number_text(item);
    let (range, help) = match kind {
        Kind::Count => {
            let most = i64::from(u32::MAX);
            (0..=most, format!("write a number from 0 to {most}"))
        }
        // Each such key has a range of its own, far within this one; which, is said of a number that it can hold.
        _ => (i64::from(i32::MIN)..=i64::from(i32::MAX), "write a number with fewer digits".to_owned()),
    };
    match text.parse::<i64>() {
        Ok(n) if range.contains(&n) => Ok(n),
        _ => wrong("config.range", format!("`{name}` cannot be {text}"), help),
    }
}

/// A time, and the two that scenarios have beside it: no end, and a step back.
fn time(name: &str, kind: &Kind, text: &str) -> Result<Value, Wrong> {
    Ok(match (kind, text.strip_prefix('-')) {
        (Kind::Lasts, _) if text == "forever" => Value::Text(text.to_owned()),
        (Kind::Step, Some(back)) => Value::Number(-duration(name, back)?),
        _ => Value::Number(duration(name, text)?),
    })
}

fn duration(name: &str, text: &str) -> Result<i64, Wrong> {
    match parse_duration_ms(text).map(i64::try_from) {
        Ok(Ok(ms)) => Ok(ms),
        Ok(Err(_)) => wrong("config.duration", format!("`{name}` is too long a time"), "write a shorter one"),
        Err(why) => wrong(
            "config.duration",
            format!("`{name}`: {why}"),
            "write for example \"5s\", \"500ms\" or \"1m30s\"",
        ),
    }
}

fn needs_unit<T>(name: &str, item: &DeValue<'_>) -> Result<T, Wrong> {
    let number = number_text(item);
    let message = format!("`{name}` needs a unit: {name} = {number}");
    let help = if matches!(item, DeValue::Integer(_)) {
        format!("write \"{number}s\" (seconds) or \"{number}ms\" (milliseconds)")
    } else {
        "write whole numbers with units, as in \"500ms\"".to_owned()
    };
    wrong("config.duration", message, help)
}

fn needs_unit_of_size<T>(name: &str, item: &DeValue<'_>) -> Result<T, Wrong> {
    let (number, message) = (number_text(item), format!("`{name}` needs a unit"));
    let help = format!("write \"{number}B\" (bytes), \"{number}KiB\" or \"{number}MiB\"");
    wrong("config.size", message, help)
}

fn permille(name: &str, item: &DeValue<'_>) -> Result<i64, Wrong> {
    let text = number_text(item);
    let exact = Decimal::parse(&text).ok().filter(|decimal| decimal.micros % 1000 == 0);
    match exact.map(|decimal| decimal.micros / 1000) {
        Some(permille) if (0..=i64::from(u32::MAX)).contains(&permille) => Ok(permille),
        _ => wrong(
            "config.range",
            format!("`{name}` cannot be {text}"),
            "write a number from 0.0 with at most three decimals, as in 0.125",
        ),
    }
}

fn micros(name: &str, item: &DeValue<'_>) -> Result<i64, Wrong> {
    let read = match item {
        DeValue::Integer(_) | DeValue::Float(_) => {
            Decimal::parse(&number_text(item)).map(|decimal| decimal.micros)
        }
        DeValue::String(text) => parse_duration_ms(text).and_then(|ms| {
            i64::try_from(ms)
                .ok()
                .and_then(|ms| ms.checked_mul(1_000_000))
                .ok_or_else(|| "too long".to_owned())
        }),
        _ => return mismatch(name, &Kind::Amount, item),
    };
    read.or_else(|why| wrong("config.value", format!("`{name}`: {why}"), expected(&Kind::Amount).1))
}

fn scalar(name: &str, item: &DeValue<'_>) -> Result<Option<ParamValue>, Wrong> {
    Ok(Some(match item {
        DeValue::String(text) => ParamValue::String(text.to_string()),
        DeValue::Boolean(flag) => ParamValue::Boolean(*flag),
        DeValue::Integer(_) => match number_text(item).parse() {
            Ok(n) => ParamValue::Integer(n),
            Err(_) => {
                return wrong(
                    "config.range",
                    format!("`{name}` is too large a number"),
                    "write a smaller one",
                );
            }
        },
        DeValue::Float(_) => match Decimal::parse(&number_text(item)) {
            Ok(decimal) => ParamValue::Decimal(decimal),
            Err(why) => return wrong("config.value", format!("`{name}`: {why}"), "write for example 0.25"),
        },
        DeValue::Array(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                match scalar(name, item.get_ref())? {
                    Some(value) if !matches!(value, ParamValue::List(_)) => values.push(value),
                    _ => return Ok(None),
                }
            }
            values.into()
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return Ok(None),
    }))
}

fn jitter(name: &str, item: &DeValue<'_>) -> Result<Jitter, Wrong> {
    const WORDS: &[&str] = &["none", "full", "equal", "decorrelated"];
    match item {
        DeValue::String(text) => Ok(match word(name, WORDS, text)?.as_str() {
            "none" => Jitter::None,
            "full" => Jitter::Full,
            "decorrelated" => Jitter::Decorrelated,
            _ => Jitter::Equal,
        }),
        DeValue::Integer(_) | DeValue::Float(_) => {
            Ok(Jitter::Proportional(u32::try_from(permille(name, item)?).unwrap_or(u32::MAX)))
        }
        _ => mismatch(name, &Kind::Jitter, item),
    }
}

fn adjust(how: &str, item: &DeValue<'_>) -> Result<Adjust, Wrong> {
    let is_number = matches!(item, DeValue::Integer(_) | DeValue::Float(_));
    match how {
        "multiply" if is_number => {
            Ok(Adjust::Multiply { permille: u32::try_from(permille(how, item)?).unwrap_or(u32::MAX) })
        }
        "multiply" => mismatch(how, &Kind::Ratio, item),
        "add" => Ok(Adjust::Add { micros: micros(how, item)? }),
        "set" => Ok(Adjust::Set { micros: micros(how, item)? }),
        "step" if matches!(item, DeValue::Integer(_)) => {
            let steps = whole(how, &Kind::Integer, item)?;
            Ok(Adjust::Step { steps: i32::try_from(steps).unwrap_or(i32::MIN) })
        }
        "step" => mismatch(how, &Kind::Integer, item),
        _ => {
            let help = did_you_mean(how, ["multiply", "add", "set", "step"]).map_or_else(
                || expected(&Kind::Adjust).1.to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            wrong("config.unknown_key", format!("unknown key `{how}` in an adjustment"), help)
        }
    }
}
