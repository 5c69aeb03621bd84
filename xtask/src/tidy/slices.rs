//! Every file of a slice folder is a row of its constant table, or a known helper.

use super::Finding;
use super::source::Source;
use crate::root;

/// A folder of capabilities, the constant that lists them, and files in it that are no capability.
struct Slice {
    folder: &'static str,
    table: &'static str,
    helpers: &'static [&'static str],
}

const SLICES: &[Slice] = &[
    Slice { folder: "crates/schedule/src/profiles", table: "PROFILES", helpers: &["keys", "reading"] },
    Slice { folder: "crates/analysis/src/criteria", table: "CRITERIA", helpers: &[] },
    Slice { folder: "crates/report/src/formats", table: "FORMATS", helpers: &[] },
    Slice { folder: "crates/report/src/overviews", table: "OVERVIEWS", helpers: &["snapshots"] },
    Slice { folder: "xtask/src/truth/claims", table: "CLAIMS", helpers: &[] },
    Slice { folder: "xtask/src/live/claims", table: "CLAIMS", helpers: &[] },
];

pub(super) fn check(findings: &mut Vec<Finding>) {
    for slice in SLICES {
        let Ok(entries) = std::fs::read_dir(root().join(slice.folder)) else { continue };
        let places = [format!("{}/mod.rs", slice.folder), format!("{}.rs", slice.folder)];
        let found =
            places.iter().find_map(|file| Some((file, std::fs::read_to_string(root().join(file)).ok()?)));
        let Some((file, text)) = found else { continue };
        let rows = rows(&Source::new(file, &text).code, slice.table);
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let stem = name.trim_end_matches(".rs");
            if stem == "mod" || slice.helpers.contains(&stem) || stem.ends_with("tests") {
                continue;
            }
            if !rows.iter().any(|row| row == stem) {
                let what = format!("`{stem}` has no row in `{}`", slice.table);
                let remedy = format!("add it to the table in {file}");
                findings.push(Finding::new(&format!("{}/{name}", slice.folder), 0, what, remedy));
            }
        }
    }
}

/// The modules named as `module::...` in the constant `table`.
fn rows(code: &str, table: &str) -> Vec<String> {
    let Some(start) = code.find(&format!("const {table}:")) else { return Vec::new() };
    let body = &code[start..];
    let body = &body[..body.find(';').unwrap_or(body.len())];
    body.match_indices("::")
        .map(|(at, _)| {
            let reversed = body[..at].chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_');
            reversed.collect::<String>().chars().rev().collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_modules_in_the_table() {
        let code = "pub const ROWS: &[Row] =\n    &[one::ROW, two::ROW];\nfn f() { three::x(); }";
        assert_eq!(rows(code, "ROWS"), ["one", "two"]);
        assert_eq!(rows(code, "OTHER"), Vec::<String>::new());
    }
}
