//! Words that must not stand in code: a protocol's own words outside of protocols, and work left undone.

use super::Finding;
use super::source::Source;

/// Folders and the words that no name in their code may contain.
const FOREIGN: &[(&str, &[&str])] = &[
    ("crates/core/src/", &["http", "header", "cookie", "query", "websocket"]),
    ("crates/schedule/src/", &["http", "header", "cookie", "query", "status", "websocket"]),
    ("crates/engine/src/", &["http", "header", "cookie", "query", "websocket"]),
    ("crates/record/src/", &["http", "cookie", "websocket"]),
    ("crates/analysis/src/", &["http", "header", "cookie", "websocket"]),
];

/// What is searched for is put together here, so that this file does not find itself.
const UNDONE: &[&str] =
    &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO"), concat!("to", "do!(")];

pub(super) fn check(sources: &[Source], findings: &mut Vec<Finding>) {
    for source in sources {
        for (folder, words) in FOREIGN {
            if source.file.starts_with(folder) {
                foreign(source, words, findings);
            }
        }
        for (index, line) in source.text.lines().enumerate() {
            for word in UNDONE {
                if line
                    .split(|c: char| !(c.is_alphanumeric() || c == '!' || c == '('))
                    .any(|part| part.starts_with(word))
                {
                    findings.push(Finding::new(
                        &source.file,
                        index + 1,
                        format!("`{word}`"),
                        "do it, or open an issue",
                    ));
                }
            }
        }
    }
}

fn foreign(source: &Source, words: &[&str], findings: &mut Vec<Finding>) {
    for (line, code) in source.live_lines() {
        for name in code.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
            if let Some(word) = words.iter().find(|word| parts(name).any(|part| part == **word)) {
                let what = format!("`{name}` speaks of {word}");
                findings.push(Finding::new(&source.file, line, what, "use a word that fits every protocol"));
            }
        }
    }
}

/// The words of a name: `error_rate`, `ErrorRate` and `ERROR_RATE` all give `error`, `rate`; a plural loses its s.
fn parts(name: &str) -> impl Iterator<Item = String> {
    let shouts = name.chars().all(|c| !c.is_lowercase());
    let mut parts: Vec<String> = vec![String::new()];
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && !shouts) {
            parts.push(String::new());
        }
        if c != '_'
            && let Some(last) = parts.last_mut()
        {
            last.extend(c.to_lowercase());
        }
    }
    parts.into_iter().map(|part| part.strip_suffix('s').map(str::to_owned).unwrap_or(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let check = |name: &str, expected: &[&str]| {
            let got: Vec<String> = parts(name).filter(|part| !part.is_empty()).collect();
            assert_eq!(got, expected, "{name}");
        };
        check("request_headers", &["request", "header"]);
        check("HttpWorker", &["http", "worker"]);
        check("HTTP_PORT", &["http", "port"]);
    }

    #[test]
    fn only_code_is_looked_at() {
        let text = "//! speaks of http\nfn f() { let a = \"http\"; }\n#[cfg(test)]\nmod tests { fn http() {} }\nfn cookies() {}\n";
        let mut findings = Vec::new();
        check(&[Source::new("crates/core/src/a.rs", text)], &mut findings);
        assert_eq!(findings.iter().map(|f| f.line).collect::<Vec<_>>(), [5]);
    }
}
