//! A strict reader of the text format of Prometheus (0.0.4): what is written for it must not need its patience.

use std::collections::{BTreeMap, BTreeSet};

/// Labels and values, in order of the labels.
pub(crate) type Labels = BTreeMap<String, String>;

/// A metric as it was read.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Name (with its suffix), labels and value of each sample.
    pub(crate) samples: Vec<(String, Labels, f64)>,
}

impl Family {
    /// The sum of the samples of this name that have all of these labels.
    pub(crate) fn sum(&self, suffix: &str, labels: &[(&str, &str)]) -> f64 {
        let has =
            |own: &Labels| labels.iter().all(|(name, value)| own.get(*name).is_some_and(|own| own == value));
        let name = format!("{}{suffix}", self.name);
        self.samples
            .iter()
            .filter(|(own, labels, _)| *own == name && has(labels))
            .map(|(_, _, value)| value)
            .sum()
    }
}

/// Reads a whole page; the first thing that is wrong with it.
pub(crate) fn parse(page: &str) -> Result<Vec<Family>, String> {
    if !page.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let (mut families, mut names, mut seen) = (Vec::<Family>::new(), BTreeSet::new(), BTreeSet::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let wrong = |why: &str| Err(format!("{why}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return wrong("a help without a text") };
            let of_type = lines.next().and_then(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
            let Some((typed, kind)) = of_type else { return wrong("no type after the help") };
            if typed != name || help.is_empty() {
                return wrong("help and type do not belong together");
            }
            if !names.insert(name.to_owned()) {
                return wrong("told twice");
            }
            if !["counter", "gauge", "histogram", "summary"].contains(&kind) {
                return wrong("no such type");
            }
            if !is_name(name) || (kind == "counter") != name.ends_with("_total") {
                return wrong("a counter ends with _total, and nothing else does");
            }
            families.push(Family { name: name.into(), kind: kind.into(), samples: Vec::new() });
            continue;
        }
        let Some(family) = families.last_mut() else { return wrong("a sample of no family") };
        let (name, labels, value) = sample(line)?;
        let suffixes: &[&str] = match family.kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            "summary" => &["_sum", "_count"],
            _ => &[""],
        };
        if !name.strip_prefix(&family.name).is_some_and(|suffix| suffixes.contains(&suffix)) {
            return wrong("a sample of another family");
        }
        if family.kind != "gauge" && value < 0.0 {
            return wrong("less than nothing");
        }
        if !seen.insert((name.clone(), labels.clone())) {
            return wrong("the same sample twice");
        }
        family.samples.push((name, labels, value));
    }
    families.iter().filter(|family| family.kind == "histogram").try_for_each(check_histogram)?;
    Ok(families)
}

fn is_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let wrong = |why: &str| format!("{why}: {line}");
    let end = line.find(['{', ' ']).ok_or_else(|| wrong("no value"))?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or_else(|| wrong("a label without a value"))?;
            let (value, after) =
                quoted(after).ok_or_else(|| wrong("a value that is not escaped or has no end"))?;
            if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                return Err(wrong("a label that is none, or stands twice"));
            }
            match (after.strip_prefix(','), after.strip_prefix('}')) {
                (Some(more), _) => rest = more,
                (None, Some(after)) => {
                    rest = after;
                    break;
                }
                (None, None) => return Err(wrong("neither another label nor the end of them")),
            }
        }
    }
    let value =
        rest.strip_prefix(' ').and_then(|value| value.parse().ok()).ok_or_else(|| wrong("no number"))?;
    if !is_name(name) {
        return Err(wrong("no name"));
    }
    Ok((name.to_owned(), labels, value))
}

/// The text up to the quote that ends it, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

/// Buckets ascend and are cumulative, the last one is all there are, and there is a sum for each.
fn check_histogram(family: &Family) -> Result<(), String> {
    let wrong = |why: &str, labels: &Labels| Err(format!("{}: {why}: {labels:?}", family.name));
    let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let (mut sums, mut counts) = (BTreeSet::new(), BTreeMap::new());
    for (name, labels, value) in &family.samples {
        let mut labels = labels.clone();
        let bound = labels.remove("le").map(|le| if le == "+Inf" { Ok(f64::INFINITY) } else { le.parse() });
        match (name.rsplit('_').next(), bound) {
            (Some("bucket"), Some(Ok(bound))) => buckets.entry(labels).or_default().push((bound, *value)),
            (Some("sum"), None) => drop(sums.insert(labels)),
            (Some("count"), None) => drop(counts.insert(labels, *value)),
            _ => return wrong("a bound where none belongs, or none where one does", &labels),
        }
    }
    for (labels, buckets) in &buckets {
        if !buckets.is_sorted_by(|(a, m), (b, n)| a < b && m <= n) {
            return wrong("buckets do not grow", labels);
        }
        if buckets.last().map(|(bound, count)| (*bound, Some(*count)))
            != Some((f64::INFINITY, counts.get(labels).copied()))
        {
            return wrong("the last bucket is not +Inf with all there are", labels);
        }
    }
    match counts.keys().find(|labels| !sums.contains(*labels) || !buckets.contains_key(*labels)) {
        Some(labels) => wrong("a count alone", labels),
        None => Ok(()),
    }
}

#[test]
fn what_is_not_in_the_format_is_refused() {
    const HEAD: &str = "# HELP a_total A.\n# TYPE a_total counter\n";
    const HISTOGRAM: &str = "# HELP h H.\n# TYPE h histogram\n";
    for (page, why) in [
        (format!("{HEAD}a_total 1"), "no end"),
        ("a_total 1\n".into(), "no family"),
        (format!("{HEAD}{HEAD}"), "told twice"),
        (format!("{HEAD}b 1\n"), "another family"),
        (format!("{HEAD}a_total 1\na_total 2\n"), "the same sample twice"),
        (format!("{HEAD}a_total -1\n"), "less than nothing"),
        (format!("{HEAD}a_total x\n"), "no number"),
        (format!("{HEAD}a_total{{x=\"a\"b\"}} 1\n"), "neither another label"),
        (format!("{HEAD}a_total{{x=\"a\\b\"}} 1\n"), "not escaped"),
        (format!("{HEAD}a_total{{x=\"\",x=\"\"}} 1\n"), "stands twice"),
        ("# HELP a A.\n# TYPE a counter\n".into(), "_total"),
        ("# HELP a_total A.\n".into(), "no type"),
        (
            format!("{HISTOGRAM}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 1\n"),
            "do not grow",
        ),
        (format!("{HISTOGRAM}h_bucket{{le=\"+Inf\"}} 1\nh_sum 1\nh_count 2\n"), "not +Inf with all"),
        (format!("{HISTOGRAM}h_bucket{{le=\"+Inf\"}} 1\nh_count 1\n"), "a count alone"),
    ] {
        let said = parse(&page).map(|_| ()).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
    }
    let good = format!(
        "{HEAD}a_total{{x=\"say \\\"hi\\\"\\\\\\n\"}} 1\n{HISTOGRAM}h_bucket{{le=\"0.5\"}} 0\nh_bucket{{le=\"+Inf\"}} 2\nh_sum 7\nh_count 2\n"
    );
    let families = parse(&good).unwrap_or_default();
    assert_eq!(families.first().map(|a| a.sum("", &[("x", "say \"hi\"\\\n")])), Some(1.0));
    assert_eq!(families.get(1).map(|h| h.sum("_bucket", &[("le", "+Inf")])), Some(2.0));
}
