//! Laws of users: their scenarios and their time tables.

use crucible_core::{Ns, Share};
use crucible_schedule::{Curve, Mix, Piece, UserSpan, user_spans};
use proptest::prelude::*;

fn curve(pieces: &[(u32, u32, u64)]) -> Curve {
    let piece = |(from, to, ms): &(u32, u32, u64)| {
        Piece::ramp(f64::from(*from), f64::from(*to), Ns::from_millis(*ms))
    };
    Curve { pieces: pieces.iter().map(piece).collect() }
}

#[test]
fn time_tables_of_simple_curves() {
    let check = |pieces: &[(u32, u32, u64)], expected: &[(u64, u64, u64)]| {
        let span = |(user, from, to): &(u64, u64, u64)| UserSpan {
            user: *user,
            from: Ns::from_millis(*from),
            to: Ns::from_millis(*to),
        };
        let expected: Vec<UserSpan> = expected.iter().map(span).collect();
        assert_eq!(user_spans(&curve(pieces), Share::ALL), expected, "{pieces:?}");
    };
    check(&[(2, 2, 100)], &[(0, 0, 100), (1, 0, 100)]);
    check(&[(0, 2, 100), (2, 2, 50)], &[(0, 0, 150), (1, 50, 150)]);
    check(&[(2, 0, 100)], &[(0, 0, 100), (1, 0, 50)]);
    // Down and up again: only the highest stops; who stops and starts at one instant never stopped.
    check(&[(3, 1, 100), (1, 3, 100)], &[(0, 0, 200), (1, 0, 200), (2, 0, 50), (2, 150, 200)]);
    // Jumps, a pause, and a piece that takes no time.
    check(
        &[(1, 1, 10), (7, 9, 0), (3, 3, 10), (0, 0, 10), (1, 1, 10)],
        &[(0, 0, 20), (1, 10, 20), (2, 10, 20), (0, 30, 40)],
    );
    check(&[(0, 0, 10)], &[]);
    check(&[], &[]);
}

/// The lowest and highest number of users around an instant: crossings are rounded to the nanosecond.
fn bounds(users: &Curve, at: Ns) -> (u64, u64) {
    let values: Vec<f64> =
        [Ns(at.0.saturating_sub(2)), at, at + Ns(2)].iter().map(|t| users.at(*t)).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    ((low - 1e-6).ceil().max(0.0) as u64, (high + 1e-6).ceil() as u64)
}

fn curves() -> impl Strategy<Value = Curve> {
    prop::collection::vec((0u32..40, 0u32..40, 0u64..3000), 1..8).prop_map(|pieces| curve(&pieces))
}

proptest! {
    #[test]
    fn the_active_users_are_the_curve_rounded_up(
        users in curves(),
        instants in prop::collection::vec(0u64..20_000_000_000, 50),
    ) {
        let spans = user_spans(&users, Share::ALL);
        for at in instants.into_iter().map(Ns).filter(|at| *at < users.length()) {
            let mut active: Vec<u64> =
                spans.iter().filter(|span| span.from <= at && at < span.to).map(|span| span.user).collect();
            active.sort_unstable();
            let (low, high) = bounds(&users, at);
            prop_assert!((low..=high).contains(&(active.len() as u64)), "{} not in {low}..={high} at {at:?}", active.len());
            prop_assert!(active.iter().enumerate().all(|(index, user)| *user == index as u64), "highest stop first");
        }
    }

    #[test]
    fn spans_are_in_order_apart_and_split_by_share(users in curves()) {
        let whole = user_spans(&users, Share::ALL);
        prop_assert!(whole.windows(2).all(|pair| (pair[0].from, pair[0].user) < (pair[1].from, pair[1].user)));
        prop_assert!(whole.iter().all(|span| span.from < span.to && span.to <= users.length()));
        for user in 0..40 {
            let mine: Vec<&UserSpan> = whole.iter().filter(|span| span.user == user).collect();
            prop_assert!(mine.windows(2).all(|pair| pair[0].to < pair[1].from));
        }
        for of in [1, 2, 3, 7] {
            let mut union: Vec<UserSpan> = (0..of).flat_map(|index| user_spans(&users, Share { index, of })).collect();
            union.sort_by_key(|span| (span.from, span.user));
            prop_assert_eq!(&union, &whole);
        }
    }

    #[test]
    fn users_are_dealt_out_within_one_of_their_share(
        weights in prop_oneof![
            prop::collection::vec((1u32..200).prop_map(f64::from), 1..12),
            prop::collection::vec(0.001f64..100.0, 1..12),
        ],
    ) {
        let mix = Mix::new(&weights);
        let total: f64 = weights.iter().sum();
        let mut counts = vec![0u64; weights.len()];
        for n in 1..=5000u64 {
            counts[mix.scenario_of_user(n - 1)] += 1;
            for (weight, count) in weights.iter().zip(&counts) {
                let share = n as f64 * weight / total;
                prop_assert!((share - *count as f64).abs() < 1.0, "{count} of {n}, share {share}, {weights:?}");
            }
        }
    }
}

#[test]
fn users_and_arrivals_by_weight() {
    let mix = Mix::new(&[70.0, 20.0, 10.0]);
    let dealt: Vec<usize> = (0..20).map(|user| mix.scenario_of_user(user)).collect();
    assert_eq!(dealt[..10], dealt[10..], "the deal repeats after 7 + 2 + 1 users");
    assert_eq!(dealt[..10], [0, 0, 1, 0, 0, 2, 0, 0, 1, 0]);
    // Exact over whole cycles, however many.
    let far: Vec<usize> = (999_990..1_000_000).map(|user| mix.scenario_of_user(user)).collect();
    assert_eq!(far, dealt[..10]);

    // Chi-square, 2 degrees of freedom, alpha = 0.001: 13.8.
    let mut counts = [0.0; 3];
    (0..100_000).for_each(|seq| counts[mix.scenario_of_arrival(42, seq)] += 1.0);
    let chi: f64 = counts
        .iter()
        .zip([70e3, 20e3, 10e3])
        .map(|(seen, wanted)| (seen - wanted) * (seen - wanted) / wanted)
        .sum();
    assert!(chi < 13.8, "{counts:?}");
}

#[test]
fn odd_weights_are_no_trouble() {
    let scenario = |weights: &[f64], user| Mix::new(weights).scenario_of_user(user);
    assert_eq!(scenario(&[], 5), 0);
    assert_eq!((scenario(&[0.0, 0.0], 0), scenario(&[0.0, 0.0], 1)), (0, 1));
    assert!((0..100).all(|user| scenario(&[0.0, 3.0, f64::NAN, -1.0], user) == 1));
    let lopsided = Mix::new(&[1e-300, 1e300, 0.0]);
    assert!((0..1000).all(|seq| lopsided.scenario_of_arrival(1, seq) == 1));
    let many = Mix::new(&vec![1.0; 3000]);
    assert_eq!(
        (0..3000).map(|user| many.scenario_of_user(user)).collect::<std::collections::HashSet<_>>().len(),
        3000
    );
}
