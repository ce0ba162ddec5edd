//! The text that Prometheus reads: exposition format 0.0.4.

use std::fmt::{Display, Write as _};

/// What a family's values mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Only grows, and begins at nought with each supervisor.
    Counter,
    /// As it is now.
    Gauge,
    /// Counts below bounds, a sum and a count.
    Histogram,
    /// A sum and a count.
    Summary,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// A metric: its name and what its values are told apart by.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

/// The page as it is written, a family at a time.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Begins a family; what is written until the next one is of it.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        let Family { name, kind, help, .. } = family;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing into a text cannot fail, here and below.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name());
        Samples { page: &mut self.0, family }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Where the values of one family are written.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    page: &'a mut String,
    family: &'static Family,
}

impl Samples<'_> {
    /// One value, under the values of the family's labels.
    pub(super) fn add(&mut self, labels: &[&str], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// A histogram: how many values came up to each bound and over the one before, the last one beyond all of them.
    pub(super) fn histogram(&mut self, labels: &[&str], bounds_ms: &[u64], buckets: &[u64], sum_ms: u64) {
        let mut count = 0;
        for (place, bucket) in buckets.iter().enumerate() {
            count += bucket;
            let bound = bounds_ms.get(place).map_or_else(|| "+Inf".to_owned(), |ms| seconds(*ms, 3));
            self.line("_bucket", labels, Some(&bound), count);
        }
        self.sum_and_count(labels, seconds(sum_ms, 3), count);
    }

    pub(super) fn sum_and_count(&mut self, labels: &[&str], sum: impl Display, count: u64) {
        self.line("_sum", labels, None, sum);
        self.line("_count", labels, None, count);
    }

    fn line(&mut self, suffix: &str, values: &[&str], bound: Option<&str>, value: impl Display) {
        let Family { name, labels, .. } = self.family;
        debug_assert_eq!(labels.len(), values.len(), "{name}");
        let _ = write!(self.page, "{name}{suffix}");
        let pairs =
            labels.iter().copied().zip(values.iter().copied()).chain(bound.map(|bound| ("le", bound)));
        let mut open = '{';
        for (label, value) in pairs {
            let _ = write!(self.page, "{open}{label}=\"{}\"", escaped(value));
            open = ',';
        }
        let end = if open == ',' { "}" } else { "" };
        let _ = writeln!(self.page, "{end} {value}");
    }
}

/// A label's value as it may stand between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Seconds without rounding, of a number that has so many places after the point.
pub(super) fn seconds(value: u64, places: u32) -> String {
    let unit = 10_u64.pow(places);
    let text = format!("{}.{:0width$}", value / unit, value % unit, width = places as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_label_or_a_line_is_escaped() {
        static FAMILY: Family =
            Family { name: "x_total", kind: Kind::Counter, labels: &["a", "b"], help: "One\\two\nthree." };
        let mut page = Page::default();
        page.family(&FAMILY).add(&["say \"hi\"\\", "two\nlines"], 3);
        assert_eq!(
            page.into_text(),
            "# HELP x_total One\\\\two\\nthree.\n# TYPE x_total counter\n\
             x_total{a=\"say \\\"hi\\\"\\\\\",b=\"two\\nlines\"} 3\n"
        );
    }

    #[test]
    fn seconds_are_exact() {
        for (value, places, text) in [
            (0, 3, "0"),
            (1, 3, "0.001"),
            (1_000, 3, "1"),
            (86_400_000, 3, "86400"),
            (1_500, 3, "1.5"),
            (10, 6, "0.00001"),
            (u64::MAX, 3, "18446744073709551.615"),
        ] {
            assert_eq!(seconds(value, places), text);
        }
    }
}
