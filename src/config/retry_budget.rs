//! `[retry_budget]`: the tokens that retries share, all of them or those of a scope.

use super::keys::{
    Kind::{Ratio, Word},
    Rows, key,
};
use crate::{OnEmpty, RetryBudget};

pub(super) static BUDGET: Rows<RetryBudget> = Rows(&[
    key("capacity", Ratio, "20.0", "Most tokens.").sets(|it, key| key.put(&mut it.capacity_permille)),
    key("deposit", Ratio, "0.2", "Tokens that a first start brings.")
        .sets(|it, key| key.put(&mut it.deposit_permille)),
    key("refill_per_minute", Ratio, "2.0", "Tokens that a minute brings.")
        .sets(|it, key| key.put(&mut it.refill_per_minute_permille)),
    key(
        "on_empty",
        Word(&["wait", "give_up"]),
        "\"wait\"",
        "What a retry does that finds too few: it waits for them, or the run ends.",
    )
    .sets(|it, key| key.word(&mut it.on_empty, &[OnEmpty::Wait, OnEmpty::GiveUp])),
]);
