//! What a search for the capacity or for limiters found, told from the record: labels and sentences for the formats that
//! people read.
//!
//! Findings are JSON as `docs/reference/capacity-json.md` and `limits-json.md` describe it. They come from a store, so nothing in them is relied on:
//! what is missing is not told.

use crucible_analysis::{RunView, Verdict};
use crucible_core::{Ns, units};
use serde_json::Value;
use std::borrow::Cow;

/// A label and what is said under it; the text is foreign until a format has cleaned it.
pub(crate) type Line = (Cow<'static, str>, String);

/// What searches found, by what they were for. Searches that found nothing are left out.
pub(crate) fn sections(view: &RunView) -> Vec<(&'static str, Vec<Line>)> {
    let told = |kind, lines: fn(&Value) -> Vec<Line>| -> Vec<Line> {
        let of_kind = view.findings.iter().filter(move |finding| finding.kind == kind);
        let told = of_kind.filter_map(|finding| {
            let body = serde_json::from_str::<Value>(&finding.body).ok()?;
            let invalid = Verdict::from_name(&finding.verdict) == Some(Verdict::Invalid);
            let first = invalid.then(|| (Cow::Borrowed("not valid"), finding.why.clone()));
            Some(first.into_iter().chain(lines(&body)))
        });
        told.flatten().collect()
    };
    let (capacity, limits) = (told("capacity", lines), told("limits", limits));
    let all = [("Capacity", capacity), ("Rate limits", limits)];
    all.into_iter().filter(|(_, lines)| !lines.is_empty()).collect()
}

/// What was asked, and what the finding says of it.
fn limits(found: &Value) -> Vec<Line> {
    let said = found["said"].as_array().into_iter().flatten();
    let rows = said.filter_map(|row| Some((row[0].as_str()?.to_owned().into(), row[1].as_str()?.to_owned())));
    let asked = found["subject"].as_str().map(|subject| (Cow::Borrowed("asked"), subject.to_owned()));
    asked.into_iter().chain(rows).collect()
}

fn lines(found: &Value) -> Vec<Line> {
    let users = found["unit"] == "users";
    let mut lines: Vec<Line> = answer(&found["answer"], users).into_iter().collect();
    let mut add = |label: &'static str, text: Option<String>| {
        lines.extend(text.map(|text| (Cow::Borrowed(label), text)))
    };
    add("recommended", recommended(found, users));
    add("confidence", confidence(&found["confidence"]));
    add("breaking point", breaking(&found["breaking"], users));
    add("way down", way_down(&found["hysteresis"], users));
    add("recovery", recovery(found["recoveries"].as_array(), users));
    add("rests on", rests_on(found));
    let remarks = found["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.extend(remarks.map(|text| ("remark".into(), text.to_owned())));
    lines
}

/// A load as people read it; a dash where there is none.
fn load(value: &Value, users: bool) -> String {
    match value.as_f64() {
        Some(load) if users => format!("{} users", load.round()),
        Some(load) => format!("{}/s", units::show_number(load)),
        None => "-".to_owned(),
    }
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn answer(answer: &Value, users: bool) -> Option<Line> {
    let told = match answer["kind"].as_str()? {
        "edge" => {
            let edge = &answer["edge"];
            let shape = if edge["shape"] == "cliff" { "a cliff" } else { "a slope" };
            format!(
                "{} (95 %: {} to {}); gives way: {}, {shape}",
                load(&edge["estimate"], users),
                load(&edge["low"], users),
                load(&edge["high"], users),
                words(&edge["predicate"])
            )
        }
        "no_edge" => format!("not below {}; nothing gave way", load(&answer["highest"], users)),
        "never_held" => {
            let lowest = load(&answer["lowest"], users);
            format!("none; {} does not hold even at {lowest}", words(&answer["predicate"]))
        }
        _ => format!("not decided; {}", words(&answer["why"])),
    };
    Some(("capacity".into(), told))
}

fn recommended(found: &Value, users: bool) -> Option<String> {
    found["recommended"].as_f64()?;
    let headroom = units::show_share(found["headroom"].as_f64().unwrap_or(0.0));
    Some(format!("at most {} ({headroom} below the safe end)", load(&found["recommended"], users)))
}

fn confidence(sure: &Value) -> Option<String> {
    let probability = units::show_share(sure["probability"].as_f64()?);
    Some(format!("{} ({probability})", words(&sure["words"])))
}

fn breaking(edge: &Value, users: bool) -> Option<String> {
    edge["estimate"].as_f64()?;
    let (low, high) = (load(&edge["low"], users), load(&edge["high"], users));
    Some(format!(
        "{} no longer from {} on ({low} to {high})",
        words(&edge["predicate"]),
        load(&edge["estimate"], users)
    ))
}

fn way_down(way: &Value, users: bool) -> Option<String> {
    let differs = way["differs"].as_bool()?;
    let unlike = if differs { "; the load of the way up is not safe" } else { ": no hysteresis" };
    Some(match way["down"].as_f64() {
        Some(down) if down <= 0.0 => "after an overload it was not seen to hold again".to_owned(),
        _ => format!("after an overload it holds again at {}{unlike}", load(&way["down"], users)),
    })
}

fn recovery(all: Option<&Vec<Value>>, users: bool) -> Option<String> {
    let all = all.filter(|all| !all.is_empty())?;
    if let Some(stuck) = all.iter().find(|one| one["took_ns"].is_null()) {
        return Some(format!("not seen after {}", load(&stuck["after"], users)));
    }
    let slowest = all.iter().max_by_key(|one| one["took_ns"].as_u64())?;
    let took = Ns(slowest["took_ns"].as_u64()?);
    Some(format!("seen each time ({}), at most {took} after {}", all.len(), load(&slowest["after"], users)))
}

fn rests_on(found: &Value) -> Option<String> {
    let (trials, spent) = (found["trials"].as_u64()?, Ns(found["spent_ns"].as_u64()?));
    let cut = found["cut"]["trials"].as_u64().filter(|cut| *cut > 0);
    let cut = cut.map_or(String::new(), |cut| format!(", {cut} of them hopeless and cut short"));
    Some(format!("{trials} trials, {spent} of load{cut}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(found: &Value) -> Vec<String> {
        lines(found).into_iter().map(|(label, text)| format!("{label}: {text}")).collect()
    }

    #[test]
    fn a_cliff_of_users_with_its_recoveries() {
        let edge = json!({"estimate": 59.0, "low": 59.0, "high": 59.0, "predicate": "connect p99 <= 1.00s",
            "shape": "cliff"});
        let found = json!({
            "unit": "users",
            "answer": {"kind": "edge", "edge": edge},
            "recommended": 47.0, "headroom": 0.2,
            "confidence": {"probability": 0.99, "words": "high"},
            "breaking": null,
            "hysteresis": {"down": 56.0, "still_failing": 66.0, "differs": true},
            "recoveries": [{"after": 81.0, "at": 14.0, "took_ns": 500_000_000},
                {"after": 60.0, "at": 29.0, "took_ns": 1_500_000_000}],
            "trials": 12, "spent_ns": 60_000_000_000_u64, "cut": {"trials": 3, "saved_ns": 9},
            "remarks": ["the edge is a cliff"],
        });
        assert_eq!(
            told(&found),
            [
                "capacity: 59 users (95 %: 59 users to 59 users); gives way: connect p99 <= 1.00s, a cliff",
                "recommended: at most 47 users (20.00% below the safe end)",
                "confidence: high (99.00%)",
                "way down: after an overload it holds again at 56 users; the load of the way up is not safe",
                "recovery: seen each time (2), at most 1.50s after 60 users",
                "rests on: 12 trials, 1m00s of load, 3 of them hopeless and cut short",
                "remark: the edge is a cliff",
            ]
        );
    }

    #[test]
    fn what_is_not_there_is_not_told_and_a_system_that_stays_ill_is() {
        assert_eq!(told(&json!({})), Vec::<String>::new());
        let found = json!({"answer": {"kind": "never_held", "lowest": 1.0, "predicate": "p99"},
            "recoveries": [{"after": 10.0, "at": 1.0, "took_ns": null}]});
        assert_eq!(
            told(&found),
            ["capacity: none; p99 does not hold even at 1.00/s", "recovery: not seen after 10.0/s"]
        );
    }
}
