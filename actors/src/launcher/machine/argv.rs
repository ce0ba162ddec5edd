//! Arguments from templates and parameters.

use super::refuse;
use crate::model::{ParamValue, Params, Program, SpawnFailure, SpawnProblem, Template};

/// Fills the places of `elements` with parameters. A value stays inside its element; one that would turn its element
/// into an option is refused, unless the element stands behind `--`, the parameter has `allow_dash`, or it is a number.
///
/// # Errors
/// [`SpawnProblem::Input`] names the element and the parameter.
pub fn arguments(
    program: &Program,
    elements: &[String],
    params: &Params,
) -> Result<Vec<String>, SpawnFailure> {
    let mut out: Vec<String> = Vec::with_capacity(elements.len());
    // Only a literal one: a value must not open the door for the next.
    let mut behind_dashes = false;
    for element in elements {
        let template = Template::parse(element).map_err(|error| {
            input(program, format!("the argument `{element}` is no template: {error}"), "correct it")
        })?;
        if let Some(secret) = template.names().find(|name| params.get(*name) == Some(&ParamValue::Secret)) {
            return Err(input(
                program,
                format!(
                    "the argument `{element}` would show the secret `{secret}` to everybody who lists processes"
                ),
                "let it reach the program by its environment variable",
            ));
        }
        if template.is_single_param() && template.names().all(|name| !params.contains_key(name)) {
            continue;
        }
        let text = template.render(|name| params.get(name).map(ToString::to_string));
        if text.contains('\0') {
            return Err(input(
                program,
                format!("the argument `{element}` would have a NUL byte, which none can"),
                "remove it from the parameter",
            ));
        }
        if !behind_dashes && let Some(first) = program.option_by_value(&template, params) {
            return Err(input(
                program,
                format!(
                    "the parameter `{first}` would turn the argument `{element}` into an option: `{text}`"
                ),
                format!("put \"--\" before it in args, or set params.{first}.allow_dash = true"),
            ));
        }
        behind_dashes |= element == "--";
        out.push(text);
    }
    Ok(out)
}

fn input(program: &Program, what: String, help: impl Into<String>) -> SpawnFailure {
    refuse(SpawnProblem::Input, format!("cannot start `{}`: {what}", program.name), help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Command, Decimal, ParamSpec};

    fn program(specs: Vec<ParamSpec>) -> Program {
        let mut program = Program::new("p", Command::Argv(vec!["x".into()]));
        program.params = specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        program
    }

    #[track_caller]
    fn rendered(elements: &[&str], params: &[(&str, ParamValue)]) -> Result<Vec<String>, String> {
        let program = program(vec![
            ParamSpec::string("free").allow_dash(),
            ParamSpec::string("v"),
            ParamSpec::integer("n"),
        ]);
        let elements: Vec<String> = elements.iter().map(|e| (*e).to_owned()).collect();
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        arguments(&program, &elements, &params).map_err(|failure| failure.message)
    }

    #[test]
    fn whatever_a_value_holds_it_stays_in_its_element() {
        for hostile in
            ["a b", "\"", "'", "$(reboot)", "`reboot`", "a\nb", "; rm -rf /", "{n}", "*", "é", "", "&& x"]
        {
            let value = [("v", hostile.into())];
            assert_eq!(
                rendered(&["--url={v}", "{v}"], &value),
                Ok(vec![format!("--url={hostile}"), hostile.into()])
            );
        }
    }

    #[test]
    fn a_value_makes_no_option_unless_it_may() {
        assert!(rendered(&["{v}"], &[("v", "-rf".into())]).unwrap_err().contains("`v`"));
        assert!(rendered(&["{v}x"], &[("v", "-".into())]).is_err());
        assert!(rendered(&["{v}-x"], &[]).is_err());
        assert!(rendered(&["{n}{v}"], &[("v", "-x".into())]).is_err());
        assert_eq!(rendered(&["--", "{v}"], &[("v", "-rf".into())]), Ok(vec!["--".into(), "-rf".into()]));
        assert_eq!(rendered(&["{free}"], &[("free", "-rf".into())]), Ok(vec!["-rf".into()]));
        assert_eq!(rendered(&["{n}"], &[("n", (-5).into())]), Ok(vec!["-5".into()]));
        let decimal = ParamValue::Decimal(Decimal { micros: -500_000 });
        assert_eq!(rendered(&["{n}"], &[("n", decimal)]), Ok(vec!["-0.5".into()]));
        assert_eq!(rendered(&["-{v}"], &[("v", "x".into())]), Ok(vec!["-x".into()]));
    }

    #[test]
    fn a_value_that_says_dash_dash_does_not_open_the_door_for_the_next() {
        assert!(rendered(&["{free}", "{v}"], &[("free", "--".into()), ("v", "-x".into())]).is_err());
    }

    #[test]
    fn an_element_that_is_only_an_unset_parameter_is_left_out() {
        assert_eq!(
            rendered(&["a", "{v}", "--x={v}", "{{v}}"], &[]),
            Ok(vec!["a".into(), "--x=".into(), "{v}".into()])
        );
    }

    #[test]
    fn nul_and_secrets_are_refused() {
        assert!(rendered(&["{v}"], &[("v", "a\0b".into())]).is_err());
        assert!(rendered(&["x{v}"], &[("v", ParamValue::Secret)]).unwrap_err().contains("secret"));
    }
}
