//! What the profiles have in common: reading keys so that every mistake is told, and putting a load together.

pub(super) mod stages;

use crate::{Curve, Load, LoadPhase, Pacing, Piece, Spacing};
use crucible_core::fields::suggest;
use crucible_core::{Fields, Node, Ns, units};

/// Gives the text of a file by its name in the plan. The error is for people.
pub type Files<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Most users.
pub(super) const MAX_USERS: u64 = 1_000_000;
/// Highest rate, per second.
pub(super) const MAX_RATE: f64 = 1e7;
/// Most iterations of one phase.
const MAX_ITERATIONS: u64 = 1_000_000_000_000;
/// Most entries of a list.
pub(super) const MAX_ITEMS: usize = 1_000;
/// Longest load.
const MAX_LENGTH: Ns = Ns::from_secs(366 * 86_400);
/// Most starts of users in one phase: bounds the memory of the timetable.
const MAX_STARTS: f64 = 1e7;

/// Notes an error of the whole table.
pub(super) fn table_error(fields: &Fields<'_>, message: impl Into<String>, hint: &str) {
    fields.diagnostics().error(fields.at, &fields.path, message, hint);
}

/// `read`, or a note that `key` is missing.
pub(super) fn needed<T>(
    fields: &Fields<'_>,
    key: &'static str,
    hint: &str,
    read: impl FnOnce() -> Option<T>,
) -> Option<T> {
    if fields.get(key).is_some() {
        return read();
    }
    fields.error(key, format!("`{key}` is missing"), hint);
    None
}

/// One value that must be there.
pub(super) fn value<T>(
    fields: &Fields<'_>,
    key: &'static str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    needed(fields, key, "", || fields.parse(key, read))
}

/// A duration that may be absent; `None` after a mistake.
pub(super) fn optional_span(fields: &Fields<'_>, key: &'static str, default: Ns) -> Option<Ns> {
    if fields.get(key).is_some() { fields.duration(key) } else { Some(default) }
}

/// A duration above zero that must be there.
pub(super) fn span(fields: &Fields<'_>, key: &'static str, hint: &str) -> Option<Ns> {
    let span = needed(fields, key, hint, || fields.duration(key))?;
    if span == Ns::ZERO {
        fields.error(key, "this takes no time", "write a duration above 0, as in 30s");
        return None;
    }
    Some(span)
}

/// `for` or `hold`: how long the full load lasts.
pub(super) fn full_load(fields: &Fields<'_>) -> Option<Ns> {
    let (has_for, has_hold) = (fields.get("for").is_some(), fields.get("hold").is_some());
    if has_for && has_hold {
        fields.error("hold", "`for` and `hold` both say how long the full load lasts", "keep one of the two");
        return None;
    }
    if has_hold {
        span(fields, "hold", "")
    } else {
        span(fields, "for", "say how long the full load lasts: `for: 30s`")
    }
}

/// Notes a number of users that is out of range.
fn check_users(count: u64, least: u64) -> Result<f64, String> {
    if count < least {
        Err("at least one user is needed: write 1 or more".into())
    } else if count > MAX_USERS {
        Err(format!("at most {} users", units::group(MAX_USERS as i64)))
    } else {
        Ok(count as f64)
    }
}

/// Reads a number of users from `least` (0 or 1) up.
pub(super) fn parse_users(text: &str, least: u64) -> Result<f64, String> {
    let count =
        text.replace('_', "").parse::<u64>().map_err(|_| "write a whole number, as in 50".to_owned())?;
    check_users(count, least)
}

/// Reads a rate above 0, or from 0 if `zero`.
pub(super) fn parse_rate(text: &str, zero: bool) -> Result<f64, String> {
    let rate = units::parse_rate(text)?;
    if rate > MAX_RATE {
        Err(format!("at most {}/s", units::group(MAX_RATE as i64)))
    } else if rate > 0.0 || (zero && rate == 0.0) {
        Ok(rate)
    } else {
        Err("nothing would ever be sent: write a rate above 0, as in 50/s".into())
    }
}

/// The items of a list, each read by `read`; every mistake is told at its item.
pub(super) fn items<T>(
    fields: &Fields<'_>,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let nodes = list(fields, key)?;
    let values: Vec<Option<T>> =
        nodes.iter().enumerate().map(|(index, node)| item(fields, key, index, node, &read)).collect();
    values.into_iter().collect()
}

/// The nodes of a list that is neither empty nor endless.
pub(super) fn list<'a>(fields: &Fields<'a>, key: &'static str) -> Option<&'a [Node]> {
    let nodes = needed(fields, key, "", || fields.list(key))?;
    if nodes.is_empty() {
        fields.error(key, "this list is empty", "write at least one item");
        return None;
    }
    if nodes.len() > MAX_ITEMS {
        fields.error(key, format!("this list has {} items", nodes.len()), format!("at most {MAX_ITEMS}"));
        return None;
    }
    Some(nodes)
}

fn item<T>(
    fields: &Fields<'_>,
    key: &str,
    index: usize,
    node: &Node,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let path = format!("{}[{index}]", fields.path_of(key));
    let error = |message: String, hint: &str| fields.diagnostics().error(node.at, &path, message, hint);
    let Some(text) = node.scalar() else {
        error(format!("this is {}, one value is needed", node.kind_name()), "");
        return None;
    };
    match read(&text) {
        Ok(value) => Some(value),
        Err(hint) => {
            error(format!("{text:?} cannot be read here"), &hint);
            None
        }
    }
}

