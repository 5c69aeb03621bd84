//! The grammar of loads: examples, meaning, words and mistakes.

mod support;

use crucible_core::{Map, Node, NodeKind, Ns, Position};
use crucible_schedule::{Curve, Iterations, PROFILES, Pacing, Piece, Spacing};
use insta::assert_snapshot;
use proptest::prelude::*;
use std::fmt::Write;
use support::{load, read, table};

const SECOND: Ns = Ns::from_secs(1);

fn secs(n: u64) -> Ns {
    Ns::from_secs(n)
}

#[test]
fn each_row_reads_its_own_example_and_reads_all_its_keys() {
    for profile in PROFILES {
        assert_eq!(load(profile.example).profile, profile.name, "{}", profile.example);
        for key in profile.keys {
            assert!(
                key.schema.starts_with('{') && !key.doc.is_empty() && !key.example.is_empty(),
                "{}",
                key.name
            );
            let node = table(profile.example);
            let NodeKind::Map(mut map) = node.kind else { panic!("a table") };
            if map.get(key.name).is_none() && !["hold", "for"].contains(&key.name) {
                map.entries.push((key.name.into(), node.at, table(key.example)));
                let (load, told) = read(&Node { at: node.at, kind: NodeKind::Map(map) });
                assert_eq!(
                    load.map(|l| l.profile),
                    Some(profile.name),
                    "{} with {}: {told:?}",
                    profile.name,
                    key.name
                );
            }
        }
    }
    let mut names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PROFILES.len());
}

