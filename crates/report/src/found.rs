//! A capacity as it stands in a record: the finding of `crucible capacity`, read back. The text is foreign.

use crate::Report;
use crucible_analysis::Verdict;
use crucible_core::units::{group, show_number};
use serde_json::Value;

/// A highest load at which something holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) estimate: f64,
    pub(crate) low: f64,
    /// Infinite if there was no time to close it.
    pub(crate) high: f64,
    pub(crate) predicate: String,
    pub(crate) cliff: bool,
}

/// What the search says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Edge(Edge),
    NoEdge(f64),
    NeverHeld(String),
    Unknown(String),
    /// The search was not valid: whatever figures it came to say nothing. Why.
    Invalid(String),
}

/// The finding.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Capacity {
    /// Loads are users; else arrivals a second.
    pub(crate) users: bool,
    pub(crate) answer: Answer,
    pub(crate) recommended: Option<f64>,
    pub(crate) headroom: f64,
    pub(crate) confidence: Option<(f64, String)>,
    pub(crate) breaking: Option<Edge>,
    /// What had to hold.
    pub(crate) predicates: Vec<String>,
    pub(crate) trials: u64,
    /// Operations a second that ended well, against load, by rising load.
    pub(crate) curve: Vec<(f64, f64)>,
    /// The test whose scenarios were put on, where the finding says so.
    pub(crate) test: Option<String>,
}

/// The last capacity that a record holds.
pub(crate) fn capacity(run: &Report<'_>) -> Option<Capacity> {
    let finding = run.view.findings.iter().rev().find(|finding| finding.kind == "capacity")?;
    let found = read(&serde_json::from_str(&finding.body).ok()?)?;
    Some(match Verdict::from_name(&finding.verdict) {
        Some(Verdict::Invalid) => found.invalid(&finding.why),
        _ => found,
    })
}

fn read(body: &Value) -> Option<Capacity> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let answer = &body["answer"];
    let answer = match answer["kind"].as_str()? {
        "edge" => Answer::Edge(edge(&answer["edge"])?),
        "no_edge" => Answer::NoEdge(load(&answer["highest"])?),
        "never_held" => Answer::NeverHeld(word(&answer["predicate"])?),
        _ => Answer::Unknown(word(&answer["why"]).unwrap_or_else(|| "the search does not say why".into())),
    };
    let sure = &body["confidence"];
    let point = |point: &Value| load(&point["load"]).zip(load(&point["throughput"]));
    let curve = body["curve"].as_array().map(|list| list.iter().filter_map(point).collect());
    let predicates = body["predicates"].as_array().map(|list| list.iter().filter_map(word).collect());
    Some(Capacity {
        users: body["unit"] == "users",
        answer,
        recommended: load(&body["recommended"]),
        headroom: body["headroom"].as_f64().filter(|share| (0.0..1.0).contains(share)).unwrap_or(0.0),
        confidence: sure["probability"].as_f64().zip(word(&sure["words"])),
        breaking: edge(&body["breaking"]),
        predicates: predicates.unwrap_or_default(),
        trials: body["trials"].as_u64().unwrap_or(0),
        curve: curve.unwrap_or_default(),
        test: word(&body["test"]),
    })
}

fn load(value: &Value) -> Option<f64> {
    value.as_f64().filter(|load| load.is_finite() && *load >= 0.0)
}

fn edge(value: &Value) -> Option<Edge> {
    Some(Edge {
        estimate: load(&value["estimate"])?,
        low: load(&value["low"])?,
        high: load(&value["high"]).unwrap_or(f64::INFINITY),
        predicate: value["predicate"].as_str()?.to_owned(),
        cliff: value["shape"] == "cliff",
    })
}

impl Capacity {
    /// The same without the figures.
    fn invalid(self, why: &str) -> Capacity {
        let answer = Answer::Invalid(why.to_owned());
        Capacity { answer, recommended: None, confidence: None, breaking: None, curve: Vec::new(), ..self }
    }

    /// A load as people read it.
    pub(crate) fn show(&self, load: f64) -> String {
        match self.users {
            _ if load.is_infinite() => "?".into(),
            true if load.round() == 1.0 => "1 user".into(),
            true => format!("{} users", group(load.round() as i64)),
            false => format!("{}/s", show_number(load)),
        }
    }

