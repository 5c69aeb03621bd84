//! Journeys from the plan's text through the real engine in virtual time, against targets whose every answer is known.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod journey;

use crucible_core::{ErrorClass, Ns, Outcome, Value};
use crucible_testkit::sim::Answer;
use journey::{Run, Setting, run, run_with};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const MS: fn(u64) -> Ns = Ns::from_millis;

#[test]
fn tasks_are_drawn_by_their_weights() {
    let text = "steps:
  - tasks: [{weight: 6, do: a}, {weight: 3, do: b}, {weight: 1, steps: [{do: c}, {do: d}]}]
tests: {t: {rate: 1000/s, for: 20s}}";
    let told = run(text, |_, _| Answer::ok(MS(1)));
    let total: f64 = 20_000.0;
    for (name, share) in [("a", 0.6), ("b", 0.3), ("c", 0.1), ("d", 0.1)] {
        let count = told.step(name).planned as f64;
        // five standard errors of a binomial share
        let limit = 5.0 * (total * share * (1.0 - share)).sqrt();
        assert!((count - total * share).abs() < limit, "{name}: {count}");
    }
    told.assert_conserved();
}

#[test]
fn conditions_loops_and_lists_go_their_way() {
    let text = r#"
steps:
  - {set: {page: 0, list: [x, y, z]}}
  - {do: first, save: [more]}
  - if: "${more}"
    then: [{do: then}]
    else: [{do: else}]
  - {repeat: 3, steps: [{do: thrice}]}
  - {while: "${more}", most: 7, steps: [{do: bounded}]}
  - {foreach: {item: "${list}"}, steps: [{do: each}]}
  - {foreach: {item: "${list}"}, most: 2, steps: [{do: two}]}
  - {repeat: "${number}", steps: [{do: times}]}
  - {do: last}
  - skip
  - {do: never}
setup: [{set: {number: 4}}, {do: login}]
tests: {t: {vus: 2, iterations: 10}}"#;
    let told = run(text, |question, plan| {
        let answer = Answer::ok(MS(1));
        match journey::name(plan, question.step) {
            "first" => answer
                .saving(journey::slot(plan, "more"), Value::Bool(question.scope.iteration.is_multiple_of(2))),
            _ => answer,
        }
    });
    let counts = told.counts(&[
        "login", "first", "then", "else", "thrice", "bounded", "each", "two", "times", "last", "never",
    ]);
    assert_eq!(counts[0], 2);
    assert_eq!((counts[1], counts[9], counts[10]), (10, 10, 0));
    assert_eq!(counts[2] + counts[3], 10);
    assert_eq!(counts[5], 7 * counts[2]);
    assert_eq!((counts[4], counts[6], counts[7], counts[8]), (30, 30, 20, 40));
    assert_eq!(told.iterations().completed, 10);
    told.assert_conserved();
}

#[test]
fn a_group_is_timed_from_its_first_step_to_the_end_of_its_last() {
    let text = "steps:
  - {do: before, think: 1s}
  - {group: whole, steps: [{do: a}, {do: b, think: 500ms}, {do: c, think: 2s}]}
tests: {t: {vus: 1, iterations: 5}}";
    let told = run(text, |question, plan| match journey::name(plan, question.step) {
        "c" if question.scope.iteration == 3 => Answer::failed(MS(30), 500, ErrorClass::ServerError),
        _ => Answer::ok(MS(30)),
    });
    let group = told.step("whole");
    assert_eq!((group.planned, group.of(Outcome::Ok), group.of(Outcome::Failed)), (5, 4, 1));
    assert_eq!(group.classes[ErrorClass::ServerError as usize], 1);
    let took = group.response.max().unwrap().as_millis_f64();
    assert!((took - 590.0).abs() < 5.0, "{took}");
    told.assert_conserved();
}

#[test]
fn parallel_steps_are_so_many_at_once_and_share_who_the_user_is() {
    let text = "steps:
  - {do: page}
  - {parallel: [{do: a}, {do: b}, {do: c}, {do: d}, {do: e}], most: 2}
  - {do: after}
tests: {t: {vus: 1, iterations: 4}}";
    let at: Arc<Mutex<Vec<(Ns, u64)>>> = Arc::default();
    let seen = Arc::clone(&at);
    let told = run(text, move |question, plan| {
        if journey::name(plan, question.step) == "after" {
            seen.lock().unwrap().push((question.now, question.lane));
        }
        Answer::ok(MS(10))
    });
    // 10 ms for the page, then five of 10 ms two at once, then 10 ms
    let starts = at.lock().unwrap().clone();
    assert!(starts.windows(2).all(|pair| pair[1].0 - pair[0].0 == MS(50)), "{starts:?}");
    assert_eq!(told.counts(&["a", "e", "after"]), [4, 4, 4]);
    told.assert_conserved();
}

