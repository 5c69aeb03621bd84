//! The command line as typed.

use crate::origin::LabelArgs;
use crate::plans::PlanOverrides;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Load that is honest, numbers that can be trusted, a verdict that says why.
#[derive(Debug, Parser)]
#[command(name = "crucible", version, max_term_width = 100, propagate_version = true)]
#[command(after_help = "Exit codes: 0 pass, 1 internal error, 2 usage or plan mistake,\n\
97 invalid measurement, 98 inconclusive, 99 thresholds failed, 130 interrupted.")]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the tests of a plan and judge them
    Run(RunArgs),
    /// Load one address: `crucible bench http://localhost:8080/ -c 64 -d 10s`
    Bench(Box<BenchArgs>),
    /// Compare two runs, or two live systems in slices that alternate
    Compare(Box<CompareArgs>),
    /// Find the highest load at which the thresholds hold
    Capacity(Box<CapacityArgs>),
    /// Find and check rate limiters: class, limit, window, key, headers
    Limits(Box<LimitsArgs>),
    /// Check a plan, show what it will do, or print the JSON Schema of plans
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Report a stored run in another form
    Report(ReportArgs),
    /// List, show, name, export, import or delete stored runs; what changed over many of them
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Start a system of the proving ground
    Ground(GroundArgs),
    /// Proving ground and plan together: the half-minute tour
    Demo(DemoArgs),
    /// What this machine can measure
    Doctor(DoctorArgs),
}

/// Where runs are kept.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// File that runs are kept in [default: crucible/runs.db in your data folder]
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
}

/// How results are told.
#[derive(Debug, Args)]
pub struct TellArgs {
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Print the summary in another tool's shape, for scripts that parse it
    #[arg(long, value_name = "TOOL", value_parser = ["k6", "wrk"], conflicts_with = "json")]
    pub summary: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// End with 0 also when the evidence does not decide
    #[arg(long, value_name = "VERDICT", value_parser = ["inconclusive"])]
    pub allow: Option<String>,
    /// Threads that make load [default: one for each CPU that can be used]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub shards: Option<u32>,
    /// Run the load before all ordinary work of this machine (SCHED_FIFO, needs the right to)
    #[arg(long)]
    pub realtime: bool,
}

/// `crucible run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The plan, or a folder that holds a plan.yaml
    pub plan: PathBuf,
    /// Tests to run [default: all]
    pub tests: Vec<String>,
    /// Run a selection of tests that the plan names, as in `quick`
    #[arg(long, value_name = "NAME", conflicts_with = "tests")]
    pub suite: Option<String>,
    #[command(flatten)]
    pub overrides: PlanOverrides,
    #[command(flatten)]
    pub labels: LabelArgs,
    #[command(flatten)]
    pub tell: TellArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Keep no record
    #[arg(long, conflicts_with = "store")]
    pub no_record: bool,
}

/// One request, said on the command line.
#[derive(Clone, Debug, Args)]
pub struct RequestArgs {
    /// Method [default: GET, or POST with a body]
    #[arg(short = 'm', long, visible_short_alias = 'X', value_name = "METHOD")]
    pub method: Option<String>,
    /// Header, may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// Body, or @FILE
    #[arg(short = 'b', long, value_name = "TEXT")]
    pub body: Option<String>,
    /// Longest time for a request
    #[arg(short = 't', long, value_name = "TIME", default_value = "30s")]
    pub timeout: String,
    /// Status that counts as success, as in 200 or 2xx
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// Do not verify the certificate (the report says so)
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// Certificate authority to trust, PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Open a new connection for each request
    #[arg(long)]
    pub no_keepalive: bool,
    /// Local addresses to send from, with commas between them
    #[arg(long, value_name = "IPS", value_delimiter = ',')]
    pub local_ips: Vec<std::net::IpAddr>,
    /// Talk to a Unix socket instead of the address's host
    #[arg(long, value_name = "PATH")]
    pub unix_socket: Option<PathBuf>,
}

