//! Keys that the file may have and that this version does not act upon: each use is answered with a warning.

/// One such key.
pub(super) struct NotYet {
    /// Its path; `*` stands for one name. `defaults` counts as a program.
    pub(super) path: &'static str,
    /// Values, as written without quotes, that ask for nothing beyond what happens anyway.
    pub(super) silent: &'static [&'static str],
    /// What happens instead, after "is accepted, but".
    pub(super) why: &'static str,
}

/// All of them. A key leaves this table in the change that gives it its effect.
pub(super) const NOT_YET: &[NotYet] = &[NotYet {
    path: "server.tokens_file",
    silent: &["tokens.toml"],
    why: "this version knows only the token that the daemon writes into its store",
}];

/// The entry for a path, if there is one.
pub(super) fn not_yet(path: &[String]) -> Option<&'static NotYet> {
    let in_defaults = path.first().is_some_and(|first| first == "defaults");
    let shift = if in_defaults { ["program", "*"].as_slice() } else { &[] };
    let names: Vec<&str> =
        shift.iter().copied().chain(path.iter().skip(usize::from(in_defaults)).map(String::as_str)).collect();
    NOT_YET.iter().find(|entry| {
        let pattern: Vec<&str> = entry.path.split('.').collect();
        pattern.len() == names.len()
            && pattern.iter().zip(&names).all(|(pattern, name)| *pattern == "*" || pattern == name)
    })
}
