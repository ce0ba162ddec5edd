//! What a process of this machine uses, read from /proc.

use std::fs;

/// CPU and memory of one process. Its children are not counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Usage {
    /// Share of one CPU over the process's life, in percent.
    pub(crate) cpu_percent: u64,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

/// Nothing when the process is gone or may not be looked at.
pub(crate) fn of(pid: i64) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    parse(&stat, &uptime, system(libc::_SC_CLK_TCK), system(libc::_SC_PAGESIZE))
}

fn parse(stat: &str, uptime: &str, ticks_per_second: u64, page: u64) -> Option<Usage> {
    // The name in brackets may hold anything, brackets and blanks too: count from its end.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.trim().parse::<u64>().ok();
    let up = uptime.split('.').next()?.parse::<u64>().ok()?;
    let ticks = number(14)? + number(15)?;
    let lived = (up * ticks_per_second).saturating_sub(number(22)?).max(1);
    Some(Usage { cpu_percent: (ticks * 100 + lived / 2) / lived, resident: number(24)? * page })
}

fn system(name: libc::c_int) -> u64 {
    // SAFETY: sysconf reads no memory of ours and has no precondition; unknown names give -1.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).unwrap_or(1).max(1)
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

    #[test]
    fn a_name_full_of_brackets_moves_no_field() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 1000 9999 256 0";
        let usage = parse(stat, "30.17 12.00", 100, 4096);
        assert_eq!(usage, Some(Usage { cpu_percent: 10, resident: 1 << 20 }));
        assert_eq!(parse("7 (a", "30.17", 100, 4096), None);
    }

    #[test]
    fn sizes_have_three_digits_at_most() {
        assert_eq!(
            (bytes(999), bytes(84_934_656), bytes(3 << 30)),
            ("999B".into(), "81M".into(), "3G".into())
        );
    }
}
