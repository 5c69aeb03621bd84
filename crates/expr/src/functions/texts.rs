//! Texts: case, parts, patterns.

use super::call::{Call, Function, Prepared, list, row, text};
use crate::limits;
use crate::node::Node;
use crucible_core::Value;
use regex::{Regex, RegexBuilder};

/// Largest compiled pattern, in bytes.
const PATTERN_MAX: usize = 1 << 20;

pub(super) const ROWS: &[Function] = &[
    row(
        "text",
        &["value"],
        "As text, as it would stand in a request.",
        ["text(1.5) + 's'", "1.5s"],
        |call| text(call.text(0)?),
    ),
    row("upper", &["text"], "In capital letters.", ["upper('ab')", "AB"], |call| {
        text(call.text(0)?.to_uppercase())
    }),
    row("lower", &["text"], "In small letters.", ["'AB' | lower", "ab"], |call| {
        text(call.text(0)?.to_lowercase())
    }),
    row(
        "capitalize",
        &["text"],
        "The first letter in capitals, the others small.",
        ["capitalize('eVE')", "Eve"],
        |call| {
            let all = call.text(0)?;
            let mut chars = all.chars();
            let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
            text(first + &chars.as_str().to_lowercase())
        },
    ),
    row(
        "trim",
        &["text", "letters?"],
        "Without white space, or without any of `letters`, at both ends.",
        ["trim(' a ') ~ trim('--b-', '-')", "ab"],
        |call| {
            let (all, letters) = (call.text(0)?, call.text_or(1, "")?);
            let trimmed = if call.given(1) { all.trim_matches(|c| letters.contains(c)) } else { all.trim() };
            text(trimmed)
        },
    ),
    row(
        "replace",
        &["text", "old", "new"],
        "With every `old` replaced.",
        ["replace('a-b-c', '-', '')", "abc"],
        |call| {
            let (all, old, new) = (call.text(0)?, call.text(1)?, call.text(2)?);
            let count = if new.len() > old.len() { all.matches(&*old).count() } else { 0 };
            limits::size(all.len().saturating_add(count.saturating_mul(new.len())))?;
            text(all.replace(&*old, &new))
        },
    ),
    row(
        "split",
        &["text", "separator?"],
        "The parts between separators, or between white space.",
        ["split('a,b', ',')", r#"["a","b"]"#],
        |call| {
            let (all, separator) = (call.text(0)?, call.text_or(1, "")?);
            let parts: Vec<Value> = match &*separator {
                "" => all.split_whitespace().take(limits::LENGTH_MAX + 1).map(Value::text).collect(),
                separator => all.split(separator).take(limits::LENGTH_MAX + 1).map(Value::text).collect(),
            };
            list(parts)
        },
    ),
    row(
        "starts_with",
        &["text", "part"],
        "Whether it begins so.",
        ["'abc' is starts_with 'ab'", "true"],
        |call| Ok(Value::Bool(call.text(0)?.starts_with(&*call.text(1)?))),
    ),
    row("ends_with", &["text", "part"], "Whether it ends so.", ["ends_with('abc', 'ab')", "false"], |call| {
        Ok(Value::Bool(call.text(0)?.ends_with(&*call.text(1)?)))
    }),
    row(
        "pad",
        &["text", "width", "letter?"],
        "Made as long as `width` with `letter` (0) in front.",
        ["pad(42, 5)", "00042"],
        |call| {
            let (all, width, letter) = (call.text(0)?, call.size(1)?, call.text_or(2, "0")?);
            let missing = width.saturating_sub(all.chars().count());
            limits::size(missing.saturating_mul(letter.len()).saturating_add(all.len()))?;
            text(letter.repeat(missing) + &all)
        },
    ),
    pattern(row(
        "matches",
        &["text", "pattern"],
        "Whether the regular expression is found in it. The pattern is a plain text.",
        [r"matches('order 42', '\\d+')", "true"],
        |call| Ok(Value::Bool(compiled(call)?.is_match(&call.text(0)?))),
    )),
    pattern(row(
        "find",
        &["text", "pattern"],
        "The first match, or what its first group holds; null if there is none.",
        [r"find('id=42;', 'id=(\\d+)')", "42"],
        |call| {
            let all = call.text(0)?;
            let Some(found) = compiled(call)?.captures(&all) else { return Ok(Value::Null) };
            Ok(found.get(1).or(found.get(0)).map_or(Value::Null, |part| Value::text(part.as_str())))
        },
    )),
    pattern(row(
        "find_all",
        &["text", "pattern"],
        "All matches, or what their first groups hold.",
        [r"find_all('a1b22', '\\d+')", r#"["1","22"]"#],
        |call| {
            let all = call.text(0)?;
            let found = compiled(call)?.captures_iter(&all).take(limits::LENGTH_MAX + 1);
            let parts = found.filter_map(|found| found.get(1).or(found.get(0)));
            list(parts.map(|part| Value::text(part.as_str())).collect())
        },
    )),
    pattern(row(
        "substitute",
        &["text", "pattern", "new"],
        "With every match replaced; `$1` stands for a group.",
        [r"substitute('a1b22', '(\\d+)', '<$1>')", "a<1>b<22>"],
        |call| {
            let (all, new) = (call.text(0)?, call.text(2)?);
            let regex = compiled(call)?;
            let mut made = String::new();
            let mut last = 0;
            for found in regex.captures_iter(&all) {
                let Some(whole) = found.get(0) else { continue };
                made.push_str(&all[last..whole.start()]);
                found.expand(&new, &mut made);
                limits::size(made.len())?;
                last = whole.end();
            }
            made.push_str(&all[last..]);
            text(made)
        },
    )),
];

/// The row with its second argument compiled when the plan is read.
const fn pattern(row: Function) -> Function {
    Function { prepare: Some(prepare), ..row }
}

fn prepare(arguments: &[Option<Node>]) -> Result<Prepared, String> {
    let Some(Some(Node::Constant(Value::Text(pattern)))) = arguments.get(1) else {
        return Err("the pattern must be a plain text, so that it can be checked beforehand".into());
    };
    let regex = RegexBuilder::new(pattern).size_limit(PATTERN_MAX).build();
    regex.map(Prepared::Pattern).map_err(|e| {
        let what = e.to_string();
        let last = what.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("the pattern {pattern:?} cannot be read: {last}")
    })
}

fn compiled<'a>(call: &Call<'a>) -> Result<&'a Regex, String> {
    match call.prepared {
        Prepared::Pattern(regex) => Ok(regex),
        // `prepare` refuses a row without a pattern
        _ => Err("the pattern is missing".into()),
    }
}
