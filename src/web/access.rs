//! Who may come in.

use super::problem::Problem;
use actix_web::{
    dev::RequestHead,
    http::{Method, StatusCode, header},
};
use std::{fmt, net::Ipv4Addr};

/// Who may use the API.
#[derive(Clone)]
pub struct Access {
    /// The bearer token. An empty one lets nobody in.
    pub token: String,
    /// Names in `Host` that are allowed beside the loopback ones: `name`, or `name:port` for this port alone.
    pub allowed_hosts: Vec<String>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("allowed_hosts", &self.allowed_hosts).finish_non_exhaustive()
    }
}

impl Access {
    /// Everything is checked before anything of the request is looked at: address, origin, token, kind of body.
    pub(super) fn check(&self, head: &RequestHead) -> Result<(), Problem> {
        let host = self.check_host(head)?;
        check_origin(head, &host)?;
        if head.uri.path() == "/healthz" && is_reading(&head.method) {
            return Ok(());
        }
        self.check_token(head)?;
        check_content_type(head)?;
        check_encoding(head)
    }

    /// The `Host` of the request, when it is one of ours. Forwarding headers are not believed.
    fn check_host(&self, head: &RequestHead) -> Result<String, Problem> {
        let mut hosts = head.headers.get_all(header::HOST);
        let named = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default(),
            _ => "",
        };
        // A request line with a whole address names the host a second time; it must not say something else.
        let host = match head.uri.authority() {
            Some(authority) if !authority.as_str().eq_ignore_ascii_case(named) => "",
            _ => named,
        };
        if self.is_ours(host) {
            return Ok(host.to_ascii_lowercase());
        }
        Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong_host",
            format!("`{named}` is not served here"),
        )
        .with_help("use a loopback address, or add the name to server.allowed_hosts"))
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host);
        let loopback = name.eq_ignore_ascii_case("localhost")
            || name == "[::1]"
            || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        let allowed = |entry: &String| entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(name);
        !name.is_empty() && (loopback || self.allowed_hosts.iter().any(allowed))
    }

    fn check_token(&self, head: &RequestHead) -> Result<(), Problem> {
        let given = head.headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        let token = given.and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
        match token {
            Some(token) if !self.token.is_empty() && same(token, self.token.as_bytes()) => Ok(()),
            _ => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "no_token",
                if token.is_some() { "the token is not the right one" } else { "a bearer token is needed" },
            )
            .with_help("send `Authorization: Bearer …` with what stands in the file `token` of the store")
            .with_header(header::WWW_AUTHENTICATE, "Bearer")),
        }
    }
}

/// Compares without telling by its time how much of the token was right. Only the length may show, which is no secret.
fn same(given: &[u8], token: &[u8]) -> bool {
    let differences = given.iter().zip(token).fold(0_u8, |sum, (a, b)| std::hint::black_box(sum | (a ^ b)));
    given.len() == token.len() && differences == 0
}

/// `name` of `name:port`; of an IPv6 address with its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// A browser says which page a request comes from: only our own pages may ask.
fn check_origin(head: &RequestHead, host: &str) -> Result<(), Problem> {
    let own = |origin: &header::HeaderValue| {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) == Some(host)
    };
    if head.headers.get_all(header::ORIGIN).all(own) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "pages of other sites may not use this API")
        .with_help("ask from a page of the same address, or from outside a browser"))
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// No page can make a browser send JSON elsewhere without asking first, and we never say yes to that question.
fn check_content_type(head: &RequestHead) -> Result<(), Problem> {
    let essence = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim());
    // Whatever else it is, no route takes it, and a browser asks before it sends it.
    if head.method != Method::POST
        || essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
    {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_json",
        "changes are made by `content-type: application/json` only",
    )
    .with_help("send that header, also with an empty body"))
}