/// `crucible bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Address to load
    pub url: String,
    /// Connections (with --rate: the most that may be busy at once)
    #[arg(short = 'c', long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub connections: u64,
    /// How long [default: 10s]
    #[arg(short = 'd', long, value_name = "TIME", visible_short_alias = 'z')]
    pub duration: Option<String>,
    /// Number of requests, instead of a duration
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Arrivals a second, whatever the target does: 500, 500/s, 90/m
    #[arg(short = 'r', long, visible_short_alias = 'R', value_name = "RATE", conflicts_with = "requests")]
    pub rate: Option<String>,
    /// Space arrivals as a Poisson process instead of evenly
    #[arg(long, requires = "rate")]
    pub poisson: bool,
    #[command(flatten)]
    pub request: RequestArgs,
    /// Print the latency distribution in detail
    #[arg(long)]
    pub latency: bool,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub labels: LabelArgs,
    #[command(flatten)]
    pub tell: TellArgs,
    /// Keep a record in this file
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
}

/// `crucible compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The first side: a run (its name, the begin of it, `last`), several with commas; with --duet the plan
    pub a: Option<String>,
    /// The second side, compared with the first
    pub b: Option<String>,
    /// Compare the named runs with these: `last` (the run of the same plan before), a baseline that was named, a branch
    /// (its newest 5 runs), or a run
    #[arg(long, value_name = "NAME", conflicts_with = "duet")]
    pub baseline: Option<String>,
    /// Load two live systems in slices that alternate
    #[arg(long)]
    pub duet: bool,
    /// Address of a system; twice with --duet [default: two of the plan's proving ground]
    #[arg(long = "target", value_name = "URL", requires = "duet")]
    pub targets: Vec<String>,
    /// Switch of known truth for the first proving-ground system, may be repeated
    #[arg(long, value_name = "KEY=VALUE", requires = "duet")]
    pub truth_a: Vec<String>,
    /// The same for the second
    #[arg(long, value_name = "KEY=VALUE", requires = "duet")]
    pub truth_b: Vec<String>,
    /// The test whose scenarios and highest load are used [default: the first]
    #[arg(long, value_name = "NAME", requires = "duet")]
    pub test: Option<String>,
    /// Time of load an arm
    #[arg(long = "for", value_name = "TIME", default_value = "60s")]
    pub length: String,
    /// Length of a slice
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub slice: String,
    /// Start both proving-ground systems anew so many times: from 5 on, what differs from start to start is told apart
    #[arg(long, value_name = "N", requires = "duet", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// How often, at most, equal systems may be called different
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub alpha: f64,
    /// Differences up to so many percent do not matter
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub margin: f64,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Set a variable for ${env.NAME}
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// Print as JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print as sections of a document
    #[arg(long)]
    pub markdown: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// End with 0 also when the evidence does not decide
    #[arg(long, value_name = "VERDICT", value_parser = ["inconclusive"])]
    pub allow: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Keep no record
    #[arg(long, conflicts_with = "store")]
    pub no_record: bool,
}

/// `crucible capacity`
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// The plan, a folder that holds a plan.yaml, or an address
    #[arg(value_name = "PLAN|URL")]
    pub system: String,
    /// The test whose scenarios and thresholds are used [default: the first]
    #[arg(long, value_name = "NAME")]
    pub test: Option<String>,
    /// What must hold, instead of the plan's thresholds: 'p99 < 100ms', 'errors < 1%', 'STEP: p95 < 2s'; may be repeated
    #[arg(long = "threshold", value_name = "LIMIT")]
    pub thresholds: Vec<String>,
    /// Search for the number of users instead of the rate of arrivals
    #[arg(long)]
    pub users: bool,
    /// Time of load for the whole search
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub within: String,
    /// Shortest trial: several times what an operation, or a job to its end, takes
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub trial: String,
    /// Lowest load to try
    #[arg(long, value_name = "N")]
    pub from: Option<f64>,
    /// Highest load to try
    #[arg(long, value_name = "N")]
    pub to: Option<f64>,
    /// End before the time once the answer is known to so many percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.5)]
    pub precision: f64,
    /// Errors beyond this many percent are the breaking point [default: 5]
    #[arg(long, value_name = "PERCENT")]
    pub breaking: Option<f64>,
    /// Percent taken off the safe end for the recommended maximum
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0)]
    pub headroom: f64,
    /// Look for the capacity on the way down as well, from a load that failed
    #[arg(long)]
    pub down: bool,
    #[command(flatten)]
    pub request: RequestArgs,
    #[command(flatten)]
    pub overrides: PlanOverrides,
    #[command(flatten)]
    pub labels: LabelArgs,
    #[command(flatten)]
    pub tell: TellArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Keep no record
    #[arg(long, conflicts_with = "store")]
    pub no_record: bool,
}