#[test]
fn loads_in_words_and_figures() {
    let mut told = String::new();
    for text in [
        "{vus: 50, for: 2m}",
        "{vus: 50, ramp: 10s, hold: 2m}",
        "{vus: 1, ramp: 10s, for: 1h30m, down: 5s, start_delay: 3s}",
        "{vus: [5, 10, 20, 50], for: 30s}",
        "{vus: [5, 10, 20, 50], iterations: [10, 20, 40, 100]}",
        "{vus: 10, iterations: 100, max_time: 5m}",
        "{vus: 10, iterations_per_vu: 5}",
        "{vus: 0, stages: [{vus: 20, for: 30s}, {hold: 1m}, {vus: 0, for: 10s}]}",
        "{stages: [{vus: 20, for: 30s}, {spike: 100, for: 5s}, {vus: 10, for: 0s}, {hold: 5s}]}",
        "{rate: 50/s, for: 60s}",
        "{rate: 1k/s, ramp: 10s, hold: 1m, arrivals: poisson}",
        "{rate: [100/s, 200/s, 400/s], for: 30s, max_vus: 77}",
        "{rate: 90/m, for: 10s}",
        "{rate: 50/s, for: 60s, stages: [{rate: 500/s, for: 10s}, {spike: 900/s, for: 10s}, {hold: 30s}]}",
        "{rate: 0/s, stages: [{rate: 10/s, for: 10s}]}",
    ] {
        let load = load(text);
        let arrivals: Vec<String> = load
            .phases
            .iter()
            .map(|phase| phase.expected(42).map_or("-".into(), |count| count.to_string()))
            .collect();
        let arrivals = arrivals.join(" ");
        let _ = writeln!(
            told,
            "{} | {} | {} users | {} | {arrivals}",
            load.profile,
            load.describe(),
            load.max_users(),
            load.length()
        );
    }
    assert_snapshot!(told, @r#"
constant-vus | 50 users for 2m | 50 users | 2m00s | -
constant-vus | 50 users for 2m after a 10s ramp | 50 users | 2m10s | -
constant-vus | 1 user for 1h30m after a 10s ramp, then down in 5s, after a wait of 3s | 1 users | 1h30m | -
stepped-vus | 5, 10, 20, 50 users for 30s each | 50 users | 2m00s | - - - -
stepped-iterations | 5, 10, 20, 50 users for 10, 20, 40, 100 iterations | 50 users | 40m00s | 10 20 40 100
shared-iterations | 100 iterations by 10 users | 10 users | 5m00s | 100
per-vu-iterations | 5 iterations by each of 10 users | 10 users | 10m00s | 50
ramping-vus | 20 users for 1m after a 30s ramp, then down in 10s | 20 users | 1m40s | -
ramping-vus | up to 100 users over 40s in 3 stages | 100 users | 40.0s | -
constant-arrival-rate | 50/s for 1m | 100 users | 1m00s | 3000
constant-arrival-rate | 1,000/s (Poisson) for 1m after a 10s ramp | 2000 users | 1m10s | 65415
stepped-arrival-rate | 100/s, 200/s, 400/s for 30s each | 77 users | 1m30s | 3000 6000 12000
constant-arrival-rate | 90/m for 10s | 100 users | 10.0s | 15
ramping-arrival-rate | up to 900/s over 1m50s in 4 stages | 1800 users | 1m50s | 29750
ramping-arrival-rate | up to 10/s over 10s in a ramp | 100 users | 10.0s | 50
"#);
}

#[test]
fn what_the_tables_mean() {
    let ramped = load("{vus: 4, ramp: 2s, hold: 6s, down: 1s, graceful_stop: 1s}");
    let [phase] = ramped.phases.as_slice() else { panic!("one phase") };
    let pieces =
        vec![Piece::ramp(0.0, 4.0, secs(2)), Piece::flat(4.0, secs(6)), Piece::ramp(4.0, 0.0, SECOND)];
    assert_eq!(phase.pacing, Pacing::Closed { users: Curve { pieces }, iterations: None });
    assert_eq!((phase.length, ramped.graceful_stop, ramped.start_delay), (secs(9), SECOND, Ns::ZERO));
    let marks = [(Ns::ZERO, "ramp".into()), (secs(2), "4 users".into()), (secs(8), "ramp down".into())];
    assert_eq!(phase.marks, marks);

    let staged = load(
        "{rate: 50/s, for: 10s, stages: [{rate: 100/s, for: 4s}, {spike: 900/s, for: 5s}, {hold: 6s}, {rate: 0/s, for: 0s}, {hold: 1s}], patience: 5s}",
    );
    let [phase] = staged.phases.as_slice() else { panic!("one phase") };
    let pieces = vec![
        Piece::flat(50.0, secs(10)),
        Piece::ramp(50.0, 100.0, secs(4)),
        Piece::flat(900.0, secs(5)),
        Piece::flat(100.0, secs(6)),
        Piece::flat(0.0, SECOND),
    ];
    let rate = Curve { pieces };
    let pacing = Pacing::Open { rate, spacing: Spacing::Even, max_users: 1800, patience: Some(secs(5)) };
    assert_eq!(phase.pacing, pacing);
    let marks: Vec<(u64, &str)> =
        phase.marks.iter().map(|(at, name)| (at.0 / SECOND.0, name.as_str())).collect();
    let expected = [(0, "50/s"), (10, "ramp to 100/s"), (14, "spike to 900/s"), (19, "100/s"), (25, "0/s")];
    assert_eq!(marks, expected);

    let stepped = load("{vus: [5, 10], iterations: [10, 20]}");
    let counts: Vec<_> =
        stepped.phases.iter().map(|phase| (phase.name.as_str(), phase.pacing.clone())).collect();
    let closed = |users, count| Pacing::Closed {
        users: Curve::constant(users, secs(600)),
        iterations: Some(Iterations::Shared(count)),
    };
    assert_eq!(counts, [("5 users", closed(5.0, 10)), ("10 users", closed(10.0, 20))]);

    let slow = load("{rate: 10/s, for: 1s}").max_users();
    let fast = load("{rate: 1k/s, for: 1s}").max_users();
    let fastest = load("{rate: 900k/s, for: 1s}").max_users();
    assert_eq!((slow, fast, fastest), (100, 2000, 10_000));
}

#[test]
fn mistakes_are_told_with_their_place_and_remedy() {
    let mut told = String::new();
    for text in [
        "{}",
        "{for: 2m}",
        "{vus: 50}",
        "{vus: 0, for: 2m}",
        "{vus: 2_000_000, for: 2m}",
        "{vus: many, for: 0s}",
        "{vus: 5, for: 500}",
        "{vus: 5, ramp: 10s}",
        "{vus: 5, for: 10s, hold: 10s}",
        "{vus: 5, rate: 5/s, for: 10s}",
        "{vus: 5, iterations: 10, iterations_per_vu: 3}",
        "{vus: [], for: 10s}",
        "{vus: [5, 0, [1], x], for: 10s}",
        "{vus: [5, 10], iterations: [10]}",
        "{vus: [5, 10], for: 10s, iterations: [10, 20]}",
        "{vus: 10, iterations: 0}",
        "{vus: 10, iterations: 5}",
        "{vus: 10, for: 10s, patience: 5s}",
        "{vus: 10, for: 10s, rmap: 5s}",
        "{vus: 10, for: 9999d}",
        "{vus: ~, for: 10s}",
        "{rate: 0/s, for: 10s}",
        "{rate: 50, for: 10s}",
        "{rate: 11000k/s, for: 10s}",
        "{rate: 5/s, for: 10s, arrivals: poison, max_vus: 0}",
        "{rate: 50/s, stages: [{spike: 500/s, for: 10s}]}",
        "{rate: 0/s, stages: [{rate: 0/s, for: 10s}]}",
        "{vus: 5, stages: []}",
        "{vus: 5, stages: [{vus: 6, for: 0s}]}",
        "{vus: 5, stages: [{vus: 6}, {hold: 5s, for: 5s}, {spike: 5, hold: 4s}, {vsu: 4, for: 1s}, {}, 7]}",
        "{rate: 5/s, stages: [{hold: 300d}, {hold: 300d}]}",
    ] {
        let (_, lines) = read(&table(text));
        let _ = writeln!(told, "{text}");
        lines.iter().for_each(|line| {
            let _ = writeln!(told, "  {line}");
        });
    }
    assert_snapshot!(told, @r#"
{}
  1:1: error: tests.t: this test has no load (write `vus: 50` (users) or `rate: 50/s` (arrivals), and how long: `for: 1m`)
{for: 2m}
  1:1: error: tests.t: this test has no load (write `vus: 50` (users) or `rate: 50/s` (arrivals), and how long: `for: 1m`)
{vus: 50}
  1:1: error: tests.t.for: `for` is missing (say how long the full load lasts: `for: 30s`)
{vus: 0, for: 2m}
  1:7: error: tests.t.vus: "0" cannot be read here (at least one user is needed: write 1 or more)
{vus: 2_000_000, for: 2m}
  1:7: error: tests.t.vus: "2_000_000" cannot be read here (at most 1,000,000 users)
{vus: many, for: 0s}
  1:7: error: tests.t.vus: "many" cannot be read here (write a whole number, as in 50)
  1:18: error: tests.t.for: this takes no time (write a duration above 0, as in 30s)
{vus: 5, for: 500}
  1:15: error: tests.t.for: "500" cannot be read here (add a unit: 500ms, 500s or 500m)
{vus: 5, ramp: 10s}
  1:1: error: tests.t.for: `for` is missing (say how long the full load lasts: `for: 30s`)
{vus: 5, for: 10s, hold: 10s}
  1:26: error: tests.t.hold: `for` and `hold` both say how long the full load lasts (keep one of the two)
{vus: 5, rate: 5/s, for: 10s}
  1:1: error: tests.t: `vus` and `rate` are two loads: users decide when to go on, or the schedule does (write one of {vus: 50, ramp: 10s, hold: 2m} or {rate: 50/s, for: 60s})
{vus: 5, iterations: 10, iterations_per_vu: 3}
  1:1: error: tests.t: the keys of this load fit shared-iterations and per-vu-iterations at once (write one of {vus: 10, iterations: 100} or {vus: 10, iterations_per_vu: 5})
{vus: [], for: 10s}
  1:7: error: tests.t.vus: this list is empty (write at least one item)
{vus: [5, 0, [1], x], for: 10s}
  1:11: error: tests.t.vus[1]: "0" cannot be read here (at least one user is needed: write 1 or more)
  1:14: error: tests.t.vus[2]: this is a list, one value is needed
  1:19: error: tests.t.vus[3]: "x" cannot be read here (write a whole number, as in 50)
{vus: [5, 10], iterations: [10]}
  1:28: error: tests.t.iterations: 2 levels of users, but 1 of iterations (write one number of iterations for each level of `vus`)
{vus: [5, 10], for: 10s, iterations: [10, 20]}
  1:21: error: tests.t.for: `for` does not belong to a load such as {vus: [5, 10, 20, 50], iterations: [10, 20, 40, 100]} (it belongs to {vus: 50, ramp: 10s, hold: 2m} or {vus: [5, 10, 20, 50], for: 30s})
{vus: 10, iterations: 0}
  1:23: error: tests.t.iterations: "0" cannot be read here (nothing would ever be done: write 1 or more)
{vus: 10, iterations: 5}
  1:23: warning: tests.t.iterations: 10 users share 5 iterations, so some of them will do nothing (write `iterations_per_vu` if each user is meant to do that many)
{vus: 10, for: 10s, patience: 5s}
  1:31: error: tests.t.patience: `patience` does not belong to a load such as {vus: 50, ramp: 10s, hold: 2m} (it belongs to {rate: 50/s, for: 60s} or {rate: [100/s, 200/s, 400/s], for: 30s})
{vus: 10, for: 10s, rmap: 5s}
  1:21: error: tests.t.rmap: unknown key `rmap` (did you mean `ramp`?)
{vus: 10, for: 9999d}
  1:16: error: tests.t.for: "9999d" cannot be read here (durations end at one year)
{vus: ~, for: 10s}
  1:7: error: tests.t.vus: `vus` is missing
{rate: 0/s, for: 10s}
  1:8: error: tests.t.rate: "0/s" cannot be read here (nothing would ever be sent: write a rate above 0, as in 50/s)
{rate: 50, for: 10s}
  1:8: error: tests.t.rate: "50" cannot be read here (say per what: 50/s, 50/m or 50/h)
{rate: 11000k/s, for: 10s}
  1:8: error: tests.t.rate: "11000k/s" cannot be read here (at most 10,000,000/s)
{rate: 5/s, for: 10s, arrivals: poison, max_vus: 0}
  1:33: error: tests.t.arrivals: "poison" cannot be read here (did you mean `poisson`?)
  1:50: error: tests.t.max_vus: "0" cannot be read here (at least one user is needed: write 1 or more)
{rate: 50/s, stages: [{spike: 500/s, for: 10s}]}
  1:22: warning: tests.t.stages: the whole load is the spike: nothing is left to compare it with (add `for: 60s` to have the first rate before the spike, or `{hold: 60s}` behind it)
{rate: 0/s, stages: [{rate: 0/s, for: 10s}]}
  1:21: error: tests.t.stages: these stages never do anything (give one of them a `rate` above 0)
{vus: 5, stages: []}
  1:18: error: tests.t.stages: this list is empty (write at least one item)
{vus: 5, stages: [{vus: 6, for: 0s}]}
  1:18: error: tests.t.stages: these stages take no time (give one of them a `for` above 0s, or `hold: 30s`)
{vus: 5, stages: [{vus: 6}, {hold: 5s, for: 5s}, {spike: 5, hold: 4s}, {vsu: 4, for: 1s}, {}, 7]}
  1:19: error: tests.t.stages[0].for: `for` is missing (say how long the stage lasts: `for: 30s`)
  1:45: error: tests.t.stages[1].for: `hold` already says how long (remove `for`)
  1:50: error: tests.t.stages[2]: this stage has spike and hold at once (write {vus: ..., for: 30s}, {spike: ..., for: 10s} or {hold: 30s})
  1:72: error: tests.t.stages[3]: this stage goes nowhere (write {vus: ..., for: 30s}, {spike: ..., for: 10s} or {hold: 30s})
  1:73: error: tests.t.stages[3].vsu: unknown key `vsu` (did you mean `vus`?)
  1:91: error: tests.t.stages[4]: this stage goes nowhere (write {vus: ..., for: 30s}, {spike: ..., for: 10s} or {hold: 30s})
  1:95: error: tests.t.stages[5]: this is a number, a table of keys is needed (write `key: value` lines, indented below it)
{rate: 5/s, stages: [{hold: 300d}, {hold: 300d}]}
  1:1: error: tests.t: this load takes longer than a year (shorten it: at most 366d in all)
"#);
}

#[test]
fn a_timetable_of_users_is_bounded() {
    let stage = "{vus: 1_000_000, for: 0s}, {hold: 1s}, {vus: 0, for: 0s}, {hold: 1s}, ".repeat(11);
    let (load, told) = read(&table(&format!("{{stages: [{stage}]}}")));
    assert!(load.is_none() && told[0].contains("come and go too often"), "{told:?}");
    let (load, told) = read(&table(&format!("{{vus: [{}], for: 1s}}", "1, ".repeat(1001))));
    assert!(load.is_none() && told[0].contains("1001 items"), "{told:?}");
}

fn any_value() -> impl Strategy<Value = NodeKind> {
    let texts =
        ["30s", "0s", "50/s", "0/s", "even", "366d", "x", "", "-1", "1e9", "9999999999999999999999/s"];
    let leaf = prop_oneof![
        Just(NodeKind::Null),
        any::<bool>().prop_map(NodeKind::Bool),
        (-2i64..2_000_000).prop_map(NodeKind::Int),
        any::<f64>().prop_map(NodeKind::Float),
        prop::sample::select(texts.to_vec()).prop_map(|text| NodeKind::Text(text.into())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone().prop_map(node), 0..4).prop_map(NodeKind::List),
            tables(inner)
        ]
    })
}

