//! Text that must not leave this machine, and decisions that nobody would find.

use super::Finding;
use crate::root;

/// Put together here, so that this file does not find itself.
const MACHINE: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
const REGISTRIES: &[&str] = &[
    concat!("artif", "actory"),
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("nexus", "/repository"),
];
const INDEX: &str = concat!("registry+https://github.com/rust-lang/", "crates.io-index");

pub(super) fn check(files: &[String], findings: &mut Vec<Finding>) {
    for file in files {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        for (index, line) in text.lines().enumerate() {
            if let Some(path) = MACHINE.iter().find(|path| names_path(line, path)) {
                let what = format!("a path of one machine, `{path}`");
                findings.push(Finding::new(file, index + 1, what, "write it relative to the repository"));
            }
            if let Some(host) = REGISTRIES.iter().find(|host| line.contains(**host)) {
                findings.push(Finding::new(
                    file,
                    index + 1,
                    format!("a registry's host, `{host}`"),
                    "leave it to cargo's settings",
                ));
            }
            if file == "Cargo.lock" && line.starts_with("source = \"registry") && !line.contains(INDEX) {
                findings.push(Finding::new(
                    file,
                    index + 1,
                    "a package from another registry",
                    "lock it against crates.io",
                ));
            }
        }
    }
    decisions(files, findings);
}

/// Whether a path begins in `line`: not in the middle of a longer one, as in `https://host/somewhere/`.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        !line[..at]
            .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '}' | '.' | '-' | '_' | '/' | '~' | '*'))
    })
}

fn decisions(files: &[String], findings: &mut Vec<Finding>) {
    let list = std::fs::read_to_string(root().join("docs/adr/README.md")).unwrap_or_default();
    for file in files {
        let Some(name) =
            file.strip_prefix("docs/adr/").filter(|name| name.ends_with(".md") && *name != "README.md")
        else {
            continue;
        };
        if !list.contains(name) {
            findings.push(Finding::new(
                file,
                0,
                "a decision that the list does not name",
                "add it to docs/adr/README.md",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_addresses() {
        let path = MACHINE[0];
        let check = |line: String, expected: bool| assert_eq!(names_path(&line, path), expected, "{line}");
        check(format!("see {path}main"), true);
        check(format!("\"{path}\""), true);
        check(format!("https://host{path}x"), false);
        check(format!("a{path}"), false);
    }
}
