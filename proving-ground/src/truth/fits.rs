//! Which switches are of some systems only: whoever asks for one that cannot act is told so at the start.

use super::find;

const QUEUES: &[&str] = &["evaluation"];
const DATABASES: &[&str] = &["agents", "classroom", "stories"];

/// Switches and the systems on which they act; those that are not here act on all.
const ONLY: &[(&str, &[&str])] = &[
    ("architecture", &["events"]),
    ("unbounded-queue", &["events"]),
    ("heartbeat-timeout", &["agents"]),
    ("user-limits", &["classroom"]),
    ("lock-times", &["classroom"]),
    ("cache", &["stories"]),
    ("readers", DATABASES),
    // the daemon knows neither sessions nor WebSockets
    ("slot-per-session", &["evaluation", "agents", "classroom", "stories"]),
    ("ack-before-commit", &["evaluation", "classroom", "stories"]),
    ("split", QUEUES),
    ("runners", QUEUES),
    ("lease", QUEUES),
    ("lose", QUEUES),
    ("repeat", QUEUES),
    ("reorder", QUEUES),
    ("corrupt", QUEUES),
    ("completed-before-output", QUEUES),
    ("late-status-overwrite", QUEUES),
    ("zombie-worker", QUEUES),
];

/// An error that names every switch which cannot act on `system`. Unknown switches are left to the reader of values.
pub(crate) fn check(system: &str, texts: &[String]) -> Result<(), String> {
    let mistakes: Vec<String> = texts
        .iter()
        .filter_map(|text| {
            let (switch, _) = find(text)?;
            let (name, systems) = ONLY.iter().find(|(name, _)| *name == switch.name)?;
            let wrong = !systems.contains(&system);
            wrong.then(|| {
                format!("switch {name} does not act on {system} (it does on: {})", systems.join(", "))
            })
        })
        .collect();
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::SWITCHES;

    #[test]
    fn rows_name_switches_and_systems_that_exist() {
        for (name, systems) in ONLY {
            assert!(SWITCHES.iter().any(|switch| switch.name == *name), "{name}");
            assert!(systems.iter().all(|system| crate::find(system).is_some()), "{name}");
        }
    }

    #[test]
    fn only_switches_that_cannot_act_are_refused() {
        let ask = |system: &str, texts: &[&str]| {
            check(system, &texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(ask("events", &["service=fixed:5ms", "architecture=router", "colour=red"]), Ok(()));
        let told = ask("events", &["lose=1/5", "slot-per-session=on"]).unwrap_err();
        assert!(told.contains("lose") && told.contains("slot-per-session"), "{told}");
    }
}
