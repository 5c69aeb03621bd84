//! Overviews of records whose answers are known: the scalability law to the digit, the utilisation law, demands that are
//! met, missed, undecided and not tested.

use super::{OVERVIEWS, find_overview};
use crate::fixture;
use crate::ladder::{self, Made, Step, usl};
use crate::text::is_unsafe;
use crate::{Asked, Options, Report, Survey, Told, Wanted};
use crucible_core::Ns;
use crucible_record::Model;
use serde_json::Value;

fn told(name: &str, runs: &[Report<'_>], asked: &Asked) -> Told {
    let survey = Survey { runs, baselines: &[], asked, options: Options::default() };
    find_overview(name).unwrap().of(&survey)
}

fn close(value: &Value, expected: f64, within: f64) {
    let value = value.as_f64().unwrap_or(f64::NAN);
    assert!((value - expected).abs() <= within, "{value} is not {expected}");
}

/// A step test of 1 to 64 users by the law with contention 3 % and coherency 0.0005.
fn lawful() -> Made {
    let steps = [1, 2, 4, 8, 16, 32, 64].map(|n| Step::closed(n, usl(100.0, 0.03, 0.0005, n as f64)));
    Made::of(ladder::end(ladder::climb("r1", &steps, Model::Closed), steps.len()))
}

#[test]
fn the_law_of_a_step_test_is_found_to_the_digit() {
    let made = lawful();
    let said = told("scaling", &[made.report()], &Asked::default());
    let growth = &said.json["over_load"][0];
    close(&growth["law"]["contention"]["value"], 0.03, 2e-4);
    close(&growth["law"]["coherency"]["value"], 0.0005, 5e-6);
    // N* = sqrt((1 - a) / b), X(N*)
    let peak = (0.97_f64 / 0.0005).sqrt();
    close(&growth["law"]["peak"]["load"]["value"], peak, 0.2);
    close(&growth["law"]["peak"]["throughput"]["value"], usl(100.0, 0.03, 0.0005, peak), 1.0);
    // X(N) / (N X(1))
    for (level, n) in growth["levels"].as_array().unwrap().iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    {
        close(&level["efficiency"], usl(1.0, 0.03, 0.0005, n) / n, 2e-3);
    }
    close(&growth["linear_to"], 2.0, 0.0);
    let text = said.text();
    assert!(text.contains("throughput is linear up to 2 users (within 5 %); at 4 users its"), "{text}");
    assert!(text.contains("contention limits most") || text.contains("coherency limits most"), "{text}");
    insta::assert_snapshot!("scaling_by_users", text);
}

#[test]
fn throughput_that_is_proportional_is_called_linear_and_its_peak_is_refused() {
    let steps = [5, 10, 20, 50].map(|n| Step::closed(n, 20.0 * n as f64));
    let made = Made::of(ladder::end(ladder::climb("r1", &steps, Model::Closed), steps.len()));
    let said = told("scaling", &[made.report()], &Asked::default());
    let text = said.text();
    assert!(text.contains("linear over all that was measured, up to 50 users"), "{text}");
    assert!(text.contains("refused, it would err by more than 20 %"), "{text}");
    assert_eq!(said.json["over_load"][0]["law"]["peak"]["refused"], true);
}

#[test]
fn points_that_do_not_carry_it_are_not_extrapolated() {
    // 3 % of noise up to a quarter of the peak
    let noise = [1.03, 0.97, 1.02, 0.98, 1.01];
    let steps: Vec<Step> = [1, 2, 4, 8, 12]
        .iter()
        .zip(noise)
        .map(|(n, noise)| Step::closed(*n, noise * usl(100.0, 0.03, 0.0005, *n as f64)))
        .collect();
    let made = Made::of(ladder::end(ladder::climb("r1", &steps, Model::Closed), steps.len()));
    let said = told("scaling", &[made.report()], &Asked::default());
    let peak = &said.json["over_load"][0]["law"]["peak"];
    assert_eq!(peak["refused"], true, "{peak}");
    assert!(said.text().contains("refused, it would err by more than 20 %; measure"), "{}", said.text());
}

#[test]
fn open_load_is_counted_by_littles_law_and_overload_is_left_out() {
    // service time grows so that N = X S follows the law exactly
    let trial = |n: f64| {
        let throughput = usl(100.0, 0.05, 0.0, n);
        Step { users: 50, throughput, service: Ns::from_secs_f64(n / throughput), behind: 0.0 }
    };
    let mut trials: Vec<Step> = [0.5, 1.5, 3.0, 6.0, 12.0, 24.0].map(trial).into();
    trials.push(Step { behind: 0.5, ..trial(30.0) });
    let made = Made::of(ladder::end(ladder::search("r2", &trials, 900.0), trials.len()));
    let said = told("scaling", &[made.report()], &Asked::default());
    let growth = &said.json["over_load"][0];
    let loads: Vec<f64> =
        growth["levels"].as_array().unwrap().iter().map(|it| it["load"].as_f64().unwrap()).collect();
    for (load, expected) in loads.iter().zip([1.5, 3.0, 6.0, 12.0, 24.0]) {
        assert!((load / expected - 1.0).abs() < 0.02, "{loads:?}");
    }
    assert_eq!((loads.len(), growth["left_out"].as_array().unwrap().len()), (5, 2), "{growth}");
    close(&growth["law"]["contention"]["value"], 0.05, 0.005);
    insta::assert_snapshot!("scaling_of_a_search", said.text());
}

#[test]
fn an_operation_costs_what_the_readings_say() {
    let made = lawful();
    let said = told("scaling", &[made.report()], &Asked::default());
    let demand = &said.json["over_load"][0]["demands"][0];
    close(&demand["cpu_seconds_each"], 0.002, 1e-6);
    close(&demand["idle"], 0.1, 1e-3);
    assert_eq!(demand["component"], "api");
}

#[test]
fn a_machine_that_others_keep_busy_tells_nothing_of_its_cpus() {
    let steps = [1, 2, 4, 8].map(|n| Step::closed(n, 30.0 * n as f64));
    let value = |busy: f64| {
        let mut events = ladder::end(ladder::climb("r1", &steps, Model::Closed), steps.len());
        for event in &mut events {
            if let crucible_record::RunEvent::Reading(reading) = event {
                reading.values[2].1 = busy;
            }
        }
        let made = Made::of(events);
        let said = told("scaling", &[made.report()], &Asked::default());
        let vertical = &said.json["recommendations"][1]["recommendations"];
        assert_eq!(vertical[1]["what"], "recommended resources", "{vertical}");
        vertical[1]["value"].clone()
    };
    // `api` uses 0.58 of 2 CPUs at most
    assert_eq!((value(0.4), value(0.97)), ("as they are".into(), "not known".into()));
}

fn search_at(run: &str, estimate: f64) -> Made {
    let trials = [0.25, 0.5, 0.75, 0.95].map(|share| Step {
        users: 50,
        throughput: share * estimate,
        service: Ns::from_millis(20),
        behind: 0.0,
    });
    Made::of(ladder::end(ladder::search(run, &trials, estimate), trials.len()))
}

#[test]
fn instances_for_a_load_follow_from_the_law_over_instances_and_its_interval() {
    let at = [1.0, 2.0, 4.0, 8.0];
    let made: Vec<Made> =
        at.iter().map(|n| search_at(&format!("r{n}"), usl(100.0, 0.04, 0.001, *n))).collect();
    let runs: Vec<Report<'_>> = made.iter().map(Made::report).collect();
    let asked =
        Asked { at: at.into(), wanted: Some(Wanted::Rate(300.0)), instances: Some(2.0), ..Asked::default() };
    let said = told("scaling", &runs, &asked);
    // X(n) 0.8 >= 300 first holds at 5: 100 * 5 / (1 + .04 * 4 + .001 * 20) = 423.7; at 4 it is 352.1 < 375
    let horizontal = &said.json["recommendations"][0]["recommendations"];
    let of = |what: &str| {
        let all = horizontal.as_array().unwrap().iter();
        all.clone().find(|line| line["what"] == what).unwrap_or_else(|| panic!("{horizontal}"))["value"]
            .clone()
    };
    assert_eq!(of("recommended instances"), "5");
    assert_eq!(of("current instances"), "2");
    close(&said.json["over_instances"]["law"]["contention"]["value"], 0.04, 1e-3);
    let text = said.text();
    assert!(text.contains("scale-down trigger"), "{text}");
    insta::assert_snapshot!("scaling_by_instances", text);

    let more = Asked { wanted: Some(Wanted::Rate(1e6)), ..asked.clone() };
    assert!(told("scaling", &runs, &more).text().contains("no number is enough"));
    let readiness = told("readiness", &runs, &asked);
    let row = &readiness.json["criteria"][3];
    assert_eq!(
        (&row["criterion"], &row["status"]),
        (&"scaling strategy defined".into(), &"yes".into()),
        "{row}"
    );
}

#[test]
fn runs_of_closed_load_are_compared_by_their_throughput_and_invalid_ones_left_out() {
    let run = |n: u64| {
        let steps = [Step::closed(40, 20.0 * n as f64)];
        ladder::end(ladder::climb(&format!("r{n}"), &steps, Model::Closed), 1)
    };
    let mut made: Vec<Made> = [1, 2, 4, 8].map(|n| Made::of(run(n))).into();
    let mut spoilt = run(3);
    spoilt.push(crucible_record::RunEvent::Note(crucible_record::Note {
        at: Ns::ZERO,
        kind: crucible_record::NoteKind::Invalid,
        text: "the clock jumped".into(),
    }));
    made.push(Made::of(spoilt));
    let runs: Vec<Report<'_>> = made.iter().map(Made::report).collect();
    let asked =
        Asked { at: vec![1.0, 2.0, 4.0, 8.0, 16.0], wanted: Some(Wanted::Rate(100.0)), ..Asked::default() };
    let said = told("scaling", &runs, &asked);
    let growth = &said.json["over_instances"];
    close(&growth["linear_to"], 8.0, 0.0);
    let left_out = growth["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1, "{growth}");
    assert!(left_out[0].as_str().unwrap().contains("the measurement is not valid"), "{growth}");
    // 20/s each, a fifth kept free: 100 / 16 = 6.25
    assert_eq!(said.json["recommendations"][0]["recommendations"][1]["value"], "7", "{}", said.text());
}

#[test]
fn one_capacity_gives_a_lower_bound_of_instances_and_says_what_would_tell_more() {
    let made = search_at("r1", 100.0);
    let asked = Asked { wanted: Some(Wanted::Rate(300.0)), ..Asked::default() };
    let text = told("scaling", &[made.report()], &asked).text();
    // 300 / (98 * 0.8) = 3.83
    assert!(text.contains("at least 4"), "{text}");
    assert!(text.contains("crucible report RUN,RUN,RUN --format scaling --at 1,2,4 --for 300/s"), "{text}");
}

#[test]
fn demands_are_met_by_band_and_what_was_not_run_is_not_met() {
    let made = lawful();
    let said = told("requirements", &[made.report()], &Asked::default());
    let status = |measure: &str, band: &str| {
        let all = said.json["requirements"].as_array().unwrap().iter();
        let one = all.clone().find(|it| it["measure"] == measure && it["band"] == band);
        one.unwrap_or_else(|| panic!("{}", said.json["requirements"]))["status"].clone()
    };
    // everything takes 5 ms
    assert_eq!((status("p95", "target"), status("p95", "acceptable")), ("no".into(), "yes".into()));
    assert_eq!(status("throughput", "target"), "no");
    assert_eq!(status("avg", "target"), "yes");
    let missing = &said.json["not_tested"][0];
    assert_eq!(missing["status"], "not tested");
    assert_eq!(missing["command"], "crucible run suites/shop 'peak (long)'");
    assert_eq!(missing["demands"][0]["bands"][1]["demand"], "at most 2.00s");
    assert_eq!(said.json["verdict"], "fail");
    for one in said.json["requirements"].as_array().unwrap() {
        let trace = &one["trace"];
        let whole = ["run", "test", "method", "plan_hash", "seed"].iter().all(|key| !trace[key].is_null());
        assert!(whole, "{trace}");
    }
    insta::assert_snapshot!("requirements", said.text());
    insta::assert_snapshot!("requirements_md", said.markdown());
}

#[test]
fn a_wanted_load_is_met_only_by_the_safe_end_of_a_capacity() {
    let made = search_at("r1", 100.0);
    let check = |load: f64, expected: &str| {
        let asked = Asked { wanted: Some(Wanted::Rate(load)), ..Asked::default() };
        let said = told("requirements", &[made.report()], &asked);
        assert_eq!(said.json["loads"][0]["status"], expected, "{load}");
    };
    check(97.0, "yes");
    check(100.0, "not decided");
    check(103.0, "no");
    let users = Asked { wanted: Some(Wanted::Users(10.0)), ..Asked::default() };
    let said = told("requirements", &[made.report()], &users);
    assert!(said.text().contains("none of these records is a search for the capacity in that unit"));
    assert_eq!(said.verdict.name(), "inconclusive");
}

#[test]
fn an_invalid_run_meets_nothing() {
    let steps = [Step::closed(10, 100.0)];
    let made = Made::of(ladder::climb("r1", &steps, Model::Closed));
    let mut view = made.view.clone();
    view.apply(&crucible_record::RunEvent::Note(crucible_record::Note {
        at: Ns::ZERO,
        kind: crucible_record::NoteKind::Invalid,
        text: "the clock jumped".into(),
    }));
    let assessment = crucible_analysis::assess(&view);
    let said = told("requirements", &[Report::new(&view, &assessment)], &Asked::default());
    let all = said.json["requirements"].as_array().unwrap();
    assert!(!all.is_empty() && all.iter().all(|one| one["status"] == "invalid"), "{all:?}");
    assert_eq!(said.verdict.name(), "invalid");
}

#[test]
fn nothing_is_ready_that_no_record_shows() {
    let made = lawful();
    let search = search_at("r2", 100.0);
    let said = told("readiness", &[made.report(), search.report()], &Asked::default());
    let of = |name: &str| {
        let all = said.json["criteria"].as_array().unwrap().iter();
        all.clone().find(|row| row["criterion"] == name).unwrap().clone()
    };
    assert_eq!(of("performance targets met")["status"], "no");
    assert_eq!(of("capacity documented")["status"], "yes");
    assert_eq!(of("every requirement tested")["status"], "not tested");
    assert_eq!(of("limits verified")["command"], "crucible limits suites/shop STEP --expect '100/m'");
    assert_eq!(of("bottlenecks identified")["status"], "not tested");
    assert_eq!(of("resources within limits")["status"], "yes");
    assert_eq!(of("monitoring configured")["status"], "yes");
    insta::assert_snapshot!("readiness", said.text());
    let nothing = told("readiness", &[], &Asked::default());
    let all = nothing.json["criteria"].as_array().unwrap();
    assert!(all.iter().all(|row| row["status"] == "not tested"), "{all:?}");
    assert_eq!(nothing.verdict.name(), "inconclusive");
}

#[test]
fn a_limiter_is_verified_only_against_what_was_expected() {
    let found = |verdict: &str, expected: &str| {
        let made = lawful();
        let mut view = made.view.clone();
        let body = format!(r#"{{"subject": "GET /a", "expected": {expected}}}"#);
        let (kind, why) = ("limits".to_owned(), "token bucket: 9 at once".to_owned());
        let finding = crucible_record::Finding { at: Ns::ZERO, kind, body, verdict: verdict.to_owned(), why };
        view.apply(&crucible_record::RunEvent::Finding(finding));
        let report = Report { view: &view, ..made.report() };
        let said = told("readiness", &[report], &Asked::default());
        let row =
            said.json["criteria"].as_array().unwrap().iter().find(|r| r["criterion"] == "limits verified");
        row.unwrap().clone()
    };
    let wanted = r#"{"text": "9/s", "why": "it is not"}"#;
    for (verdict, expected, status) in [
        ("pass", wanted, "yes"),
        ("fail", wanted, "no"),
        ("inconclusive", wanted, "not decided"),
        // that a limiter is known does not say that it is the right one
        ("pass", "null", "not decided"),
        ("splendid", wanted, "not decided"),
    ] {
        assert_eq!(found(verdict, expected)["status"], status, "{verdict} {expected}");
    }
}

#[test]
fn a_search_that_was_not_valid_says_nothing_of_the_capacity() {
    let trials = [10.0, 20.0, 40.0, 80.0, 100.0].map(|rate| Step::closed(0, rate));
    let mut events = ladder::end(ladder::search("r2", &trials, 900.0), trials.len());
    for event in &mut events {
        if let crucible_record::RunEvent::Finding(finding) = event {
            (finding.verdict, finding.why) = ("invalid".into(), "the load generator was late".into());
        }
    }
    let made = Made::of(events);
    let asked = Asked { wanted: Some(Wanted::Rate(500.0)), ..Asked::default() };
    let ready = told("readiness", &[made.report()], &asked);
    let rows = ready.json["criteria"].as_array().unwrap();
    let status = |name: &str| rows.iter().find(|row| row["criterion"] == name).unwrap()["status"].clone();
    assert_eq!(status("capacity documented"), "invalid");
    assert_eq!(status("performance targets met"), "invalid");
    assert_eq!(status("scaling strategy defined"), "not tested");
    for name in ["readiness", "scaling"] {
        let text = told(name, &[made.report()], &asked).text();
        assert!(text.contains("the load generator was late") && !text.contains("900"), "{text}");
    }
}

#[test]
fn overviews_fit_80_columns_keep_their_cells_and_command_no_terminal() {
    let fixtures = [fixture::full(), fixture::judged(), fixture::bare(), fixture::many(60)];
    let mut runs: Vec<Report<'_>> = fixtures.iter().map(fixture::Fixture::report).collect();
    let made = [lawful(), search_at("r2", 100.0)];
    runs.extend(made.iter().map(Made::report));
    let asked = Asked { wanted: Some(Wanted::Rate(500.0)), ..Asked::default() };
    for overview in OVERVIEWS {
        assert!(!overview.about.is_empty());
        let said = told(overview.name, &runs, &asked);
        let (text, markdown) = (said.text(), said.markdown());
        for line in text.lines() {
            let command = line.trim_start().starts_with("crucible ");
            assert!(command || line.chars().count() <= 80, "{}: {line}", overview.name);
        }
        for text in [&text, &markdown] {
            assert_eq!(text.chars().find(|c| *c != '\n' && is_unsafe(*c)), None, "{}", overview.name);
            assert!(!text.contains("NaN") && !text.contains("inf "), "{}:\n{text}", overview.name);
        }
        assert!(!markdown.replace("<br>", "").contains('<'), "{markdown}");
        assert_eq!(said.json, told(overview.name, &runs, &asked).json);
    }
}

#[test]
fn every_field_of_the_json_is_documented() {
    let docs = include_str!("../../../../docs/reference/overviews-json.md");
    let made: Vec<Made> = [1.0, 2.0, 4.0, 8.0].map(|n| search_at(&format!("r{n}"), 100.0 * n)).into();
    let lawful = lawful();
    let mut runs: Vec<Report<'_>> = made.iter().map(Made::report).collect();
    runs.push(lawful.report());
    let asked = Asked { at: vec![1.0, 2.0, 4.0, 8.0], wanted: Some(Wanted::Rate(50.0)), ..Asked::default() };
    let mut keys = std::collections::BTreeSet::new();
    OVERVIEWS.iter().for_each(|overview| collect(&told(overview.name, &runs, &asked).json, &mut keys));
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| !docs.contains(&format!("`{key}`")) && !docs.contains(&format!("`{key}[]`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/reference/overviews-json.md: {missing:?}");
}

fn collect(value: &Value, keys: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            keys.insert(key.clone());
            collect(inner, keys);
        }),
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, keys)),
        _ => {}
    }
}
