//! Arguments from templates and parameters.

use super::refuse;
use crate::model::{Arg, ParamValue, Program, SpawnFailure, SpawnProblem, Template, Values};

/// Chooses the arguments of `args` that are present and fills in their values. A value stays inside its element. A
/// value that would turn its element into an option is refused, unless the element stands behind `--`, the parameter
/// has `allow_dash`, or the value is a number.
///
/// # Errors
/// [`SpawnProblem::Input`] names the element and the parameter.
/// [`SpawnProblem::Input`] names the element and the parameter.
pub fn arguments(
    program: &Program,
    args: [&[Arg]; 2],
    values: Values<'_>,
) -> Result<Vec<String>, SpawnFailure> {
    let present = args.map(|args| Arg::present(args, values));
    let mut out: Vec<String> = Vec::new();
    // Only a literal one: a value must not allow an option in the next.
    let mut behind_dashes = false;
    for arg in present.iter().flatten() {
        let (element, values) = (arg.text, &arg.values);
        let template = Template::parse(element).map_err(|error| {
            input(program, format!("the argument `{element}` is no template: {error}"), "correct it")
        })?;
        let is_secret = |name: &str| values.params.get(name) == Some(&ParamValue::Secret);
        if let Some(secret) = template.places().find(|place| is_secret(place.name)) {
            return Err(input(
                program,
                format!(
                    "the argument `{element}` would show the secret `{}` to everybody who lists processes",
                    secret.name
                ),
                "let it reach the program by its environment variable",
            ));
        }
        let text = template.render(values);
        if text.contains('\0') {
            return Err(input(
                program,
                format!("the argument `{element}` would have a NUL byte, which none can"),
                "remove it from the parameter",
            ));
        }
        if !behind_dashes && let Some(first) = program.option_by_value(&template, values) {
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
    use crate::model::{AttemptId, Command, Decimal, IntoArgs, ParamSpec, RunId};

    fn program(specs: Vec<ParamSpec>) -> Program {
        let mut program = Program::new("p", Command::Argv(vec!["x".into()]));
        program.params = specs.into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        program
    }

    #[track_caller]
    fn rendered(elements: &[&str], params: &[(&str, ParamValue)]) -> Result<Vec<String>, String> {
        filled(elements.iter().copied(), params)
    }

    #[track_caller]
    fn filled<M>(args: impl IntoArgs<M>, params: &[(&str, ParamValue)]) -> Result<Vec<String>, String> {
        let program = program(vec![
            ParamSpec::string("free").allow_dash(),
            ParamSpec::string("v"),
            ParamSpec::integer("n"),
            ParamSpec::list("l"),
            ParamSpec::list("fl").allow_dash(),
            ParamSpec::url("u"),
        ]);
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let attempt = AttemptId { run: RunId::from_parts(0, 0), number: 2 };
        let values = Values { attempt: Some(attempt), ..Values::of_a_start("p", &params) };
        arguments(&program, [&args.into_args(), &[]], values).map_err(|failure| failure.message)
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
        assert_eq!(rendered(&["{v}-x"], &[]), Ok(Vec::new()));
        assert!(rendered(&["{v}-x"], &[("v", "".into())]).is_err());
        assert_eq!(rendered(&["{n}{v}"], &[("v", "-x".into())]), Ok(Vec::new()));
        assert!(rendered(&["{free}{v}"], &[("free", "".into()), ("v", "-x".into())]).is_err());
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
    fn an_element_that_holds_an_unset_parameter_is_left_out() {
        assert_eq!(rendered(&["a", "{v}", "--x={v}", "{{v}}"], &[]), Ok(vec!["a".into(), "{v}".into()]));
    }

    #[test]
    fn each_item_of_a_list_is_held_to_the_rules_of_a_value() {
        let list = |items: &[&str]| ParamValue::from(items.to_vec());
        let group = || (["-t", "{l*}"], "--l={l*}");
        let safe = ["-t", "a b", "-t", "$(x)", "--l=a b", "--l=$(x)"].map(str::to_owned);
        assert_eq!(filled(group(), &[("l", list(&["a b", "$(x)"]))]), Ok(safe.into()));
        assert_eq!(filled(group(), &[("l", list(&[]))]), Ok(Vec::new()));
        assert!(filled(["{l*}"], &[("l", list(&["a", "-x"]))]).unwrap_err().contains("`l`"));
        assert!(filled((["-t", "{l*}"],), &[("l", list(&["a", "-"]))]).unwrap_err().contains("`l`"));
        assert!(filled(["{l*}"], &[("l", list(&["a", "b\0"]))]).unwrap_err().contains("NUL"));
        assert!(filled((["{l*}", "{v}"],), &[("l", list(&["--"])), ("v", "-x".into())]).is_err());
        assert_eq!(filled(["--", "{l*}"], &[("l", list(&["-x"]))]), Ok(vec!["--".into(), "-x".into()]));
        assert_eq!(filled(["{fl*}"], &[("fl", list(&["-x"]))]), Ok(vec!["-x".into()]));
        let numbers = ParamValue::from(vec![-1, 5]);
        assert_eq!(filled(["{l*}"], &[("l", numbers)]), Ok(vec!["-1".into(), "5".into()]));
    }

    #[test]
    fn a_part_of_a_value_makes_no_option_either() {
        let address = ParamValue::from("http://-rf.example/");
        assert!(filled(["{u.host}"], &[("u", address)]).is_err());
        assert!(filled(["{v:lower}"], &[("v", "-RF".into())]).is_err());
        assert_eq!(
            filled(["{program}", "{attempt}", "{run}"], &[]),
            Ok(vec!["p".into(), "2".into(), "0".repeat(26)])
        );
    }

    #[test]
    fn a_double_dash_that_is_left_out_opens_no_door() {
        let args = || (Arg::when("n", ["--"]), "{v}");
        assert!(filled(args(), &[("v", "-x".into())]).is_err());
        assert!(filled(args(), &[("v", "-x".into()), ("n", true.into())]).is_ok());
    }

    #[test]
    fn nul_and_secrets_are_refused() {
        assert!(rendered(&["{v}"], &[("v", "a\0b".into())]).is_err());
        assert!(rendered(&["x{v}"], &[("v", ParamValue::Secret)]).unwrap_err().contains("secret"));
    }
}
