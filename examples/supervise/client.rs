//! The HTTP client: where the daemon is, what opens it, and what its answers mean.

use crate::{
    args::Connection,
    facade,
    failure::{Failure, code},
};
use actix_process::actors::user_file;
use serde_json::Value;
use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use ureq::{Agent, Body, http::Response};

const DEFAULT_URL: &str = "http://127.0.0.1:9700";
const DEFAULT_FILE: &str = "supervise.toml";

/// Longer than every long poll of ours (30 s) and a busy daemon together; beyond it the daemon counts as unreachable.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// Bytes of a token that are read: longer than any that fits into a header.
const LARGEST_TOKEN: u64 = 64 << 10;

/// A connection to the daemon.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
    /// Where the token came from or was looked for, for the help of a refusal.
    token_place: String,
}

impl Client {
    /// Finds address and token; asks nothing yet.
    pub(crate) fn new(connection: &Connection) -> Result<Self, Failure> {
        let given = connection.url.clone().or_else(|| std::env::var("SUPERVISE_URL").ok());
        let url = given.filter(|url| !url.is_empty()).unwrap_or_else(|| DEFAULT_URL.into());
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        if !url.starts_with("http://") {
            return Err(Failure::new(code::USAGE, format!("`{url}` is no address this client can use"))
                .help("write http://HOST:PORT; for TLS put a tunnel or a proxy before the daemon"));
        }
        let (token, token_place) = find_token(connection)?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(ANSWER_WITHIN))
            .build()
            .new_agent();
        Ok(Self { agent, base: url.trim_end_matches('/').to_owned(), token, token_place })
    }

    /// Where the daemon is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A JSON answer.
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        let mut response = self.open(path, query, "application/json")?;
        self.json(&mut response)
    }

    /// An answer to be read as it comes.
    pub(crate) fn open(
        &self,
        path: &str,
        query: &[(&str, &str)],
        accept: &str,
    ) -> Result<Response<Body>, Failure> {
        let mut request = self.agent.get(self.url(path, query)).header("accept", accept);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.checked(request.call())
    }

    /// Status and JSON answer of a change.
    pub(crate) fn post(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<(u16, Value), Failure> {
        let mut request = self.agent.post(self.url(path, query)).header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = self.checked(request.send(body.to_string()))?;
        Ok((response.status().as_u16(), self.json(&mut response)?))
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = format!("{}/api/v1{path}", self.base);
        for (index, (key, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(&format!("{key}={}", percent(value)));
        }
        url
    }

    fn checked(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Failure> {
        let mut response = answer.map_err(|error| self.unreachable(&error.to_string()))?;
        let time = response.headers().get("x-supervisor-time-ms").and_then(|time| time.to_str().ok());
        if let Some(ms) = time.and_then(|time| time.parse().ok()) {
            crate::when::learn(ms);
        }
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let mut body = Vec::new();
        // A refusal is short; a body that cannot be read leaves the status to speak.
        let _ = response.body_mut().as_reader().take(1 << 20).read_to_end(&mut body);
        let failure = Failure::from_problem(status, &serde_json::from_slice(&body).unwrap_or(Value::Null));
        Err(match status {
            401 => failure
                .help(format!("the token came from {}; name its file with --token-file", self.token_place)),
            _ => failure,
        })
    }

    fn json(&self, response: &mut Response<Body>) -> Result<Value, Failure> {
        let mut bytes = Vec::new();
        let read = response.body_mut().as_reader().read_to_end(&mut bytes);
        read.map_err(|error| self.unreachable(&error.to_string()))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| {
            Failure::new(code::FAILED, format!("{} does not answer as a supervisor does", self.base))
        })
    }

    /// The daemon cannot be reached, or broke off.
    pub(crate) fn unreachable(&self, why: &str) -> Failure {
        Failure::new(code::UNREACHABLE, format!("no daemon answers at {}: {why}", self.base))
            .help("start one with `supervise up`, or say where it is with --url or SUPERVISE_URL")
    }
}

/// The configuration file that was named, or the default.
pub(crate) fn config_file(connection: &Connection) -> PathBuf {
    connection.file.clone().unwrap_or_else(|| DEFAULT_FILE.into())
}

/// The token, if there is one, and where it came from or was looked for.
fn find_token(connection: &Connection) -> Result<(Option<String>, String), Failure> {
    if let Some(file) = &connection.token_file {
        let token = given_token(file).map_err(|error| {
            Failure::new(code::USAGE, format!("the token file {} cannot be read: {error}", file.display()))
                .help("name the file `token` in the daemon's store, or leave --token-file out")
        })?;
        return Ok((Some(token.trim().to_owned()), file.display().to_string()));
    }
    if let Ok(token) = std::env::var("SUPERVISE_TOKEN") {
        return Ok((Some(token.trim().to_owned()), "SUPERVISE_TOKEN".into()));
    }
    let store = match &connection.data {
        Some(data) => data.clone(),
        None => facade::store_of(&config_file(connection)),
    };
    Ok(token_in(&store))
}

/// A pipe is welcome here, which a password manager writes; what has no end is not.
fn given_token(file: &Path) -> io::Result<String> {
    let mut token = String::new();
    File::open(file)?.take(LARGEST_TOKEN).read_to_string(&mut token)?;
    Ok(token)
}

/// A token that is missing or may not be read is no error yet: the daemon has the word.
fn token_in(store: &Path) -> (Option<String>, String) {
    let file = store.join("token");
    match user_file::read_text(&file, LARGEST_TOKEN) {
        Ok(token) => (Some(token.trim().to_owned()), file.display().to_string()),
        Err(error) => (None, format!("{} (not read: {error})", file.display())),
    }
}

/// A value as it may stand in a path or a query.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_paths_and_queries() {
        assert_eq!(percent("site:shop.example"), "site%3Ashop.example");
        assert_eq!(percent("a&b=c d/é"), "a%26b%3Dc%20d%2F%C3%A9");
    }
}