const JOB: &str = r#"
steps:
  - do: submit
    save: [id]
    until:
      do: poll
      save: [state, made, began, ended]
      every: EVERY
      within: 5s
      check: {done: true}
      failed: "${broken}"
      begun: "${began}"
      times: {queue: ["${made}", "${began}"], execution: ["${began}", "${ended}"]}
setup: [{do: login, save: [broken]}]
"#;

/// A target that makes a job of each submission: it waits so long, runs so long, and then is over.
fn job_target(
    queue: Ns,
    execution: Ns,
) -> impl Fn(crucible_testkit::sim::Question<'_>, &crucible_plan::Plan) -> Answer {
    move |question, plan| {
        let slot = |name| journey::slot(plan, name);
        let unix = |at: Ns| Value::Float(1_700_000_000.0 + at.as_secs_f64());
        match journey::name(plan, question.step) {
            "submit" => {
                // the answer takes 20 ms, and the job is made when it is sent
                Answer::ok(MS(20)).saving(slot("id"), Value::Int((question.now + MS(20)).0 as i64))
            }
            "poll" => {
                let Value::Int(made) = question.scope.get(slot("id")) else { panic!("an id") };
                let made = Ns(*made as u64);
                let (begins, ends) = (made + queue, made + queue + execution);
                let now = question.now + MS(1);
                let mut answer = if now >= ends {
                    Answer::ok(MS(2)).saving(slot("ended"), unix(ends))
                } else {
                    Answer::failed(MS(2), 200, ErrorClass::Check)
                };
                answer = answer.saving(slot("made"), unix(made));
                if now >= begins { answer.saving(slot("began"), unix(begins)) } else { answer }
            }
            _ => Answer::ok(MS(1)),
        }
    }
}

#[test]
fn the_parts_of_a_transaction_add_up_to_its_whole() {
    for (every, load) in [
        ("100ms", "{rate: 20/s, for: 60s}"),
        ("50ms..2s", "{vus: 8, for: 60s}"),
        ("700ms", "{vus: 5, iterations: 200}"),
    ] {
        let text = format!("{}tests: {{t: {load}}}", JOB.replace("EVERY", every));
        let told = run(&text, job_target(MS(350), MS(480)));
        let mean = |name: &str| told.step(name).response.mean().unwrap().as_millis_f64();
        let parts = mean("submit") + mean("submit queue") + mean("submit execution");
        let whole = mean("submit to the end");
        assert!((parts - whole).abs() < 0.01 * whole, "{every}: {parts} for {whole}");
        assert!((whole - 850.0).abs() < 8.5, "{every}: {whole}");
        let delay = mean("submit polling delay");
        assert!(delay > 0.0 && delay < 1000.0, "{every}: {delay}");
        let (whole, submit) = (told.step("submit to the end"), told.step("submit"));
        assert_eq!((whole.planned, whole.of(Outcome::Ok)), (submit.planned, submit.of(Outcome::Ok)));
        // questions are their own step's, and "not yet" is a good answer
        let poll = told.step("poll");
        assert_eq!(poll.of(Outcome::Ok), poll.planned);
        told.assert_conserved();
    }
}

