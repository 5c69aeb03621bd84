//! Finding the interpreter and what it needs to start.
//!
//! `python3` of the PATH may be a script that looks for the real one, which costs more than the start itself.
//! So it is asked once, outside of any sandbox, for the real program and its folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Prints program, standard library, its binary part and, for a shared build, the library.
const QUESTION: &str = "import os, sys, sysconfig
print(os.path.realpath(getattr(sys, '_base_executable', sys.executable)))
print(sysconfig.get_path('stdlib'))
print(sysconfig.get_path('platstdlib'))
print(os.path.join(sysconfig.get_config_var('LIBDIR') or '', sysconfig.get_config_var('INSTSONAME') or ''))
print(sys.version.split()[0])";

/// Where programs find shared libraries on the common systems.
const LIBRARIES: &[&str] =
    &["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"];

/// An interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Python {
    /// The real program.
    pub(crate) program: PathBuf,
    /// Its version, as in `3.11.7`.
    pub(crate) version: String,
    /// Folders and files that must be readable: real, absolute, none inside another.
    pub(crate) needs: Vec<PathBuf>,
}

/// Where to look, the best first: the one of the PATH; then, if the user that the program becomes may not enter
/// its folder, those of the system.
pub(crate) const CANDIDATES: &[&str] = &["python3", "/usr/bin/python3", "/usr/local/bin/python3"];

/// Asks this interpreter about itself. The error says what to do.
pub(crate) fn find(candidate: &str) -> Result<Python, String> {
    let output = Command::new(candidate)
        .args(["-I", "-S", "-E", "-c", QUESTION])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {candidate} ({e}); install Python 3 and have it on the PATH"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let [program, stdlib, platform, shared, version] = lines.as_slice() else {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{candidate} does not work: {}", told.trim()));
    };
    let wanted = [*program, *stdlib, *platform, *shared].into_iter().chain(LIBRARIES.iter().copied());
    let existing = wanted.map(Path::new).filter(|path| path.is_absolute() && path.exists());
    Ok(Python {
        program: PathBuf::from(program),
        version: (*version).to_owned(),
        needs: outermost(existing.map(Path::to_owned).collect()),
    })
}

/// Drops what lies inside of another one.
fn outermost(paths: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !kept.iter().any(|outer| path.starts_with(outer)) {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_paths_are_dropped() {
        let paths = ["/usr/lib/python3", "/usr/lib", "/usr/lib64", "/lib"].map(PathBuf::from);
        let kept = outermost(paths.into_iter().collect());
        assert_eq!(kept, ["/lib", "/usr/lib", "/usr/lib64"].map(PathBuf::from));
    }
}
