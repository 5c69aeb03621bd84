//! Questions that a piecewise linear curve can answer.

use crate::{Curve, Piece};
use crucible_core::Ns;

impl Piece {
    /// A piece that stays at `value`.
    pub const fn flat(value: f64, length: Ns) -> Piece {
        Piece { length, from: value, to: value }
    }

    /// A piece that runs from `from` to `to`.
    pub const fn ramp(from: f64, to: f64, length: Ns) -> Piece {
        Piece { length, from, to }
    }

    /// The area below it, in value times seconds.
    pub fn integral(&self) -> f64 {
        (self.from + self.to) * (self.length.0 as f64) / 2e9
    }
}

impl Curve {
    /// A curve that stays at `value` for `length`.
    pub fn constant(value: f64, length: Ns) -> Curve {
        Curve { pieces: vec![Piece::flat(value, length)] }
    }

    /// When it ends.
    pub fn length(&self) -> Ns {
        self.pieces.iter().map(|piece| piece.length).sum()
    }

    /// The area below it: expected arrivals for a rate, user seconds for users.
    pub fn integral(&self) -> f64 {
        self.pieces.iter().map(Piece::integral).sum()
    }

    /// Its highest value; 0 if it has no pieces.
    pub fn max(&self) -> f64 {
        self.pieces.iter().filter(|p| p.length > Ns::ZERO).flat_map(|p| [p.from, p.to]).fold(0.0, f64::max)
    }

    /// The stretch in which it stays at its highest value, if there is only one and nothing comes before it but a rise to it
    /// and nothing after it but a fall: where a load is constant.
    pub fn plateau(&self) -> Option<(Ns, Ns)> {
        let top = self.max();
        let mut pieces = self.pieces.iter().filter(|piece| piece.length > Ns::ZERO).peekable();
        let flat = |piece: &Piece| piece.from == top && piece.to == top;
        // a lower load that is held is a load of its own
        let held = |piece: &Piece| piece.from == piece.to && piece.to > 0.0;
        let (mut from, mut last) = (Ns::ZERO, 0.0);
        while let Some(piece) = pieces.next_if(|piece| !flat(piece)) {
            if piece.from < last || piece.to < piece.from || held(piece) {
                return None;
            }
            (from, last) = (from + piece.length, piece.to);
        }
        let mut to = from;
        while let Some(piece) = pieces.next_if(|piece| flat(piece)) {
            to += piece.length;
        }
        last = top;
        for piece in pieces {
            if piece.from > last || piece.to > piece.from || held(piece) {
                return None;
            }
            last = piece.to;
        }
        (top > 0.0 && to > from).then_some((from, to))
    }

    /// Its value just after `t`; 0 from its end on.
    pub fn at(&self, t: Ns) -> f64 {
        let mut start = Ns::ZERO;
        for piece in &self.pieces {
            let end = start + piece.length;
            if t < end {
                let share = t.since(start).0 as f64 / piece.length.0 as f64;
                return piece.from + (piece.to - piece.from) * share;
            }
            start = end;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plateau_is_where_the_load_is_constant_and_was_nothing_higher_or_lower_in_between() {
        let check = |pieces: &[(f64, f64, u64)], expected: Option<(u64, u64)>| {
            let piece =
                |(from, to, seconds): &(f64, f64, u64)| Piece::ramp(*from, *to, Ns::from_secs(*seconds));
            let curve = Curve { pieces: pieces.iter().map(piece).collect() };
            let expected = expected.map(|(from, to)| (Ns::from_secs(from), Ns::from_secs(to)));
            assert_eq!(curve.plateau(), expected, "{pieces:?}");
        };
        check(&[(5.0, 5.0, 10)], Some((0, 10)));
        check(&[(0.0, 5.0, 3), (5.0, 5.0, 10), (5.0, 0.0, 2)], Some((3, 13)));
        check(&[(0.0, 0.0, 2), (0.0, 2.0, 3), (2.0, 5.0, 3), (5.0, 5.0, 10)], Some((8, 18)));
        check(&[(0.0, 2.0, 3), (2.0, 2.0, 4), (2.0, 5.0, 3), (5.0, 5.0, 10)], None);
        check(&[(5.0, 5.0, 10), (5.0, 5.0, 0), (5.0, 5.0, 7)], Some((0, 17)));
        // a spike, a valley, a ramp without an end, nothing
        check(&[(5.0, 5.0, 10), (9.0, 9.0, 2), (5.0, 5.0, 10)], None);
        check(&[(5.0, 5.0, 10), (1.0, 1.0, 2), (5.0, 5.0, 10)], None);
        check(&[(5.0, 2.0, 4), (5.0, 5.0, 10)], None);
        check(&[(0.0, 5.0, 10)], None);
        check(&[(0.0, 0.0, 10)], None);
        check(&[], None);
    }
}