fn node(kind: NodeKind) -> Node {
    Node { at: Position::default(), kind }
}

fn tables(values: impl Strategy<Value = NodeKind>) -> impl Strategy<Value = NodeKind> {
    let mut keys: Vec<&str> = PROFILES.iter().flat_map(|profile| profile.keys).map(|key| key.name).collect();
    keys.extend(["spike", "other"]);
    prop::collection::vec((prop::sample::select(keys), values), 0..5).prop_map(|entries| {
        let entry = |(key, kind): (&str, NodeKind)| (key.to_owned(), Position::default(), node(kind));
        NodeKind::Map(Map { entries: entries.into_iter().map(entry).collect() })
    })
}

proptest! {
    #[test]
    fn whatever_the_table_it_is_a_load_or_a_mistake(table in tables(any_value())) {
        let (load, _) = read(&node(table));
        if let Some(load) = load {
            prop_assert!(!load.phases.is_empty() && load.max_users() > 0 && !load.describe().is_empty());
            prop_assert!(load.phases.iter().all(|phase| phase.length > Ns::ZERO));
        }
    }
}

/// The pieces of an open load: length in seconds, rate at its begin and end.
fn rates(text: &str) -> Vec<(f64, f64, f64)> {
    let load = load(text);
    let Pacing::Open { rate, .. } = &load.phases[0].pacing else { panic!("open load") };
    rate.pieces.iter().map(|piece| (piece.length.as_secs_f64(), piece.from, piece.to)).collect()
}

