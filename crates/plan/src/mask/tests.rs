use super::*;
use crate::testing::plan;
use proptest::prelude::*;

#[test]
fn secrets_are_masked_where_they_stand() {
    let check = |text: &str, expected: &str| assert_eq!(mask(text), expected, "{text}");
    check("password: hunter2 # mine\nuser: ada", "password: \"***\" # mine\nuser: ada");
    check("a: {Api-Key: 'it''s', b: c}", "a: {Api-Key: \"***\", b: c}");
    check("pin: 1234\nok: 1", "pin: \"***\"\nok: 1");
    check("secret: |\n  a\n  b\n\nc: d", "secret: |\n  ***\n\nc: d");
    check("secret: &a >-\n  a\n  b\nc: *a", "secret: &a >-\n  ***\nc: *a");
    check("secret: |\n\n  &a b\nc: d", "secret: |\n\n  ***\nc: d");
    check("secret: !!str &a hunter2\nc: d", "secret: !!str &a \"***\"\nc: d");
    check("token: a\n  b\nc: d", "token: \"***\"\nc: d");
    check("cookies: {a: b, c: [d, 5]}", "cookies: {a: \"***\", c: [\"***\", \"***\"]}");
    check("cookies: true\nsecret:\nx: 1", "cookies: true\nsecret:\nx: 1");
    check("x: &a hunter2\npassword: *a", "x: &a \"***\"\npassword: *a");
    check("x: &a {b: hunter2}\nauth: [*a]", "x: &a {b: \"***\"}\nauth: [*a]");
    check("é: ü\npassword: hunter2\nß: x", "é: ü\npassword: \"***\"\nß: x");
    check("password: ${env.PW}\ntoken: Bearer ${env.T}", "password: ${env.PW}\ntoken: Bearer ${env.T}");
    check("password: ${env.PW:-hunter2}", "password: \"***\"");
    check("password: x${env.PW}", "password: \"***\"");
    check("target: http://ada:hunter2@host/x", "target: http://***@host/x");
    check("target: \"http://${env.U}:${env.P}@host/x\"", "target: \"http://${env.U}:${env.P}@host/x\"");
    check("get: /login?token=abc&x=1", "get: /login?token=***&x=1");
    check("body: user=a&password=hunter2", "body: user=a&password=***");
    check("body: '{\"password\": \"hunter2\", \"x\": 1}'", "body: '{\"password\": \"***\", \"x\": 1}'");
    check("# api_key: hunter2\na: b", "# api_key: ***\na: b");
    check("a: [\"X-Auth-Token: abc\"]", "a: [\"X-Auth-Token: ***\"]");
    check("a: \"curl -H 'authorization: bearer abcdefghijk'\"", "a: \"curl -H 'authorization: ***'\"");
    check("a: Basic abcdefghijk, Bearer abcdefghijk", "a: Basic ***, Bearer ***");
    check("a: \"password: !x\"\nb: c", "a: \"password: ***\"\nb: c");
    check("a: send Bearer abcdefghijk now", "a: send Bearer *** now");
    check("get: /x\nthresholds: {a: b}", "get: /x\nthresholds: {a: b}");
}

#[test]
fn long_lines_take_no_longer_than_their_length() {
    for piece in [
        "token=a&",
        "token: ${a} ",
        "token: {",
        "token: \"a\", ",
        "# token: ${a}",
        "http://a:b@c/",
        "bearer a ",
    ] {
        let text = piece.repeat(500_000 / piece.len());
        assert!(mask_lines(&text, true).len() <= text.len() * 2);
    }
}

#[test]
fn credentials_leave_addresses() {
    assert_eq!(without_credentials("https://a:b@host:80/x@y"), "https://***@host:80/x@y");
    assert_eq!(without_credentials("https://host/x@y"), "https://host/x@y");
    assert_eq!(without_credentials("not an address"), "not an address");
}

#[test]
fn values_of_the_environment_do_not_reach_the_text() {
    let plan = plan("steps: [{get: \"/${env.TOKEN}\"}]\ntests: {t: {rate: 10/s, for: 30s}}");
    assert!(!plan.text.contains("from the environment"));
}

/// A secret with a core that cannot stand in the text by chance.
fn secret() -> impl Strategy<Value = String> {
    ("[a-zA-Z0-9!#%&*+,./:;<=>?@^_`|~{} \\\\'\"$ä-]{0,6}", "[a-zA-Z0-9!#%+./:;?@^_ '\"$ä-]{0,6}")
        .prop_map(|(head, tail)| format!("{head}HUNTER{tail}"))
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "password",
        "Password",
        "db_password",
        "token",
        "X-Auth-Token",
        "client_secret",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "api_key",
        "api-key",
        "x-api-key",
        "apiKey",
        "Proxy-Authorization",
        "aws_secret_access_key",
        "credentials",
    ])
    .prop_map(str::to_owned)
}

fn double(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The ways to write a secret into a step: lines at an indentation of 6.
fn written(key: &str, secret: &str, way: usize) -> String {
    let word: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    match way {
        0 => format!("      headers:\n        {key}: {}\n        other: x\n", double(secret)),
        1 => format!("      headers: {{{key}: {}, other: x}}\n", single(secret)),
        2 => format!("      headers:\n        {key}: {word}\n"),
        3 => format!(
            "      headers:\n        {key}: |\n          {word} b\n          c {word}\n        other: x\n"
        ),
        4 => format!(
            "      headers:\n        {key}: >-\n\n          {word} b\n\n          c {word}\n        other: x\n"
        ),
        5 => format!("      json: {{a: [{{{key}: {{b: [{}, 5]}}}}]}}\n", double(secret)),
        6 => format!("      json: {{a: &it {}, {key}: *it}}\n", double(secret)),
        7 => format!("      json: {{a: &it {{b: {}}}, {key}: [*it]}}\n", single(secret)),
        8 => format!("      body: a=b&{key}={word}&c=d\n"),
        9 => format!("      body: {}\n", single(&format!("{{\"{key}\": \"{word}\", \"a\": 1}}"))),
        10 => format!("      body: {}\n", double(&format!("{{\"{key}\": \"{word}\"}}"))),
        11 => format!("      # {key}: {secret}\n"),
        12 => format!(
            "      headers: {{{key}: {}}} # {key}={word}\n",
            double(&format!("${{env.TOKEN:-{word}}}"))
        ),
        13 => format!("      json: {{url: \"https://user:{word}@host/x\"}}\n"),
        14 => format!("      json: {{list: [{}]}}\n", double(&format!("{key}: {word}"))),
        _ => format!("      json: {{? {key}\n        : {}}}\n", double(secret)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn no_secret_survives(key in key(), secret in secret(), ways in prop::collection::vec(0usize..16, 1..4)) {
        let mut text = "name: ünïcode\nscenarios:\n  a:\n    steps:\n".to_owned();
        for way in ways {
            text.push_str("    - get: /x\n");
            text.push_str(&written(&key, &secret, way));
        }
        text.push_str("tests: {t: {rate: 10/s, for: 30s}}\n");
        let Ok(plan) = crate::read(&text, &crate::testing::options()) else {
            return Err(TestCaseError::fail(format!("{}\n{text}", crate::testing::told(&text))));
        };
        prop_assert!(!plan.text.contains("HUNTER"), "{}\n{}", text, plan.text);
        prop_assert!(plan.text.contains("/x"), "{}", plan.text);
    }
}
