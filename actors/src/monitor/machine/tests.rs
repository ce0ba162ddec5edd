//! What makes a line an error, how lines are cut and what is blanked.

use super::*;
use crate::model::{
    ClassOverride, ClassifyRule, Command, Evidence, ExitStatus, Level, Matcher, Program, Stream,
    StreamChoice, Timestamp,
};
use proptest::prelude::*;
use std::sync::LazyLock;

fn program() -> Program {
    Program::new("p", Command::Argv(vec!["true".into()]))
}

fn built_in() -> Rules {
    let rules = Rules::of(&program());
    assert_eq!(rules.problems(), [""; 0]);
    rules
}

#[track_caller]
fn assert_class(line: &str, expected: Option<&str>) {
    static BUILT_IN: LazyLock<Rules> = LazyLock::new(built_in);
    let rules = &*BUILT_IN;
    let found = rules.line(line.as_bytes(), Stream::Stderr);
    let class = found.map(|rule| rules.list()[rule].class.to_string());
    let name = found.map(|rule| rules.list()[rule].name.to_string());
    assert_eq!(class.as_deref(), expected, "{line:?} by {name:?}");
    let block = format!("200 OK\n{line}\n\n");
    let hits =
        rules.find(block.as_bytes(), &cut(block.as_bytes(), 1_000, None, 1_000, false), Stream::Stderr);
    assert_eq!(hits, Vec::from_iter(found.map(|rule| Hit { line: 1, rule })), "{line:?} in a block");
}

#[test]
fn lines_that_show_a_class() {
    for (line, class) in [
        ("HTTP 429", "rate_limited"),
        ("HTTP/1.1 429 Too Many Requests", "rate_limited"),
        (
            "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://a/b",
            "rate_limited",
        ),
        ("ERROR status=429 url=/x", "rate_limited"),
        (r#"{"level":"error","status":429,"url":"/x"}"#, "rate_limited"),
        (
            "2026-01-01 00:00:00 [scrapy.core.engine] DEBUG: Crawled (429) <GET https://a> (referer: None)",
            "rate_limited",
        ),
        ("status code: 429", "rate_limited"),
        ("got status_code 429, backing off", "rate_limited"),
        ("API rate limit exceeded for user", "rate_limited"),
        ("openai.RateLimitError: Error code: 429 - {'error': ...}", "rate_limited"),
        ("INFO response status 429, retry-after: 30", "rate_limited"),
        ("captcha required", "blocked"),
        ("ERROR: hit a captcha on page 3", "blocked"),
        ("Your IP has been temporarily blocked", "blocked"),
        ("HTTP 403", "blocked"),
        ("urllib.error.HTTPError: HTTP Error 403: Forbidden", "blocked"),
        ("curl: (22) The requested URL returned error: 403", "blocked"),
        ("HTTP Error 401: Unauthorized", "config"),
        ("HTTP 503 Service Unavailable", "upstream"),
        ("upstream error: status 502", "upstream"),
        ("500 Internal Server Error", "upstream"),
        ("504 Gateway Timeout", "upstream"),
        ("curl: (6) Could not resolve host: shop.example", "network"),
        ("socket.gaierror: [Errno -2] Name or service not known", "network"),
        ("Error: getaddrinfo ENOTFOUND shop.example", "network"),
        ("dial tcp: lookup a: no such host", "network"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "network"),
        ("Error: connect ECONNREFUSED 127.0.0.1:80", "network"),
        ("read: connection reset by peer", "network"),
        ("ssl.SSLCertVerificationError: certificate verify failed: unable to get local issuer", "network"),
        ("net/http: TLS handshake timeout", "network"),
        ("requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='a', port=443)", "network"),
        ("curl: (28) Connection timed out after 5001 milliseconds", "network"),
        ("context deadline exceeded", "network"),
        ("ERROR request timeout", "network"),
        ("java.lang.OutOfMemoryError: Java heap space", "oom"),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "oom"),
        ("MemoryError", "oom"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "oom"),
        ("memory allocation of 4294967296 bytes failed", "oom"),
        ("bash: line 1: frobnicate: command not found", "config"),
        ("sh: 1: frobnicate: not found", "config"),
        ("scrape.py: error: unrecognized arguments: --foo", "config"),
        ("ModuleNotFoundError: No module named 'requests'", "config"),
        ("Traceback (most recent call last):", "exit_nonzero"),
        ("thread 'main' panicked at src/main.rs:2:5:", "exit_nonzero"),
        ("thread 'main' (1234) panicked at src/main.rs:2:5:", "exit_nonzero"),
        ("panic: runtime error: index out of range [5] with length 3", "exit_nonzero"),
        ("Exception in thread \"main\" java.lang.IllegalStateException: no", "exit_nonzero"),
        ("OSError: [Errno 28] No space left on device", "exit_nonzero"),
        ("OSError: [Errno 24] Too many open files", "exit_nonzero"),
        ("Segmentation fault (core dumped)", "exit_nonzero"),
    ] {
        assert_class(line, Some(class));
    }
}

