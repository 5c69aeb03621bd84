//! The only place that names concrete protocols.

use crate::composite::{Composite, Lines, Via};
use crucible_core::{ScenarioId, StepGrammar, StepId};
use crucible_http::stream::StreamStep;
use crucible_http::{HttpGrammar, HttpProtocol, HttpSettings};
use crucible_plan::Plan;
use crucible_sse::{SseGrammar, SseProtocol};
use crucible_websocket::{WebSocketGrammar, WebSocketProtocol, WebSocketSettings};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The grammars of all protocols: one row each.
pub const GRAMMARS: &[&dyn StepGrammar] = &[&HttpGrammar, &WebSocketGrammar, &SseGrammar];

/// What a line is called that the plan gives no name.
const UNNAMED: &str = "";

/// The protocols of a plan, with its steps prepared. The error is the user's to mend (an unreadable certificate, ...).
pub fn protocol(plan: &Plan) -> Result<Composite, String> {
    let settings = plan.settings.get("http").cloned().ok_or("the plan has no settings for http")?;
    let requests: Vec<(StepId, Arc<dyn Any + Send + Sync>)> = plan
        .steps
        .iter()
        .filter(|step| step.protocol == HttpGrammar.protocol())
        .map(|step| (step.id, Arc::clone(&step.spec.body)))
        .collect();
    let http = HttpProtocol::from_specs(Arc::clone(&settings), requests)?;
    Ok(Composite::new(http, lines(plan, settings)?))
}

/// The protocols of sockets and streams; `None` if no step needs them.
fn lines(plan: &Plan, settings: Arc<dyn Any + Send + Sync>) -> Result<Option<Lines>, String> {
    let steps: Vec<(usize, Arc<StreamStep>)> = plan
        .steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| Some((index, Arc::clone(&step.spec.body).downcast().ok()?)))
        .collect();
    if steps.is_empty() {
        return Ok(None);
    }
    let settings = settings.downcast::<HttpSettings>().map_err(|_| "these are not the settings of http")?;
    let own = plan.settings.get(WebSocketGrammar.protocol()).cloned();
    let own = own.and_then(|own| own.downcast::<WebSocketSettings>().ok()).ok_or("no settings of sockets")?;
    let mut opened: BTreeMap<(ScenarioId, &str), &str> = BTreeMap::new();
    for (index, step) in &steps {
        let Some(open) = &step.open else { continue };
        let place = (plan.steps[*index].scenario, step.line.as_deref().unwrap_or(UNNAMED));
        if *opened.entry(place).or_insert(open.word) != open.word {
            let name = &plan.steps[*index].name;
            return Err(format!(
                "{name}: a socket and a stream of events have one name; name one of them with `as`"
            ));
        }
    }
    let mut via = vec![Via::Http; plan.steps.len()];
    let (mut sockets, mut streams) = (Vec::new(), Vec::new());
    for (index, step) in &steps {
        let row = &plan.steps[*index];
        let (line, word) = find(&opened, row.scenario, step).map_err(|why| format!("{}: {why}", row.name))?;
        // users of another scenario have lines of their own
        let line = format!("{}/{line}", row.scenario.0);
        let (kind, list) =
            if word == "sse" { (Via::Sse, &mut streams) } else { (Via::WebSocket, &mut sockets) };
        via[*index] = kind;
        list.push((row.id, Arc::clone(step), line));
    }
    Ok(Some(Lines {
        websocket: WebSocketProtocol::new(&settings, *own, sockets)?,
        sse: SseProtocol::new(&settings, (), streams)?,
        via: via.into(),
    }))
}

/// The name of the line that a step opens or is about, and the word that opens it.
fn find<'o>(
    opened: &BTreeMap<(ScenarioId, &'o str), &'o str>,
    scenario: ScenarioId,
    step: &StreamStep,
) -> Result<(&'o str, &'o str), String> {
    let mut here = opened.iter().filter(|((owner, _), _)| *owner == scenario);
    let named = step.line.as_deref().or(step.open.as_ref().map(|_| UNNAMED));
    match named {
        Some(name) => {
            here.find(|((_, known), _)| *known == name).map(|((_, known), word)| (*known, *word)).ok_or_else(
                || format!("no step of this scenario opens {name:?}; add `as: {name}` to one that does"),
            )
        }
        None => match (here.next(), here.next()) {
            (Some(((_, name), word)), None) => Ok((name, word)),
            (None, _) => {
                Err("no step of this scenario opens a socket or a stream; begin with `ws: /path`".into())
            }
            _ => Err("this scenario has several sockets or streams; say which with `on`".into()),
        },
    }
}
