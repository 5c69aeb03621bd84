//! `${env.NAME}` and `${env.NAME:-default}` in a scalar, replaced before the plan is read.
//!
//! What comes from the environment is data: a `${` in it is escaped as `$${`, so that it can never become a place
//! that requests fill in.

/// `text` with the variables filled in through `look_up`; `None` if there are none in it. The error is what is wrong
/// and what would be right. `$${` stays as it is.
pub(crate) fn expand(
    text: &str,
    look_up: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, (String, String)> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(start) = rest.find("${") {
        let (before, place) = rest.split_at(start);
        out.push_str(before);
        let inner = &place[2..];
        let Some(variable) = inner.trim_start().strip_prefix("env.") else {
            out.push_str("${");
            rest = inner;
            continue;
        };
        if before.ends_with('$') {
            out.push_str("${");
            rest = inner;
            continue;
        }
        let Some(end) = variable.find('}') else {
            return Err(("`${env.` has no closing `}`".into(), "write `${env.NAME}`".into()));
        };
        let (name, default) = match variable[..end].split_once(":-") {
            Some((name, default)) => (name.trim(), Some(default)),
            None => (variable[..end].trim(), None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!("`{name}` is no name of a variable");
            return Err((message, "write `${env.NAME}` or `${env.NAME:-default}`".into()));
        }
        match (look_up(name), default) {
            (Some(value), _) => out.push_str(&value.replace("${", "$${")),
            (None, Some(default)) => out.push_str(default),
            (None, None) => {
                let hint = format!(
                    "set it in the environment or in a file `.env`, or give a default: `${{env.{name}:-value}}`"
                );
                return Err((format!("the variable {name} is not set"), hint));
            }
        }
        found = true;
        rest = &variable[end + 1..];
    }
    out.push_str(rest);
    Ok(found.then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_nothing_else() {
        let look_up = |name: &str| match name {
            "HOST" => Some("example".to_owned()),
            "EMPTY" => Some(String::new()),
            "ODD" => Some("a${vu}b".to_owned()),
            _ => None,
        };
        let check = |text: &str, expected: Result<Option<&str>, &str>| {
            let got = expand(text, &look_up);
            match expected {
                Ok(value) => assert_eq!(got, Ok(value.map(str::to_owned)), "{text}"),
                Err(part) => {
                    let said = got.map_err(|(message, hint)| format!("{message} ({hint})"));
                    assert!(said.clone().is_err_and(|said| said.contains(part)), "{text}: {said:?}");
                }
            }
        };
        check("plain", Ok(None));
        check("${vu} and $${env.HOST}", Ok(None));
        check("http://${env.HOST}:80/${vu}", Ok(Some("http://example:80/${vu}")));
        check("${ env.HOST }", Ok(Some("example")));
        check("${env.EMPTY}", Ok(Some("")));
        check("${env.ODD}", Ok(Some("a$${vu}b")));
        check("${env.NONE:-8080}", Ok(Some("8080")));
        check("${env.HOST:-8080}", Ok(Some("example")));
        check("${env.NONE:-}", Ok(Some("")));
        check("${env.NONE}", Err("the variable NONE is not set"));
        check("${env.NONE}", Err("`.env`"));
        check("${env.A-B}", Err("no name"));
        check("${env.HOST", Err("closing"));
    }
}
