//! What a run is of: the labels that its user gave, and commit and branch, from the variables of the usual CI systems or
//! else from the repository that the plan lies in.
//!
//! Invariants: a value whose name looks like a secret's is never kept; no process is started for it; a repository that
//! cannot be read gives nothing and hinders nothing.

use crate::exit::CliError;
use crate::out;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// `--label`, for all commands that make a record.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LabelArgs {
    /// Keep this with the run, as in version=1.4; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
}

/// Variables that hold the commit: GitHub, GitLab, Jenkins, Buildkite, CircleCI, Bitbucket, Azure, Drone, AppVeyor.
const COMMIT: [&str; 9] = [
    "GITHUB_SHA",
    "CI_COMMIT_SHA",
    "GIT_COMMIT",
    "BUILDKITE_COMMIT",
    "CIRCLE_SHA1",
    "BITBUCKET_COMMIT",
    "BUILD_SOURCEVERSION",
    "DRONE_COMMIT_SHA",
    "APPVEYOR_REPO_COMMIT",
];

/// Variables that hold the branch that was built. Those that name a branch of somebody's fork, or the one that a pull
/// request goes to, are left out: such runs are not of that branch.
const BRANCH: [&str; 7] = [
    "GITHUB_REF_NAME",
    "CI_COMMIT_BRANCH",
    "GIT_BRANCH",
    "BUILDKITE_BRANCH",
    "CIRCLE_BRANCH",
    "BITBUCKET_BRANCH",
    "BUILD_SOURCEBRANCHNAME",
];

/// Most labels, longest name and longest value, in characters.
const MOST: usize = 32;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 200;
/// Bytes that are read of a file of a repository, and of its list of packed references.
const SMALL: u64 = 4 << 10;
const PACKED: u64 = 16 << 20;

impl LabelArgs {
    /// All labels of a run whose plan lies in `folder`.
    pub fn of_run(&self, folder: Option<&Path>) -> Result<Vec<(String, String)>, CliError> {
        let mut labels = given(&self.labels)?;
        for (name, value) in origin(&|name| out::plain_environment(name), folder) {
            if labels.iter().all(|(known, _)| *known != name) {
                labels.push((name, value));
            }
        }
        Ok(labels)
    }
}

/// Reads KEY=VALUE.
fn given(words: &[String]) -> Result<Vec<(String, String)>, CliError> {
    let wrong = |word: &str, hint: &str| {
        // the value may be a secret
        let name: String = word.split('=').next().unwrap_or_default().chars().take(LONGEST_NAME).collect();
        Err(CliError::usage(format!("failed to read --label {name}\n  {hint}")))
    };
    let mut labels: Vec<(String, String)> = Vec::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return wrong(word, "write KEY=VALUE, as in version=1.4");
        };
        let (name, value) = (name.trim(), value.trim());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(plain) {
            return wrong(word, "its name is of letters, digits and - _ . /, 64 of them at most");
        }
        if value.is_empty() || value.chars().count() > LONGEST_VALUE || value.chars().any(char::is_control) {
            return wrong(word, "its value is one line of 1 to 200 characters");
        }
        if labels.iter().any(|(known, _)| known == name) {
            return wrong(word, "this label is given twice; keep one of them");
        }
        labels.push((name.to_owned(), crucible_plan::masked(name, value)));
    }
    if labels.len() > MOST {
        return Err(CliError::usage(format!("failed to read --label: there are more than {MOST} of them")));
    }
    Ok(labels)
}

