//! The query of a request: every key once, every key known.

use super::problem::Problem;
use actix_process_actors::{
    clock,
    model::{Timestamp, did_you_mean, parse_duration_ms},
};
use actix_web::{HttpRequest, web};
use std::collections::BTreeMap;

/// Longest wait of one question: proxies and clients give up on silent connections not much later. A longer one is cut
/// to this, and the answer says that it is not over yet.
pub(super) const MAX_WAIT_MS: u64 = 60_000;

/// What stands in the query. Keys are taken out one by one; [`Asked::finish`] refuses those that nobody took.
#[derive(Debug)]
pub(super) struct Asked {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl Asked {
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        Self::parse(request.query_string())
    }

    fn parse(query: &str) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|error| Problem::malformed(format!("the query cannot be read: {error}")))?;
        let mut given = BTreeMap::new();
        for (key, value) in pairs.into_inner() {
            if given.contains_key(&key) {
                return Err(Problem::malformed(format!("`{key}` stands in the query twice")));
            }
            given.insert(key, value);
        }
        Ok(Self { given, known: Vec::new() })
    }

    /// The value of a key; an empty one is as good as none.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.known.push(key);
        self.given.remove(key).filter(|value| !value.is_empty())
    }

    /// The value of a key as something else.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(key) else { return Ok(None) };
        read(&text).map(Some).map_err(|why| Problem::malformed(format!("`{key}` in the query: {why}")))
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self, key: &'static str) -> Result<Option<T>, Problem> {
        self.value(key, |text| text.parse().map_err(|_| format!("`{text}` is not a whole number in range")))
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        self.value(key, |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                format!("`{text}` is none of {}", words.join(", "))
            })
        })
    }

    /// How many items of a list: `default` unless said, never more than `most`.
    pub(super) fn limit(&mut self, default: usize, most: usize) -> Result<usize, Problem> {
        let read = |text: &str| match text.parse() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(format!("`{text}` is no whole number over 0")),
        };
        let limit: Option<usize> = self.value("limit", read).map_err(|problem| {
            problem.with_help(format!("write 1 to {most}; without `limit` there are {default}"))
        })?;
        Ok(limit.unwrap_or(default).min(most))
    }

    /// How long to wait; 0 unless said.
    pub(super) fn wait_ms(&mut self) -> Result<u64, Problem> {
        Ok(self.wait_said_ms()?.unwrap_or(0))
    }

    /// The same, and nothing where it is not said.
    pub(super) fn wait_said_ms(&mut self) -> Result<Option<u64>, Problem> {
        Ok(self.value("wait", parse_duration_ms)?.map(|ms| ms.min(MAX_WAIT_MS)))
    }

    /// A point in time, or how long ago.
    pub(super) fn time(&mut self, key: &'static str) -> Result<Option<Timestamp>, Problem> {
        self.value(key, |text| {
            if let Ok(at) = text.parse::<jiff::Timestamp>() {
                let wall = Timestamp(u64::try_from(at.as_millisecond()).unwrap_or(0));
                return Ok(clock::of_shown(wall));
            }
            let ago = parse_duration_ms(text).map_err(|_| {
                format!("`{text}` is neither a time (2026-11-23T12:00:00Z) nor a duration (10m)")
            })?;
            Ok(Timestamp(clock::now().0.saturating_sub(ago)))
        })
    }

    /// Refuses keys that mean nothing here: a misspelled filter must not answer with everything.
    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.given.is_empty() {
            return Ok(());
        }
        let unknown: Vec<_> = self.given.keys().map(|key| format!("`{key}`")).collect();
        let first = self.given.keys().next().map_or("", String::as_str);
        let help = match (did_you_mean(first, self.known.iter().copied()), self.known.as_slice()) {
            (Some(near), _) if unknown.len() == 1 => format!("did you mean `{near}`?"),
            (_, []) => "this address takes no query".to_owned(),
            (_, known) => format!("this address knows {}", known.join(", ")),
        };
        let mean = if unknown.len() == 1 { "means" } else { "mean" };
        Err(Problem::malformed(format!("{} {mean} nothing here", unknown.join(", "))).with_help(help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_named_with_those_that_are_known() {
        let mut asked = Asked::parse("program=a&limti=3&x=").unwrap();
        assert_eq!(asked.text("program").as_deref(), Some("a"));
        assert_eq!(asked.limit(100, 1_000).unwrap(), 100);
        let problem = asked.finish().unwrap_err().to_json();
        assert_eq!(problem["status"], 400);
        assert_eq!(problem["detail"], "`limti`, `x` mean nothing here");
        assert_eq!(problem["help"], "this address knows program, limit");
    }

    #[test]
    fn empty_values_narrow_nothing_and_doubles_are_refused() {
        let mut asked = Asked::parse("program=&limit=5000").unwrap();
        assert_eq!(asked.text("program"), None);
        assert_eq!(asked.limit(100, 1_000).unwrap(), 1_000);
        assert!(asked.finish().is_ok());
        assert!(Asked::parse("a=1&a=2").is_err());
    }

    #[test]
    fn values_are_read_or_refused_with_a_reason() {
        let mut asked = Asked::parse("wait=5&since=1970-01-01T00:00:01Z&until=soon&limit=-1&dir=up").unwrap();
        assert!(asked.wait_ms().unwrap_err().to_string().contains("needs a unit"));
        assert_eq!(asked.time("since").unwrap(), Some(Timestamp(1_000)));
        assert!(asked.time("until").is_err());
        assert!(asked.limit(1, 2).is_err());
        for (limit, read) in
            [("1", Some(1)), ("3", Some(2)), ("0", None), ("-0", None), ("x", None), ("", Some(1))]
        {
            assert_eq!(Asked::parse(&format!("limit={limit}")).unwrap().limit(1, 2).ok(), read, "{limit}");
        }
        let dir = asked.word("dir", &[("back", 1), ("fwd", 2)]).unwrap_err();
        assert!(dir.to_string().contains("none of back, fwd"));
        let mut long = Asked::parse("wait=1d").unwrap();
        assert_eq!(long.wait_ms().unwrap(), MAX_WAIT_MS);
    }
}
