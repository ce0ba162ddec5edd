//! Progress, read from what a job writes.

/// The last percentage in a line, rounded down: `page 3 of 8, 37.5 % done` says 37. More than 100 says nothing.
pub(crate) fn percent(line: &str) -> Option<u8> {
    let (before, _) = line.rsplit_once('%')?;
    let number = before.trim_end().rsplit(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    number.split('.').next()?.parse().ok().filter(|percent| *percent <= 100)
}

/// At most so many characters of a line: a line may have a megabyte, a progress bar has no room for it.
const SHOWN: usize = 300;

/// A line for people, whatever bytes it has; what is too long is cut, and the output has the rest.
pub(crate) fn shown(line: &[u8]) -> String {
    // Four bytes are the longest character, so that nothing that is shown is missing.
    let line = String::from_utf8_lossy(line.get(..4 * SHOWN).unwrap_or(line));
    line.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_found_where_a_line_has_one() {
        for (line, expected) in [
            ("37%", Some(37)),
            ("page 3 of 8, 37.5 % done", Some(37)),
            ("10% of 20%", Some(20)),
            ("[=====>    ] 100%|", Some(100)),
            ("grew by 250%", None),
            ("%", None),
            ("a % b", None),
            ("no progress", None),
            ("", None),
        ] {
            assert_eq!(percent(line), expected, "{line}");
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(shown("é".repeat(1_000).as_bytes()), "é".repeat(SHOWN));
        assert_eq!(shown(b"a\xff"), "a\u{fffd}");
    }
}