/// Commit and branch, as far as they are known.
fn origin(env: &dyn Fn(&str) -> Option<String>, folder: Option<&Path>) -> Vec<(String, String)> {
    let fit = |value: &String| {
        value.chars().count() <= LONGEST_VALUE && !value.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    let first = |names: &[&str]| names.iter().find_map(|name| env(name)).filter(fit);
    let (commit, branch) = match first(&COMMIT) {
        Some(commit) => (Some(commit), first(&BRANCH)),
        None => folder.and_then(head).unwrap_or_default(),
    };
    let branch = branch.map(|name| name.strip_prefix("origin/").unwrap_or(&name).to_owned()).filter(fit);
    [("branch", branch), ("commit", commit)]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Commit and branch that a repository has checked out.
fn head(folder: &Path) -> Option<(Option<String>, Option<String>)> {
    let folder = folder.canonicalize().ok()?;
    let own = folder.ancestors().find_map(|parent| repository(&parent.join(".git")))?;
    let head = read(&own.join("HEAD"), SMALL)?;
    let Some(name) = head.trim().strip_prefix("ref:").map(str::trim) else {
        return Some((commit(&head), None));
    };
    if name.split('/').any(|part| part == "..") {
        return None;
    }
    // a linked working tree keeps its branches with the main one
    let common = read(&own.join("commondir"), SMALL).map(|place| own.join(place.trim()));
    let common = common.as_deref().unwrap_or(&own);
    let loose = read(&common.join(name), SMALL).and_then(|text| commit(&text));
    let found = loose.or_else(|| {
        let packed = read(&common.join("packed-refs"), PACKED)?;
        packed
            .lines()
            .find_map(|line| line.split_once(' ').filter(|(_, known)| *known == name)?.0.parse().ok())
    });
    Some((found.and_then(|text| commit(&text)), name.strip_prefix("refs/heads/").map(str::to_owned)))
}

/// The folder of a repository by its `.git`, which may be a file that names it.
fn repository(dot: &Path) -> Option<PathBuf> {
    if dot.is_dir() {
        return Some(dot.to_owned());
    }
    let text = read(dot, SMALL)?;
    let place = text.trim().strip_prefix("gitdir:")?.trim();
    Some(dot.parent()?.join(place))
}

fn read(path: &Path, most: u64) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(most).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A commit is 40 or 64 hexadecimal digits.
fn commit(text: &str) -> Option<String> {
    let text = text.trim();
    let whole = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const A: &str = "0123456789abcdef0123456789abcdef01234567";
    const B: &str = "fedcba9876543210fedcba9876543210fedcba98";

    #[test]
    fn labels_are_named_once_and_secrets_are_masked() {
        let read = |words: &[&str]| given(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        let labels = read(&["version=1.4", "build.id = a=b", "api_token=t0p", "url=http://u:p@h/"]).unwrap();
        let shown: Vec<String> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        assert_eq!(shown, ["version:1.4", "build.id:a=b", "api_token:***", "url:http://***@h/"]);
        for (words, part) in [
            (&["version"][..], "KEY=VALUE"),
            (&["=1"], "its name"),
            (&["a b=1"], "its name"),
            (&["a="], "one line"),
            (&["a=1", "a=2"], "twice"),
        ] {
            let told = read(words).err().map(|error| error.text).unwrap_or_default();
            assert!(told.contains(part), "{words:?}: {told}");
        }
        let told = read(&["token"]).err().unwrap().text;
        assert!(
            !read(&["token=hunter2\n"]).err().map_or(String::new(), |e| e.text).contains("hunter2"),
            "{told}"
        );
    }

    #[test]
    fn variables_of_ci_go_before_the_repository() {
        let env = |name: &str| match name {
            "GIT_COMMIT" => Some(A.to_owned()),
            "GIT_BRANCH" => Some("origin/main".to_owned()),
            _ => None,
        };
        let found = origin(&env, Some(Path::new(".")));
        assert_eq!(found, [("branch".into(), "main".into()), ("commit".into(), A.into())]);
        let only = |name: &str| (name == "GITHUB_SHA").then(|| A.to_owned());
        assert_eq!(origin(&only, Some(Path::new("."))), [("commit".into(), A.into())]);
        assert_eq!(origin(&|_| None, None), []);
    }

    #[test]
    fn a_repository_tells_its_head_whatever_form_it_has() {
        let place = tempfile::tempdir().unwrap();
        let (root, plans) = (place.path(), place.path().join("perf/plans"));
        fs::create_dir_all(&plans).unwrap();
        let put = |name: &str, text: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let seen = || {
            let found = origin(&|_| None, Some(&plans));
            found.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(seen(), "");
        put(".git/HEAD", "ref: refs/heads/feature/x\n");
        assert_eq!(seen(), "branch feature/x");
        put(".git/packed-refs", &format!("# pack-refs with: peeled\n{A} refs/heads/feature/x\n^{B}\n"));
        assert_eq!(seen(), format!("branch feature/x, commit {A}"));
        put(".git/refs/heads/feature/x", &format!("{B}\n"));
        assert_eq!(seen(), format!("branch feature/x, commit {B}"));
        put(".git/HEAD", &format!("{A}\n"));
        assert_eq!(seen(), format!("commit {A}"));
        put(".git/HEAD", "ref: ../../secret\n");
        assert_eq!(seen(), "");
        // a linked working tree
        put(".git/HEAD", "ref: refs/heads/main\n");
        put(".git/worktrees/perf/HEAD", "ref: refs/heads/feature/x\n");
        put(".git/worktrees/perf/commondir", "../..\n");
        put("perf/.git", "gitdir: ../.git/worktrees/perf\n");
        assert_eq!(seen(), format!("branch feature/x, commit {B}"));
    }
}