#[test]
fn bursts_come_back_and_leave_quiet_between_them() {
    let pieces = rates("{rate: 10/s, burst: 500/s, length: 2s, every: 30s, for: 70s}");
    let quiet = |seconds| (seconds, 10.0, 10.0);
    assert_eq!(pieces, [quiet(28.0), (2.0, 500.0, 500.0), quiet(28.0), (2.0, 500.0, 500.0), quiet(10.0)]);
    let load = load("{rate: 10/s, burst: 500/s, length: 2s, every: 30s, for: 60s}");
    assert_eq!(load.phases[0].expected(1), Some(2 * 280 + 2 * 1000));
}

#[test]
fn a_recording_is_replayed_count_for_count() {
    assert_eq!(
        rates("{replay: traffic.csv}"),
        [(10.0, 50.0, 50.0), (5.0, 100.0, 100.0), (5.0, 0.0, 0.0), (5.0, 20.0, 20.0)]
    );
    assert_eq!(rates("{replay: traffic.csv, speed: 2}")[0], (5.0, 100.0, 100.0));
    assert_eq!(rates("{replay: traffic.csv, scale: 3}")[0], (10.0, 150.0, 150.0));
    let log = "{replay: access.log, max_vus: 5}";
    let seconds: Vec<f64> = rates(log).iter().map(|piece| piece.1).collect();
    assert_eq!(seconds, [3.0, 1.0, 0.0, 1.0, 1.0]);
    assert_eq!(load(log).phases[0].expected(1), Some(6));
    // a leap day, and times in other places and forms
    let days: Vec<f64> = rates("{replay: app.log}").iter().map(|piece| piece.1).collect();
    assert_eq!(days, [1.0, 0.0, 1.0]);
}

