//! One process, as the kernel shows it.

/// A process as `/proc/PID/stat` shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProcessStat {
    /// The process id.
    pub pid: i32,
    /// The state: `R`, `S`, `D`, `T`, `Z` …
    pub state: u8,
    /// The id of the parent process.
    pub parent: i32,
    /// The id of the process group.
    pub group: i32,
    /// The id of the session.
    pub session: i32,
    /// The time on a CPU, of the process and of its children that ended, in clock ticks.
    pub busy_ticks: u64,
    /// When the process started, in clock ticks since boot.
    pub start_ticks: u64,
    /// The resident memory, in pages.
    pub resident_pages: u64,
}

impl ProcessStat {
    /// Reads the text of the file; `None` when it is cut off or has another form.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        // The name in parentheses may have any byte, parentheses too: fields are counted from the last one.
        let (head, tail) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().take(22).collect();
        // Numbered as in proc(5), where the state, the first of these, is the third.
        let field = |number: usize| fields.get(number - 3);
        let id = |number: usize| field(number)?.parse().ok();
        // Some are signed to the kernel, and never negative.
        let amount = |number: usize| Some(u64::try_from(field(number)?.parse::<i64>().ok()?).unwrap_or(0));
        Some(Self {
            pid: head.split(' ').next()?.parse().ok()?,
            state: *field(3)?.as_bytes().first()?,
            parent: id(4)?,
            group: id(5)?,
            session: id(6)?,
            busy_ticks: amount(14)? + amount(15)? + amount(16)? + amount(17)?,
            start_ticks: amount(22)?,
            resident_pages: amount(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_brackets_moves_no_field() {
        let stat = b"7 (a) b) (c\xff) S 1 7 8 0 -1 0 0 0 0 0 150 50 3 4 20 0 1 0 1000 9999 256 0";
        let expected = ProcessStat {
            pid: 7,
            state: b'S',
            parent: 1,
            group: 7,
            session: 8,
            busy_ticks: 207,
            start_ticks: 1_000,
            resident_pages: 256,
        };
        assert_eq!(ProcessStat::parse(stat), Some(expected));
        assert_eq!(ProcessStat::parse(b"7 (a) S 1 (b)) R 5 6 4 0 -1").map(|stat| stat.pid), None, "cut");
        assert_eq!(ProcessStat::parse(b"7 (a"), None);
        assert_eq!(ProcessStat::parse(b""), None);
    }
}