#[test]
fn lines_that_show_none() {
    for line in [
        "INFO GET /items status=200 429 items in 503 ms",
        "429 items",
        "fetched 429 of 500 pages",
        "took 503 ms",
        "status=200 bytes=429",
        "status: 4290",
        "HTTP 200 OK",
        "HTTP/1.1 200 OK",
        "listening on port 5030",
        "INFO rate limit is 10 requests per second",
        "INFO captcha solver disabled",
        "INFO connection timeout set to 5s",
        "DEBUG retrying after connection reset",
        "INFO will retry when connection refused",
        "timeout=30",
        "request timeout: 30s",
        "read 500 rows",
        "error count: 0",
        "0 errors, 403 warnings",
        "page 403 of 500",
        "user 401 logged in",
        "price 5.00 503 units",
        "no panic",
        "memory: 512 MB",
        "done",
        "",
        "version 4.29.502",
    ] {
        assert_class(line, None);
    }
}

#[test]
fn the_hint_of_a_line_is_found_where_it_stands() {
    let rules = built_in();
    for (line, wait) in [
        ("HTTP 429 from shop, Retry-After: 3", Some(3_000)),
        ("HTTP 429 {\"retry_after\": 6.0, \"code\": 4}", Some(6_000)),
        ("HTTP 429 {'Retry-After': '9'}", Some(9_000)),
        ("HTTP 429 {b'Retry-After': [b'9']}", Some(9_000)),
        ("HTTP 429 {\\\"retry_after\\\":\\\"9\\\"}", Some(9_000)),
        ("HTTP 429 map[Retry-After:[30] Server:[x]]", Some(30_000)),
        ("HTTP 429 retry-after=8", Some(8_000)),
        ("HTTP 429, retry after 5 minutes", Some(300_000)),
        ("HTTP 429 Retry-After: Sun, 22 Nov 2026 00:01:30 GMT", Some(90_000)),
        ("HTTP 429 Retry-After: 2026-11-22T00:01:30Z", Some(90_000)),
        ("HTTP 429 no Retry-After header, will retry after 30s", Some(30_000)),
        ("HTTP 429 Retry-After: 1764346906000000000000", Some(u64::MAX)),
        ("HTTP 429 Retry-After: soon", None),
        ("HTTP 429 retry after 3 attempts", None),
        ("HTTP 429 Retry-After: -1", None),
        ("HTTP 429", None),
    ] {
        let rule = rules.line(line.as_bytes(), Stream::Stderr).unwrap();
        // 2026-11-22T00:00:00Z
        let now = Timestamp(1_795_305_600_000);
        assert_eq!(rules.retry_after_ms(rule, line.as_bytes(), now), wait, "{line}");
    }
    let own = Matcher::Pattern {
        pattern: "slow".into(),
        stream: StreamChoice::Any,
        retry_after: Some(r"(?i)retry-after: *(\S.*?)$".into()),
    };
    let mut program = program();
    program.classify = vec![ClassifyRule { class: "mine".into(), matcher: own }];
    let own = Rules::of(&program);
    for (line, wait) in [
        ("slow, retry-after: 2.5", Some(2_500)),
        ("slow, retry-after: Sun, 22 Nov 2026 00:01:30 GMT\r", Some(90_000)),
        ("slow, retry-after: later", None),
    ] {
        let now = Timestamp(1_795_305_600_000);
        assert_eq!(own.retry_after_ms(0, line.as_bytes(), now), wait, "{line}");
    }
}

