//! What is wrong with a text that has places for values, and with scopes made of them.

use super::values::invalid;
use crate::model::{
    OWN_PLACEHOLDERS, ParamKind, ParamSpec, ParamValue, Part, Placeholder, Problem, Program, Template,
    did_you_mean,
};

/// The most shared scopes of a program: with its own, the user's and the global one eight gate a start, and each
/// costs a part of every question.
const MOST_SCOPES: usize = 5;

/// What a text is for, which decides what may stand in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// An argument: lists may be repeated.
    Argument,
    /// The working directory: it is never left out, so everything in it must be set.
    Folder,
    /// The value of a variable.
    Variable,
    /// A key that runs share: what only one run has makes no sense.
    Key,
}

impl Program {
    /// A text with places: what they name must exist, be no secret, and have the part that is wanted.
    pub(super) fn check_template(&self, path: &str, text: &str, what: Use, found: &mut Vec<Problem>) {
        if text.contains('\0') {
            found.push(invalid(path, "a NUL byte cannot be passed to a program", "take it out"));
        }
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                let help = if text.contains("${") {
                    "no `${VARIABLE}` is filled in here; write {name} for a parameter, {{ and }} for braces"
                } else {
                    "write {name} for a parameter, {{ and }} for braces"
                };
                found.push(Problem::new("config.template", path, error.to_string(), help));
                return;
            }
        };
        for place in template.places() {
            if place.is_own() {
                found.extend(wrong_own_place(path, place, what));
                continue;
            }
            match self.params.get(place.name) {
                None => found.push(self.unknown_place(path, text, place.name)),
                Some(spec) if spec.secret => found.push(Problem::new(
                    "config.secret",
                    path,
                    format!(
                        "`{}` is a secret and would be seen here by every user of the machine or in records",
                        place.name
                    ),
                    format!("the child finds it in its environment variable; take {place} out"),
                )),
                Some(spec) => found.extend(wrong_part(path, place, spec, what)),
            }
        }
    }

    fn unknown_place(&self, path: &str, text: &str, name: &str) -> Problem {
        let problem = self.unknown_param(path, name);
        if text.contains(&format!("${{{name}")) {
            let help = format!(
                "no variables are filled in here; `${{{{{name}}}}}` is the text itself, and `env` or `env_file` hand a value over"
            );
            return Problem { help, ..problem };
        }
        let known = self.params.keys().map(String::as_str);
        let help = match did_you_mean(name, known.clone().chain(OWN_PLACEHOLDERS)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.params.is_empty() => return problem,
            None => format!(
                "the parameters are {}; write {{{{{name}}}}} for the braces themselves",
                known.collect::<Vec<_>>().join(", ")
            ),
        };
        Problem { help, ..problem }
    }

    pub(super) fn unknown_param(&self, path: &str, name: &str) -> Problem {
        let known = self.params.keys().map(String::as_str);
        let help = match did_you_mean(name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.params.is_empty() => format!(
                "define it: [program.{}.params.{name}]; a literal brace is doubled, as in {{{{{name}}}}}",
                self.name
            ),
            None => format!("the parameters are {}", known.collect::<Vec<_>>().join(", ")),
        };
        Problem::new("config.unknown_param", path, format!("`{name}` is not a parameter"), help)
    }

    pub(super) fn check_scopes(&self, found: &mut Vec<Problem>) {
        if self.breakers.len() > MOST_SCOPES {
            let message =
                format!("{} shared scopes; a start asks at most {MOST_SCOPES}", self.breakers.len());
            found.push(invalid("breakers", message, "let programs that fail together share one scope"));
        }
        for (at, scope) in self.breakers.iter().enumerate() {
            let path = format!("breakers[{at}]");
            if scope.is_empty() {
                found.push(invalid(&path, "a scope needs a name", "write for example \"site:{host}\""));
            } else if let Some(why) = not_ours_to_name(scope) {
                let help = "begin it with a word of your own, as in \"site:{host}\"";
                found.push(invalid(&path, why, help));
            }
            self.check_template(&path, scope, Use::Key, found);
        }
    }
}

/// Why a scope could be one that has a meaning already: a program's own, a user's or the global one.
fn not_ours_to_name(scope: &str) -> Option<String> {
    let (start, open) = scope.split_once('{').map_or((scope, false), |(start, _)| (start, true));
    if start.is_empty() {
        return Some(format!(
            "`{scope}` begins with a value, which may then name any scope, as `program:x` does"
        ));
    }
    let reserved = ["program:", "user:", "global"].into_iter().find(|name| {
        let whole = *name == "global" && !open && start != *name;
        (start.starts_with(name) && !whole) || (open && name.starts_with(start))
    });
    let name = reserved?;
    Some(if open {
        format!(
            "`{scope}` may become `{name}…`, which means another scope: a value chooses what follows `{start}`"
        )
    } else {
        format!("`{scope}` means a scope that is there without being named here")
    })
}

/// What is wrong with a place that needs no parameter.
fn wrong_own_place(path: &str, place: Placeholder<'_>, what: Use) -> Option<Problem> {
    if place.part != Part::All {
        let message = format!("`{place}` asks for a part of what has none");
        return Some(invalid(path, message, format!("write {{{}}}", place.name)));
    }
    if what == Use::Key && place.name != "program" {
        let message = format!("`{place}` differs in every run or attempt, so that nobody would share this");
        return Some(invalid(path, message, "take it out, or write a parameter that runs have in common"));
    }
    None
}

/// What is wrong with a place for a parameter that exists.
fn wrong_part(path: &str, place: Placeholder<'_>, spec: &ParamSpec, what: Use) -> Option<Problem> {
    let name = place.name;
    let kind = spec.kind.name();
    let is_list = matches!(spec.kind, ParamKind::List { .. });
    let (message, help) = match place.part {
        Part::All | Part::Host | Part::Lower if is_list && what == Use::Argument => {
            (format!("`{name}` is a list"), format!("write {{{name}*}}, which stands for each of its items"))
        }
        _ if is_list && what != Use::Argument => (
            format!("`{name}` is a list, and only arguments can be there once for each item"),
            format!("give it a variable of its own (params.{name}.env has one item a line), or leave it out"),
        ),
        Part::Each if !is_list => (
            format!("`{place}` needs a list, and `{name}` is of type {kind}"),
            format!("write {{{name}}}, or type = \"list\""),
        ),
        Part::Host if !matches!(spec.kind, ParamKind::Url) => (
            format!("`{place}` needs an address, and `{name}` is of type {kind}"),
            format!("write {{{name}}}, or type = \"url\""),
        ),
        Part::Lower if spec.is_numeric() || matches!(spec.kind, ParamKind::Boolean) => {
            (format!("`{place}` needs a text, and `{name}` is of type {kind}"), format!("write {{{name}}}"))
        }
        _ if what == Use::Folder && spec.may_be_unset() => (
            format!("`{name}` may be unset, and then there is no working directory"),
            format!("write required = true or a default for {name}"),
        ),
        _ => return None,
    };
    let problem = invalid(path, message, help);
    Some(if what == Use::Folder { problem.against(format!("params.{name}.required")) } else { problem })
}

impl ParamSpec {
    /// Whether a start may leave it without a value.
    #[must_use]
    pub fn may_be_unset(&self) -> bool {
        let empty = matches!(&self.default, Some(ParamValue::List(items)) if items.is_empty());
        !self.required && (self.default.is_none() || empty)
    }
}
