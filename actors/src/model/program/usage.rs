//! What a start of a program needs, in one line.

use super::Program;
use crate::model::{ParamKind, ParamSpec};

impl Program {
    /// Its parameters as they are given to a start, the required ones first, in the order of their names:
    /// `url=<url> [depth=<integer 1..10, default 3>] [api_key=<string, secret>]`. Empty when it has none.
    #[must_use]
    pub fn usage(&self) -> String {
        let (required, optional): (Vec<_>, Vec<_>) =
            self.params.values().partition(|spec| spec.required && spec.default.is_none());
        let must = required.into_iter().map(|spec| format!("{}=<{}>", spec.name, value_of(spec)));
        let may = optional.into_iter().map(|spec| format!("[{}=<{}>]", spec.name, value_of(spec)));
        must.chain(may).collect::<Vec<_>>().join(" ")
    }
}

/// Type, range and default of a parameter.
fn value_of(spec: &ParamSpec) -> String {
    let mut words = match &spec.kind {
        ParamKind::Choice(choices) => choices.join("|"),
        ParamKind::List { items, max_items } => {
            let of_one = match &**items {
                ParamKind::Choice(choices) => choices.join("|"),
                kind => kind.name().to_owned(),
            };
            format!("list of {of_one}, at most {max_items}")
        }
        kind => kind.name().to_owned(),
    };
    let bound = |bound: &Option<_>| bound.as_ref().map(ToString::to_string).unwrap_or_default();
    if spec.min.is_some() || spec.max.is_some() {
        words.push_str(&format!(" {}..{}", bound(&spec.min), bound(&spec.max)));
    }
    if spec.secret {
        words.push_str(", secret");
    } else if let Some(default) = &spec.default {
        words.push_str(&format!(", default {default}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Command;

    #[test]
    fn types_ranges_and_defaults_stand_in_one_line() {
        let mut program = Program::new("p", Command::Argv(vec!["x".into()]));
        assert_eq!(program.usage(), "");
        let specs = [
            ParamSpec::integer("depth").default(3).range(1..=10),
            ParamSpec::url("url").required(),
            ParamSpec::string("api_key").required().secret("KEY"),
            ParamSpec::choice("mode", ["fast", "thorough"]),
            ParamSpec { min: Some(0.into()), ..ParamSpec::integer("from") },
            ParamSpec::list("tags").max_items(3).default(["a", "b"]),
        ];
        program.params = specs.map(|spec| (spec.name.clone(), spec)).into();
        assert_eq!(
            program.usage(),
            "api_key=<string, secret> url=<url> [depth=<integer 1..10, default 3>] [from=<integer 0..>] \
             [mode=<fast|thorough>] [tags=<list of string, at most 3, default a, b>]"
        );
    }
}
