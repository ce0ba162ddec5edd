//! The built-in rules, in the order in which they are tried after a program's own.
//!
//! A number is a status only next to a word that says so: `429 items` and `took 503 ms` are none. Patterns are ASCII and
//! case-insensitive, and hold for one line.

use crate::model::Class;

/// One built-in pattern.
pub(super) struct Pack {
    /// Its name after `builtin:`.
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) pattern: &'static str,
    /// In lower case: each line that the pattern matches has one of these. A number counts only as a whole number.
    pub(super) words: &'static [&'static str],
    /// Lines of level info, debug and trace speak of these things without having met them, except where the words are
    /// a status of their own.
    pub(super) any_level: bool,
    pub(super) retry_after: Option<&'static str>,
}

/// Words that make the number behind them a status.
macro_rules! status {
    ($codes:literal, $more:literal) => {
        concat!(
            r#"(?:\bHTTP(?:/[0-9.]+)?["']?[ :=(]{1,3}|\bHTTP|\bstatus(?:[ _-]?code)?["']?(?: ?[:=] ?| is | was | )["'(\[<]?|\b(?:HTTP |server |client )error[:= ]{1,2}|\b(?:response|error)[ _-]?code["']?(?: ?[:=] ?| is | was | )["'(]?|\berror(?: |: )|\bCrawled \()"#,
            "(?:", $codes, r#")(?:$|[^0-9a-z.%_-]|\.(?:$|\s))"#, "|", $more
        )
    };
}

/// From the first digit, or the day of a date, on; [`wait_ms`](super::hint::wait_ms) says what it means.
const RETRY_AFTER: &str = r#"(?i)retry[-_ ]after[\\"']*\s*(?:[:=]|is)?\s*[\[({]?\s*(?:b["']|[\\"']*)((?:[0-9]|(?:mon|tue|wed|thu|fri|sat|sun)).{0,80})"#;

const fn pack(
    name: &'static str,
    class: &'static str,
    pattern: &'static str,
    words: &'static [&'static str],
) -> Pack {
    Pack { name, class, pattern, words, any_level: false, retry_after: None }
}

const fn told(
    name: &'static str,
    class: &'static str,
    pattern: &'static str,
    words: &'static [&'static str],
) -> Pack {
    Pack { name, class, pattern, words, any_level: true, retry_after: Some(RETRY_AFTER) }
}

