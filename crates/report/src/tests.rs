//! Laws that every format keeps, and what each of them looks like.

use crate::comparison::{self, Compared};
use crate::fixture::{self, Fixture};
use crate::text::is_unsafe;
use crate::{FORMATS, Options, Report, find, swallowed};
use crucible_stats::compare::{Evidence, Settings, compare};
use crucible_stats::processes::{Process, pairs};

fn text(name: &str, fixture: &Fixture) -> String {
    find(name).unwrap().text(&fixture.report())
}

#[test]
fn rows_are_complete_and_names_are_unique() {
    for (index, format) in FORMATS.iter().enumerate() {
        assert!(!format.about.is_empty() && !format.extension.is_empty(), "{}", format.name);
        assert!(FORMATS[..index].iter().all(|other| other.name != format.name), "{}", format.name);
    }
    assert!(find("docx").is_none());
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    for format in FORMATS {
        assert_eq!(
            text(format.name, &fixture::full()),
            text(format.name, &fixture::full()),
            "{}",
            format.name
        );
    }
}

#[test]
fn nothing_that_a_terminal_obeys_comes_through() {
    for fixture in [fixture::full(), fixture::judged(), fixture::bare()] {
        for format in FORMATS {
            let text = text(format.name, &fixture);
            let bad = text.chars().find(|c| is_unsafe(*c) && !matches!(c, '\n' | '\r'));
            assert_eq!(bad, None, "{}:\n{text}", format.name);
            assert!(format.name == "csv" || !text.contains('\r'), "{}", format.name);
        }
    }
}

#[test]
fn a_record_without_events_is_told_without_figures() {
    let bare = fixture::bare();
    for format in FORMATS {
        let text = text(format.name, &bare);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{}:\n{text}", format.name);
    }
    assert!(text("summary", &bare).contains("never began"));
}

#[test]
fn the_summary_fits_80_columns_in_all_looks() {
    for fixture in [fixture::full(), fixture::judged(), fixture::bare()] {
        for ascii in [false, true] {
            let report = fixture.report().with(Options { colour: false, ascii });
            let text = find("summary").unwrap().text(&report);
            let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{wide:#?}");
            assert!(!ascii || text.is_ascii(), "{text}");
        }
    }
}

#[test]
fn a_plan_of_many_steps_makes_no_endless_summary() {
    let many = fixture::many(500);
    let text = text("summary", &many);
    assert!(text.lines().count() < 150, "{}", text.lines().count());
    assert!(text.contains("... without 460 further steps"));
    assert!(text.lines().any(|line| line.starts_with("  all steps")));
}

#[test]
fn colours_are_the_only_difference_that_colours_make() {
    let full = fixture::full();
    let coloured = find("summary").unwrap().text(&full.report().with(Options { colour: true, ascii: false }));
    assert!(coloured.starts_with("\u{1b}[1;31mFAIL\u{1b}[0m"));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, text("summary", &full));
}

#[test]
fn a_stall_of_known_size_swallows_the_known_number_of_arrivals() {
    // 10 users at 1,000 a second lose 900 ms each: 10 x (900 ms - median) / 10 ms cycle
    let full = fixture::full();
    let lost = swallowed(&full.view, 0);
    assert_eq!(lost.stalled, 10);
    assert!((lost.requests - 890.0).abs() < 30.0, "{lost:?}");
    let open = swallowed(&full.view, 1);
    assert_eq!((open.stalled, open.waited, open.dropped), (0, 400, 10));
    assert!(open.notable(1_600) && lost.notable(9_100));
}

#[test]
fn json_numbers_agree_with_the_view_and_every_field_is_documented() {
    let full = fixture::full();
    let json: serde_json::Value = serde_json::from_str(&text("json", &full)).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["verdict"], "fail");
    let all = &json["tests"][0]["totals"]["all"];
    let frame = &full.view.tests[0].all;
    assert_eq!(all["ended"], frame.ended());
    assert_eq!(all["outcomes"]["ok"], frame.response.count());
    assert_eq!(all["service"]["p95_ns"], frame.service.quantile(0.95).unwrap().0);
    assert_eq!(json["tests"][1]["phases"].as_array().unwrap().len(), 2);
    assert_eq!(json["timeline"].as_array().unwrap().len(), 16);

    let docs = include_str!("../../../docs/reference/report-json.md");
    let mut keys = std::collections::BTreeSet::new();
    collect(&json, &mut keys);
    let missing: Vec<&String> = keys.iter().filter(|key| !docs.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/reference/report-json.md: {missing:?}");
}

#[test]
fn labels_are_told_and_cannot_command() {
    let mut full = fixture::full();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    full.view.started.labels = vec![
        ("version".into(), "1.4".into()),
        ("commit".into(), commit.into()),
        ("by".into(), fixture::HOSTILE.into()),
    ];
    let json: serde_json::Value = serde_json::from_str(&text("json", &full)).unwrap();
    assert_eq!(json["run"]["labels"]["commit"], commit);
    let summary = text("summary", &full);
    assert!(summary.contains("  version 1.4, commit 0123456789ab, by "), "{summary}");
    assert!(text("md", &full).contains("| version | 1.4 |\n| commit | 0123456789abcdef"));
    for format in FORMATS {
        let text = text(format.name, &full);
        assert!(!text.chars().any(|c| is_unsafe(c) && !matches!(c, '\n' | '\r')), "{}", format.name);
    }
    assert!(summary.lines().all(|line| line.chars().count() <= 80), "{summary}");
}

