//! Sizes as whole bytes.

/// Units that a size may use, largest first, with their bytes. Powers of 1,024 only: `KB` means two things.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Parses `"64KiB"`: one whole number with a unit of `B KiB MiB GiB TiB`; the result is bytes.
///
/// # Errors
/// A sentence that says what is wrong: no unit, an unknown unit, a fraction, or more than `u64` bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim_start();
    if number.is_empty() {
        return Err(format!("`{text}` is not a size; write a whole number with a unit, as in \"64KiB\""));
    }
    if unit.is_empty() {
        return Err(format!("`{text}` needs a unit; write \"{number}B\" (bytes) or \"{number}KiB\""));
    }
    if unit.starts_with('.') {
        return Err(format!("`{text}` has a fraction; write \"512KiB\" instead of \"0.5MiB\""));
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("`{unit}` is not a unit of size; use B, KiB, MiB, GiB or TiB"));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(*scale))
        .ok_or_else(|| format!("`{text}` is too large a size"))
}

/// Writes a size as [`parse_size`] reads it, in the largest unit that leaves no rest.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let (unit, scale) =
        UNITS.iter().find(|(_, scale)| bytes >= *scale && bytes.is_multiple_of(*scale)).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_back_as_written() {
        for (text, bytes) in
            [("64KiB", 65_536), ("1MiB", 1 << 20), ("2GiB", 2 << 30), ("1000B", 1000), ("0B", 0)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(parse_size("4 KiB"), Ok(4096));
    }

    #[test]
    fn a_size_that_could_mean_two_things_is_refused() {
        assert!(parse_size("64").unwrap_err().contains("\"64B\""));
        assert!(parse_size("64KB").unwrap_err().contains("KiB"));
        assert!(parse_size("0.5MiB").unwrap_err().contains("fraction"));
        assert!(parse_size("99999999999TiB").unwrap_err().contains("too large"));
        assert!(parse_size("").is_err());
    }
}
