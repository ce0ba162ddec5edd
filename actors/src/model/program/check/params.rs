//! What is wrong with a program's parameters.

use super::{
    places::Use,
    values::{check_variable, invalid, range},
};
use crate::model::{OWN_PLACEHOLDERS, OnFloor, ParamKind, ParamSpec, ParamValue, Problem, Program, Restore};
use std::collections::BTreeMap;

impl Program {
    pub(super) fn check_params(&self, found: &mut Vec<Problem>) {
        let mut carriers: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, spec) in &self.params {
            let at = format!("params.{name}");
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let help = "a name is made of letters, digits and _";
                found.push(Problem::new(
                    "config.name",
                    &at,
                    format!("`{name}` cannot be a parameter's name"),
                    help,
                ));
            }
            if OWN_PLACEHOLDERS.contains(&name.as_str()) {
                let message =
                    format!("`{{{name}}}` has a meaning of its own, so that no parameter can be called so");
                found.push(Problem::new("config.name", &at, message, "choose another name"));
            }
            if let Some(variable) = &spec.env {
                let path = format!("{at}.env");
                check_variable(&path, variable, found);
                if let Some(other) = carriers.insert(variable, name) {
                    let message = format!("`{variable}` already carries the parameter `{other}`");
                    let problem = Problem::new("config.conflict", &path, message, "choose another variable");
                    found.push(problem.against(format!("params.{other}.env")));
                }
            }
            if let Some(scope) = &spec.adjust_scope {
                self.check_template(&format!("{at}.adjust_scope"), scope, Use::Key, found);
            }
            if spec.secret {
                check_secret(&at, name, spec, found);
            }
            check_kind(&at, spec, found);
            check_bounds(&at, spec, found);
            if self.autostart && spec.required && spec.default.is_none() {
                let message = format!("`autostart` gives no parameters, and `{name}` is required");
                let problem = Problem::new(
                    "config.conflict",
                    "autostart",
                    message,
                    format!("give {name} a default, or start the program by request"),
                );
                found.push(problem.against(format!("{at}.required")));
            }
        }
    }
}

fn check_secret(at: &str, name: &str, spec: &ParamSpec, found: &mut Vec<Problem>) {
    if spec.env.is_none() {
        found.push(Problem::new(
            "config.secret",
            format!("{at}.secret"),
            "a secret reaches the child by an environment variable only, and none is named",
            format!("add env = \"{}\"", name.to_uppercase()),
        ));
    }
    if spec.default.is_some() {
        found.push(Problem::new(
            "config.secret",
            format!("{at}.secret"),
            "a secret with a default is no secret: definitions are stored and shown",
            "give it at each start, or keep it in env_file",
        ));
    }
}

fn check_kind(at: &str, spec: &ParamSpec, found: &mut Vec<Problem>) {
    if let ParamKind::List { items, max_items } = &spec.kind {
        check_list(at, spec, items, *max_items, found);
    }
    if let ParamKind::Choice(choices) = spec.kind.of_one()
        && choices.is_empty()
    {
        let help = "write for example choices = [\"fast\", \"thorough\"]";
        let message = "a `choice` without `choices` allows nothing";
        found.push(
            Problem::new("config.required", format!("{at}.choices"), message, help)
                .against(format!("{at}.type")),
        );
    }
    if let ParamKind::Choice(choices) = spec.kind.of_one()
        && let Some(twice) = choices.iter().enumerate().find(|(at, choice)| choices[..*at].contains(choice))
    {
        let message = format!("`choices` has `{}` twice", twice.1);
        found.push(invalid(
            format!("{at}.choices"),
            message,
            "name each once: they may be steps of a ladder",
        ));
    }
    if !spec.is_numeric() {
        for (key, bound) in [("min", &spec.min), ("max", &spec.max)] {
            if bound.is_some() {
                let message =
                    format!("`{key}` needs a number, and the parameter is of type {}", spec.kind.name());
                found.push(invalid(
                    format!("{at}.{key}"),
                    message,
                    format!("leave {key} out, or change the type"),
                ));
            }
        }
    }
    check_return(at, spec, found);
}

/// The most items that a list may ask for: all parameters of a start together have 4 KiB.
const MOST_ITEMS: u32 = 1_000;

fn check_list(at: &str, spec: &ParamSpec, items: &ParamKind, most: u32, found: &mut Vec<Problem>) {
    if matches!(items, ParamKind::List { .. }) {
        found.push(invalid(
            format!("{at}.items"),
            "a list has no lists in it",
            "write for example \"string\"",
        ));
    }
    if !(1..=MOST_ITEMS).contains(&most) {
        let message = format!("`max_items` must be between 1 and {MOST_ITEMS}");
        found.push(range(format!("{at}.max_items"), message, "leave it out for 64"));
    }
    if spec.required && matches!(&spec.default, Some(ParamValue::List(items)) if items.is_empty()) {
        let message = "`default` has no item, and the list is required";
        found.push(invalid(format!("{at}.default"), message, "leave one of the two out"));
    }
}

fn check_bounds(at: &str, spec: &ParamSpec, found: &mut Vec<Problem>) {
    let free = ParamSpec::new("", spec.kind.clone());
    let mut typed = |key: &str, value: &Option<ParamValue>| -> Option<ParamValue> {
        let value = value.clone()?;
        match free.check(value) {
            Ok(value) => Some(value),
            // What a secret holds is shown nowhere.
            Err(_) if spec.secret => None,
            Err(why) => {
                let help = format!("write a value of type {}", spec.kind.name());
                found.push(invalid(format!("{at}.{key}"), format!("`{key}`: {why}"), help));
                None
            }
        }
    };
    let default = typed("default", &spec.default);
    if !spec.is_numeric() {
        return;
    }
    let (min, max) = (typed("min", &spec.min), typed("max", &spec.max));
    let mut order = |low: (&str, &Option<ParamValue>), high: (&str, &Option<ParamValue>), blame: &str| {
        let (Some(a), Some(b)) = (low.1, high.1) else { return };
        if a.as_micros() > b.as_micros() {
            let message = format!("`{}` ({a}) is more than `{}` ({b})", low.0, high.0);
            let other = if blame == low.0 { high.0 } else { low.0 };
            let problem = Problem::new(
                "config.conflict",
                format!("{at}.{blame}"),
                message,
                "min ≤ default ≤ max must hold",
            );
            found.push(problem.against(format!("{at}.{other}")));
        }
    };
    order(("min", &min), ("max", &max), "max");
    order(("min", &min), ("default", &default), "default");
    order(("default", &default), ("max", &max), "default");
}

/// What is wrong with the way back of an adjusted value.
fn check_return(at: &str, spec: &ParamSpec, found: &mut Vec<Problem>) {
    if let Some(restore) = &spec.restore {
        if restore.add_micros.is_some_and(|add| add <= 0) {
            let help = "write a positive number, or leave it out for a tenth";
            found.push(range(format!("{at}.restore.add"), "`add` must raise the parameter", help));
        }
        if !spec.is_adjustable() && *restore != Restore::default() {
            let message = format!("a parameter of type {} cannot be adjusted or restored", spec.kind.name());
            found.push(invalid(format!("{at}.restore"), message, "leave restore out, or change the type"));
        }
    }
    if spec.on_floor != OnFloor::Continue && spec.floor().is_none() {
        let message = "`on_floor` needs a floor, and the parameter has no `min`";
        found.push(invalid(format!("{at}.on_floor"), message, "write min, or leave on_floor out"));
    }
}
