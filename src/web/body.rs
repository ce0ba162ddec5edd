//! The body of a request: a JSON object, every problem at once.

use super::{
    problem::{Problem, pointer},
    strict::Once,
};
use actix_process_actors::model::{ParamValue, Params, did_you_mean, parse_duration_ms};
use actix_web::{http::StatusCode, web::Payload};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Largest body: parameters and labels are limited to 4 KiB, so four times this is malice. Beyond it: 413.
const MAX_BYTES: usize = 16 << 10;

/// Bytes of a name of somebody who asks: it is stored with every run and shown in every line about it.
const MAX_NAME: usize = 256;

/// The object in a body. Members are taken out one by one; [`Body::finish`] refuses those that nobody took, and
/// reports everything that was wrong.
#[derive(Debug, Default)]
pub(super) struct Body {
    members: Map<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<(String, String)>,
}

impl Body {
    pub(super) async fn of(payload: Payload) -> Result<Self, Problem> {
        let too_large = || {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("a body has at most {MAX_BYTES} bytes"),
            )
            .with_help("put large input into a file and give its path as a parameter")
        };
        let bytes = payload
            .to_bytes_limited(MAX_BYTES)
            .await
            .map_err(|_| too_large())?
            .map_err(|error| Problem::malformed(format!("the body cannot be read: {error}")))?;
        Self::parse(&bytes)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        // Nothing at all says as much as an empty object.
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(bytes) {
            Ok(Once(Value::Object(members))) => Ok(Self { members, ..Self::default() }),
            Ok(Once(_)) => Err(Problem::invalid(vec![(String::new(), "must be an object".into())])),
            Err(error) if error.is_data() => {
                Err(Problem::malformed(format!("the body is ambiguous: {error}"))
                    .with_help("write each name once"))
            }
            Err(error) => Err(Problem::malformed(format!("the body is not JSON: {error}"))
                .with_help("send a JSON object; {} where there is nothing to say")),
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.members.remove(key).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, key: &str, detail: impl Into<String>) {
        self.errors.push((format!("/{}", pointer(key)), detail.into()));
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            _ => {
                self.wrong(key, "must be a string");
                None
            }
        }
    }

    /// Who asks.
    pub(super) fn requested_by(&mut self) -> Option<String> {
        let name = self.text("requested_by")?;
        if name.len() > MAX_NAME {
            self.wrong("requested_by", format!("has at most {MAX_NAME} bytes, this has {}", name.len()));
        }
        Some(name)
    }

    /// False where it is not written.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.take(key) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.wrong(key, "must be true or false");
                false
            }
        }
    }

    /// A whole number from `-most` to `most`.
    pub(super) fn whole(&mut self, key: &'static str, most: i32) -> Option<i32> {
        let read = |value: &Value| {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            let fits = number.filter(|number| (-most..=most).contains(number));
            fits.ok_or_else(|| format!("must be a whole number from -{most} to {most}"))
        };
        self.value(key, read)
    }

    pub(super) fn duration_ms(&mut self, key: &'static str) -> Option<u64> {
        let text = self.text(key)?;
        parse_duration_ms(&text).map_err(|why| self.wrong(key, why)).ok()
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(key, format!("must be one of {}", words.join(", ")));
        }
        found
    }

    /// A value that a reader of its own understands.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(key)?;
        read(&value).map_err(|why| self.wrong(key, why)).ok()
    }

    fn object(&mut self, key: &'static str) -> Map<String, Value> {
        match self.take(key) {
            None => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                self.wrong(key, "must be an object");
                Map::new()
            }
        }
    }

    pub(super) fn labels(&mut self) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value) in self.object("labels") {
            match value {
                Value::String(text) => {
                    labels.insert(name, text);
                }
                _ => self.errors.push((format!("/labels/{}", pointer(&name)), "must be a string".into())),
            }
        }
        labels
    }

    pub(super) fn params(&mut self) -> Params {
        let mut params = Params::new();
        for (name, value) in self.object("params") {
            // `null` is as good as not given.
            if value.is_null() {
                continue;
            }
            match ParamValue::from_json(value) {
                Ok(value) => {
                    params.insert(name, value);
                }
                Err((at, why)) => {
                    let item = at.map(|at| format!("/{at}")).unwrap_or_default();
                    self.errors.push((format!("/params/{}{item}", pointer(&name)), why));
                }
            }
        }
        params
    }

    /// Reports everything that was wrong, with members that mean nothing here.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        let unknown: Vec<_> = self.members.keys().cloned().collect();
        for key in unknown {
            let detail = match (did_you_mean(&key, self.known.iter().copied()), self.known.as_slice()) {
                (Some(near), _) => format!("is unknown, did you mean `{near}`?"),
                (None, []) => "is unknown; this takes an empty object".to_owned(),
                (None, known) => format!("is unknown; there is {}", known.join(", ")),
            };
            self.wrong(&key, detail);
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_says_something_twice_says_nothing() {
        let problem = Body::parse(br#"{"params":{"a":1,"a":2}}"#).unwrap_err().to_json();
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(400), Some("malformed")));
        assert!(problem["detail"].as_str().unwrap().contains("\"a\" stands twice"), "{problem}");
    }

    #[test]
    fn a_name_of_somebody_has_a_limit() {
        let of = |length: usize| {
            let text = format!("{{\"requested_by\":\"{}\"}}", "x".repeat(length));
            let mut body = Body::parse(text.as_bytes()).unwrap();
            body.requested_by();
            body.finish()
        };
        assert!(of(256).is_ok());
        let problem = of(257).unwrap_err().to_json();
        assert_eq!(problem["errors"][0]["pointer"], "/requested_by");
    }

    #[test]
    fn every_problem_of_a_body_comes_at_once() {
        let text = br#"{"params":{"a":["x",[]],"b":1e99,"c":0.5,"d":7,"e":null,"f":true,"g":["x",1,false]},"labels":{"x/y":1},"who":"me","by":3}"#;
        let mut body = Body::parse(text).unwrap();
        let params = body.params();
        assert_eq!(params.keys().map(String::as_str).collect::<Vec<_>>(), ["c", "d", "f", "g"]);
        assert!(body.labels().is_empty());
        assert_eq!(body.text("by"), None);
        let problem = body.finish().unwrap_err().to_json();
        assert_eq!(problem["status"], 422);
        let pointers: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, ["/params/a/1", "/params/b", "/labels/x~1y", "/by", "/who"]);
    }

    #[test]
    fn what_is_no_json_is_malformed_and_nothing_is_an_empty_object() {
        assert_eq!(Body::parse(b"{").unwrap_err().to_json()["status"], 400);
        assert_eq!(Body::parse(b"[]").unwrap_err().to_json()["status"], 422);
        assert!(Body::parse(b" \n").unwrap().finish().is_ok());
        let mut body = Body::parse(br#"{"ttl":"1h"}"#).unwrap();
        assert_eq!(body.duration_ms("ttl"), Some(3_600_000));
        for (text, number) in [("-7", Some(-7)), ("8", None), ("1.5", None), ("\"1\"", None), ("null", None)]
        {
            let mut body = Body::parse(format!(r#"{{"n":{text}}}"#).as_bytes()).unwrap();
            assert_eq!(
                (body.whole("n", 7), body.finish().is_ok()),
                (number, number.is_some() || text == "null")
            );
        }
    }
}
