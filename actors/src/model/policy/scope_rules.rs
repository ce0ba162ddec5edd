//! Which rules a shared scope has: its exact name, else the longest literal prefix before a `*`.

/// The rules of a scope among the `[breaker."…"]` tables: the exact name, else the pattern with the longest literal
/// prefix; `None` when none fits (a shared scope then has the defaults; a user's or the global one is off).
#[must_use]
pub fn rules_of_scope<'a, R>(tables: &'a [(String, R)], scope: &str) -> Option<&'a R> {
    let exact = tables.iter().find(|(name, _)| name == scope);
    let longest = || {
        tables
            .iter()
            .filter_map(|(name, rules)| Some((name.strip_suffix('*')?, rules)))
            .filter(|(prefix, _)| scope.starts_with(prefix))
            .max_by_key(|(prefix, _)| prefix.len())
    };
    exact.map(|(_, rules)| rules).or_else(|| longest().map(|(_, rules)| rules))
}

/// What is wrong with the name of a `[breaker."…"]` table, if anything.
#[must_use]
pub fn scope_pattern_problem(name: &str) -> Option<String> {
    let literal = name.strip_suffix('*').unwrap_or(name);
    if name.is_empty() {
        Some("a scope needs a name".into())
    } else if literal.contains('*') {
        Some(format!("`{name}` has a `*` before its end; a pattern is a literal prefix and one `*`"))
    } else if literal.contains(['{', '}']) {
        Some(format!("`{name}` has braces; rules are for rendered scopes, as in \"site:*\""))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{super::BreakerPolicy, *};

    #[test]
    fn the_exact_name_wins_then_the_longest_prefix() {
        let rules = |n| BreakerPolicy::failures(n);
        let tables = vec![
            ("site:*".to_owned(), rules(1)),
            ("site:shop.*".to_owned(), rules(2)),
            ("site:shop.example".to_owned(), rules(3)),
        ];
        let failures = |scope| rules_of_scope(&tables, scope).map(|rules| rules.failures);
        assert_eq!(failures("site:shop.example"), Some(3));
        assert_eq!(failures("site:shop.other"), Some(2));
        assert_eq!(failures("site:x"), Some(1));
        assert_eq!(failures("user:alice"), None);
    }

    #[test]
    fn a_star_stands_only_at_the_end() {
        assert_eq!(scope_pattern_problem("site:*"), None);
        assert_eq!(scope_pattern_problem("global"), None);
        assert!(scope_pattern_problem("*:shop").is_some());
        assert!(scope_pattern_problem("").is_some());
        assert!(scope_pattern_problem("site:{host}").is_some());
    }
}
