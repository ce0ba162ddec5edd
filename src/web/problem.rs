//! Errors as RFC 9457 problem documents.

use crate::{Error, ErrorKind};
use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use serde_json::{Value, json};
use std::fmt;

/// Where a problem's type is explained; the code follows.
const TYPES: &str = "https://docs.rs/actix-process/latest/actix_process/web/index.html#";

/// When to ask a store again that takes nothing: a full disk is no fault of who asks, and somebody may make room.
const STORE_RETRY_MS: u64 = 5_000;

/// Why a request is refused.
///
/// Boxed, so that every `Result` of the routes stays small.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Document>);

#[derive(Clone, Debug)]
struct Document {
    status: StatusCode,
    code: &'static str,
    detail: String,
    help: Option<String>,
    retry_after_ms: Option<u64>,
    errors: Vec<(String, String)>,
    header: Option<(HeaderName, &'static str)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Document {
            status,
            code,
            detail: detail.into(),
            help: None,
            retry_after_ms: None,
            errors: Vec::new(),
            header: None,
        }))
    }

    /// Something in the request cannot be read at all.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// The request can be read, but these parts of its body (JSON pointers) are wrong.
    pub(super) fn invalid(errors: Vec<(String, String)>) -> Self {
        let part = |(pointer, detail): &(String, String)| match pointer.trim_start_matches('/') {
            "" => format!("it {detail}"),
            name => format!("{name} {detail}"),
        };
        let parts: Vec<_> = errors.iter().map(part).collect();
        let detail = format!("the body does not fit: {}", parts.join(" · "));
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", detail);
        problem.0.errors = errors;
        problem
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.0.header = Some((name, value));
        self
    }

    fn title(&self) -> String {
        let mut title = self.0.code.replace('_', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        title
    }

    pub(super) fn to_json(&self) -> Value {
        let mut body = json!({
            "type": format!("{TYPES}{}", self.0.code),
            "title": self.title(),
            "status": self.0.status.as_u16(),
            "code": self.0.code,
            "detail": self.0.detail,
        });
        if let Some(help) = &self.0.help {
            body["help"] = json!(help);
        }
        if let Some(ms) = self.0.retry_after_ms {
            body["retry_after_s"] = json!(ms.div_ceil(1_000));
        }
        if !self.0.errors.is_empty() {
            let error = |(pointer, detail): &(String, String)| json!({"pointer": pointer, "detail": detail});
            body["errors"] = self.0.errors.iter().map(error).collect();
        }
        body
    }

    pub(super) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if let Some(ms) = self.0.retry_after_ms {
            response.insert_header((header::RETRY_AFTER, ms.div_ceil(1_000)));
        }
        if let Some((name, value)) = &self.0.header {
            response.insert_header((name.clone(), HeaderValue::from_static(value)));
        }
        response.body(self.to_json().to_string())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let mut problem = Self::new(status_of(error.kind()), error.kind().name(), error.to_string());
        problem.0.help = error.help().map(str::to_owned);
        problem.0.retry_after_ms = error.retry_after_ms();
        if problem.0.status == StatusCode::TOO_MANY_REQUESTS {
            // Nobody knows when a place will be free; a second keeps clients from asking in a tight loop.
            problem.0.retry_after_ms = problem.0.retry_after_ms.or(Some(1_000));
        }
        if error.kind() == ErrorKind::Store {
            problem.0.retry_after_ms = problem.0.retry_after_ms.or(Some(STORE_RETRY_MS));
        }
        problem.0.errors = error
            .param_problems()
            .iter()
            .map(|problem| (format!("/params/{}", pointer(&problem.name)), problem.detail.clone()))
            .collect();
        problem
    }
}

/// A name as part of a JSON pointer.
pub(super) fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        // An end that fits several ids names no run either.
        ErrorKind::UnknownProgram
        | ErrorKind::UnknownRun
        | ErrorKind::AmbiguousRun
        | ErrorKind::UnknownScope => StatusCode::NOT_FOUND,
        ErrorKind::InvalidParams | ErrorKind::KeyReused | ErrorKind::Config => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ErrorKind::InvalidQuery => StatusCode::BAD_REQUEST,
        ErrorKind::QueueFull => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::AlreadyRunning | ErrorKind::NotRunning => StatusCode::CONFLICT,
        ErrorKind::Blocked
        | ErrorKind::ShuttingDown
        | ErrorKind::Closed
        | ErrorKind::NoAnswer
        | ErrorKind::Store => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::StoreLocked | ErrorKind::Keeper => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
