//! Whether load is mixed as the suites' weights say: a short open load of the real plans against the proving ground, and
//! the counts of what was sent against binomial bounds.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use crucible_analysis::stats::ShareBounds;
use serde_json::Value;
use std::path::Path;
use support::{Place, crucible};

/// The suite's folder with one test more: so many arrivals a second of these scenarios.
fn sent(suite: &str, scenarios: &str) -> Vec<(String, f64)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../suites").join(suite);
    let place = Place::new();
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, place.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    let text = std::fs::read_to_string(folder.join("plan.yaml")).unwrap();
    let test = format!("\ntests:\n  mix: {{scenarios: [{scenarios}], rate: 100/s, for: 10s}}\n");
    let text = text.replacen("\ntests:\n", &test, 1);
    assert!(text.contains("  mix: {"));
    let path = place.write("plan.yaml", &text);
    let told = crucible().arg("run").arg(&path).args(["mix", "--no-record", "--json", "-q"]).output();
    let steps = told.json()["tests"][0]["totals"]["steps"].as_array().unwrap().clone();
    let planned =
        |step: &Value| (step["name"].as_str().unwrap().to_owned(), step["planned"].as_f64().unwrap());
    steps.iter().map(planned).collect()
}

/// Each group is a choice: its steps and their weights. All of them together are wrong once in a thousand runs.
fn assert_mix(suite: &str, scenarios: &str, groups: &[&[(&str, f64)]]) {
    let sent = sent(suite, scenarios);
    let of = |name: &str| -> f64 {
        // several steps can be one row: `figures+audit`
        name.split('+')
            .map(|one| sent.iter().find(|(step, _)| step == one).unwrap_or_else(|| panic!("{one}")).1)
            .sum()
    };
    let rows: usize = groups.iter().map(|group| group.len()).sum();
    for group in groups {
        let all: f64 = group.iter().map(|(name, _)| of(name)).sum();
        let whole: f64 = group.iter().map(|(_, weight)| weight).sum();
        assert!(all >= 50.0, "{suite}: {group:?} was sent {all} times");
        for (name, weight) in *group {
            let bounds = ShareBounds::new(of(name), all, 0.001 / (2.0 * rows as f64));
            let share = weight / whole;
            assert!(
                bounds.low <= share && share <= bounds.high,
                "{suite}: {name} was sent {} of {all} times, {share:.3} was wanted",
                of(name)
            );
        }
    }
}

const PUPIL: &[(&str, f64)] =
    &[("who am I", 5.0), ("read state", 3.0), ("save state", 2.0), ("run python", 1.0), ("lessons", 1.0)];
const TEACHER: &[(&str, f64)] = &[("progress of a pupil", 3.0), ("mark", 2.0), ("health (teacher)", 1.0)];
const ADMIN: &[(&str, f64)] = &[("figures", 5.0), ("audit", 2.0), ("health (admin)", 1.0)];

#[test]
fn pupils_teachers_and_admins_do_what_their_weights_say() {
    const ROLES: &[(&str, f64)] = &[
        ("who am I+read state+save state+run python+lessons", 70.0),
        ("progress of a pupil+mark+health (teacher)", 20.0),
        ("figures+audit+health (admin)", 10.0),
    ];
    assert_mix("classroom", "pupil, teacher, admin", &[ROLES, PUPIL, TEACHER, ADMIN]);
}

#[test]
fn users_of_the_multi_agent_platform_do_what_their_weights_say() {
    const MIXED: &[(&str, f64)] = &[
        ("workers (mixed)", 3.0),
        ("tasks (mixed)", 3.0),
        ("submit (mixed)", 2.0),
        ("register (mixed)", 1.0),
        ("health (mixed)", 1.0),
    ];
    assert_mix("agents", "mixed user", &[MIXED]);
}

#[test]
fn users_of_the_story_platform_do_what_their_weights_say() {
    const MEMBER: &[(&str, f64)] = &[
        ("feed", 10.0),
        ("story of the feed", 8.0),
        ("me", 5.0),
        ("shelves", 3.0),
        ("search", 2.0),
        ("whisper", 1.0),
    ];
    const VISITOR: &[(&str, f64)] =
        &[("feed (visitor)", 10.0), ("story (visitor)", 5.0), ("search (visitor)", 2.0)];
    const USERS: &[(&str, f64)] = &[
        ("feed+story of the feed+me+shelves+search+whisper", 70.0),
        ("feed (visitor)+story (visitor)+search (visitor)", 25.0),
        ("write+revise+my stories", 4.0),
        ("health", 1.0),
    ];
    assert_mix("stories", "member, visitor, writer, watcher", &[USERS, MEMBER, VISITOR]);
}
