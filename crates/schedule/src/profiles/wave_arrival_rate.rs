//! Open load that swings around a mean, as the hours of a day do.
//!
//! The wave is a sine in straight pieces; its values come from rotating a unit vector by a fixed angle, which uses
//! additions and products alone and so is the same on every platform to the bit.

use super::keys::{ARRIVALS, FOR, GRACEFUL_STOP, MAX_VUS, PATIENCE, PERIOD, RATE_ONE, START_DELAY, SWING};
use super::reading::{self, Files, Open};
use super::{Profile, is_list};
use crate::{Curve, Load, Piece, words};
use crucible_core::{Fields, Ns};

pub(super) const PROFILE: Profile = Profile {
    name: "wave-arrival-rate",
    doc: "an arrival rate that swings around its mean as a sine does, as over the hours of a day",
    example: "{rate: 100/s, swing: 60%, period: 10m, for: 1h}",
    keys: &[RATE_ONE, SWING, PERIOD, FOR, ARRIVALS, MAX_VUS, PATIENCE, START_DELAY, GRACEFUL_STOP],
    reads: |fields| fields.has("swing") && !is_list(fields, "rate"),
    read,
};

/// Pieces of one period: the chord is off by at most 0.13 % of the swing.
const PIECES: u64 = 64;
/// Cosine and sine of a 64th of a circle.
const TURN: (f64, f64) = (0.995_184_726_672_196_9, 0.098_017_140_329_560_6);
/// Most periods of a load.
const PERIODS_MAX: u64 = 2_000;

fn read(fields: &Fields<'_>, _: Files<'_>) -> Option<Load> {
    let mean = reading::value(fields, "rate", |text| reading::parse_rate(text, false));
    let swing = reading::needed(fields, "swing", "", || fields.share("swing"));
    let period = reading::span(fields, "period", "say how long one wave takes: `period: 24h`");
    let whole = reading::span(fields, "for", "say how long the load lasts: `for: 24h`");
    let open = Open::read(fields);
    let phase = (|| {
        let (mean, swing, period, whole, open) = (mean?, swing?, period?, whole?, open?);
        if whole.0 / period.0 > PERIODS_MAX || period.0 < PIECES {
            fields.error("period", format!("more than {PERIODS_MAX} waves"), "write a longer period");
            return None;
        }
        let curve = Curve { pieces: wave(mean, swing, period, whole) };
        let peak = mean * (1.0 + swing);
        let name = format!("{} to {}", words::rate(mean * (1.0 - swing)), words::rate(peak));
        Some(vec![open.phase(name, curve, peak, Vec::new())])
    })();
    reading::load(PROFILE.name, fields, phase)
}

fn wave(mean: f64, swing: f64, period: Ns, whole: Ns) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut at, mut number) = (Ns::ZERO, 0u64);
    let mut turned = (1.0, 0.0);
    while at < whole {
        // instants from the whole number of pieces: they do not drift
        let (rounds, part) = ((number + 1) / PIECES, (number + 1) % PIECES);
        let end =
            Ns(rounds * period.0 + (u128::from(period.0) * u128::from(part) / u128::from(PIECES)) as u64);
        let next = match part {
            0 => (1.0, 0.0),
            _ => (turned.0 * TURN.0 - turned.1 * TURN.1, turned.1 * TURN.0 + turned.0 * TURN.1),
        };
        let value = |point: (f64, f64)| (mean * (1.0 + swing * point.1)).max(0.0);
        let (from, to) = (value(turned), value(next));
        let length = end - at;
        if end > whole {
            let cut = whole - at;
            let share = cut.0 as f64 / length.0 as f64;
            pieces.push(Piece::ramp(from, from + (to - from) * share, cut));
        } else {
            pieces.push(Piece::ramp(from, to, length));
        }
        (at, turned, number) = (end, next, number + 1);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wave_is_a_sine_and_ends_where_it_began() {
        let (period, whole) = (Ns::from_secs(600), Ns::from_secs(1500));
        let curve = Curve { pieces: wave(100.0, 0.6, period, whole) };
        assert_eq!(curve.length(), whole);
        for second in (0..1500).step_by(7) {
            let truth = 100.0 * (1.0 + 0.6 * (f64::from(second) / 600.0 * std::f64::consts::TAU).sin());
            let value = curve.at(Ns::from_secs(second as u64));
            assert!((value - truth).abs() < 0.1, "{second}: {value} for {truth}");
        }
        // two whole waves and a half: the half above the mean has 2 / pi of the swing on top
        let expected = 100.0 * 1500.0 + 60.0 * 300.0 * 2.0 / std::f64::consts::PI;
        assert!((curve.integral() - expected).abs() < expected * 1e-3, "{}", curve.integral());
    }
}
