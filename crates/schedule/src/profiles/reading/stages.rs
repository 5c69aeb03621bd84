//! Stages: a list of ramps, jumps and plateaus, the same for users and for rates.

use super as reading;
use crate::{Curve, Piece};
use crucible_core::{Fields, Ns};

/// How levels are read and told in one unit.
pub(in crate::profiles) struct Unit {
    /// The key that holds a level: `vus` or `rate`.
    pub(in crate::profiles) key: &'static str,
    /// Reads a level from 0 up.
    pub(in crate::profiles) parse: fn(&str) -> Result<f64, String>,
    /// Tells a level.
    pub(in crate::profiles) tell: fn(f64) -> String,
}

/// Reads `stages`, after `hold` at the level `first`. Gives the curve and a mark at the begin of each stage.
///
/// A level stage ramps from the level before it during `for`, or jumps with `for: 0s`. A spike jumps to its level, stays
/// for `for` and jumps back to the level before it. A hold stays.
pub(in crate::profiles) fn read(
    fields: &Fields<'_>,
    unit: &Unit,
    first: Option<f64>,
    hold: Option<Ns>,
) -> Option<(Curve, Vec<(Ns, String)>)> {
    let nodes = reading::list(fields, "stages")?;
    let stages: Vec<Option<Stage>> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let path = format!("{}[{index}]", fields.path_of("stages"));
            let table = Fields::new(node, path, fields.diagnostics())?;
            let stage = Stage::read(&table, unit);
            table.finish();
            stage
        })
        .collect();
    let stages: Vec<Stage> = stages.into_iter().collect::<Option<_>>()?;
    let (mut level, hold) = (first?, hold?);
    let mut curve = Curve { pieces: vec![Piece::flat(level, hold)] };
    let mut marks = Vec::new();
    if hold > Ns::ZERO {
        marks.push((Ns::ZERO, (unit.tell)(level)));
    }
    let mut at = hold;
    for stage in stages {
        let (piece, next, mark) = match stage {
            Stage::To(to, length) if length == Ns::ZERO => (Piece::flat(to, length), to, None),
            Stage::To(to, length) => {
                (Piece::ramp(level, to, length), to, Some(format!("ramp to {}", (unit.tell)(to))))
            }
            Stage::Spike(to, length) => {
                (Piece::flat(to, length), level, Some(format!("spike to {}", (unit.tell)(to))))
            }
            Stage::Hold(length) => (Piece::flat(level, length), level, Some((unit.tell)(level))),
        };
        marks.extend(mark.map(|mark| (at, mark)));
        at += piece.length;
        curve.pieces.push(piece);
        level = next;
    }
    curve.pieces.retain(|piece| piece.length > Ns::ZERO);
    if at == Ns::ZERO {
        fields.error(
            "stages",
            "these stages take no time",
            "give one of them a `for` above 0s, or `hold: 30s`",
        );
        return None;
    }
    if curve.max() == 0.0 {
        let hint = format!("give one of them a `{}` above 0", unit.key);
        fields.error("stages", "these stages never do anything", hint);
        return None;
    }
    Some((curve, marks))
}

enum Stage {
    /// Ramp to a level.
    To(f64, Ns),
    /// Jump to a level and back.
    Spike(f64, Ns),
    /// Stay.
    Hold(Ns),
}

impl Stage {
    fn read(table: &Fields<'_>, unit: &Unit) -> Option<Stage> {
        let kinds: Vec<&'static str> =
            [unit.key, "spike", "hold"].into_iter().filter(|key| table.get(key).is_some()).collect();
        let hint =
            format!("write {{{0}: ..., for: 30s}}, {{spike: ..., for: 10s}} or {{hold: 30s}}", unit.key);
        let [kind] = kinds.as_slice() else {
            let _ = table.get("for");
            let message = match kinds.as_slice() {
                [] => "this stage goes nowhere".to_owned(),
                kinds => format!("this stage has {} at once", kinds.join(" and ")),
            };
            reading::table_error(table, message, &hint);
            return None;
        };
        if *kind == "hold" {
            let length = reading::span(table, "hold", "");
            if table.get("for").is_some() {
                table.error("for", "`hold` already says how long", "remove `for`");
                return None;
            }
            return Some(Stage::Hold(length?));
        }
        let level = table.parse(kind, unit.parse);
        let hint = "say how long the stage lasts: `for: 30s`";
        if *kind == "spike" {
            let length = reading::span(table, "for", hint);
            return Some(Stage::Spike(level?, length?));
        }
        let length = reading::needed(table, "for", hint, || table.duration("for"));
        Some(Stage::To(level?, length?))
    }
}
