//! Plan files: finding, reading, telling what is wrong with them.

use crate::catalogue::GRAMMARS;
use crate::exit::CliError;
use crate::grounds::{self, Started};
use crate::out;
use crucible_core::monitor::Target;
use crucible_core::{Diagnostic, Severity};
use crucible_harness::sources;
use crucible_plan::suites::ground_of;
use crucible_plan::{Plan, ReadOptions};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What replaces parts of a plan.
#[derive(Debug, Default, clap::Args)]
pub struct PlanOverrides {
    /// Use this address instead of the plan's target
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// Use this seed instead of the plan's
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Set a variable for ${env.NAME}; goes before the environment and .env
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE")]
    pub env: Vec<String>,
}

/// A plan named on the command line: a file, or a folder with a `plan.yaml`.
pub fn locate(name: &Path) -> PathBuf {
    if name.is_dir() { name.join("plan.yaml") } else { name.to_owned() }
}

/// Reads a plan file; warnings are told, mistakes end it.
pub fn load(name: &Path, overrides: &PlanOverrides) -> Result<Plan, CliError> {
    let path = locate(name);
    let text = text_of(&path)?;
    let mut plan = read(&text, &path.display().to_string(), folder_of(&path), overrides)?;
    plan.file = name.display().to_string();
    Ok(plan)
}

/// Reads a plan file to run it: if it names a system of the proving ground and no target is given, the system is started
/// and the plan reads as if its address had been given. `check` looks for mistakes in what is asked of the plan before
/// anything is started.
pub fn load_with_ground(
    name: &Path,
    overrides: &PlanOverrides,
    check: impl FnOnce(&Plan) -> Result<(), CliError>,
) -> Result<(Plan, Option<Started>), CliError> {
    let path = locate(name);
    let text = text_of(&path)?;
    let shown = path.display().to_string();
    let wanted = if overrides.target.is_none() { ground_of(&text) } else { None };
    let Some(wanted) = wanted else { return Ok((load(name, overrides)?, None)) };
    check(&read_quietly(&text, &shown, folder_of(&path), overrides)?)?;
    let ground = grounds::start(&wanted.system, &wanted.truth)?;
    out::note(&format!("started the proving ground's `{}` at {}", wanted.system, ground.url));
    let mut env = ground.variables();
    env.extend(overrides.env.iter().cloned());
    let overrides = PlanOverrides { target: Some(ground.url.clone()), seed: overrides.seed, env };
    let mut plan = read(&text, &shown, folder_of(&path), &overrides)?;
    plan.file = name.display().to_string();
    find_parts(&mut plan, &ground);
    Ok((plan, Some(ground)))
}

/// A component of the plan that is called like a part of the started system is that part's process, whatever port or name
/// it has elsewhere.
fn find_parts(plan: &mut Plan, ground: &Started) {
    for component in &mut plan.components {
        let part = ground.parts.iter().find(|(name, _)| *name == component.name);
        if let Some(pid) = part.and_then(|(_, pid)| u32::try_from(*pid).ok()) {
            component.target = Target::Pid(pid);
        }
    }
}

/// The system of the proving ground that a plan file names.
pub fn ground(name: &Path) -> Result<Option<crucible_plan::Ground>, CliError> {
    Ok(ground_of(&text_of(&locate(name))?))
}

/// The name that a plan file gives itself, as far as it says one.
pub fn name(name: &Path) -> Result<Option<String>, CliError> {
    Ok(crucible_plan::suites::name_of(&text_of(&locate(name))?))
}

/// The folder of a plan named on the command line.
pub fn folder(name: &Path) -> PathBuf {
    let folder = folder_of(&locate(name));
    if folder.as_os_str().is_empty() { ".".into() } else { folder }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new(".")).to_owned()
}

fn text_of(path: &Path) -> Result<String, CliError> {
    let bytes = fs::read(path).map_err(|e| {
        let hint = match e.kind() {
            std::io::ErrorKind::NotFound => "check the name; a folder must hold a plan.yaml",
            _ => "check its permissions",
        };
        CliError::usage(format!("failed to read the plan {}: {e}\n  {hint}", path.display()))
    })?;
    String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let name = path.display();
        CliError::usage(format!(
            "failed to read the plan {name}: line {line} is not UTF-8 text\n  save it as UTF-8"
        ))
    })
}

