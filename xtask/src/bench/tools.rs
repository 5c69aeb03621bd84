//! The load generators: how each is told the same job, and how many requests it says that it did. One row each.

use super::folder;
use crate::machine::{Ended, on_path};
use crate::root;
use serde_json::Value;

/// A closed job.
pub(super) struct Job<'a> {
    pub(super) url: &'a str,
    pub(super) connections: u64,
    pub(super) seconds: u64,
}

/// A load generator.
pub(super) struct Tool {
    pub(super) name: &'static str,
    /// The program; looked for on the path.
    program: &'static str,
    /// Its arguments for a job, with words divided by spaces.
    arguments: fn(&Job<'_>) -> String,
    /// Requests that it did, from what it printed.
    pub(super) requests: fn(&Ended) -> Option<f64>,
}

pub(super) const TOOLS: &[Tool] = &[
    Tool {
        name: "wrk",
        program: "wrk",
        arguments: |job| format!("-t 1 -c {} -d {}s {}", job.connections, job.seconds, job.url),
        requests: |ended| number_before(&ended.stdout, " requests in"),
    },
    Tool {
        name: "crucible",
        program: "crucible",
        arguments: |job| {
            format!(
                "bench {} -c {} -d {}s --status 200 --json --quiet",
                job.url, job.connections, job.seconds
            )
        },
        requests: |ended| {
            let report: Value = serde_json::from_str(&ended.stdout).ok()?;
            report.pointer("/tests/0/totals/all/ended")?.as_f64()
        },
    },
    Tool {
        name: "wrk2",
        program: "wrk2",
        arguments: |job| format!("-t 1 -c {} -d {}s -R 1000000 {}", job.connections, job.seconds, job.url),
        requests: |ended| number_before(&ended.stdout, " requests in"),
    },
    Tool {
        name: "h2load",
        program: "h2load",
        arguments: |job| format!("--h1 -t 1 -c {} -D {} {}", job.connections, job.seconds, job.url),
        requests: |ended| number_before(&ended.stdout, " done,"),
    },
    Tool {
        name: "oha",
        program: "oha",
        arguments: |job| {
            format!("-z {}s -c {} --no-tui --output-format json {}", job.seconds, job.connections, job.url)
        },
        requests: |ended| {
            let report: Value = serde_json::from_str(&ended.stdout).ok()?;
            let codes = report.get("statusCodeDistribution")?.as_object()?;
            Some(codes.values().filter_map(Value::as_f64).sum())
        },
    },
    Tool {
        name: "hey",
        program: "hey",
        arguments: |job| format!("-z {}s -c {} -cpus 1 {}", job.seconds, job.connections, job.url),
        requests: |ended| number_before(&ended.stdout, " responses"),
    },
    Tool {
        name: "vegeta",
        program: "vegeta",
        arguments: |job| format!("{} {} {}", job.url, job.connections, job.seconds),
        requests: |ended| {
            let report: Value = serde_json::from_str(&ended.stdout).ok()?;
            report.get("requests")?.as_f64()
        },
    },
    Tool {
        name: "k6",
        program: "k6",
        arguments: |job| format!("{} {} {}", job.url, job.connections, job.seconds),
        requests: |ended| {
            let line = ended.stdout.lines().find(|line| line.trim_start().starts_with("http_reqs"))?;
            line.split(':').nth(1)?.split_whitespace().next()?.parse().ok()
        },
    },
];

impl Tool {
    /// Where its program is, if it is there.
    pub(super) fn path(&self) -> Option<String> {
        if self.name == "crucible" {
            return Some(root().join("target/release/crucible").display().to_string());
        }
        let ours = folder().join("bin").join(self.program);
        if ours.exists() {
            return Some(ours.display().to_string());
        }
        on_path(self.program).then(|| self.program.to_owned())
    }

    /// The command for a job; `None` if the tool is not there.
    pub(super) fn command(&self, job: &Job<'_>) -> Option<std::process::Command> {
        let program = self.path()?;
        let arguments = (self.arguments)(job);
        let mut command = std::process::Command::new(&program);
        match self.name {
            "vegeta" => {
                // it attacks in one process and reports in another
                let [url, connections, seconds] = three(&arguments)?;
                command = std::process::Command::new("sh");
                command.args(["-c", &format!(
                    "echo GET {url} | {program} attack -rate 0 -max-workers {connections} -duration {seconds}s | {program} report -type json"
                )]);
            }
            "k6" => {
                let [url, connections, seconds] = three(&arguments)?;
                let script = folder().join("k6.js");
                let text = format!(
                    "import http from 'k6/http';\nexport default function () {{ http.get('{url}'); }}\n"
                );
                std::fs::write(&script, text).ok()?;
                command
                    .args(["run", "--quiet", "--vus", connections, "--duration", &format!("{seconds}s")])
                    .arg(script);
            }
            _ => {
                command.args(arguments.split(' '));
            }
        }
        Some(command)
    }
}

fn three(words: &str) -> Option<[&str; 3]> {
    let words: Vec<&str> = words.split(' ').collect();
    words.try_into().ok()
}

/// The number that stands right before `mark`.
fn number_before(text: &str, mark: &str) -> Option<f64> {
    let end = text.find(mark)?;
    let start = text[..end].rfind(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(0, |at| at + 1);
    text[start..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_in_what_the_tools_print() {
        let check =
            |text: &str, mark: &str, expected: f64| assert_eq!(number_before(text, mark), Some(expected));
        check("Running\n  123456 requests in 5.00s, 1MB read", " requests in", 123_456.0);
        check("requests: 10 total, 10 started, 9 done, 9 succeeded", " done,", 9.0);
        check("  [200]\t4321 responses\n", " responses", 4321.0);
        assert_eq!(number_before("nothing here", " done,"), None);
    }
}
