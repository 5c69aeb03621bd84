//! Which runs may stand in one series: those of the same load on the same system from the same machine.

use super::figures::RunFigures;

/// Runs of one test that can be compared with each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alike {
    /// The test.
    pub(super) test: String,
    /// What must be the same.
    pub(super) key: Key,
    /// Index of the run, index of the test in it; in the order of time.
    pub(super) runs: Vec<(usize, usize)>,
}

/// What must be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) load: String,
    pub(super) target: String,
    pub(super) machine: String,
}

/// Ports from here on are given out by the system: two starts of one service have different ones.
const EPHEMERAL: u16 = 32_768;

/// Facts that make a machine another one; what else is known of it may change, and is told then.
const MACHINE: [&str; 4] = ["cpu", "cpus_allowed", "cpus_online", "architecture"];

/// Facts that are no fact of the machine, or that never stay the same.
const PASSING: [&str; 2] = ["load_average", "memory"];

/// Runs by test and key; the tests in the order of the newest run that has them, the newest key of a test first.
pub(super) fn alike(runs: &[RunFigures], wanted: Option<&str>) -> Vec<Alike> {
    let mut groups: Vec<Alike> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        for (place, test) in run.tests.iter().enumerate().filter(|(_, t)| wanted.is_none_or(|w| w == t.test))
        {
            let key = Key { load: test.identity.clone(), target: target(&run.target), machine: machine(run) };
            match groups.iter_mut().find(|group| group.test == test.test && group.key == key) {
                Some(group) => group.runs.push((index, place)),
                None => groups.push(Alike { test: test.test.clone(), key, runs: vec![(index, place)] }),
            }
        }
    }
    // the newest run of the test, its place there, the newest run of the group
    let newest = |group: &Alike| group.runs.last().copied().unwrap_or_default();
    let of_test = |test: &str| {
        groups.iter().filter(|g| g.test == test).map(newest).max_by_key(|(run, _)| *run).unwrap_or_default()
    };
    let order: Vec<(usize, usize, usize)> = groups
        .iter()
        .map(|group| {
            let (run, place) = of_test(&group.test);
            (usize::MAX - run, place, usize::MAX - newest(group).0)
        })
        .collect();
    let mut sorted: Vec<usize> = (0..groups.len()).collect();
    sorted.sort_by(|a, b| order[*a].cmp(&order[*b]).then_with(|| groups[*a].test.cmp(&groups[*b].test)));
    sorted.into_iter().map(|index| groups[index].clone()).collect()
}

/// The system under test. A port of this machine that was given out by the system says nothing.
fn target(address: &str) -> String {
    let each = address.split(" and ").map(|one| {
        let (scheme, rest) = one.split_once("://").unwrap_or(("", one));
        let (place, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let Some((host, port)) = place.rsplit_once(':') else { return one.to_owned() };
        let here = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
        match port.parse::<u16>() {
            Ok(port) if here && port >= EPHEMERAL => format!("{scheme}://{host}:*{path}"),
            _ => one.to_owned(),
        }
    });
    each.collect::<Vec<_>>().join(" and ")
}

/// The machine that made the load.
fn machine(run: &RunFigures) -> String {
    let fact = |name: &str| run.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let mut parts: Vec<String> = MACHINE
        .iter()
        .filter_map(|name| {
            let value = fact(name)?;
            Some(match *name {
                "cpus_allowed" => format!("{value} CPUs allowed"),
                "cpus_online" => format!("{value} online"),
                _ => value.clone(),
            })
        })
        .collect();
    // a kernel keeps a little more or less for itself
    let kilobytes = fact("memory").and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    parts.extend(kilobytes.map(|kb| format!("{:.0} GiB", kb / 1_048_576.0)));
    parts.join(", ")
}

/// Everything known of a run that may explain a change, by name.
pub(super) fn facts(run: &RunFigures) -> Vec<(String, String)> {
    let labels = run.labels.iter().cloned();
    let own = [
        ("plan", run.plan_hash.chars().take(12).collect::<String>()),
        ("tool", run.tool.clone()),
        ("target", target(&run.target)),
        ("seed", run.seed.to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let machine = run
        .environment
        .iter()
        .filter(|(name, _)| !PASSING.contains(&name.as_str()) && !MACHINE.contains(&name.as_str()));
    labels.chain(own).chain(machine.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_the_system_gave_out_say_nothing() {
        for (address, expected) in [
            ("http://127.0.0.1:41234/a", "http://127.0.0.1:*/a"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://shop.example:41234", "https://shop.example:41234"),
            ("http://[::1]:50000", "http://[::1]:*"),
            (
                "http://127.0.0.1:40000 and http://127.0.0.1:8080",
                "http://127.0.0.1:* and http://127.0.0.1:8080",
            ),
            ("", ""),
            ("/run/socket", "/run/socket"),
        ] {
            assert_eq!(target(address), expected);
        }
    }
}