#[test]
fn levels_are_read_where_loggers_write_them() {
    for (line, expected) in [
        ("ERROR: x", Some(Level::Error)),
        ("2026-01-01T00:00:00Z WARN x", Some(Level::Warn)),
        ("[info] x", Some(Level::Info)),
        (r#"{"ts":1,"level":"debug","msg":"error"}"#, Some(Level::Debug)),
        ("level=warning msg=x", Some(Level::Warn)),
        ("\x1b[31mERROR\x1b[0m x", Some(Level::Error)),
        ("\x1b[33mwarn\x1b[0m: x", None),
        ("thread 'main' panicked at a", Some(Level::Error)),
        ("Traceback (most recent call last):", Some(Level::Error)),
        ("no error here", None),
        ("errors: 0", None),
        ("ERROR_COUNT=0", None),
        ("plain", None),
        ("CRITICAL:root:x", Some(Level::Error)),
        ("TRACE x", Some(Level::Trace)),
        ("NOTICE x", Some(Level::Info)),
    ] {
        assert_eq!(level(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn the_programs_rules_come_first_and_look_where_they_say() {
    let mut program = program();
    let rule = |class: &str, pattern: &str, stream| ClassifyRule {
        class: class.into(),
        matcher: Matcher::Pattern { pattern: pattern.into(), stream, retry_after: None },
    };
    program.classify = vec![
        rule("mine", "^boom$", StreamChoice::Stdout),
        rule("theirs", "(?i)BOOM", StreamChoice::Any),
        rule("whole", r"\Aonly this\z", StreamChoice::Any),
        rule("bad", "(", StreamChoice::Any),
    ];
    let rules = Rules::of(&program);
    assert_eq!(rules.problems().len(), 1);
    let class =
        |line: &str, stream| rules.line(line.as_bytes(), stream).map(|n| rules.list()[n].class.to_string());
    assert_eq!(class("boom\n", Stream::Stdout).as_deref(), Some("mine"));
    assert_eq!(class("boom\r\n", Stream::Stderr).as_deref(), Some("theirs"));
    assert_eq!(class("only this", Stream::Stderr).as_deref(), Some("whole"));
    let block = b"x\nonly this\nonly this one\nHTTP 429\n";
    let hits: Vec<_> = rules.find(block, &lines(block), Stream::Stdout).iter().map(|h| h.line).collect();
    assert_eq!(hits, [1, 3]);
}

fn lines(bytes: &[u8]) -> Cut {
    cut(bytes, 1 << 20, None, usize::MAX, true)
}

fn evidence(class: &str, at: u64) -> Evidence {
    Evidence {
        class: class.into(),
        rule: class.into(),
        line: class.into(),
        stream: None,
        seq: 1,
        at: Timestamp(at),
        retry_after_ms: None,
        preferred: None,
    }
}

#[test]
fn an_end_has_the_first_class_in_order_of_the_last_minute() {
    let rules = built_in();
    let index = |name: &str| rules.list().iter().position(|rule| &*rule.name == name).unwrap();
    let mut seen = Seen::default();
    let program = program();
    let ask = |seen: &Seen, exit, at| seen.verdict(&rules, &program, exit, Timestamp(at)).map(|e| e.class);
    let killed = ExitStatus::Signal { number: libc::SIGKILL, core: false };
    seen.note(index("builtin:python_traceback"), evidence("exit_nonzero", 1_000));
    assert_eq!(ask(&seen, killed, 2_000).as_deref(), Some("crash"));
    seen.note(index("builtin:connect"), evidence("network", 1_000));
    seen.note(index("builtin:oom"), evidence("oom", 900));
    assert_eq!(ask(&seen, killed, 2_000).as_deref(), Some("oom"));
    assert_eq!(ask(&seen, ExitStatus::Code(1), 60_950).as_deref(), Some("network"));
    assert_eq!(ask(&seen, ExitStatus::Code(1), 90_000).as_deref(), Some("exit_nonzero"));
    assert_eq!(ask(&seen, ExitStatus::Code(64), 2_000).as_deref(), Some("config"));
    assert_eq!(ask(&seen, ExitStatus::Code(0), 2_000), None);
    assert_eq!(ask(&Seen::default(), ExitStatus::Unknown, 2_000).as_deref(), Some("lost"));
}

#[test]
fn of_several_classes_an_end_has_the_one_of_the_highest_priority_and_says_why() {
    let first = "the rule of network comes first";
    let higher = "crash has the higher priority (10, and network 0)";
    let lower = "crash has the higher priority (0, and network -5)";
    let killed = ExitStatus::Signal { number: libc::SIGSEGV, core: false };
    let failed = ExitStatus::Code(1);
    // The lines that were seen a second ago, the priorities, the end, and the class with why it is not the other one.
    for (lines, priorities, exit, class, why) in [
        (&["network"][..], &[][..], killed, "network", Some(("crash", first))),
        (&["network"], &[("crash", 10)], killed, "crash", Some(("network", higher))),
        (&["network"], &[("network", -5)], killed, "crash", Some(("network", lower))),
        // That it failed is no class that something else could stand behind.
        (&["network"], &[("network", -5)], failed, "network", None),
        (&["network"], &[("exit_nonzero", 9)], failed, "network", None),
        (&[], &[("network", 10)], failed, "exit_nonzero", None),
        (
            &["network", "upstream"],
            &[("upstream", 1), ("network", 1)],
            failed,
            "upstream",
            Some(("network", "comes first")),
        ),
        (
            &["network", "upstream"],
            &[("upstream", 2), ("network", 1)],
            failed,
            "upstream",
            Some(("network", "(2, and network 1)")),
        ),
        // The best of the others is named.
        (
            &["network", "upstream", "oom"],
            &[("upstream", 2), ("oom", -1)],
            failed,
            "upstream",
            Some(("network", "(2, and network 0)")),
        ),
        (
            &["network"],
            &[("network", 1)],
            ExitStatus::Code(64),
            "network",
            Some(("config", "(1, and config 0)")),
        ),
        (&["network"], &[], ExitStatus::Unknown, "network", None),
    ] {
        let rules = built_in();
        let mut program = program();
        for (class, priority) in priorities {
            program = program.class(*class, ClassOverride::default().priority(*priority));
        }
        let mut seen = Seen::default();
        for line in lines {
            let rule = rules.list().iter().position(|rule| &*rule.class == *line).unwrap();
            seen.note(rule, evidence(line, 1_000));
        }
        let found = seen.verdict(&rules, &program, exit, Timestamp(2_000)).unwrap();
        let told = found.preferred.as_deref();
        assert_eq!(found.class, class, "{lines:?} {priorities:?} {exit}: {told:?}");
        assert_eq!(told.is_some(), why.is_some(), "{lines:?} {priorities:?} {exit}: {told:?}");
        if let Some((told, (other, why))) = told.zip(why) {
            let begins = format!("preferred to {other}, which was seen too: ");
            assert!(told.starts_with(&begins) && told.ends_with(why), "{told}");
        }
        // An error of more than a minute ago did not cause it, however high it ranks.
        assert_ne!(seen.verdict(&rules, &program, failed, Timestamp(70_000)).unwrap().class, "network");
    }
}

#[test]
fn a_line_is_split_before_a_secret_and_before_a_character() {
    let (redactor, _) = Redactor::new(&program(), &["hunter22".into()]);
    let line = [&[b'x'; 97][..], b"hunter22", &[b'y'; 50]].concat();
    let found = cut(&line, 100, redactor.seam(), usize::MAX, true);
    assert_eq!(found.ends, [97, 155]);
    let line = "é".repeat(100);
    let found = cut(line.as_bytes(), 101, None, usize::MAX, true);
    assert_eq!(found.ends, [100, 200]);
    assert_eq!(found.splits, [100]);
}

#[test]
fn redaction_keeps_the_number_of_lines() {
    let mut program = program();
    program.output.redact = vec!["gone.*".into()];
    program.output.strip_ansi = true;
    let (redactor, problems) = Redactor::new(&program, &["s3cret".into(), "s3cret-longer".into()]);
    assert!(problems.is_empty());
    let block = b"a s3cret-longer b\n\x1b[31mred\x1b[0m\ngone and more\nplain\n";
    let cleaned = redactor.clean(block, &lines(block)).unwrap();
    assert_eq!(cleaned.bytes, b"a *** b\nred\n***\nplain\n");
    assert_eq!(cleaned.raw_lengths, [(0, 18), (1, 13), (2, 14)]);
    assert!(redactor.clean(b"plain\n", &lines(b"plain\n")).is_none());
    assert_eq!(redactor.unfinished(b"open s3cre"), (b"open ".to_vec(), 5));
}

/// Text that is rich in matches, near misses, and matches over line ends.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "HTTP",
        " ",
        "429",
        "\n",
        "status",
        "=",
        "429\n",
        "Connection",
        "refused",
        "\nrefused",
        "x",
        "\r\n",
        "boom",
        "Traceback (most recent call last):",
        "INFO ",
        "\n\n",
        "too many",
        " requests",
        "é",
        "\u{0}",
        "end\n",
    ]);
    prop::collection::vec(words, 0..60).prop_map(|words| words.concat().into_bytes())
}

/// With a rule whose matches may reach over the end of a line.
static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let mut program = program();
    let pattern = r"boom\s*x|^x$".into();
    let matcher = Matcher::Pattern { pattern, stream: StreamChoice::Any, retry_after: None };
    program.classify = vec![ClassifyRule { class: "mine".into(), matcher }];
    Rules::of(&program)
});

