//! `[program.NAME.classes.NAME]`: what a class does here.

use super::super::{
    keys::{
        Kind::{Adjust, Count, Duration, Flag, Integer, List, Map, Ratio, Table, Word},
        Rows, Written, key,
    },
    tree::{Node, Value},
};
use crate::{ClassRule, InlineAction, ScopeKind, actors::model::Inline};

const SCOPES: &[&str] = &["program", "shared", "user", "global"];

pub(in super::super) static CLASS: Rows<ClassRule> = Rows(&[
    key("retry", Flag, "", "Whether another attempt may follow.")
        .sets(|it, key| key.put(&mut it.retry)),
    key("counts", Flag, "", "Whether it counts towards max_retries.")
        .sets(|it, key| key.put(&mut it.counts)),
    key("weight", Ratio, "", "What it weighs in a breaker.")
        .sets(|it, key| key.put(&mut it.weight_permille)),
    key("scopes", List(&Word(SCOPES)), "", "Which breakers hear of it.")
        .sets(scopes),
    key("trips", Flag, "", "One such failure opens these breakers at once.")
        .sets(|it, key| key.put(&mut it.trips)),
    key("delay", Duration, "", "First delay in place of the program's.")
        .sets(|it, key| key.put(&mut it.delay_ms)),
    key("max_delay", Duration, "", "Longest delay in place of the program's.")
        .sets(|it, key| key.put(&mut it.max_delay_ms)),
    key(
        "max_retries",
        Count,
        "",
        "Failures of the class in a row that are tried again, beside the program's.",
    )
    .sets(|it, key| key.put(&mut it.max_retries)),
    key("cost", Ratio, "", "What a retry takes from `[retry_budget]`; built in 1.0, `blocked` 2.0.")
        .sets(|it, key| key.put(&mut it.cost_permille)),
    key(
        "adjust",
        Map(&Adjust),
        "",
        "Changes of parameters: multiply, add or set; of a `choice` step, -1 for one place towards its first.",
    )
    .sets(|it, key| key.put(&mut it.adjust)),
    key("inline", Table(&INLINE), "", "What repeated errors do while the attempt still runs.")
        .sets(inline),
    key(
        "priority",
        Integer,
        "(0)",
        "Which class an end has that shows several in its last minute: the highest, of equal ones that of the first rule; -1000 to 1000.",
    )
    .sets(|it, key| key.put(&mut it.priority)),
]);

static INLINE: Rows<Draft> = Rows(&[
    key("count", Count, "", "So many …").sets(|it, key| key.put(&mut it.count)),
    key("per", Duration, "", "… within this …").sets(|it, key| key.put(&mut it.per_ms)),
    key("action", Word(&["none", "adjust", "restart", "stop"]), "\"none\"", "… do this.").sets(|it, key| {
        key.word(
            &mut it.action,
            &[InlineAction::None, InlineAction::Adjust, InlineAction::Restart, InlineAction::Stop],
        )
    }),
]);

/// What repeated errors do, as far as it is written.
struct Draft {
    count: Option<u32>,
    per_ms: Option<u64>,
    action: InlineAction,
}

fn inline(rule: &mut ClassRule, key: &mut Written<'_>) {
    let Some(table) = key.table() else { return };
    for required in ["count", "per"] {
        table.require(required, key.node.at, key.findings);
    }
    let mut draft = Draft { count: None, per_ms: None, action: InlineAction::None };
    key.fill(&INLINE, &mut draft);
    if let Draft { count: Some(count), per_ms: Some(per_ms), action } = draft {
        rule.inline = Some(Inline { count, per_ms, action });
    }
}

fn scopes(rule: &mut ClassRule, key: &mut Written<'_>) {
    let Value::List(items) = &key.node.value else { return };
    let kind = |node: &Node| match &node.value {
        Value::Text(scope) => Some(match scope.as_str() {
            "shared" => ScopeKind::Shared,
            "user" => ScopeKind::User,
            "global" => ScopeKind::Global,
            _ => ScopeKind::Program,
        }),
        _ => None,
    };
    rule.scopes = Some(items.iter().filter_map(kind).collect());
}