/// Reads a plan's text and tells its warnings; `shown` is its name in messages.
pub fn read(text: &str, shown: &str, folder: PathBuf, overrides: &PlanOverrides) -> Result<Plan, CliError> {
    let plan = read_quietly(text, shown, folder, overrides)?;
    plan.warnings.iter().for_each(|warning| out::note(&show(shown, text, warning)));
    Ok(plan)
}

fn read_quietly(
    text: &str,
    shown: &str,
    folder: PathBuf,
    overrides: &PlanOverrides,
) -> Result<Plan, CliError> {
    let given = given_variables(&overrides.env)?;
    let dotenv = dotenv(&folder)?;
    let env = |name: &str| {
        given
            .get(name)
            .cloned()
            .or_else(|| out::plain_environment(name))
            .or_else(|| dotenv.get(name).cloned())
    };
    let place = folder.clone();
    let read_file = |name: &str| sources::recording(&place.join(name));
    let options = ReadOptions {
        grammars: GRAMMARS,
        env: &env,
        folder,
        expressions: Some(crucible_expr::language()),
        open_feeder: &sources::open_feeder,
        read_file: &read_file,
        target: overrides.target.clone(),
        seed: overrides.seed,
    };
    crucible_plan::read(text, &options).map_err(|mistakes| CliError::usage(show_all(shown, text, &mistakes)))
}

fn given_variables(pairs: &[String]) -> Result<HashMap<String, String>, CliError> {
    pairs
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(CliError::usage(format!("failed to read --env {pair}\n  write NAME=VALUE"))),
        })
        .collect()
}

/// Variables of a `.env` file in the plan's folder or the present one.
fn dotenv(folder: &Path) -> Result<HashMap<String, String>, CliError> {
    let candidates = [folder.join(".env"), PathBuf::from(".env")];
    let Some(path) = candidates.iter().find(|path| path.is_file()) else { return Ok(HashMap::new()) };
    let failed = |e: dotenvy::Error| CliError::usage(format!("failed to read {}: {e}", path.display()));
    dotenvy::from_path_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
}

fn show_all(shown: &str, text: &str, mistakes: &[Diagnostic]) -> String {
    let mut told: Vec<String> = mistakes.iter().map(|mistake| show(shown, text, mistake)).collect();
    let errors = mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).count();
    told.push(match errors {
        1 => "1 mistake in the plan".into(),
        n => format!("{n} mistakes in the plan"),
    });
    told.join("\n")
}

/// One mistake with the line that it stands in.
fn show(shown: &str, text: &str, mistake: &Diagnostic) -> String {
    let word = match mistake.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut told = format!("{word}: {}\n  --> {shown}:{}  {}", mistake.message, mistake.at, mistake.path);
    let line = (mistake.at.line as usize).checked_sub(1).and_then(|index| text.lines().nth(index));
    if let Some(line) = line.filter(|line| !line.trim().is_empty()) {
        let line: String = line.chars().take(96).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let indent = (mistake.at.column as usize).saturating_sub(1).min(96);
        told.push_str(&format!("\n   | {line}\n   | {:indent$}^", ""));
    }
    if !mistake.hint.is_empty() {
        told.push_str(&format!("\n   = {}", mistake.hint));
    }
    told.push('\n');
    told
}

/// The tests of a selection that the plan names.
pub fn choose_suite(plan: &Plan, name: &str) -> Result<Vec<usize>, CliError> {
    let known: Vec<&str> = plan.suites.iter().map(|suite| suite.name.as_str()).collect();
    let found = plan.suites.iter().find(|suite| suite.name == name);
    found.map(|suite| suite.tests.clone()).ok_or_else(|| {
        let hint = match known.is_empty() {
            true => format!(
                "add `suites: {{{name}: [{}]}}` to it",
                plan.tests.first().map_or("TEST", |t| &t.name)
            ),
            false => crucible_core::fields::suggest(name, &known),
        };
        CliError::usage(format!("the plan has no suite `{name}`\n  {hint}"))
    })
}

/// The tests named on the command line, or all.
pub fn choose(plan: &Plan, names: &[String]) -> Result<Vec<usize>, CliError> {
    if names.is_empty() {
        return Ok((0..plan.tests.len()).collect());
    }
    let known: Vec<&str> = plan.tests.iter().map(|test| test.name.as_str()).collect();
    names
        .iter()
        .map(|name| {
            known.iter().position(|test| test == name).ok_or_else(|| {
                let hint = crucible_core::fields::suggest(name, &known);
                CliError::usage(format!("the plan has no test `{name}`\n  {hint}"))
            })
        })
        .collect()
}