    /// The bounds that the truth is within at 95 %.
    pub(crate) fn bounds(&self) -> Option<(f64, f64)> {
        match &self.answer {
            Answer::Edge(edge) => Some((edge.low, edge.high)),
            Answer::NoEdge(highest) => Some((*highest, f64::INFINITY)),
            Answer::NeverHeld(_) => Some((0.0, 0.0)),
            Answer::Unknown(_) | Answer::Invalid(_) => None,
        }
    }

    /// The largest load in words.
    pub(crate) fn words(&self) -> String {
        match &self.answer {
            Answer::Edge(edge) => self.show(edge.estimate),
            Answer::NoEdge(highest) => format!("at least {}", self.show(*highest)),
            Answer::NeverHeld(_) => "none".into(),
            Answer::Unknown(_) => "not known".into(),
            Answer::Invalid(_) => "not valid".into(),
        }
    }

    /// How sure it is, in words.
    pub(crate) fn sure(&self) -> String {
        match (&self.answer, &self.confidence) {
            (Answer::NoEdge(_), _) => "a lower bound: nothing gave way".into(),
            (Answer::NeverHeld(predicate), _) => format!("{predicate} did not hold at the lowest load"),
            (Answer::Unknown(why) | Answer::Invalid(why), _) => why.clone(),
            (_, Some((share, words))) if *share >= 0.995 => format!("{words} (> 99%)"),
            (_, Some((share, words))) => format!("{words} ({:.0}%)", share * 100.0),
            (_, None) => "not told".into(),
        }
    }

    /// Operations a second at a load, between the points of the curve; an arrival may be several of them.
    pub(crate) fn throughput(&self, load: f64) -> Option<f64> {
        let above = self.curve.iter().position(|(at, _)| *at >= load)?;
        let (b, y) = self.curve[above];
        let (a, x) = if above == 0 { (0.0, 0.0) } else { self.curve[above - 1] };
        Some(if b > a { x + (y - x) * (load - a) / (b - a) } else { y })
    }

    /// What had to hold, the breaking predicate left out.
    pub(crate) fn targets(&self) -> String {
        let breaking = self.breaking.as_ref().map(|edge| edge.predicate.as_str());
        let mut names: Vec<&str> = Vec::new();
        for name in &self.predicates {
            // the breaking predicate stands last and may have a target's name
            if !names.contains(&name.as_str()) && (Some(name.as_str()) != breaking) {
                names.push(name);
            }
        }
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_finding_comes_back_as_it_was() {
        let body = json!({
            "unit": "arrivals per second",
            "answer": {"kind": "edge", "edge": {"estimate": 749.0, "low": 740.0, "high": null, "predicate": "p99 <= 100ms", "shape": "cliff"}},
            "predicates": ["p99 <= 100ms", "errors <= 1%", "errors <= 5%"],
            "recommended": 592.0, "headroom": 0.2,
            "confidence": {"probability": 0.93, "words": "high"},
            "breaking": {"estimate": 800.0, "low": 780.0, "high": 820.0, "predicate": "errors <= 5%", "shape": "slope"},
            "trials": 31,
            "curve": [{"load": 100.0, "throughput": 300.0}, {"load": 200.0, "throughput": 500.0}],
        });
        let found = read(&body).unwrap();
        assert_eq!((found.words(), found.sure()), ("749/s".into(), "high (93%)".into()));
        assert_eq!(found.bounds(), Some((740.0, f64::INFINITY)));
        assert_eq!(found.targets(), "p99 <= 100ms, errors <= 1%");
        assert_eq!(
            [50.0, 100.0, 150.0, 300.0].map(|load| found.throughput(load)),
            [Some(150.0), Some(300.0), Some(400.0), None]
        );
        assert!(matches!(&found.answer, Answer::Edge(edge) if edge.cliff));
        let none = json!({"unit": "users", "answer": {"kind": "no_edge", "highest": 50}});
        assert_eq!(read(&none).unwrap().words(), "at least 50 users");
    }

    #[test]
    fn what_is_no_finding_is_none() {
        for body in [
            json!({}),
            json!(3),
            json!({"answer": {"kind": "edge"}}),
            json!({"answer": {"kind": "no_edge", "highest": "x"}}),
        ] {
            assert_eq!(read(&body), None, "{body}");
        }
    }
}