#[test]
fn every_end_of_a_job_is_an_outcome_of_its_own() {
    let one = |answer: fn(u64) -> Option<Answer>, reread: &str| {
        let text = JOB.replace("EVERY", "100ms").replace("      check:", &format!("{reread}      check:"));
        let polls = AtomicU64::new(0);
        let told = run(&format!("{text}tests: {{t: {{vus: 1, iterations: 1}}}}"), move |question, plan| {
            match journey::name(plan, question.step) {
                "poll" => {
                    let began = journey::slot(plan, "began");
                    match answer(polls.fetch_add(1, Ordering::SeqCst)) {
                        Some(answer) => answer.saving(journey::slot(plan, "state"), Value::text("x")),
                        None => Answer::failed(MS(2), 200, ErrorClass::Check).saving(began, Value::Int(1)),
                    }
                }
                _ => Answer::ok(MS(1)),
            }
        });
        told.assert_conserved();
        told.step("submit to the end")
    };
    let check = |frame: crucible_core::Frame, outcome: Outcome, class: ErrorClass| {
        assert_eq!((frame.planned, frame.of(outcome), frame.classes[class as usize]), (1, 1, 1), "{class:?}");
    };
    let waiting = |_| Some(Answer::failed(MS(2), 200, ErrorClass::Check));
    check(one(waiting, ""), Outcome::TimedOut, ErrorClass::Stuck);
    check(one(|_| None, ""), Outcome::TimedOut, ErrorClass::Timeout);
    let lost = |poll| (poll == 3).then(|| Answer::failed(MS(2), 404, ErrorClass::ClientError));
    check(one(lost, ""), Outcome::Failed, ErrorClass::Lost);
    let broken = |poll| (poll > 3).then(|| Answer::failed(MS(2), 503, ErrorClass::ServerError));
    check(one(broken, ""), Outcome::TimedOut, ErrorClass::Timeout);
    let done = |poll| (poll == 2).then(|| Answer::ok(MS(2)));
    check(one(done, ""), Outcome::Ok, ErrorClass::None);
    // a second look finds the job not done any more
    check(one(done, "      reread: 1s\n"), Outcome::Failed, ErrorClass::Changed);
    let stays = |poll| (poll >= 2).then(|| Answer::ok(MS(2)));
    check(one(stays, "      reread: 1s\n"), Outcome::Ok, ErrorClass::None);
    // an answer that hangs is cut off at the deadline
    let hangs = |poll| (poll == 2).then(|| Answer::ok(Ns::from_secs(100)));
    check(one(hangs, ""), Outcome::TimedOut, ErrorClass::Timeout);
}

#[test]
fn a_job_that_says_that_it_failed_and_a_submission_that_is_refused_are_told_apart() {
    let text = format!("{}tests: {{t: {{vus: 1, iterations: 10}}}}", JOB.replace("EVERY", "100ms"));
    let told = run(&text, |question, plan| {
        let slot = |name| journey::slot(plan, name);
        match journey::name(plan, question.step) {
            "submit" if question.scope.iteration < 3 => Answer::failed(MS(5), 503, ErrorClass::ServerError),
            "poll" => Answer::failed(MS(1), 200, ErrorClass::Check).saving(slot("broken"), Value::Bool(true)),
            _ => Answer::ok(MS(1)),
        }
    });
    let whole = told.step("submit to the end");
    assert_eq!((whole.planned, whole.of(Outcome::Failed)), (10, 10));
    assert_eq!(whole.classes[ErrorClass::JobFailed as usize], 7);
    assert_eq!(whole.classes[ErrorClass::ServerError as usize], 3);
    assert_eq!(told.iterations().failed, 10);
    told.assert_conserved();
}

#[test]
fn a_clock_that_lies_moves_no_end_outside_of_what_was_seen() {
    let text = format!("{}tests: {{t: {{vus: 1, iterations: 20}}}}", JOB.replace("EVERY", "100ms"));
    let honest = job_target(MS(350), MS(480));
    let told = run(&text, move |question, plan| {
        let mut answer = honest(question, plan);
        let ended = journey::slot(plan, "ended");
        for (slot, value) in &mut answer.saves {
            if *slot == ended {
                *value = Value::Float(1_600_000_000.0);
            }
        }
        answer
    });
    let whole = told.step("submit to the end");
    let mean = whole.response.mean().unwrap().as_millis_f64();
    assert!((850.0..960.0).contains(&mean), "{mean}");
    let execution = told.step("submit execution");
    assert_eq!((execution.of(Outcome::Failed), execution.classes[ErrorClass::Value as usize]), (20, 20));
    told.assert_conserved();
}

#[test]
fn what_is_under_way_at_the_end_is_aborted_and_counts_balance() {
    let text = format!(
        "{}tests: {{t: {{rate: 20/s, for: 10s, max_vus: 400, graceful_stop: 1s}}}}",
        JOB.replace("EVERY", "100ms").replace("within: 5s", "within: 1h")
    )
    .replace("steps:\n  - do: submit", "steps:\n  - {parallel: [{do: x}, {do: y}]}\n  - do: submit");
    for shards in [1, 3] {
        let target = job_target(Ns::from_secs(2), Ns::from_secs(3));
        let told = run_with(&text, Setting { shards, ..Setting::default() }, target);
        let whole = told.step("submit to the end");
        assert_eq!(whole.planned, 200);
        assert!(whole.of(Outcome::Aborted) > 50 && whole.of(Outcome::Ok) > 50, "{:?}", whole.outcomes);
        assert!(told.iterations().aborted > 50);
        told.assert_conserved();
    }
}

