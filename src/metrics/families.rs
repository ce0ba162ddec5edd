//! Every metric: the table that the page is written by, and its reference.

use super::exposition::{
    Family,
    Kind::{self, Counter, Gauge, Histogram, Summary},
};

const fn family(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind, labels, help }
}

pub(super) static BUILD: Family =
    family("actix_process_build_info", Gauge, &["version"], "Always 1; the label says which version runs.");
pub(super) static STARTED: Family = family(
    "actix_process_start_time_seconds",
    Gauge,
    &[],
    "When this supervisor began, in seconds since 1970. All counters began at 0 then.",
);
pub(super) static RUNS: Family = family(
    "actix_process_runs",
    Gauge,
    &["program", "phase"],
    "Runs that are not over, by what they do now.",
);
pub(super) static STARTS: Family = family(
    "actix_process_attempts_started_total",
    Counter,
    &["program"],
    "Attempts whose start was decided.",
);
pub(super) static RESTARTS: Family = family(
    "actix_process_restarts_total",
    Counter,
    &["program"],
    "Attempts whose start was decided and that were not the first of their run.",
);
pub(super) static FAILURES: Family = family(
    "actix_process_attempts_failed_total",
    Counter,
    &["program", "class"],
    "Attempts that ended with an error; a stop that somebody asked for is none.",
);
pub(super) static ERROR_LINES: Family = family(
    "actix_process_error_lines_total",
    Counter,
    &["program", "class"],
    "Lines of output in which a rule found an error.",
);
pub(super) static ENDED: Family =
    family("actix_process_runs_ended_total", Counter, &["program", "phase"], "Runs that ended, by how.");
pub(super) static FAILED: Family = family(
    "actix_process_runs_failed_total",
    Counter,
    &["program", "class"],
    "Runs that ended as failed or quarantined, by the class of their last failure.",
);
pub(super) static GAVE_UP: Family = family(
    "actix_process_runs_given_up_total",
    Counter,
    &["program", "reason"],
    "Runs that a rule ended although they had not succeeded, by the rule.",
);
pub(super) static RETRIES: Family = family(
    "actix_process_retries_scheduled_total",
    Counter,
    &["program", "class"],
    "Attempts that were put off after a failure, by its class.",
);
pub(super) static DEFERRED: Family = family(
    "actix_process_retries_deferred_total",
    Counter,
    &["program", "class"],
    "Retries that a retry budget without tokens held back, by the class of the last failure.",
);
pub(super) static DELAY: Family = family(
    "actix_process_retry_delay_seconds",
    Histogram,
    &["program"],
    "By how much attempts were put off after a failure, jitter and hints included.",
);
pub(super) static HELD: Family = family(
    "actix_process_starts_held_back_total",
    Counter,
    &["program", "reason"],
    "Starts that were held back, by what; each once for as long as the same thing holds it.",
);
pub(super) static PARAM_CHANGES: Family = family(
    "actix_process_parameter_changes_total",
    Counter,
    &["program", "parameter"],
    "Changes of a parameter by a rule, down after failures and up again on success.",
);
pub(super) static PARAMS_EXHAUSTED: Family = family(
    "actix_process_parameter_exhausted_total",
    Counter,
    &["program", "parameter"],
    "Failures with the parameter at its floor.",
);
pub(super) static BREAKER_STATE: Family = family(
    "actix_process_breaker_state",
    Gauge,
    &["scope", "state"],
    "1 for the state that a breaker is in now, else 0; of the scope `other` how many are in it.",
);
pub(super) static BREAKER_LEVEL: Family = family(
    "actix_process_breaker_level",
    Gauge,
    &["scope"],
    "How often a breaker opened without evidence of health since; of the scope `other` the highest.",
);
pub(super) static TRANSITIONS: Family = family(
    "actix_process_breaker_transitions_total",
    Counter,
    &["scope", "from", "to"],
    "Changes of a breaker's state. From and to say why: half_open to open is a probe that failed.",
);
pub(super) static DENIED: Family = family(
    "actix_process_breaker_denied_starts_total",
    Counter,
    &["scope"],
    "Runs that a breaker held back; each once for as long as the same thing holds it.",
);
pub(super) static LATE: Family = family(
    "actix_process_breaker_late_outcomes_total",
    Counter,
    &["scope"],
    "Outcomes of starts from before the breaker changed, which count for nothing.",
);
pub(super) static EXPIRIES: Family = family(
    "actix_process_breaker_probe_expiries_total",
    Counter,
    &["scope"],
    "Probes that kept their permit for too long.",
);
pub(super) static WOULD_TRIP: Family = family(
    "actix_process_breaker_would_trip_total",
    Counter,
    &["scope"],
    "Times at which a breaker that only watches (mode metrics_only) would have opened.",
);
pub(super) static KEEPERS_LOST: Family = family(
    "actix_process_keeper_lost_total",
    Counter,
    &[],
    "Times at which the keeper died, and the trees of all programs with it.",
);
pub(super) static STORE_BYTES: Family =
    family("actix_process_store_size_bytes", Gauge, &[], "What the store takes on the disk.");
pub(super) static STORE_REFUSES: Family = family(
    "actix_process_store_refuses",
    Gauge,
    &[],
    "1 while the journal takes no entries, as on a full disk, else 0.",
);
pub(super) static STORE_OWED: Family = family(
    "actix_process_store_owed_entries",
    Gauge,
    &[],
    "Decisions in the reserve that the journal has refused; beyond 1,024 the store refuses, too.",
);
pub(super) static STORE_FLUSH: Family = family(
    "actix_process_store_flush_duration_seconds",
    Summary,
    &[],
    "Flushes of the journal to the disk: what they took together, and how many there were.",
);

/// All of them, in the order of the page.
#[cfg(test)]
pub(super) static ALL: [&Family; 28] = [
    &BUILD,
    &STARTED,
    &RUNS,
    &STARTS,
    &RESTARTS,
    &FAILURES,
    &ERROR_LINES,
    &ENDED,
    &FAILED,
    &GAVE_UP,
    &RETRIES,
    &DEFERRED,
    &DELAY,
    &HELD,
    &PARAM_CHANGES,
    &PARAMS_EXHAUSTED,
    &BREAKER_STATE,
    &BREAKER_LEVEL,
    &TRANSITIONS,
    &DENIED,
    &LATE,
    &EXPIRIES,
    &WOULD_TRIP,
    &KEEPERS_LOST,
    &STORE_BYTES,
    &STORE_REFUSES,
    &STORE_OWED,
    &STORE_FLUSH,
];
