//! Whatever the text, an expression is compiled or refused, and has a value or a problem.

#![allow(clippy::unwrap_used, reason = "a test may")]

use crucible_core::{Scope, Symbols, Value, VuId};
use proptest::prelude::*;

fn survive(text: &str) {
    let symbols = Symbols::new(Some(crucible_expr::language()), vec![("rows".into(), vec!["id".into()])]);
    if let Ok(compiled) = symbols.compile(text) {
        let mut scope = Scope::new(VuId(0), 1);
        for (index, name) in symbols.names().into_iter().enumerate() {
            let value = [Value::Int(i64::MIN), Value::text("ü"), Value::Float(-0.5), Value::List([].into())];
            if let Ok(slot) = symbols.define(&name) {
                scope.set(slot, value[index % value.len()].clone());
            }
        }
        if let Err(problem) = compiled.value(&mut scope) {
            assert!(problem.len() < 1_000, "{problem}");
        }
    }
}

/// Texts made of pieces that mean something.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("x"),
        Just("y"),
        Just("rows.id"),
        Just("1"),
        Just("-"),
        Just("+"),
        Just("*"),
        Just("**"),
        Just("//"),
        Just("%"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just(":"),
        Just("."),
        Just("|"),
        Just("~"),
        Just("'a'"),
        Just("''"),
        Just(" if "),
        Just(" else "),
        Just(" is "),
        Just(" in "),
        Just(" not "),
        Just("upper"),
        Just("random"),
        Just("pad"),
        Just("now"),
        Just("replace"),
        Just("choice"),
        Just("0"),
        Just("9223372036854775807"),
        Just("1e308"),
        Just("none"),
        Just("json"),
        Just("slice"),
        Just("="),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// Calls of every function with whatever arguments.
fn calls() -> impl Strategy<Value = String> {
    let names = crucible_expr::reference();
    let names: Vec<String> = names
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('(').map(|(name, _)| name.to_owned()))
        .collect();
    let argument = prop_oneof![
        Just("x"),
        Just("y"),
        Just("-1"),
        Just("0"),
        Just("1e300"),
        Just("9223372036854775807"),
        Just("''"),
        Just("'%Q%'"),
        Just("'ab'"),
        Just("[]"),
        Just("[1, 'a']"),
        Just("{'a': 1}"),
        Just("none"),
        Just("true"),
        Just("-9223372036854775807 - 1"),
        Just("0.5"),
        Just("1000000"),
    ];
    (prop::sample::select(names), prop::collection::vec(argument, 0..5))
        .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", ")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        survive(&text);
    }

    #[test]
    fn any_pieces(text in pieces()) {
        survive(&text);
    }

    #[test]
    fn any_calls(text in calls()) {
        survive(&text);
    }
}

#[test]
fn repetitions_do_not_exhaust_the_stack() {
    for piece in [
        "-",
        "- ",
        "not ",
        "(",
        "[",
        "{'a':",
        "1+",
        "1**",
        "a.",
        "a[",
        "f(",
        "x|upper",
        "1 if ",
        "1 if 1 else ",
        "1<",
        "1 ~",
        "a|",
        "'",
        "x is ",
        "x is not ",
        "x not in ",
    ] {
        for suffix in ["", "1"] {
            let text = format!("{}{suffix}", piece.repeat(4_096 / piece.len()));
            survive(text.get(..4_096.min(text.len())).unwrap_or_default());
        }
    }
}