/// All keys, but those of tables whose keys are names or numbers.
fn collect(value: &serde_json::Value, keys: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, inner) in map {
                keys.insert(key.clone());
                if !["environment", "codes", "error_classes", "outcomes"].contains(&key.as_str()) {
                    if key == "phases" && inner.is_object() {
                        inner.as_object().unwrap().values().for_each(|inner| collect(inner, keys));
                    } else {
                        collect(inner, keys);
                    }
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|inner| collect(inner, keys)),
        _ => {}
    }
}

#[test]
fn csv_is_rectangular_and_adds_up() {
    let full = fixture::full();
    let csv = text("csv", &full);
    let rows: Vec<Vec<String>> = csv.split_terminator("\r\n").map(cells).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
    let at = |name: &str| rows[0].iter().position(|cell| cell == name).unwrap();
    let sum = |phase: &str, step: &str| -> u64 {
        let of = |row: &&Vec<String>| row[at("test")] == "peak" && row[at("step")] == step;
        let rows = rows.iter().filter(of).filter(|row| phase.is_empty() == row[at("phase")].is_empty());
        rows.map(|row| row[at("requests")].parse::<u64>().unwrap()).sum()
    };
    assert_eq!((sum("", "all steps"), sum("any", "all steps"), sum("any", "feed")), (1_590, 1_590, 1_590));
    let formula = |cell: &String| cell.starts_with(['=', '+', '-', '@']) && cell.parse::<f64>().is_err();
    assert!(!rows.iter().flatten().any(formula));
}

/// The cells of a line of RFC 4180.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let last = cells.last_mut().unwrap();
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => last.push(chars.next().unwrap()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => last.push(c),
        }
    }
    assert!(!quoted);
    cells
}

#[test]
fn what_people_read() {
    let full = fixture::full();
    insta::assert_snapshot!("summary", text("summary", &full));
    let report: Report<'_> = full.report().with(Options { colour: false, ascii: true });
    insta::assert_snapshot!("summary_ascii", find("summary").unwrap().text(&report));
    insta::assert_snapshot!("summary_bare", text("summary", &fixture::bare()));
    insta::assert_snapshot!("json_bare", text("json", &fixture::bare()));
    for name in ["md", "csv", "junit", "k6", "wrk"] {
        insta::assert_snapshot!(name, text(name, &full));
    }
}

/// What is told of twelve minutes: the warm-up that is left out, what grows, and the slices of time.
#[test]
fn what_people_read_of_a_soak() {
    let soak = fixture::soak();
    let summary = text("summary", &soak);
    assert!(summary.lines().all(|line| line.chars().count() <= 80), "{summary}");
    insta::assert_snapshot!("summary_soak", summary);
    let md = text("md", &soak);
    let told = md.split("<details><summary>What monitors").next().unwrap_or_default();
    let rest = md.split("</details>").nth(1).unwrap_or_default();
    insta::assert_snapshot!("md_soak", format!("{told}{rest}"));
    let json: serde_json::Value = serde_json::from_str(&text("json", &soak)).unwrap();
    let test = &json["tests"][0];
    let mut told = String::new();
    for part in [&test["warm_up"], &test["growth"], &test["judgements"][0]["with_warm_up"]] {
        let rows = part.as_array().map_or_else(|| vec![part], |rows| rows.iter().collect());
        for row in rows {
            // whatever order the parser keeps, that of the words is one
            let fields: std::collections::BTreeMap<_, _> = row.as_object().unwrap().iter().collect();
            fields.iter().for_each(|(name, value)| told += &format!("{name}: {}\n", rounded(value)));
            told += "\n";
        }
    }
    insta::assert_snapshot!("json_soak", told);
}

/// Text of a value, with numbers as whole ones: how exactly they are read back depends on the parser's build.
fn rounded(value: &serde_json::Value) -> String {
    match (value.as_f64(), value.as_array()) {
        (Some(number), _) => format!("{number:.0}"),
        (_, Some(list)) => list.iter().map(rounded).collect::<Vec<_>>().join(" to "),
        _ => value.to_string(),
    }
}

/// Two live systems of known truth, compared for as long as `count` slices of a second.
fn compared(count: usize, slower: f64) -> Compared {
    let evidence = Evidence::interleaved(pairs(Process::Exponential, 200.0, count, 1.0, slower, 5));
    let settings = Settings { self_checks: 20, ..Settings::default() };
    let comparison = compare(&evidence, &settings).unwrap();
    let arms = ["http://old", "http://new"].map(str::to_owned);
    Compared { test: "load".into(), arms, gauges: Vec::new(), comparison }
}

#[test]
fn comparisons_look_as_they_should() {
    for (name, count, slower) in [("compared", 60, 1.1), ("compared_in_a_hurry", 8, 1.0)] {
        let compared = compared(count, slower);
        let text = comparison::text(&compared);
        assert!(text.iter().all(|line| line.chars().count() <= 80), "{text:#?}");
        insta::assert_snapshot!(name, text.join("\n"));
        insta::assert_snapshot!(format!("{name}_md"), comparison::markdown(&compared).join("\n"));
    }
}