/// Reads a number of iterations.
pub(super) fn parse_iterations(text: &str) -> Result<u64, String> {
    match text.replace('_', "").parse::<u64>() {
        Ok(0) => Err("nothing would ever be done: write 1 or more".into()),
        Ok(count) if count > MAX_ITERATIONS => {
            Err(format!("at most {}", units::group(MAX_ITERATIONS as i64)))
        }
        Ok(count) => Ok(count),
        Err(_) => Err("write a whole number, as in 100".into()),
    }
}

/// The longest that a phase which ends by count may take.
pub(super) fn max_time(fields: &Fields<'_>) -> Option<Ns> {
    if fields.get("max_time").is_some() { span(fields, "max_time", "") } else { Some(Ns::from_secs(600)) }
}

/// Flat load with the ramps that `ramp` and `down` ask for, and the marks that tell them apart.
pub(super) fn ramp_hold_down(
    fields: &Fields<'_>,
    level: Option<f64>,
    name: impl Fn(f64) -> String,
) -> Option<(Curve, Vec<(Ns, String)>)> {
    let hold = full_load(fields);
    let up = optional_span(fields, "ramp", Ns::ZERO);
    let down = optional_span(fields, "down", Ns::ZERO);
    let (level, hold, up, down) = (level?, hold?, up?, down?);
    let (mut pieces, mut marks) = (Vec::new(), Vec::new());
    if up > Ns::ZERO {
        pieces.push(Piece::ramp(0.0, level, up));
        marks.push((Ns::ZERO, "ramp".to_owned()));
    }
    pieces.push(Piece::flat(level, hold));
    if up > Ns::ZERO || down > Ns::ZERO {
        marks.push((up, name(level)));
    }
    if down > Ns::ZERO {
        pieces.push(Piece::ramp(level, 0.0, down));
        marks.push((up + hold, "ramp down".to_owned()));
    }
    Some((Curve { pieces }, marks))
}

/// A phase of closed load without a count.
pub(super) fn closed(name: String, users: Curve, marks: Vec<(Ns, String)>) -> LoadPhase {
    LoadPhase { name, length: users.length(), pacing: Pacing::Closed { users, iterations: None }, marks }
}

/// What all open loads have.
#[derive(Clone, Copy)]
pub(super) struct Open {
    spacing: Spacing,
    max_users: Option<u64>,
    patience: Option<Ns>,
}

impl Open {
    /// Reads the keys of all open loads.
    pub(super) fn read(fields: &Fields<'_>) -> Option<Open> {
        let spacing = match fields.get("arrivals") {
            None => Some(Spacing::Even),
            Some(_) => fields.parse("arrivals", |text| match text {
                "even" => Ok(Spacing::Even),
                "poisson" => Ok(Spacing::Poisson),
                other => Err(suggest(other, &["even", "poisson"])),
            }),
        };
        let max_users = match fields.get("max_vus") {
            None => Some(None),
            Some(_) => fields.parse("max_vus", |text| parse_users(text, 1)).map(|count| Some(count as u64)),
        };
        let patience = match fields.get("patience") {
            None => Some(None),
            Some(_) => fields.duration("patience").map(Some),
        };
        Some(Open { spacing: spacing?, max_users: max_users?, patience: patience? })
    }

    /// A phase under `rate`, in a load whose highest rate is `peak`.
    pub(super) fn phase(self, name: String, rate: Curve, peak: f64, marks: Vec<(Ns, String)>) -> LoadPhase {
        let max_users = self.max_users.unwrap_or_else(|| automatic_users(peak));
        let length = rate.length();
        let pacing = Pacing::Open { rate, spacing: self.spacing, max_users, patience: self.patience };
        LoadPhase { name, length, pacing, marks }
    }
}

/// Users for an open load that does not say how many: the arrivals of two seconds at the peak, from 100 to 10,000. By
/// Little's law that is enough as long as an iteration takes two seconds or less.
fn automatic_users(peak: f64) -> u64 {
    ((2.0 * peak).ceil() as u64).clamp(100, 10_000)
}

/// Reads what all loads have, checks the whole and puts it together.
pub(super) fn load(
    profile: &'static str,
    fields: &Fields<'_>,
    phases: Option<Vec<LoadPhase>>,
) -> Option<Load> {
    let start_delay = optional_span(fields, "start_delay", Ns::ZERO);
    let graceful_stop = optional_span(fields, "graceful_stop", Ns::from_secs(30));
    let load = Load { profile, start_delay: start_delay?, phases: phases?, graceful_stop: graceful_stop? };
    if load.length() > MAX_LENGTH {
        table_error(fields, "this load takes longer than a year", "shorten it: at most 366d in all");
        return None;
    }
    for phase in &load.phases {
        if let Pacing::Closed { users, .. } = &phase.pacing
            && starts(users) > MAX_STARTS
        {
            let hint = format!("at most {} starts of users in a phase", units::group(MAX_STARTS as i64));
            fields.error("stages", "users come and go too often in these stages", hint);
            return None;
        }
    }
    Some(load)
}

/// At least how often users start under a curve.
fn starts(users: &Curve) -> f64 {
    let mut before = 0.0;
    let mut rises = 0.0;
    for piece in &users.pieces {
        rises += (piece.from - before).max(0.0) + (piece.to - piece.from).max(0.0);
        before = piece.to;
    }
    rises
}
