//! What was demanded, band by band, each judged on its own.
//!
//! Place in the flow: the verdict of a threshold is that of its last band; a document of requirements has a row for each
//! band, and the `target` may be missed where the `acceptable` is met. So a record is read with [`by_band`], which puts a
//! threshold that ends with each band before the whole one; the criteria then judge them as any other. Invariants: every
//! band is judged by the same rules and from the same windows as the last one; the verdict of a run ([`verdict`]) rests on
//! last bands alone.

use crate::source::Source;
use crate::verdict::{Assessment, Judgement, Unit, Verdict};
use crucible_core::threshold::{LimitUnit, Measure, Subject, Threshold, ValueMeasure};
use crucible_record::{RunStarted, TestMeta};

/// One band of one threshold on one subject.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Name of the band, as in `target`; empty where the threshold cannot be read.
    pub band: String,
    /// The demand in words: `at most 500ms`.
    pub limit: String,
    /// What came out.
    pub judgement: Judgement,
    /// How it is judged, in words.
    pub method: &'static str,
    /// Whether it is demanded of what a monitor reads.
    pub of_series: bool,
    /// Whether it is the last band of its threshold: what the verdict of the run rests on.
    pub decides: bool,
}

/// The same run with a threshold for each band: `p95 target<=1s acceptable<=2s` is preceded by `p95 target<=1s`.
pub fn by_band(started: &RunStarted) -> RunStarted {
    let mut started = started.clone();
    for test in &mut started.tests {
        let whole = std::mem::take(&mut test.thresholds);
        test.thresholds = whole.iter().flat_map(|text| bands_of(text)).collect();
    }
    started
}

fn bands_of(text: &str) -> Vec<String> {
    let Ok(threshold) = text.parse::<Threshold>() else { return vec![text.to_owned()] };
    let cut = |length: usize| {
        let bands = threshold.bands[..length].to_vec();
        Threshold { bands, ..threshold.clone() }.to_string()
    };
    // the whole one as it stands in the record, to the byte
    (1..threshold.bands.len()).map(cut).chain([text.to_owned()]).collect()
}

/// The threshold that a judgement is of.
fn threshold(judgement: &Judgement) -> Option<Threshold> {
    judgement.threshold.as_ref()?.parse().ok()
}

/// Whether `wish` is what `whole` demands first: the same with fewer bands.
fn begins(wish: &Threshold, whole: &Threshold) -> bool {
    let same = Threshold { bands: wish.bands.clone(), ..whole.clone() };
    same == *wish && wish.bands.len() < whole.bands.len() && whole.bands.starts_with(&wish.bands)
}

/// The demands of a test in the order of the plan, each band of a subject after the one before it.
pub fn demands(judgements: &[Judgement]) -> Vec<Demand> {
    let own: Vec<(&Judgement, Option<Threshold>)> =
        judgements.iter().filter(|it| it.threshold.is_some()).map(|it| (it, threshold(it))).collect();
    let mut out = Vec::new();
    for (judgement, whole) in &own {
        let Some(whole) = whole else {
            let (band, limit, judgement) = (String::new(), String::new(), (*judgement).clone());
            out.push(Demand {
                band,
                limit,
                judgement,
                method: "not judged",
                of_series: false,
                decides: true,
            });
            continue;
        };
        if own.iter().any(|(_, other)| other.as_ref().is_some_and(|other| begins(whole, other))) {
            // it stands with the whole threshold that it begins
            continue;
        }
        let wishes = own.iter().filter(|(wish, text)| {
            wish.subject == judgement.subject && text.as_ref().is_some_and(|text| begins(text, whole))
        });
        out.extend(wishes.filter_map(|(wish, text)| demand(wish, text.as_ref()?, false)));
        out.extend(demand(judgement, whole, true));
    }
    out
}

fn demand(judgement: &Judgement, threshold: &Threshold, decides: bool) -> Option<Demand> {
    let band = threshold.bands.last()?;
    Some(Demand {
        band: band.name.clone(),
        limit: limit_words(threshold, band.limit, judgement.unit),
        judgement: judgement.clone(),
        method: method(threshold),
        of_series: matches!(threshold.subject, Subject::Series { .. }),
        decides,
    })
}

/// The verdict of a run that was read with [`by_band`]: the worst judgement, wishes left out.
pub fn verdict(assessment: &Assessment) -> Verdict {
    let of_tests = assessment.tests.iter().map(|test| {
        let wish = |one: &Judgement| {
            threshold(one).is_some_and(|own| {
                test.judgements.iter().filter_map(threshold).any(|other| begins(&own, &other))
            })
        };
        Verdict::worst(test.judgements.iter().filter(|one| !wish(one)).map(|one| one.verdict))
    });
    let tests = Verdict::worst(of_tests);
    assessment.run.iter().map(|one| one.verdict).max().map_or(tests, |run| run.max(tests))
}

/// One demand of a test that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untested {
    /// Whom it concerns: `all steps`, `each step`, a step's name, `api.cpu`.
    pub subject: String,
    /// The figure.
    pub measure: String,
    /// Bands in order, each with its demand in words.
    pub bands: Vec<(String, String)>,
}

/// What a test demands, from its description alone. Unreadable thresholds stand with their text.
pub fn untested(started: &RunStarted, test: &TestMeta) -> Vec<Untested> {
    let one = |text: &String| match text.parse::<Threshold>() {
        Err(_) => Untested { subject: text.clone(), measure: String::new(), bands: Vec::new() },
        Ok(threshold) => {
            let (unit, own) = unit_of(&threshold, started);
            let band = |band: &crucible_core::threshold::Band| {
                let shown = limit_words(&threshold, band.limit, unit);
                (band.name.clone(), if own.is_empty() { shown } else { format!("{shown} {own}") })
            };
            Untested {
                subject: subject_words(&threshold.subject),
                measure: measure_words(&threshold, unit),
                bands: threshold.bands.iter().map(band).collect(),
            }
        }
    };
    test.thresholds.iter().map(one).collect()
}