#[test]
fn users_live_as_long_as_the_plan_says() {
    let text = "steps: [{do: a}]
setup: [{do: login}]
teardown: [{do: logout}]
lifetime: {iterations: 4}
tests: {t: LOAD}";
    let closed = run(&text.replace("LOAD", "{vus: 3, iterations: 60}"), |_, _| Answer::ok(MS(10)));
    assert_eq!(closed.counts(&["a"]), [60]);
    assert!((15..=18).contains(&closed.counts(&["login"])[0]), "{:?}", closed.counts(&["login"]));
    assert_eq!(closed.counts(&["login"]), closed.counts(&["logout"]));
    closed.assert_conserved();
    // under open load an arrival is a visit: one iteration of four passes
    let open = run(&text.replace("LOAD", "{rate: 10/s, for: 10s}"), |_, _| Answer::ok(MS(10)));
    assert_eq!((open.counts(&["a"]), open.iterations().planned), (vec![400], 100));
    assert!(open.counts(&["login"])[0] >= 100);
    open.assert_conserved();
    let stopping = text.replace("lifetime: {iterations: 4}\n", "").replace("[{do: a}]", "[{do: a}, stop_vu]");
    let stopping = run(&stopping.replace("LOAD", "{vus: 3, for: 10s}"), |_, _| Answer::ok(MS(10)));
    assert_eq!(stopping.counts(&["login", "a", "logout"]), [3, 3, 3]);
    stopping.assert_conserved();
}

#[test]
fn fixed_numbers_of_users_come_before_weights() {
    let text = "scenarios:
  admin: {users: 2, steps: [{do: admin}]}
  pupil: {weight: 3, steps: [{do: pupil}]}
  guest: {weight: 1, steps: [{do: guest}]}
tests: {t: {vus: 10, for: 1s}}";
    let told = run(text, |_, _| Answer::ok(MS(100)));
    assert_eq!(told.counts(&["admin", "pupil", "guest"]), [20, 60, 20]);
    told.assert_conserved();
}

#[test]
fn a_session_is_refreshed_when_due_and_when_an_answer_says_so() {
    let text = "steps: [{do: a, think: 1s}]
refresh: {every: 10s, on: [401], steps: [{do: again}]}
tests: {t: {vus: 1, for: 60s}}";
    let told = run(text, |question, plan| match journey::name(plan, question.step) {
        "a" if question.scope.iteration == 25 => Answer::failed(Ns::ZERO, 401, ErrorClass::ClientError),
        _ => Answer::ok(Ns::ZERO),
    });
    let a = told.step("a");
    assert_eq!((a.planned, a.of(Outcome::Failed)), (60, 1));
    // at 10, 20, 26 (asked for), 36, 46, 56
    assert_eq!(told.counts(&["again"]), [6]);
    told.assert_conserved();
}

#[test]
fn failures_of_our_own_are_sent_nowhere_and_told() {
    let text = "steps: [{do: a, fail: 20%}]\ntests: {t: {rate: 100/s, for: 100s}}";
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let told = run(text, move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Answer::ok(MS(1))
    });
    let a = told.step("a");
    let injected = a.classes[ErrorClass::Injected as usize];
    assert_eq!(a.planned, 10_000);
    assert_eq!(injected + asked.load(Ordering::SeqCst), 10_000);
    // five standard errors
    assert!((injected as f64 - 2000.0).abs() < 200.0, "{injected}");
    assert_eq!((a.errors(), a.error_rate()), (0, Some(0.0)), "they say nothing about the target");
    told.assert_conserved();
}

#[test]
fn steps_that_do_nothing_do_not_hang_the_shard() {
    for load in ["{vus: 1, for: 50ms}", "{rate: 100/s, for: 50ms, graceful_stop: 10ms}"] {
        let text = format!(
            "setup: [{{set: {{no: false}}}}]\nlifetime: {{for: 1s}}\nsteps: [{{if: \"${{no}}\", then: [{{do: a}}]}}]\n\
             tests: {{t: {load}}}"
        );
        run(&text, |_, _| Answer::ok(MS(1))).assert_conserved();
        let text = text.replace("{for: 1s}", "{iterations: 1}");
        run(&text, |_, _| Answer::ok(MS(1))).assert_conserved();
    }
    for body in [
        "{repeat: 1000000, steps: [{repeat: 1000000, steps: [{set: {x: 1}}]}]}",
        "{if: \"${no}\", then: [{do: a}]}",
    ] {
        let text =
            format!("setup: [{{set: {{no: false}}}}]\nsteps: [{body}]\ntests: {{t: {{vus: 1, for: 120ms}}}}");
        let told = run(&text, |_, _| Answer::ok(MS(1)));
        let iterations = told.iterations();
        assert!(iterations.planned > 100 && iterations.planned <= 121, "{}", iterations.planned);
        assert_eq!(iterations.failed > 0, body.contains("repeat"));
        told.assert_conserved();
    }
}

