//! A load in words, and the figures that people and records want of it.

use crate::{Curve, Iterations, Load, LoadPhase, Pacing, Piece, Spacing, expected, words};
use crucible_core::Ns;

impl Load {
    /// One line for people: `50 users for 2m after a 10s ramp`. Made from the phases alone, whatever their origin.
    pub fn describe(&self) -> String {
        let mut text = match self.phases.as_slice() {
            [] => "no load".to_owned(),
            [phase] => phase.describe(),
            phases => levels(phases).unwrap_or_else(|| {
                let each: Vec<String> = phases.iter().map(LoadPhase::describe).collect();
                words::list(&each)
            }),
        };
        if self.start_delay > Ns::ZERO {
            text += &format!(", after a wait of {}", words::span(self.start_delay));
        }
        text
    }

    /// Most users at once, over all phases and shares.
    pub fn max_users(&self) -> u64 {
        self.phases.iter().map(LoadPhase::max_users).max().unwrap_or(0)
    }

    /// Planned length: start delay and phases, without the graceful stop. Phases that end by count may be shorter.
    pub fn length(&self) -> Ns {
        self.start_delay + self.phases.iter().map(|phase| phase.length).sum()
    }
}

impl LoadPhase {
    /// The phase in words, as [`Load::describe`] puts it.
    fn describe(&self) -> String {
        match &self.pacing {
            Pacing::Open { rate, spacing, .. } => {
                let poisson = if *spacing == Spacing::Poisson { " (Poisson)" } else { "" };
                shape(rate, |value| words::rate(value) + poisson)
            }
            Pacing::Closed { users, iterations: None } => shape(users, words::users),
            Pacing::Closed { users, iterations: Some(Iterations::Shared(count)) } => {
                format!("{} by {}", iterations(*count), words::users(users.max()))
            }
            Pacing::Closed { users, iterations: Some(Iterations::PerUser(count)) } => {
                format!("{} by each of {}", iterations(*count), words::users(users.max()))
            }
        }
    }

    /// Most users at once, over all shares.
    pub fn max_users(&self) -> u64 {
        match &self.pacing {
            Pacing::Open { max_users, .. } => *max_users,
            Pacing::Closed { users, .. } => users.max().ceil() as u64,
        }
    }

    /// From when to when, since its begin, the load is the same all the time, with nothing before it but a rise to it. `None`
    /// for a phase that ends by count too: its users stop one after the other.
    pub fn constant(&self) -> Option<(Ns, Ns)> {
        match &self.pacing {
            Pacing::Open { rate, .. } => rate.plateau(),
            Pacing::Closed { users, iterations: None } => users.plateau(),
            Pacing::Closed { .. } => None,
        }
    }

    /// How many iterations the phase is to begin over all shares: for open load the arrivals of [`crate::Arrivals`]
    /// with the same seed, for closed load by count the count; `None` for closed load by time.
    pub fn expected(&self, seed: u64) -> Option<u64> {
        match &self.pacing {
            Pacing::Open { rate, spacing, .. } => Some(expected(rate, *spacing, seed)),
            Pacing::Closed { iterations: Some(Iterations::Shared(count)), .. } => Some(*count),
            Pacing::Closed { iterations: Some(Iterations::PerUser(count)), .. } => {
                Some(count.saturating_mul(self.max_users()))
            }
            Pacing::Closed { iterations: None, .. } => None,
        }
    }
}

fn iterations(count: u64) -> String {
    if count == 1 {
        "1 iteration".into()
    } else {
        format!("{} iterations", crucible_core::units::group(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

fn is_flat(piece: &Piece) -> bool {
    piece.from == piece.to
}

/// A curve in words: flat with an optional ramp up and down, or just its peak and length.
fn shape(curve: &Curve, level: impl Fn(f64) -> String) -> String {
    let pieces: Vec<Piece> = curve.pieces.iter().copied().filter(|piece| piece.length > Ns::ZERO).collect();
    let (up, rest) = match pieces.as_slice() {
        [up, rest @ ..] if up.from == 0.0 && up.to > 0.0 && !rest.is_empty() => (Some(*up), rest),
        rest => (None, rest),
    };
    let meets = |flat: &Piece| is_flat(flat) && up.is_none_or(|up| up.to == flat.from);
    let (flat, down) = match rest {
        [flat] if meets(flat) => (flat, None),
        [flat, down] if meets(flat) && down.from == flat.to && down.to == 0.0 => (flat, Some(down)),
        _ => {
            let stages = if pieces.len() == 1 { "a ramp".into() } else { format!("{} stages", pieces.len()) };
            return format!("up to {} over {} in {stages}", level(curve.max()), words::span(curve.length()));
        }
    };
    let mut text = format!("{} for {}", level(flat.from), words::span(flat.length));
    if let Some(up) = up {
        text += &format!(" after a {} ramp", words::span(up.length));
    }
    if let Some(down) = down {
        text += &format!(", then down in {}", words::span(down.length));
    }
    text
}

/// Phases that differ in their level alone: `5, 10, 20 users for 30s each`.
fn levels(phases: &[LoadPhase]) -> Option<String> {
    let first = phases.first()?;
    let same_length = phases.iter().all(|phase| phase.length == first.length);
    let mut values = Vec::new();
    let mut counts = Vec::new();
    for phase in phases {
        let (curve, text): (&Curve, fn(f64) -> String) = match &phase.pacing {
            Pacing::Open { rate, .. } => (rate, words::rate),
            Pacing::Closed { users, iterations } => {
                match iterations {
                    Some(Iterations::Shared(count)) => counts.push(count.to_string()),
                    Some(Iterations::PerUser(_)) => return None,
                    None => {}
                }
                (users, |value| crucible_core::units::group(value.ceil() as i64))
            }
        };
        let [piece] = curve.pieces.as_slice() else { return None };
        values.push(is_flat(piece).then(|| text(piece.from))?);
    }
    let same_kind = |other: &LoadPhase| match (&first.pacing, &other.pacing) {
        (Pacing::Open { spacing, .. }, Pacing::Open { spacing: other, .. }) => spacing == other,
        (Pacing::Closed { .. }, Pacing::Closed { .. }) => true,
        _ => false,
    };
    if !phases.iter().all(same_kind) {
        return None;
    }
    let unit = match first.pacing {
        Pacing::Closed { .. } => " users",
        Pacing::Open { spacing: Spacing::Poisson, .. } => " (Poisson)",
        Pacing::Open { spacing: Spacing::Even, .. } => "",
    };
    let values = words::list(&values);
    match counts.len() {
        0 if same_length => Some(format!("{values}{unit} for {} each", words::span(first.length))),
        n if n == phases.len() => Some(format!("{values}{unit} for {} iterations", words::list(&counts))),
        _ => None,
    }
}
