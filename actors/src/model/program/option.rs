//! A parameter's value must not become an option of the program that gets it.

use super::{Command, Program};
use crate::model::{ParamProblem, Params, Template};

impl Program {
    /// The parameter that would turn an argument into an option: the argument begins with `-` because of a value, and
    /// that value's parameter has no `allow_dash` and is no number. What stands behind a literal `--` is the caller's to
    /// know: there nothing is an option.
    #[must_use]
    pub fn option_by_value<'t>(&self, template: &'t Template, params: &Params) -> Option<&'t str> {
        let first = template.leading_param()?;
        let text = template.render(|name| params.get(name).map(ToString::to_string));
        if !text.starts_with('-') {
            return None;
        }
        // The first character comes from the first parameter that is not empty; should it come from text behind empty
        // ones, nobody has allowed it.
        let mut values = template.names().filter_map(|name| Some((name, params.get(name)?)));
        let rightly = values.find(|(_, value)| !value.to_string().is_empty()).is_some_and(|(name, value)| {
            let allowed = self.params.get(name).is_some_and(|spec| spec.allow_dash);
            value.to_string().starts_with('-') && (allowed || value.is_number())
        });
        (!rightly).then_some(first)
    }

    /// Parameters of a start that would become options, before anything is written down.
    pub(super) fn options_by_values(&self, params: &Params) -> Vec<ParamProblem> {
        let own: &[String] = match &self.command {
            Command::Argv(argv) => argv.get(1..).unwrap_or_default(),
            Command::Script { .. } => &[],
        };
        own.iter()
            .chain(&self.args)
            .take_while(|element| *element != "--")
            .filter_map(|element| Template::parse(element).ok())
            .filter_map(|template| self.option_by_value(&template, params).map(str::to_owned))
            .map(|name| ParamProblem {
                detail: "begins with `-` and would be taken for an option; put \"--\" before it in args, or set allow_dash"
                    .to_owned(),
                name,
            })
            .collect()
    }
}