fn unit_of(threshold: &Threshold, started: &RunStarted) -> (Unit, String) {
    match threshold.measure.unit() {
        LimitUnit::Duration => (Unit::Duration, String::new()),
        LimitUnit::Share => (Unit::Share, String::new()),
        LimitUnit::Rate => (Unit::PerSecond, String::new()),
        LimitUnit::Number => Source::of(&threshold.subject, started).unit(started),
    }
}

fn subject_words(subject: &Subject) -> String {
    match subject {
        Subject::All => "all steps".into(),
        Subject::Each => "each step".into(),
        Subject::Step(name) | Subject::Measure(name) => name.clone(),
        Subject::Scenario(name) => format!("scenario {name}"),
        Subject::Series { component, name } => format!("{component}.{name}"),
    }
}

fn measure_words(threshold: &Threshold, unit: Unit) -> String {
    let name = match &threshold.measure {
        Measure::Value(ValueMeasure::Above(limit), _) => format!("time above {}", unit.show(*limit)),
        Measure::Value(ValueMeasure::Below(limit), _) => format!("time below {}", unit.show(*limit)),
        measure => measure.name(),
    };
    threshold.over.map_or(name.clone(), |over| format!("{name} over {over}"))
}

fn limit_words(threshold: &Threshold, limit: f64, unit: Unit) -> String {
    let side = match threshold.measure.better() {
        crucible_core::threshold::Better::Lower => "at most",
        crucible_core::threshold::Better::Higher => "at least",
    };
    format!("{side} {}", unit.show(limit))
}

/// How a threshold is judged, for people.
pub const fn method(threshold: &Threshold) -> &'static str {
    if threshold.over.is_some() {
        return "every stretch of time on its own";
    }
    match &threshold.measure {
        Measure::Percentile(_) | Measure::ServicePercentile(_) => {
            "share of operations beyond the limit, bound at 95 %, corrected for clumps"
        }
        Measure::Errors | Measure::ErrorsOf(_) | Measure::Checks | Measure::Dropped => {
            "share with its bound at 95 %, corrected for clumps"
        }
        Measure::Average | Measure::Throughput => "mean over windows with its bound at 95 %",
        Measure::Min | Measure::Max => "extreme of all operations: a fact of the run",
        Measure::Stddev => "standard deviation of all operations",
        Measure::Value(value, _) => match value {
            ValueMeasure::Total | ValueMeasure::Last | ValueMeasure::Min | ValueMeasure::Max => {
                "fact of the run"
            }
            ValueMeasure::Above(_) | ValueMeasure::Below(_) => {
                "longest stretch of readings, what was not read counted against it"
            }
            _ => "values with their bound at 95 %; of readings their mean",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::TestAssessment;

    const P95: &str = "* p95 target<=500ms acceptable<=1s";

    fn judged(subject: &str, text: &str, verdict: Verdict) -> Judgement {
        let mut judgement = Judgement::new("thresholds", subject, "p95", verdict, "");
        judgement.threshold = Some(text.to_owned());
        judgement.unit = Unit::Duration;
        judgement
    }

    #[test]
    fn a_threshold_is_preceded_by_those_that_end_with_its_earlier_bands() {
        let check = |text: &str, expected: &[&str]| assert_eq!(bands_of(text), expected);
        check(P95, &["* p95 target<=500ms", P95]);
        check("* errors target<=1%", &["* errors target<=1%"]);
        check(
            "\"a b\" p99 x<=1s y<=2s z<=3s over 30s abort",
            &[
                "\"a b\" p99 x<=1s over 30s abort",
                "\"a b\" p99 x<=1s y<=2s over 30s abort",
                "\"a b\" p99 x<=1s y<=2s z<=3s over 30s abort",
            ],
        );
        check("of a newer version", &["of a newer version"]);
    }

    #[test]
    fn bands_of_a_subject_stand_together_and_the_last_one_decides() {
        let (wish, whole) = ("each p95 target<=500ms", "each p95 target<=500ms acceptable<=1s");
        let list = [
            judged("read", wish, Verdict::Fail),
            judged("write", wish, Verdict::Inconclusive),
            judged("read", whole, Verdict::Pass),
            judged("write", whole, Verdict::Pass),
            judged("thresholds", "of a newer version", Verdict::Inconclusive),
        ];
        let said: Vec<String> = demands(&list)
            .iter()
            .map(|it| {
                format!(
                    "{} {} {} {} {}",
                    it.judgement.subject, it.band, it.limit, it.judgement.verdict, it.decides
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                "read target at most 500ms fail false",
                "read acceptable at most 1.00s pass true",
                "write target at most 500ms inconclusive false",
                "write acceptable at most 1.00s pass true",
                "thresholds   inconclusive true",
            ]
        );
    }

    #[test]
    fn a_wish_that_is_missed_does_not_fail_the_run() {
        let test = |judgements| TestAssessment { name: "t".into(), verdict: Verdict::Fail, judgements };
        let of = |judgements| Assessment {
            verdict: Verdict::Fail,
            tests: vec![test(judgements)],
            run: Vec::new(),
        };
        let wish = judged("all steps", "* p95 target<=500ms", Verdict::Fail);
        let whole = judged("all steps", P95, Verdict::Pass);
        assert_eq!(verdict(&of(vec![wish.clone(), whole])), Verdict::Pass);
        assert_eq!(verdict(&of(vec![wish])), Verdict::Fail, "alone it is no wish");
        assert_eq!(verdict(&of(Vec::new())), Verdict::Inconclusive);
    }
}
