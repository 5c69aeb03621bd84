//! Files and functions that can be read at a sitting.

use super::Finding;
use super::source::Source;

const FILE_AIM: usize = 400;
const FILE_LIMIT: usize = 800;
const FUNCTION_AIM: usize = 70;
const FUNCTION_LIMIT: usize = 100;

pub(super) fn check(sources: &[Source], list: bool, findings: &mut Vec<Finding>) {
    for source in sources {
        let lines = source.text.lines().count();
        if lines > FILE_LIMIT {
            let what = format!("{lines} lines, the limit is {FILE_LIMIT}");
            findings.push(Finding::new(&source.file, 0, what, "divide it by what its parts are about"));
        } else if list && lines > FILE_AIM {
            println!("{}:0: note: {lines} lines, the aim is {FILE_AIM}", source.file);
        }
        for (name, line, length) in source.functions() {
            if length > FUNCTION_LIMIT {
                let what = format!("`{name}` has {length} lines, the limit is {FUNCTION_LIMIT}");
                findings.push(Finding::new(&source.file, line, what, "divide it"));
            } else if list && length > FUNCTION_AIM {
                println!(
                    "{}:{line}: note: `{name}` has {length} lines, the aim is {FUNCTION_AIM}",
                    source.file
                );
            }
        }
    }
}
