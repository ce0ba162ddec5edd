use super::*;
#[test]
fn try_spec() {
    let c = load(std::path::Path::new(&std::env::var("SPEC").unwrap()));
    match c {
        Ok(c) => {
            println!("{c:#?}");
            for w in &c.warnings {
                println!("{w}");
            }
        }
        Err(e) => panic!("{e}"),
    }
    println!("{}", reference());
}