/// Output rules that come before the rules by signal.
pub(super) const BEFORE_SIGNALS: &[Pack] = &[
    pack(
        "oom",
        Class::OOM,
        r"\bout of memory\b|\bOutOfMemoryError\b|^MemoryError\b|\bCannot allocate memory\b|\bstd::bad_alloc\b|JavaScript heap out of memory|\bmemory allocation of \d+ bytes failed|\boom[- ]?kill(?:ed|er)\b",
        &["memory", "bad_alloc", "oom"],
    ),
    pack(
        "captcha",
        Class::BLOCKED,
        r"\b(?:captcha|recaptcha|hcaptcha)\b.{0,40}\b(?:required|detected|challenge|encountered|page|found|solve)|\b(?:solve|got|hit|detected|encountered)\b.{0,20}\bcaptcha\b|\bunusual traffic\b|\bcf-chl\b|\bcloudflare\b.{0,40}\b(?:block|challenge|denied)",
        &["captcha", "unusual traffic", "cf-chl", "cloudflare"],
    ),
    pack(
        "banned",
        Class::BLOCKED,
        r"\b(?:ip|address|account|client|you)\b.{0,30}\b(?:been |is |was |are )(?:temporarily |permanently )?(?:banned|blocked|blacklisted)\b|\baccess denied by\b",
        &["banned", "blocked", "blacklisted", "denied"],
    ),
    told(
        "http_429",
        Class::RATE_LIMITED,
        status!(
            "429",
            r"\b429 too many requests|\btoo many requests\b|\brate[ _-]?limit(?:s)? (?:was |has been )?(?:exceeded|reached|hit)\b|\brate[ _-]?limited by\b|\bratelimit(?:ed)?(?:error|exception)\b|\brate_limit_(?:error|exceeded)\b|\bquota exceeded\b"
        ),
        &["429", "too many", "limit", "quota"],
    ),
    told("http_403", Class::BLOCKED, status!("403", r"\b403 forbidden\b"), &["403"]),
    told(
        "http_401",
        Class::CONFIG,
        status!("401", r"\b401 unauthorized\b|\binvalid api[ _-]?key\b"),
        &["401", "invalid api"],
    ),
    told(
        "http_5xx",
        Class::UPSTREAM,
        status!(
            "500|502|503|504|52[0-9]",
            r"\b50[0234] (?:internal server error|bad gateway|service unavailable|gateway time-?out)\b|^(?:internal server error|bad gateway|service unavailable|gateway time-?out)\b"
        ),
        &[
            "500",
            "502",
            "503",
            "504",
            "520",
            "521",
            "522",
            "523",
            "524",
            "525",
            "526",
            "527",
            "528",
            "529",
            "internal server",
            "bad gateway",
            "unavailable",
            "gateway time",
        ],
    ),
    pack(
        "dns",
        Class::NETWORK,
        r"\bName or service not known\b|\bTemporary failure in name resolution\b|\bcould not resolve host\b|\bgetaddrinfo (?:failed|ENOTFOUND|EAI_AGAIN)\b|\bENOTFOUND\b|\bEAI_AGAIN\b|\bno such host\b|\bfailed to lookup address\b|\bNXDOMAIN\b|\bUnknownHostException\b|\bNameResolutionError\b",
        &[
            "not known",
            "resolution",
            "resolve",
            "getaddrinfo",
            "notfound",
            "eai_again",
            "no such",
            "lookup address",
            "nxdomain",
            "unknownhost",
        ],
    ),
    pack(
        "connect",
        Class::NETWORK,
        r"\bconnection (?:was )?(?:refused|reset)\b|\bECONNREFUSED\b|\bECONNRESET\b|\bEHOSTUNREACH\b|\bENETUNREACH\b|\b(?:network|host) is unreachable\b|\bno route to host\b|\bConnect(?:ion)?(?:Refused|Reset|Aborted)?(?:Error|Exception)\b|\bfailed to connect to\b|\bcouldn't connect to server\b|\bbroken pipe\b.{0,20}\bsocket\b|\bremote end closed connection\b|\bsocket hang up\b",
        &["connect", "econn", "unreach", "no route", "broken pipe", "closed conn", "hang up"],
    ),
    pack(
        "tls",
        Class::NETWORK,
        r"\bcertificate verify failed\b|\bSSL(?:Error|V3_ALERT|CertVerificationError|HandshakeException)\b|\b(?:tls|ssl) handshake (?:failed|failure|error|timeout|timed out)\b|\bCERT_HAS_EXPIRED\b|\bx509: certificate\b|\binvalid peer certificate\b",
        &["cert", "ssl", "handshake"],
    ),
    pack(
        "timeout",
        Class::NETWORK,
        r"\b(?:connection|connect|read|request|operation|socket|handshake)(?: has| was)? timed[ -]out\b|\b(?:connect|read|connection|request|socket) ?timeout(?:error|exception)?(?:$|[.!)]|:? (?:after|while|on|for|from|to|connecting|reading|exceeded|occurred|expired)\b)|\bETIMEDOUT\b|\bESOCKETTIMEDOUT\b|\b(?:Read|Connect|Socket)Timeout(?:Error|Exception)?\b|\bcontext deadline exceeded\b|\bi/o timeout\b",
        &["timed", "timeout", "deadline"],
    ),
    pack(
        "windows_line_ends",
        Class::CONFIG,
        r"^(?:\S*/)?env: .{1,200}(?:\\r|\r).{0,4}: No such file or directory$|\^M: bad interpreter: |: \$'\\r': command not found$",
        &["no such", "interpreter", "not found"],
    ),
    pack(
        "command_not_found",
        Class::CONFIG,
        r"^[^ ]+: (?:line )?(?:\d+: )?[^ :]+: (?:command )?not found$|^(?:\S+: )?command not found: \S+$|^(?:\S*/)?env: .{1,200}: No such file or directory$|: bad interpreter: No such file or directory$",
        &["no such", "interpreter", "not found"],
    ),
    pack(
        "usage",
        Class::CONFIG,
        r"\berror: (?:unrecognized|the following required) arguments\b|\b(?:unknown|unrecognized|invalid) option\b.{0,3}['`-]",
        &["arguments", "option"],
    ),
    pack(
        "python_import",
        Class::CONFIG,
        r"^(?:ModuleNotFoundError|ImportError): |^Error: Cannot find module ",
        &["notfound", "importerror", "cannot find"],
    ),
];

/// Output rules that come after the rules by signal: they show where a failure came from, and the exit says what kind
/// it is.
pub(super) const AFTER_SIGNALS: &[Pack] = &[
    pack(
        "disk_full",
        Class::EXIT_NONZERO,
        r"\bno space left on device\b|\bENOSPC\b|\bdisk quota exceeded\b",
        &["space left", "enospc", "quota"],
    ),
    pack(
        "too_many_files",
        Class::EXIT_NONZERO,
        r"\btoo many open files\b|\bEMFILE\b|\bENFILE\b",
        &["too many", "emfile", "enfile"],
    ),
    pack("scrapy_error", Class::EXIT_NONZERO, r"\bSpider error processing\b", &["spider error"]),
    pack("python_traceback", Class::EXIT_NONZERO, r"^Traceback \(most recent call last\):", &["traceback"]),
    pack("rust_panic", Class::EXIT_NONZERO, r"^thread '.{0,200}' (?:\(\d+\) )?panicked at ", &["panic"]),
    pack(
        "go_panic",
        Class::EXIT_NONZERO,
        r"^(?:panic: |fatal error: |goroutine \d+ \[running\]:)",
        &["panic", "fatal error", "goroutine"],
    ),
    pack(
        "jvm_exception",
        Class::EXIT_NONZERO,
        r#"^Exception in thread ".{0,200}" |^Caused by: [a-z0-9_.$]+(?:Exception|Error)\b"#,
        &["exception in", "caused by"],
    ),
    pack(
        "node_exception",
        Class::EXIT_NONZERO,
        r"^Uncaught (?:[a-z]*Error|Exception)\b|^\s*throw (?:err|new |er;)|\bUnhandledPromiseRejection|^node:internal/",
        &["uncaught", "throw ", "unhandledpromise", "node:internal"],
    ),
    pack("segfault", Class::EXIT_NONZERO, r"\bSegmentation fault\b", &["segmentation"]),
];
