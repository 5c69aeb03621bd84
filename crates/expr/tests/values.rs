//! Expressions and their values.

#![allow(clippy::unwrap_used, reason = "a test may")]

use crucible_core::{FeederId, Ns, Scope, Symbols, Template, Value, VuId};
use std::sync::Arc;

fn symbols() -> Symbols {
    let feeders =
        vec![("pupils".to_owned(), vec!["name".to_owned(), "age".to_owned(), "last seen".to_owned()])];
    Symbols::new(Some(crucible_expr::language()), feeders)
}

fn scope(symbols: &Symbols) -> Scope {
    let mut scope = Scope::new(VuId(7), 1);
    scope.iteration = 3;
    scope.status = 201;
    scope.unix = Ns(1_000_000_000);
    scope.set_row(FeederId(0), Some(Arc::new([Value::text("eve"), Value::Int(12), Value::text("now")])));
    let json = r#"{"items": [{"id": 1, "price": 2.5}, {"id": 2, "price": 4}], "none": null, "name": "Ünal"}"#;
    scope.set(symbols.define("order").unwrap(), Value::from_json(&serde_json::from_str(json).unwrap()));
    scope.set(symbols.define("token").unwrap(), Value::text("abc"));
    scope.set(symbols.define("n").unwrap(), Value::Int(5));
    scope
}

fn eval(text: &str) -> Result<Value, String> {
    let symbols = symbols();
    let mut scope = scope(&symbols);
    symbols.compile(text)?.value(&mut scope)
}