/// `crucible plan`
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Say every mistake of a plan
    Check(PlanArgs),
    /// Show what will happen before a byte is sent
    Show {
        #[command(flatten)]
        plan: PlanArgs,
        /// Tests to show [default: all]
        tests: Vec<String>,
        /// List the first N arrivals of each open phase
        #[arg(long, value_name = "N", default_value_t = 0)]
        arrivals: usize,
    },
    /// Print the JSON Schema of plans, for editors
    Schema,
}

/// A plan and what replaces parts of it.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The plan, or a folder that holds a plan.yaml
    pub plan: PathBuf,
    #[command(flatten)]
    pub overrides: PlanOverrides,
}

/// `crucible report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The run: its name, the begin of it, `last`, or an exported file. For requirements, readiness and scaling also
    /// several with commas, or the name of a plan: the newest records of it
    #[arg(value_name = "RUN[,RUN]")]
    pub run: String,
    /// Forms, with commas between them: summary, md, json, csv, junit, k6, wrk, hdr of one run; requirements, readiness,
    /// scaling of one or several
    #[arg(short, long, value_delimiter = ',', default_value = "summary")]
    pub format: Vec<String>,
    /// Write to a file, or with several forms to FILE.EXTENSION each
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub overview: OverviewArgs,
    #[command(flatten)]
    pub store: StoreArgs,
}

/// What requirements, readiness and scaling are asked beside the runs.
#[derive(Debug, Args)]
pub struct OverviewArgs {
    /// Write requirements, readiness and scaling as JSON
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Write them as Markdown (also with an --output that ends in .md)
    #[arg(long)]
    pub markdown: bool,
    /// End with the verdict's exit code: 98 if something is not shown, 99 if something does not hold
    #[arg(long)]
    pub check: bool,
    /// With --check: end with 0 also when the evidence does not decide
    #[arg(long, value_name = "VERDICT", value_parser = ["inconclusive"], requires = "check")]
    pub allow: Option<String>,
    /// The load to be carried: 500/s, or 500 for users
    #[arg(long = "for", value_name = "LOAD")]
    pub wanted: Option<String>,
    /// Instances or cores of each run, in their order, as in 1,2,4,8
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "by")]
    pub at: Vec<f64>,
    /// Take that number from each run's label of this name
    #[arg(long, value_name = "KEY")]
    pub by: Option<String>,
    /// Instances that the system ran on
    #[arg(long, value_name = "N")]
    pub instances: Option<f64>,
    /// Compare each load run with this one: `last` (the run of the same plan before), or a run
    #[arg(long, value_name = "RUN")]
    pub baseline: Option<String>,
}