proptest! {
    /// What is cut and classified does not depend on how the bytes came.
    #[test]
    fn blocks_may_be_cut_anywhere(text in text(), steps in prop::collection::vec(1_usize..40, 1..20), max_line in 64_usize..90) {
        let rules = &*RULES;
        let whole = in_steps(rules, &text, &[usize::MAX], max_line);
        prop_assert_eq!(in_steps(rules, &text, &steps, max_line), whole.clone());
        // And it is what each line alone says.
        let mut at = 0;
        for (end, rule) in whole {
            prop_assert_eq!(rules.line(&text[at..end], Stream::Stdout), rule);
            at = end;
        }
        prop_assert_eq!(at, text.len());
    }
}

proptest! {
    /// What a block tells of items is what its lines tell.
    #[test]
    fn items_do_not_depend_on_blocks(text in text(), max_line in 64_usize..90) {
        for expression in [r"(\d+)", r"boom\s*x|^x$", r"\Ax", r"status\s=\s(\d+)"] {
            let items = Items::of(&program().success_items(expression, 1)).unwrap();
            let found = cut(&text, max_line, None, usize::MAX, true);
            let starts = std::iter::once(0).chain(found.ends.iter().map(|end| *end as usize));
            let lines = starts.zip(&found.ends).map(|(start, end)| &text[start..*end as usize]);
            let by_line = lines.fold(0, |known, line| items.in_line(known, line));
            prop_assert_eq!(items.in_block(0, &text, &found), by_line, "{}", expression);
        }
    }
}

/// Where lines end and what they show, when the bytes come in these steps.
fn in_steps(rules: &Rules, text: &[u8], steps: &[usize], max_line: usize) -> Vec<(usize, Option<usize>)> {
    let (mut taken, mut have, mut lines) = (0_usize, 0_usize, Vec::new());
    let mut steps = steps.iter().cycle();
    loop {
        have = have.saturating_add(*steps.next().unwrap()).min(text.len());
        let last = have == text.len();
        let block = &text[taken..have];
        let found = cut(block, max_line, None, 200, last);
        let hits = rules.find(block.get(..found.length()).unwrap(), &found, Stream::Stdout);
        for (n, end) in found.ends.iter().enumerate() {
            let hit = hits.iter().find(|hit| hit.line == n).map(|hit| hit.rule);
            lines.push((taken + *end as usize, hit));
        }
        taken += found.length();
        if last && taken == text.len() {
            return lines;
        }
    }
}