#[test]
fn values() {
    let cases: &[(&str, &str)] = &[
        // names
        ("token", "abc"),
        ("vu + iteration * 10", "37"),
        ("status == 201 and ok", "true"),
        ("pupils.age + 1", "13"),
        ("pupils['last seen']", "now"),
        ("uuid | length", "36"),
        // arithmetic
        ("1 + 2 * 3 ** 2", "19"),
        ("7 / 2", "3.5"),
        ("4 / 2", "2"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("7 % -3", "-2"),
        ("7.5 // 2", "3"),
        ("2 ** -1", "0.5"),
        ("-n", "-5"),
        ("'ab' * 3", "ababab"),
        ("'a' + 'b'", "ab"),
        ("[1] + [2, 3]", "[1,2,3]"),
        ("[0] * 3", "[0,0,0]"),
        ("9223372036854775807", "9223372036854775807"),
        ("1e3", "1000"),
        // comparison and logic
        ("1 < 2 <= 2 != 3", "true"),
        ("1 == 1.0", "true"),
        ("[1, 2] == [1.0, 2]", "true"),
        ("'5' == 5", "false"),
        ("'a' < 'b'", "true"),
        ("2 in [1, 2] and 'b' in token and 'x' not in order", "true"),
        ("not (n > 3)", "false"),
        ("0 or 'x'", "x"),
        ("order.lost if false else 'y'", "y"),
        ("'big' if n > 3 else 'small'", "big"),
        ("'' if true", ""),
        ("'x' if false", ""),
        // parts
        ("order.items[1].id", "2"),
        ("order['items'][-1].price * 2", "8"),
        ("order.name[0] ~ order.name[-1]", "Ül"),
        ("order.name[1:3]", "na"),
        ("'abcdef'[1:5:2] ~ 'abc'[::-1] ~ 'abc'[-2:]", "bdcbabc"),
        ("[1, 2, 3, 4][::2]", "[1,3]"),
        ("[1, 2, 3][5:]", "[]"),
        ("order.items | pluck('price') | sum", "6.5"),
        ("order.items.where('id', 2)[0].price", "4"),
        // tables
        ("{'a': n, 'b': [true, none]}", r#"{"a":5,"b":[true,null]}"#),
        ("{1: 'x'}['1']", "x"),
        // missing values
        ("order.lost | default('-')", "-"),
        ("order.none.deeper is defined", "false"),
        ("order.items[9] | default(0)", "0"),
        // calls in all spellings
        ("upper(token) ~ token | upper ~ token.upper()", "ABCABCABC"),
        ("pad(n, width=3, letter=' ')", "  5"),
        ("random(n, n) + random_float(2, 2)", "7"),
        (
            "choice('a', 'a') ~ choice(['b']) ~ choice({'c': 1, 'd': 0}) ~ choice('e', 'f', weights=[0, 2])",
            "abcf",
        ),
        ("random_text(uniform(3, 3)) | length", "3"),
        ("random_text(5, 'é') ", "ééééé"),
        ("shuffle([1, 2, 3]) | sort", "[1,2,3]"),
        ("unix() ~ '/' ~ unix_ms(0.5)", "1/1500"),
        (r"substitute('2026-01-02', '(\\d+)-(\\d+)-(\\d+)', '$3.$2.$1')", "02.01.2026"),
        ("find('abc', 'x') is none", "true"),
        ("json(tojson(order)) == order", "true"),
        ("sha512('') | length", "128"),
        ("hmac('m', 'k', 'sha1', as='base64') | length", "28"),
        ("jwt({'n': n}, token).split('.') | length", "3"),
        (
            "jwt({}, 'k', 'HS512', {'kid': 'a'}).split('.')[0] | unbase64",
            r#"{"alg":"HS512","kid":"a","typ":"JWT"}"#,
        ),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, expected, eval(text).map(|value| value.to_string())))
        .filter(|(_, expected, found)| found.as_deref() != Ok(**expected))
        .map(|(text, expected, found)| format!("{text}: {expected}, found {found:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_in_the_text_is_told_when_it_is_read() {
    let cases: &[(&str, &str)] = &[
        ("1 +", "as an expression"),
        ("uper(token)", "did you mean `upper`"),
        ("token | loud", "no function `loud`"),
        ("upper()", "`text` is missing"),
        ("upper('a', 'b')", "too many arguments; write upper(text)"),
        ("pad(1, widht=2)", "did you mean `width`"),
        ("token is strange", "`is strange`"),
        ("pupils.nam", "has no column `nam`"),
        ("pupils | length", "is data with columns"),
        ("matches(token, '(')", "cannot be read"),
        ("matches(token, token)", "plain text"),
        ("jwt({}, 'k', 'none')", "HS256"),
        ("jwt({}, 'k', 'RS256')", "PEM"),
        ("f(*x)", "no function"),
        ("99999999999999999999", "64 bits"),
        ("------------------------------------------------------------1", "in a row"),
        ("{% if x %}", "as an expression"),
    ];
    for (text, part) in cases {
        let hint = eval(text).expect_err(text);
        assert!(hint.contains(part), "{text}: {hint}");
    }
    let deep = format!("{}1{}", "(1 + ".repeat(140), ")".repeat(140));
    assert!(eval(&deep).is_err());
    let long = vec!["1"; 500].join(" + ");
    assert!(eval(&long).is_err_and(|hint| hint.contains("nested")));
}

#[test]
fn what_cannot_be_worked_out_names_the_expression() {
    let cases: &[(&str, &str)] = &[
        ("n / 0", "division by zero"),
        ("9223372036854775807 + n", "64 bits"),
        ("token + n", "~"),
        ("token > n", "have no order"),
        ("order.lost", "no `lost`"),
        ("order.items[7]", "nothing at `7`"),
        ("lost + 1", "`lost` has no value"),
        ("json('{')", "no JSON"),
        ("'a' * (n * 10000000)", "larger than 16 MiB"),
        ("[0] * (n * 10000000)", "1048576"),
        ("random_text(1e9)", "larger than"),
        ("range(1000000000000)", "1048576"),
        ("random(5, 1)", "smaller number"),
        ("exponential(1e308) * 1e308", "finite"),
        ("token.name", "no parts with names"),
    ];
    for (text, part) in cases {
        let problem = eval(text).expect_err(text);
        assert!(
            problem.contains(part) && problem.starts_with(&format!("`${{{text}}}`")),
            "{text}: {problem}"
        );
    }
}

#[test]
fn values_that_grow_or_nest_are_refused() {
    let symbols = symbols();
    let mut scope = scope(&symbols);
    let slot = symbols.define("x").unwrap();
    for text in ["x ~ x", "[x, x]", "[x]", "x + x", "{'x': x}"] {
        let start = if text == "x + x" { "[0]" } else { "x" };
        scope.set(slot, if start == "x" { Value::text("x") } else { Value::List([Value::Int(0)].into()) });
        let compiled = symbols.compile(text).unwrap();
        let grown = (0..10_000).try_for_each(|_| {
            let value = compiled.value(&mut scope)?;
            scope.set(slot, value);
            Ok::<_, String>(())
        });
        assert!(grown.is_err(), "{text}");
    }
}

#[test]
fn deep_json_is_refused_by_its_parser() {
    let symbols = symbols();
    let mut scope = scope(&symbols);
    scope.set(symbols.define("deep").unwrap(), Value::text(&"[".repeat(1_000_000)));
    assert!(symbols.compile("json(deep)").unwrap().value(&mut scope).is_err());
}

#[test]
fn the_seed_decides() {
    let text =
        "${random_text(n)} ${email()} ${uuid()} ${shuffle(range(9))} ${lognormal(2048, 1.5)} ${sentence()}";
    let render = |seed| {
        let symbols = symbols();
        let mut scope = Scope::new(VuId(7), seed);
        scope.set(symbols.define("n").unwrap(), Value::Int(20));
        let mut out = Vec::new();
        Template::parse(text, &symbols).unwrap().render(&mut scope, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(render(1), render(1));
    assert_ne!(render(1), render(2));
}

#[test]
fn names_in_expressions_are_made_known_and_told() {
    let symbols = symbols();
    symbols.compile("lost ~ order.items").unwrap();
    assert_eq!(
        symbols.unknown().iter().map(|unknown| unknown.name.as_str()).collect::<Vec<_>>(),
        ["lost", "order"]
    );
}

#[test]
fn a_key_in_pem_signs() {
    let key = ring::signature::EcdsaKeyPair::generate_pkcs8(
        &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &ring::rand::SystemRandom::new(),
    );
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(key.as_ref().unwrap());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let token = eval(&format!("jwt({{'sub': 'eve'}}, '{pem}', 'ES256')")).unwrap().to_string();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    let pair = ring::signature::EcdsaKeyPair::from_pkcs8(
        &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        key.unwrap().as_ref(),
        &ring::rand::SystemRandom::new(),
    )
    .unwrap();
    use ring::signature::KeyPair as _;
    let public = ring::signature::UnparsedPublicKey::new(
        &ring::signature::ECDSA_P256_SHA256_FIXED,
        pair.public_key().as_ref(),
    );
    public.verify(signed.as_bytes(), &signature).unwrap();
}
