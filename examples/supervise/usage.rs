//! CPU, memory and disk as people read them.

use serde_json::Value;

/// `12.5%` of one CPU and `81M`, of what the daemon says that a run's tree uses.
pub(crate) fn of(run: &Value) -> Option<(String, String)> {
    let usage = run.get("usage")?;
    let cpu = usage.get("cpu_percent")?.as_f64()?;
    Some((format!("{cpu:.1}%"), bytes(usage.get("memory_bytes")?.as_u64()?)))
}

/// `81M`: three digits at most.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut value = bytes;
    for unit in ["B", "K", "M", "G", "T"] {
        if value < 1_000 {
            return format!("{value}{unit}");
        }
        value = (value + 512) / 1024;
    }
    format!("{value}P")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_run_without_a_process_uses_nothing() {
        let run = json!({"usage": {"cpu_percent": 12.5, "memory_bytes": 84_934_656, "processes": 2}});
        assert_eq!(of(&run), Some(("12.5%".into(), "81M".into())));
        assert_eq!(of(&json!({"phase": "backoff"})), None);
    }

    #[test]
    fn sizes_have_three_digits_at_most() {
        assert_eq!(
            (bytes(999), bytes(84_934_656), bytes(3 << 30)),
            ("999B".into(), "81M".into(), "3G".into())
        );
    }
}
