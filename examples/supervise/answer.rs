//! What an answer of the daemon holds.

use serde_json::Value;

/// The items of a list.
pub(crate) fn items(page: &Value) -> &[Value] {
    page.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Where a list goes on.
pub(crate) fn next_cursor(page: &Value) -> Option<String> {
    page.get("next_cursor").and_then(plain)
}

/// A text or a number as text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A field's text; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a run's phase is one of the last.
pub(crate) fn is_ended(run: &Value) -> bool {
    matches!(text(run, "phase"), "succeeded" | "failed" | "stopped" | "quarantined")
}