#[test]
fn rows_go_to_users_as_the_plan_says_whatever_the_number_of_shards() {
    let rows: Vec<String> = (0..40).map(|n| format!("{{n: {n}}}")).collect();
    let text = |pick: &str, more: &str, load: &str| {
        format!(
            "data: {{d: {{rows: [{}], pick: {pick}{more}}}}}\nsteps: [{{do: \"a${{d.n}}\", think: 1s}}]\ntests: {{t: {load}}}",
            rows.join(", ")
        )
    };
    let drawn = |text: &str, shards: u32| -> (Vec<i64>, Run) {
        let seen: Arc<Mutex<Vec<i64>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let told = run_with(text, Setting { shards, ..Setting::default() }, move |question, _| {
            if let Some(row) = question.scope.row(crucible_core::FeederId(0)) {
                let Value::Int(number) = row[0] else { panic!("a number") };
                sink.lock().unwrap().push(number);
            }
            Answer::ok(MS(1))
        });
        told.assert_conserved();
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        (seen, told)
    };
    let mut random: Option<Vec<i64>> = None;
    for shards in [1, 2, 3, 7] {
        let closed = "{vus: 7, iterations: 35}";
        assert_eq!(drawn(&text("unique", "", closed), shards).0, (0..35).collect::<Vec<_>>(), "{shards}");
        let expected: Vec<i64> = (0..7).flat_map(|n| [n; 5]).collect();
        assert_eq!(drawn(&text("once", "", closed), shards).0, expected, "{shards}");
        assert_eq!(drawn(&text("unique", ", per: vu", closed), shards).0, expected, "{shards}");
        let (wrapped, _) = drawn(&text("sequential", "", "{vus: 7, iterations: 70}"), shards);
        let expected: Vec<i64> = (0..70).map(|n| n % 40).collect();
        assert_eq!(wrapped.iter().sum::<i64>(), expected.iter().sum::<i64>(), "{shards}");
        let (seen, _) = drawn(&text("random", "", closed), shards);
        assert_eq!(random.get_or_insert_with(|| seen.clone()), &seen, "{shards}");
        // 40 rows for 100 iterations: the rest fails unsent, by name
        let (seen, told) = drawn(&text("unique", "", "{rate: 10/s, for: 10s}"), shards);
        assert_eq!(seen.len(), 40);
        assert_eq!(told.total().classes[ErrorClass::Value as usize], 60);
        assert!(told.finished.errors.iter().any(|note| note.text == "the data `d` has no further row"));
        // users of closed load that get none leave
        let (_, told) = drawn(&text("unique", "", "{vus: 7, for: 600s}"), shards);
        assert_eq!(told.total().classes[ErrorClass::Value as usize], 7);
    }
}

#[test]
fn a_test_is_set_up_once_and_its_values_are_where_all_users_begin() {
    let text = "steps: [{do: a, think: 1s}]
setup: [{do: login}]
tests: {t: {vus: 9, for: 10s, setup: [{do: make, save: [item]}], teardown: [{do: remove}]}}";
    for shards in [1, 2, 3, 7] {
        let told = run_with(text, Setting { shards, ..Setting::default() }, |question, plan| {
            let item = journey::slot(plan, "item");
            match journey::name(plan, question.step) {
                "make" => Answer::ok(Ns::from_secs(3)).saving(item, Value::text("thing")),
                _ => {
                    assert_eq!(question.scope.get(item), &Value::text("thing"));
                    Answer::ok(MS(1))
                }
            }
        });
        assert_eq!(told.counts(&["make", "remove", "login"]), [1, 1, 9], "{shards}");
        assert!(told.counts(&["a"])[0] >= 81);
        told.assert_conserved();
        let failing = run_with(text, Setting { shards, ..Setting::default() }, |_, _| {
            Answer::failed(MS(1), 500, ErrorClass::ServerError)
        });
        assert_eq!(failing.counts(&["a"]), [0]);
        let reason = format!("{:?}", failing.finished.reason);
        assert!(reason.contains("the setup of the test `t` failed: answered 500"), "{reason}");
    }
}
