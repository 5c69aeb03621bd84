use super::*;
use proptest::prelude::*;

fn full() -> Threshold {
    Threshold {
        subject: Subject::Step("run python".into()),
        measure: Measure::Percentile(0.95),
        bands: vec![
            Band { name: "target".into(), limit: 500e6 },
            Band { name: "acceptable".into(), limit: 1e9 },
        ],
        over: Some(Ns::from_secs(30)),
        abort: true,
        after: Ns::from_secs(10),
        implied: true,
    }
}

#[test]
fn canonical_text_reads_like_a_sentence() {
    let check = |threshold: Threshold, expected: &str| {
        assert_eq!(threshold.to_string(), expected);
        assert_eq!(expected.parse(), Ok(threshold), "{expected}");
    };
    let one = |subject, measure, limit| Threshold {
        subject,
        measure,
        bands: vec![Band { name: "target".into(), limit }],
        over: None,
        abort: false,
        after: Ns::ZERO,
        implied: false,
    };
    check(full(), "\"run python\" p95 target<=500ms acceptable<=1s over 30s abort after 10s implied");
    check(one(Subject::All, Measure::Errors, 0.007), "* errors target<=0.7%");
    check(one(Subject::All, Measure::Percentile(0.999), 1.5e9), "* p99.9 target<=1.5s");
    check(one(Subject::Each, Measure::Checks, 1.0), "each checks target>=100%");
    check(one(Subject::Each, Measure::ErrorsOf(ErrorClass::Timeout), 0.0), "each errors.timeout target<=0%");
    check(one(Subject::Scenario("a \"b\"\n".into()), Measure::Throughput, 100.0), {
        "scenario \"a \\\"b\\\"\\n\" throughput target>=100/s"
    });
    let value = |value, better| Measure::Value(value, better);
    check(
        one(Subject::Measure("worker".into()), value(ValueMeasure::Mark("a b".into()), Better::Higher), 0.45),
        "measure \"worker\" mark \"a b\" target>=45%",
    );
    check(
        one(
            Subject::Series { component: "api".into(), name: "cpu".into() },
            value(ValueMeasure::Above(0.7), Better::Lower),
            300e9,
        ),
        "series \"api\" \"cpu\" above 0.7 target<=300s",
    );
    check(
        one(
            Subject::Series { component: "api".into(), name: "memory".into() },
            value(ValueMeasure::Leak, Better::Lower),
            0.0,
        ),
        "series \"api\" \"memory\" leak target<=0",
    );
    check(
        one(Subject::Measure("depth".into()), value(ValueMeasure::Min, Better::Higher), -2.5),
        "measure \"depth\" min target>=-2.5",
    );
    check(
        one(Subject::Step("*".into()), Measure::ServicePercentile(0.5), 0.0),
        "\"*\" service.p50 target<=0ns",
    );
}

#[test]
fn texts_that_are_no_thresholds_are_refused_in_words() {
    for (text, part) in [
        ("", "no subject"),
        ("* p95", "without a limit"),
        ("* p95 target<=5", "no limit of p95"),
        ("* p100 target<=5s", "below p100"),
        ("* p95 target>=5s", "<= is missing"),
        ("* p95 target<=5s over", "no span of time"),
        ("* p95 target<=5s sometimes", "no option"),
        ("* latency target<=5s", "no measure"),
        ("\"a p95 target<=5s", "no end"),
        ("\"a\\q\" p95 target<=5s", "escape"),
        ("\"\\u{110000}\" p95 target<=5s", "escape"),
        ("scenario a p95 target<=5s", "quotes"),
        ("measure \"a\" p95x target<=5", "no measure"),
        ("measure \"a\" above x target<=5s", "no number"),
        ("measure a total target<=5", "quotes"),
        ("series \"a\" total target<=5", "quotes"),
        ("measure \"a\" total target<=5 worse>=6", "<= is missing"),
        ("* p95 target<=99999999999999999999999999s over 99999999999999999999s", "no span of time"),
    ] {
        let got = text.parse::<Threshold>();
        assert!(got.clone().is_err_and(|e| e.0.contains(part)), "{text}: {got:?}");
    }
}

#[test]
fn limits_for_people() {
    let check = |measure: Measure, value: f64, limit: &str, shown: &str| {
        assert_eq!((measure.show_limit(value).as_str(), measure.show_value(value).as_str()), (limit, shown));
    };
    check(Measure::Average, 500e6, "500ms", "500ms");
    check(Measure::Average, 1e9, "1s", "1.00s");
    check(Measure::Average, 90e9, "90s", "1m30s");
    check(Measure::Average, 123_456_789.0, "123ms", "123ms");
    check(Measure::Errors, 0.001, "0.1%", "0.10%");
    check(Measure::Throughput, 1500.0, "1500/s", "1,500/s");
    check(Measure::Max, f64::NAN, "-", "-");
}