#[test]
fn new_patterns_tell_their_mistakes() {
    let mut told = String::new();
    for text in [
        "{replay: missing.csv}",
        "{replay: traffic.csv, speed: 0}",
        "{replay: traffic.csv, rate: 5/s, for: 3s}",
        "{rate: 10/s, burst: 500/s, length: 30s, every: 30s, for: 5m}",
        "{rate: 10/s, burst: 500/s}",
        "{rate: 10/s, swing: 60%, period: 1ns, for: 1h}",
        "{rate: 10/s, swing: 60%}",
    ] {
        writeln!(told, "{text}\n  {}", read(&table(text)).1.join("\n  ")).unwrap();
    }
    assert_snapshot!(told);
}

proptest! {
    #[test]
    fn whatever_a_recording_holds_it_ends_in_words(text in "\\PC{0,200}(\n[0-9]{1,4},[0-9]{1,3}){0,5}\n?") {
        use crucible_core::{Diagnostics, Fields};
        let node = table("{replay: x}");
        let diagnostics = Diagnostics::new();
        let fields = Fields::new(&node, "t", &diagnostics).unwrap();
        let load = crucible_schedule::Load::read(&fields, &|_| Ok(text.clone()));
        prop_assert!(load.is_some() || diagnostics.has_errors());
    }
}