/// `crucible runs`
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List the stored runs, the newest first
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Show a run as its summary did
    Show {
        /// The run: its name, the begin of it, or `last`
        run: String,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// What changed over the runs of a plan, and since which run
    History(Box<HistoryArgs>),
    /// Give runs a name to compare others with; without a name, list the names
    Baseline {
        /// The name
        name: Option<String>,
        /// The runs, with commas between them
        #[arg(requires = "name", value_delimiter = ',')]
        runs: Vec<String>,
        /// Take the name away; the runs stay
        #[arg(long, requires = "name", conflicts_with = "runs")]
        delete: bool,
        /// Print the list as JSON
        #[arg(long, conflicts_with = "name")]
        json: bool,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Write one run to a file of its own
    Export {
        /// The run
        run: String,
        /// The file
        file: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Take over the runs of an exported file
    Import {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Delete runs
    Delete {
        /// The runs
        #[arg(required = true)]
        runs: Vec<String>,
        #[command(flatten)]
        store: StoreArgs,
    },
}

/// `crucible runs history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Name of the plan, or its file [default: the only one in the store]
    pub plan: Option<String>,
    /// Look at this test alone
    #[arg(long, value_name = "NAME")]
    pub test: Option<String>,
    /// Look at this figure alone, as in p95, errors, api.cpu; may be repeated
    #[arg(long, value_name = "FIGURE")]
    pub metric: Vec<String>,
    /// Look at the newest N runs alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub last: Option<u32>,
    /// Look at runs with this label alone, as in branch=main; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// How often, at most, a history without a change may show one
    #[arg(long, value_name = "SHARE", default_value_t = 0.01)]
    pub alpha: f64,
    /// Changes up to so many percent do not matter
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    pub margin: f64,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
    /// End with 99 if a figure is worse than it was, with 98 if there are too few runs to tell
    #[arg(long, conflicts_with = "thresholds")]
    pub check: bool,
    /// Print limits that runs like the last ones keep, as a block for a plan
    #[arg(long, conflicts_with = "json")]
    pub thresholds: bool,
    /// Percent of runs that keep such a limit
    #[arg(long, value_name = "PERCENT", default_value_t = 99.0, requires = "thresholds")]
    pub coverage: f64,
    /// With --check, end with 0 also when there are too few runs
    #[arg(long, value_name = "VERDICT", value_parser = ["inconclusive"], requires = "check")]
    pub allow: Option<String>,
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `crucible ground`
#[derive(Debug, Args)]
pub struct GroundArgs {
    /// The system, or `list`
    #[arg(default_value = "list")]
    pub name: String,
    /// Port on loopback, 0 for a free one
    #[arg(short, long, default_value_t = 0)]
    pub port: u16,
    /// Folder for its data [default: a temporary one]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Switch of known truth, may be repeated; `ground list` shows all
    #[arg(long, value_name = "KEY=VALUE")]
    pub truth: Vec<String>,
    /// Service to use instead of the embedded one, may be repeated
    #[arg(long, value_name = "postgres=URL|redis=URL", value_delimiter = ',')]
    pub with: Vec<String>,
    /// Print address and process as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// `crucible demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub tell: TellArgs,
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `crucible doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_command_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}

/// `crucible limits`
#[derive(Debug, Args)]
pub struct LimitsArgs {
    /// The plan, a folder that holds a plan.yaml, or an address
    pub what: String,
    /// Of a plan: the step to ask with, or a path on its target as in /api/login [default: the first step]
    #[arg(value_name = "STEP|PATH")]
    pub step: Option<String>,
    /// What limits may count by, with two values: header:NAME=V1,V2, token=T1,T2, route=/A,/B, method=GET,HEAD,
    /// address=IP1,IP2; may be repeated
    #[arg(long, value_name = "KIND=V1,V2")]
    pub key: Vec<String>,
    /// What should be there: 100/m, '100/30s burst 20', 'concurrency 8', none
    #[arg(long, value_name = "LIMIT")]
    pub expect: Option<String>,
    /// Longest time
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub within: String,
    /// Requests to try before it is said that nothing limits
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub most: u64,
    /// Requests under way at once, at most
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    pub lanes: u64,
    /// Status that is a refusal, beside 429 and a 503 with Retry-After; may be repeated
    #[arg(long, value_name = "STATUS")]
    pub refused: Vec<String>,
    /// The request is a login that fails: 400, 401, 403 and 422 passed, 423 is a refusal
    #[arg(long)]
    pub lockout: bool,
    /// Do not press on afterwards to find a second, longer limit
    #[arg(long)]
    pub no_press: bool,
    #[command(flatten)]
    pub request: RequestArgs,
    #[command(flatten)]
    pub overrides: PlanOverrides,
    #[command(flatten)]
    pub labels: LabelArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    /// Keep no record
    #[arg(long, conflicts_with = "store")]
    pub no_record: bool,
    /// Print the finding as JSON
    #[arg(long)]
    pub json: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// End with 0 also when the evidence does not decide
    #[arg(long, value_name = "VERDICT", value_parser = ["inconclusive"])]
    pub allow: Option<String>,
}
