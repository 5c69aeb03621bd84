//! Which crate may use which: the table below against `cargo metadata`, and against the map in the documentation.

use super::Finding;
use crate::{Failure, root};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// A crate and those of ours that it may use. `*` means all.
pub(super) const EDGES: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("schedule", &["core"]),
    ("plan", &["core", "schedule"]),
    ("record", &["core"]),
    ("stats", &["core"]),
    ("expr", &["core"]),
    ("feeders", &["core"]),
    ("monitors", &["core"]),
    ("analysis", &["core", "record", "stats"]),
    ("websocket", &["core", "http"]),
    ("sse", &["core", "http"]),
    (
        "harness",
        &["core", "schedule", "plan", "record", "engine", "analysis", "report", "stats", "expr", "feeders"],
    ),
    ("http", &["core"]),
    ("engine", &["core", "schedule", "plan", "record"]),
    ("report", &["core", "record", "analysis", "stats"]),
    ("testkit", &["core"]),
    ("ground", &["core", "harness", "report", "stats"]),
    ("cli", &["*"]),
    ("xtask", &["*"]),
];

/// Crates that must have no runtime, socket or clock, not even from others.
const PURE: &[&str] = &["core", "schedule", "plan", "stats", "analysis"];
const IMPURE: &[&str] = &["tokio", "mio", "socket2", "rand", "libc", "rustix"];

fn short(package: &str) -> &str {
    package.strip_prefix("crucible-").unwrap_or(package)
}

pub(super) fn check(findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .map_err(|error| format!("failed to read the workspace: {error}"))?;
    // all packages of the proving ground are one row
    let row_of = |package: &cargo_metadata::Package| {
        let path = package.manifest_path.strip_prefix(root()).unwrap_or(&package.manifest_path);
        let name = if path.starts_with("proving-ground") { "ground" } else { short(&package.name) };
        name.to_owned()
    };
    let ours: Vec<(&str, String)> =
        metadata.packages.iter().map(|package| (package.name.as_str(), row_of(package))).collect();
    for package in &metadata.packages {
        let name = &*row_of(package);
        let file = package.manifest_path.strip_prefix(root()).unwrap_or(&package.manifest_path).to_string();
        let Some((_, allowed)) = EDGES.iter().find(|(row, _)| *row == name) else {
            findings.push(Finding::new(
                &file,
                0,
                format!("`{name}` has no row in the table of edges"),
                "add it to xtask/src/tidy/edges.rs",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let ours = ours.iter().find(|(package, _)| *package == dependency.name.as_str());
            let used = ours.map_or("", |(_, row)| row);
            let normal = dependency.kind == DependencyKind::Normal;
            let known = allowed.contains(&"*")
                || allowed.contains(&used)
                || used == name
                || (!normal && used == "testkit");
            if !used.is_empty() && !known {
                let what = format!("`{name}` may not use `{used}`");
                findings.push(Finding::new(&file, 0, what, "see the table of edges in docs/architecture.md"));
            }
            if normal && PURE.contains(&name) && IMPURE.contains(&&*dependency.name) {
                let what = format!("`{name}` is pure and may not use `{}`", dependency.name);
                findings.push(Finding::new(
                    &file,
                    0,
                    what,
                    "let time, randomness and I/O come in as parameters",
                ));
            }
        }
    }
    if let Ok(text) = std::fs::read_to_string(root().join("docs/architecture.md")) {
        compare(&text, findings);
    }
    Ok(())
}

/// Compares the table of the documentation, if there is one, with [`EDGES`].
fn compare(text: &str, findings: &mut Vec<Finding>) {
    let file = "docs/architecture.md";
    let Some(start) = text.lines().position(|line| line.replace(' ', "").starts_with("|crate|mayuse")) else {
        return;
    };
    let mut told = Vec::new();
    for (index, line) in
        text.lines().enumerate().skip(start + 2).take_while(|(_, line)| line.starts_with('|'))
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [names, uses, ..] = cells.as_slice() else { continue };
        let uses = words(uses);
        for name in words(names) {
            told.push(name.clone());
            let Some((_, allowed)) = EDGES.iter().find(|(row, _)| *row == name) else { continue };
            let mut expected: Vec<String> = allowed.iter().map(|word| (*word).to_owned()).collect();
            expected.sort_unstable();
            let mut found: Vec<String> =
                uses.iter().map(|word| if word == "all" { "*".to_owned() } else { word.clone() }).collect();
            found.retain(|word| word == "*" || EDGES.iter().any(|(row, _)| row == word));
            found.sort_unstable();
            if expected != found {
                let what = format!("the map lets `{name}` use {found:?}, the check {expected:?}");
                findings.push(Finding::new(file, index + 1, what, "make the two tables say the same"));
            }
        }
    }
    for (name, _) in
        EDGES.iter().filter(|(name, _)| *name != "xtask" && !told.iter().any(|word| word == name))
    {
        findings.push(Finding::new(
            file,
            start + 1,
            format!("`{name}` is missing in the table of edges"),
            "add its row",
        ));
    }
}

/// The crates named in a cell: words, with folders and marks taken off.
fn words(cell: &str) -> Vec<String> {
    cell.split([',', ' ', ';'])
        .map(|word| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '/');
            let word = word.strip_prefix("protocols/").or(word.strip_prefix("crates/")).unwrap_or(word);
            if word == "proving-ground" { "ground".to_owned() } else { word.to_owned() }
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_that_says_something_else_is_found() {
        let rows: String = EDGES
            .iter()
            .map(|(name, uses)| {
                let uses = match uses {
                    [] => "nothing of ours".to_owned(),
                    ["*"] => "all".to_owned(),
                    uses => uses.join(", "),
                };
                format!("| {name} | {uses} |\n")
            })
            .collect();
        let text = format!("# Map\n\n| crate | may use |\n|---|---|\n{rows}\nmore\n");
        let found = |text: &str| {
            let mut findings = Vec::new();
            compare(text, &mut findings);
            findings.into_iter().map(|f| f.what).collect::<Vec<_>>()
        };
        assert_eq!(found(&text), Vec::<String>::new());
        assert_eq!(found(&text.replace("| record | core |", "| record | core, plan |")).len(), 1);
        assert_eq!(
            found(&text.replace("| record | core |\n", "")),
            ["`record` is missing in the table of edges"]
        );
    }
}