/// A body is taken as it is: what somebody packed could become any size.
fn check_encoding(head: &RequestHead) -> Result<(), Problem> {
    let plain = |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if head.headers.get_all(header::CONTENT_ENCODING).all(plain) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_json",
        "a body in a `content-encoding` is not unpacked",
    )
    .with_help("send the JSON as it is, without that header")
    .with_header(header::ACCEPT_ENCODING, "identity"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn access() -> Access {
        Access { token: "secret".into(), allowed_hosts: vec!["ops.example".into(), "only.example:81".into()] }
    }

    /// The code of the refusal; empty when it is let in.
    #[track_caller]
    fn refused(method: Method, path: &str, headers: &[(&'static str, &'static str)]) -> String {
        let mut request = TestRequest::default().method(method).uri(path);
        for header in headers {
            request = request.append_header(*header);
        }
        match access().check(request.to_http_request().head()) {
            Ok(()) => String::new(),
            Err(problem) => problem.to_json()["code"].as_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn only_our_own_names_are_served() {
        for host in [
            "localhost",
            "LOCALHOST:9700",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]:9700",
            "[::1]",
            "ops.example",
            "OPS.example:8080",
            "only.example:81",
        ] {
            assert_eq!(refused(Method::GET, "/healthz", &[("host", host)]), "", "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "only.example",
            "128.0.0.1",
            "",
            "[::2]",
            "localhost:9700:1",
            "ops.example.",
        ] {
            assert_eq!(refused(Method::GET, "/healthz", &[("host", host)]), "wrong_host", "{host}");
        }
        assert_eq!(refused(Method::GET, "/healthz", &[]), "wrong_host");
        assert_eq!(
            refused(Method::GET, "/healthz", &[("host", "localhost"), ("host", "evil")]),
            "wrong_host"
        );
        let forwarded = [("host", "evil.example"), ("x-forwarded-host", "localhost")];
        assert_eq!(refused(Method::GET, "/healthz", &forwarded), "wrong_host");
        assert_eq!(
            refused(Method::GET, "http://evil.example/healthz", &[("host", "localhost")]),
            "wrong_host"
        );
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        for (origin, code) in [
            ("http://localhost:9700", ""),
            ("https://LOCALHOST:9700", ""),
            ("http://localhost:9701", "foreign_origin"),
            ("http://evil.example", "foreign_origin"),
            ("null", "foreign_origin"),
        ] {
            let headers = [("host", "localhost:9700"), ("origin", origin)];
            assert_eq!(refused(Method::GET, "/healthz", &headers), code, "{origin}");
        }
    }

    #[test]
    fn everything_but_health_needs_the_token() {
        for (authorization, code) in [
            ("Bearer secret", ""),
            ("bearer secret", ""),
            ("Bearer secreT", "no_token"),
            ("Bearer secret1", "no_token"),
            ("Bearer secre", "no_token"),
            ("Bearer ", "no_token"),
            ("Basic secret", "no_token"),
            ("secret", "no_token"),
        ] {
            let headers = [("host", "localhost"), ("authorization", authorization)];
            assert_eq!(refused(Method::GET, "/api/v1/runs", &headers), code, "{authorization}");
        }
        assert_eq!(refused(Method::GET, "/api/v1/runs", &[("host", "localhost")]), "no_token");
        assert_eq!(refused(Method::POST, "/healthz", &[("host", "localhost")]), "no_token");
        let nobody = Access { token: String::new(), allowed_hosts: Vec::new() };
        let request = TestRequest::get().insert_header(("host", "localhost")).uri("/x");
        let request = request.insert_header(("authorization", "Bearer ")).to_http_request();
        assert!(nobody.check(request.head()).is_err());
    }

    #[test]
    fn changes_are_made_by_json_only() {
        for (kind, code) in [
            (Some("application/json"), ""),
            (Some("Application/JSON; charset=utf-8"), ""),
            (Some("text/plain"), "not_json"),
            (Some("application/x-www-form-urlencoded"), "not_json"),
            (None, "not_json"),
        ] {
            let mut headers = vec![("host", "localhost"), ("authorization", "Bearer secret")];
            headers.extend(kind.map(|kind| ("content-type", kind)));
            assert_eq!(refused(Method::POST, "/api/v1/runs/x/stop", &headers), code, "{kind:?}");
        }
    }

    #[test]
    fn a_body_that_is_packed_is_refused_as_such() {
        for (encoding, code) in [("gzip", "not_json"), ("identity, gzip", "not_json"), ("Identity", "")] {
            let headers = [
                ("host", "localhost"),
                ("authorization", "Bearer secret"),
                ("content-type", "application/json"),
                ("content-encoding", encoding),
            ];
            assert_eq!(refused(Method::POST, "/api/v1/runs/x/stop", &headers), code, "{encoding}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", access()).contains("secret"));
    }
}
