//! One hot loop: a session is run at exactly one place, in the engine.

use super::Finding;
use super::source::Source;

const HOME: &str = "crates/engine/src/";
/// The suite and the simulator drive sessions of their own, outside of any run.
const OUTSIDE: &[&str] = &["crates/testkit/", "xtask/"];

pub(super) fn check(sources: &[Source], findings: &mut Vec<Finding>) {
    let mut at_home = Vec::new();
    for source in
        sources.iter().filter(|source| !OUTSIDE.iter().any(|folder| source.file.starts_with(folder)))
    {
        for (line, code) in source.live_lines().filter(|(_, code)| calls(code)) {
            if source.file.starts_with(HOME) {
                at_home.push((source.file.as_str(), line));
            } else {
                let what = format!("a session is run outside of the engine: `{}`", code.trim());
                findings.push(Finding::new(&source.file, line, what, "let the engine's loop run it"));
            }
        }
    }
    match at_home.as_slice() {
        [_] => {}
        [] => findings.push(Finding::new(
            HOME,
            0,
            "no place where a session is run",
            "name the value `session` and call `session.run(`",
        )),
        [_, more @ ..] => {
            for (file, line) in more {
                findings.push(Finding::new(
                    file,
                    *line,
                    "a second place where a session is run",
                    "compose around the one loop",
                ));
            }
        }
    }
}

/// Whether a line runs a session, by method or by path.
fn calls(code: &str) -> bool {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    ["session.run(", "session().run(", "Session::run("].iter().any(|call| code.contains(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_at_home_is_the_law() {
        let check = |files: &[(&str, &str)], expected: usize| {
            let sources: Vec<Source> = files.iter().map(|(file, text)| Source::new(file, text)).collect();
            let mut findings = Vec::new();
            check(&sources, &mut findings);
            assert_eq!(findings.len(), expected, "{findings:?}");
        };
        let one = ("crates/engine/src/user.rs", "fn f() { user.session.run(call, probe); }");
        check(&[one], 0);
        check(&[one, ("crates/cli/src/main.rs", "fn f() { // session.run(\n}")], 0);
        check(&[one, ("crates/cli/src/main.rs", "fn f() { Session::run(s, call, probe); }")], 1);
        check(&[one, ("crates/engine/src/open.rs", "fn f() { session . run(call); }")], 1);
        check(&[], 1);
    }
}
