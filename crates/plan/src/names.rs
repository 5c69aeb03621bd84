//! Names of steps: unique over the plan, stable, and fit for a table of 80 columns.

use crate::model::{Scenario, Step, StepRole};
use crate::steps::Draft;
use crucible_core::{Diagnostics, Fields, Position, StepId};
use std::collections::{HashMap, HashSet};

/// Longest name in characters.
const NAME_MAX: usize = 200;

/// Whether `name` is fit for a step, scenario, test or plan; notes a mistake at `key` if not.
pub(crate) fn check(fields: &Fields<'_>, key: &str, name: &str) -> bool {
    match trouble(name) {
        Some((message, hint)) => {
            fields.error(key, message, hint);
            false
        }
        None => true,
    }
}

/// As [`check`], for a name that is itself a key.
pub(crate) fn check_at(diagnostics: &Diagnostics, at: Position, path: &str, name: &str) {
    if let Some((message, hint)) = trouble(name) {
        diagnostics.error(at, path, message, hint);
    }
}

fn trouble(name: &str) -> Option<(String, &'static str)> {
    if name.trim().is_empty() {
        Some(("this name is empty".into(), "give it a word or remove it"))
    } else if name.chars().any(char::is_control) {
        Some(("a line break or control character stands in this name".into(), "write it on one line"))
    } else if matches!(name, "*" | "each") {
        Some((format!("`{name}` has a meaning in thresholds"), "choose another name"))
    } else if name.chars().count() > NAME_MAX {
        Some((format!("this name is longer than {NAME_MAX} characters"), "shorten it"))
    } else {
        None
    }
}

/// Gives every step its name. Given names are kept and must differ. A default name that several steps share is
/// told apart by scenario, then by place in it, then by number in the order of the text:
/// `GET /x (reader)`, `GET /x (setup)`, `GET /x #2`.
pub(crate) fn assign(drafts: Vec<Draft>, scenarios: &[Scenario], diagnostics: &Diagnostics) -> Vec<Step> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut first: HashMap<&str, Position> = HashMap::new();
    for draft in &drafts {
        let Some(name) = &draft.given else { continue };
        if let Some(earlier) = first.get(name.as_str()) {
            let message = format!("two steps are called {name:?}");
            let hint = format!("rename one of them; the other stands on line {}", earlier.line);
            diagnostics.error(draft.at, &format!("{}.name", draft.path), message, hint);
        } else {
            first.insert(name, draft.at);
            taken.insert(name.clone());
        }
    }
    let mut names: Vec<Option<String>> = drafts.iter().map(|draft| draft.given.clone()).collect();
    let mut numbers = HashMap::new();
    for group in shared(&drafts) {
        let several = |key: &dyn Fn(&Draft) -> String| {
            let mut keys = group.iter().map(|index| key(&drafts[*index]));
            let head = keys.next();
            keys.any(|k| Some(k) != head)
        };
        let scenario = |draft: &Draft| {
            scenarios.get(usize::from(draft.scenario.0)).map_or(String::new(), |s| s.name.clone())
        };
        let by_scenario = several(&scenario);
        let by_place = several(&place);
        for index in &group {
            let draft = &drafts[*index];
            let mut notes = Vec::new();
            if by_scenario {
                notes.push(scenario(draft));
            }
            if by_place {
                notes.push(place(draft));
            }
            notes.retain(|note| !note.is_empty());
            let base = clean(&draft.spec.default_name);
            let base = if notes.is_empty() { base } else { format!("{base} ({})", notes.join(", ")) };
            names[*index] = Some(free(base, &mut taken, &mut numbers));
        }
    }
    // rows of a transaction are called like its step, so they come last
    for (index, draft) in drafts.iter().enumerate() {
        if let Some((step, words)) = draft.of {
            let base = names[usize::from(step.0)].clone().unwrap_or_default();
            names[index] = Some(free(format!("{base} {words}"), &mut taken, &mut numbers));
        }
    }
    let steps = drafts.into_iter().zip(names).enumerate();
    steps
        .map(|(index, (draft, name))| Step {
            id: StepId(index as u16),
            name: name.unwrap_or_default(),
            scenario: draft.scenario,
            role: draft.role,
            protocol: draft.protocol,
            think: draft.think,
            fail: draft.fail.unwrap_or(0.0),
            measures: draft.measures,
            spec: draft.spec,
        })
        .collect()
}

/// Steps without a given name, those with the same default name together, in the order of the text.
fn shared(drafts: &[Draft]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (index, draft) in
        drafts.iter().enumerate().filter(|(_, draft)| draft.given.is_none() && draft.of.is_none())
    {
        let group = *known.entry(&draft.spec.default_name).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(index);
    }
    groups
}

fn place(draft: &Draft) -> String {
    match (draft.role, &draft.task) {
        (StepRole::Setup, _) => "setup".into(),
        (StepRole::Teardown, _) => "teardown".into(),
        (StepRole::Main | StepRole::Follow | StepRole::Timed, task) => task.clone().unwrap_or_default(),
    }
}

fn clean(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(NAME_MAX).collect();
    if clean.trim().is_empty() { "step".into() } else { clean }
}

/// `base`, or the first of `base #2`, `base #3`, ... that is not taken; taken from then on. `numbers` remembers how
/// far each base has come.
fn free(base: String, taken: &mut HashSet<String>, numbers: &mut HashMap<String, u64>) -> String {
    if taken.insert(base.clone()) {
        return base;
    }
    let number = numbers.entry(base.clone()).or_insert(1);
    loop {
        *number += 1;
        let name = format!("{base} #{number}");
        if taken.insert(name.clone()) {
            return name;
        }
    }
}
