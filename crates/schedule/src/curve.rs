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
