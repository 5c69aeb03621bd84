//! What a session does and knows before its first request, outside of load: the setup of a scenario, as far as it is a plain
//! sequence.

use crucible_core::{FeederId, Row, ScenarioId, Scope, StepId, Value};
use crucible_plan::Plan;
use crucible_plan::program::{Given, Op};

/// See the module text. Empty: nothing is done and nothing known.
#[derive(Clone, Debug, Default)]
pub struct Preparation {
    ops: Vec<Op>,
    rows: Vec<(FeederId, Row)>,
}

impl Preparation {
    /// That of a scenario: values, steps and the first row of each of its feeders, so that all sessions are one user. Pauses
    /// are left out.
    ///
    /// Errors: a setup that loops, branches or waits for jobs; a feeder without rows.
    pub fn of(plan: &Plan, scenario: ScenarioId) -> Result<Preparation, String> {
        let Some(row) = plan.scenarios.get(usize::from(scenario.0)) else {
            return Ok(Preparation::default());
        };
        let mut prepared = Preparation::default();
        for op in &row.setup.ops {
            match op {
                Op::Step(_) | Op::Set(..) => prepared.ops.push(op.clone()),
                Op::Pause(_) | Op::GroupBegin(_) | Op::GroupEnd => {}
                _ => {
                    let name = &row.name;
                    return Err(format!(
                        "the setup of `{name}` loops, branches or waits for jobs; only a sequence of steps can be done"
                    ));
                }
            }
        }
        for (id, _) in &row.feeds {
            let Some(feed) = plan.feeders.get(usize::from(id.0)) else { continue };
            let first = feed.source.row(0).map_err(|why| format!("the data `{}`: {why}", feed.name))?;
            prepared.rows.push((*id, first));
        }
        Ok(prepared)
    }

    /// The steps that it does, in order.
    pub fn steps(&self) -> impl Iterator<Item = StepId> {
        self.ops.iter().filter_map(|op| if let Op::Step(id) = op { Some(*id) } else { None })
    }

    /// Gives a user its rows.
    pub(crate) fn deal(&self, scope: &mut Scope) {
        for (id, row) in &self.rows {
            scope.set_row(*id, Some(row.clone()));
        }
    }

    /// What is to be done, in order: steps and values.
    pub(crate) fn ops(&self) -> &[Op] {
        &self.ops
    }
}

/// Gives a variable its value; the error says why it is none.
pub(crate) fn give(scope: &mut Scope, op: &Op) -> Result<(), String> {
    let Op::Set(slot, given) = op else { return Ok(()) };
    let value = match given {
        Given::Value(value) => Ok(value.clone()),
        Given::Template(template) => template.value(scope),
    };
    let (value, told) = match value {
        Ok(value) => (value, Ok(())),
        Err(why) => (Value::Absent, Err(why.to_string())),
    };
    scope.set(*slot, value);
    told
}
