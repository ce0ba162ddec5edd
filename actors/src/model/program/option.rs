//! What a parameter's value must not do: become an option of the program that gets it, or lead out of a folder.

use super::{Command, Program};
use crate::model::{Arg, AttemptId, ParamProblem, ParamValue, Params, Placeholder, RunId, Template, Values};
use std::path::{Component, Path, PathBuf};

/// Why a value cannot be part of the working directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeadsOut {
    /// The name of the parameter.
    pub param: String,
    /// The folder to which it would lead.
    pub folder: String,
}

impl Program {
    /// The arguments that stand behind the program itself on its command line, before [`Program::args`].
    #[must_use]
    pub fn own_args(&self) -> &[Arg] {
        match &self.command {
            Command::Argv(argv) => argv.get(1..).unwrap_or_default(),
            Command::Script { .. } => &[],
        }
    }

    /// The parameter that would turn an argument into an option: the argument begins with `-` because of a value, and
    /// that value's parameter has no `allow_dash` and is no number. Behind a literal `--` nothing is an option, so
    /// nothing is refused there; what stands there is the author's responsibility.
    #[must_use]
    pub fn option_by_value<'t>(&self, template: &Template<'t>, values: &Values<'_>) -> Option<&'t str> {
        let first = template.leading()?;
        if !template.render(values).starts_with('-') {
            return None;
        }
        // The first character comes from the first place that is not empty; if it comes from text behind empty ones,
        // no setting allowed it.
        let text = |place: Placeholder<'_>| {
            let mut text = String::new();
            values.fill(place, &mut text).map(|()| text)
        };
        let filled = |place: &Placeholder<'_>| text(*place).is_some_and(|text| !text.is_empty());
        let rightly = template.places().find(filled).is_some_and(|place| {
            let allowed = self.params.get(place.name).is_some_and(|spec| spec.allow_dash);
            let number = values.value(place).is_some_and(ParamValue::is_number);
            text(place).is_some_and(|text| text.starts_with('-')) && (allowed || number)
        });
        (!rightly).then_some(first.name)
    }

    /// The working directory of an attempt, as it is written in the file: relative to the base folder, or absolute.
    /// Where text stands before a value, the value does not lead out of it.
    ///
    /// # Errors
    /// A value that has a `..` of its own, or that makes the folder another one than the text before it says.
    pub fn folder(&self, values: &Values<'_>) -> Result<PathBuf, LeadsOut> {
        let template = self.cwd.to_str().and_then(|text| Template::parse(text).ok());
        let Some(template) = template.filter(|template| template.places().next().is_some()) else {
            let text = self.cwd.to_str().map(|text| text.replace("{{", "{").replace("}}", "}"));
            return Ok(text.map_or_else(|| self.cwd.clone(), PathBuf::from));
        };
        let (shape, folder) = (template.shape(), template.render(values));
        let ups = |path: &str| Path::new(path).components().filter(|c| *c == Component::ParentDir).count();
        let text =
            |place: &Placeholder<'_>| values.value(*place).map(ToString::to_string).unwrap_or_default();
        let blamed = if ups(&folder) > ups(&shape) {
            let dots = |place: &Placeholder<'_>| text(place).contains("..");
            template.places().find(dots).or_else(|| template.places().find(|p| text(p).contains('.')))
        } else if folder.starts_with('/') && !shape.starts_with('/') {
            // A value may be a whole path where nothing stands before it.
            template.leading().filter(|place| !text(place).starts_with('/'))
        } else {
            None
        };
        match blamed {
            Some(place) => Err(LeadsOut { param: place.name.to_owned(), folder }),
            None => Ok(folder.into()),
        }
    }

    /// The parameters of a start that would become options or lead out of their folder, found before anything is
    /// written down.
    pub(super) fn misleading_values(&self, params: &Params) -> Vec<ParamProblem> {
        // Neither begins with a dash, whatever they will be.
        let attempt = AttemptId { run: RunId::from_bytes([0; 16]), number: 1 };
        let values = Values { attempt: Some(attempt), ..Values::of_a_start(&self.name, params) };
        let args = [self.own_args(), &self.args].map(|args| Arg::present(args, values));
        let options = args.iter().flatten().take_while(|arg| arg.text != "--").filter_map(|arg| {
            let template = Template::parse(arg.text).ok()?;
            let name = self.option_by_value(&template, &arg.values)?.to_owned();
            let detail = "begins with `-` and would be taken for an option; put \"--\" before it in args, or set allow_dash";
            Some(ParamProblem { name, detail: detail.to_owned() })
        });
        let mut found: Vec<_> = options.collect();
        if let Err(LeadsOut { param, folder }) = self.folder(&values) {
            let detail = format!("leads out of its folder: cwd would be `{folder}`");
            found.push(ParamProblem { name: param, detail });
        }
        let mut told = std::collections::BTreeSet::new();
        found.retain(|problem| told.insert(problem.name.clone()));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(cwd: &str, values: &[(&str, &str)]) -> Result<PathBuf, String> {
        let program = Program::command("p", ["x"]).cwd(cwd);
        let params: Params = values.iter().map(|(n, v)| ((*n).to_owned(), ParamValue::from(*v))).collect();
        program.folder(&Values::of_a_start("p", &params)).map_err(|out| out.param)
    }

    #[test]
    fn a_value_leads_nowhere_out_of_the_text_before_it() {
        let good = |cwd, values: &[_], expected: &str| {
            assert_eq!(folder(cwd, values), Ok(expected.into()), "{cwd} {values:?}");
        };
        good("../a{{b}}", &[], "../a{b}");
        good("/srv/{x}", &[("x", "shop")], "/srv/shop");
        good("/srv/{x}/{program}", &[("x", "a/b")], "/srv/a/b/p");
        good("../{x}", &[("x", "a..b")], "../a..b");
        good("work/{x}", &[("x", "/etc")], "work//etc");
        good("{x}", &[("x", "/srv/shop")], "/srv/shop");
        good("{x}/in", &[("x", "shop")], "shop/in");
        for (cwd, values) in [
            ("/srv/{x}", [("x", ".."), ("y", "")]),
            ("/srv/{x}", [("x", "../root"), ("y", "")]),
            ("/srv/{x}/y", [("x", "a/../../b"), ("y", "")]),
            ("{x}", [("x", "../.."), ("y", "")]),
            ("/srv/{x}{y}", [("x", "."), ("y", ".")]),
            ("/srv/.{x}", [("x", "."), ("y", "")]),
            ("{x}/{y}", [("x", ""), ("y", "etc")]),
        ] {
            assert_eq!(folder(cwd, &values), Err("x".into()), "{cwd}");
        }
    }
}