#[test]
fn measures_and_their_names_are_inverse_and_mistakes_are_told() {
    for word in Measure::WORDS {
        let name = Measure::parse(word).unwrap().name();
        assert!(name == word || (word == "med" && name == "p50"), "{word} {name}");
    }
    for class in ErrorClass::ALL.iter().skip(1) {
        let measure = Measure::ErrorsOf(*class);
        assert_eq!(Measure::parse(&measure.name()), Ok(measure));
    }
    for (word, part) in [
        ("p0", "below p100"),
        ("p100", "below p100"),
        ("p", "known here"),
        ("p9x", "did you mean"),
        ("errors.none", "known here"),
        ("errors.timeot", "`timeout`"),
        ("service.max", "service.p95"),
        ("trougput", "`throughput`"),
    ] {
        let got = Measure::parse(word);
        assert!(got.clone().is_err_and(|hint| hint.contains(part)), "{word}: {got:?}");
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ \"\\\\<>=*\\n\\t\\r\\u{0}\\u{85}\\u{2028}]{0,12}",
        Just("over".to_owned()),
        Just("each".to_owned()),
        Just("scenario \"x\"".to_owned()),
        Just(String::new()),
    ]
}

fn share() -> impl Strategy<Value = f64> {
    prop_oneof![
        (1u32..10_000).prop_map(|n| f64::from(n) / 10_000.0),
        any::<f64>().prop_map(|x| x.abs() % 1.0).prop_filter("in (0, 1)", |x| *x > 1e-300),
    ]
}

fn value_measure() -> impl Strategy<Value = ValueMeasure> {
    let number = || any::<f64>().prop_filter("finite", |x| x.is_finite());
    prop_oneof![
        Just(ValueMeasure::Total),
        Just(ValueMeasure::Rate),
        Just(ValueMeasure::Last),
        Just(ValueMeasure::Average),
        Just(ValueMeasure::Min),
        Just(ValueMeasure::Max),
        share().prop_map(ValueMeasure::Percentile),
        Just(ValueMeasure::Share),
        name().prop_map(ValueMeasure::Mark),
        Just(ValueMeasure::Split),
        number().prop_map(ValueMeasure::Above),
        number().prop_map(ValueMeasure::Below),
    ]
}

/// A subject and a figure that it can have.
fn about() -> impl Strategy<Value = (Subject, Measure)> {
    let steps = prop_oneof![
        Just(Subject::All),
        Just(Subject::Each),
        name().prop_map(Subject::Step),
        name().prop_map(Subject::Scenario),
    ];
    let values = prop_oneof![
        name().prop_map(Subject::Measure),
        (name(), name()).prop_map(|(component, name)| Subject::Series { component, name }),
    ];
    let better = prop_oneof![Just(Better::Lower), Just(Better::Higher)];
    let value = (value_measure(), better).prop_map(|(value, better)| Measure::Value(value, better));
    prop_oneof![(steps, measure()), (values, value)]
}

fn measure() -> impl Strategy<Value = Measure> {
    prop_oneof![
        share().prop_map(Measure::Percentile),
        share().prop_map(Measure::ServicePercentile),
        Just(Measure::Average),
        Just(Measure::Min),
        Just(Measure::Max),
        Just(Measure::Stddev),
        Just(Measure::Errors),
        (1usize..ErrorClass::COUNT).prop_map(|n| Measure::ErrorsOf(ErrorClass::ALL[n])),
        Just(Measure::Throughput),
        Just(Measure::Checks),
        Just(Measure::Dropped),
    ]
}

fn limit() -> impl Strategy<Value = f64> {
    prop_oneof![
        (0u64..1 << 53).prop_map(|n| n as f64),
        0.0..2.0,
        any::<f64>().prop_map(f64::abs).prop_filter("finite", |x| x.is_finite()),
    ]
}

prop_compose! {
    fn threshold()(
        (subject, measure) in about(),
        bands in prop::collection::vec((name(), limit()), 1..5),
        over in prop::option::of(any::<u64>().prop_map(Ns)),
        abort in any::<bool>(),
        after in any::<u64>().prop_map(Ns),
        implied in any::<bool>(),
    ) -> Threshold {
        let bands = bands.into_iter().map(|(name, limit)| Band { name, limit }).collect();
        Threshold { subject, measure, bands, over, abort, after, implied }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn text_and_threshold_are_inverse(threshold in threshold()) {
        let text = threshold.to_string();
        prop_assert!(!text.contains('\n'), "one line");
        prop_assert_eq!(text.parse::<Threshold>(), Ok(threshold), "{}", text);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), tail in any::<String>()) {
        let _ = text.parse::<Threshold>();
        let _ = format!("\"{text}\" p95 {tail}").parse::<Threshold>();
        let _ = format!("measure \"a\" {text} target<={tail}").parse::<Threshold>();
        let _ = ValueMeasure::parse(&text);
        let _ = format!("* {text} target<={tail}").parse::<Threshold>();
        let _ = Measure::parse(&text);
        let _ = Measure::Errors.parse_limit(&text);
    }
}
