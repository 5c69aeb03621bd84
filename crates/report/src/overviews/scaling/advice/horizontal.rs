//! How many instances, and when to add or take away one.

use super::{Case, Line};
use crate::found::{Answer, Capacity};
use crate::growth::short;
use crate::survey::{Wanted, mark, plan_word};
use crucible_analysis::scaling::Level;
use crucible_core::units::{show_number, show_share};
use crucible_stats::usl::{Law, Prediction};

/// For how long a load has to last before the number of instances follows it: the documents' own figures.
const UP_AFTER: &str = "5 minutes";
const DOWN_AFTER: &str = "10 minutes";
/// Share of its limit from which CPU is a sign of load that one can go by.
const TELLING: f64 = 0.3;
/// Share taken off what the instances could do where no search says another.
const HEADROOM: f64 = 0.2;
/// Most instances that are looked at.
const MOST: u32 = 10_000;

pub(super) fn rows(case: &Case<'_>) -> Vec<Line> {
    let current = current(case);
    let mut rows = vec![current_row(case, current), recommended(case)];
    rows.extend(triggers(case, current));
    rows
}

/// Instances of the record whose capacity is planned with, or as given.
fn current(case: &Case<'_>) -> Option<f64> {
    case.capacity.and_then(|(run, _)| case.survey.at(*run)).or(case.survey.asked.instances)
}

fn current_row(case: &Case<'_>, current: Option<f64>) -> Line {
    let one = "what was tested is taken as one unit; say --instances N";
    match (current, case.capacity) {
        (Some(count), _) => Line::new("current instances", short(count), "as given"),
        (None, Some((run, _))) => Line::new("current instances", "1", format!("{one}; {}", mark(*run))),
        (None, None) => Line::new("current instances", "1", one),
    }
}

fn recommended(case: &Case<'_>) -> Line {
    const WHAT: &str = "recommended instances";
    let Some(wanted) = case.survey.asked.wanted else {
        return Line::unknown(WHAT, "say which load it shall carry: --for 500/s, or --for 500 for users");
    };
    let (load, shown) = match wanted {
        Wanted::Rate(rate) => (rate, format!("{}/s", show_number(rate))),
        Wanted::Users(users) => (users, format!("{} users", show_number(users))),
    };
    if let Some(growth) = case.instances {
        let headroom = case.capacity.map_or(HEADROOM, |(_, capacity)| capacity.headroom);
        return match &growth.scaling.law {
            Ok(law) => by_law(law, load, &shown, headroom, growth.scaling.largest()),
            Err(refusal) => measured(&growth.scaling.levels.levels, load, &shown, headroom, &refusal.why),
        };
    }
    match case.capacity {
        Some((_, capacity)) => alone(case, capacity, load, &shown),
        None => {
            let plan = case.survey.runs.first().map_or("PLAN".into(), |run| plan_word(&run.view.started));
            let users = if matches!(wanted, Wanted::Users(_)) { " --users" } else { "" };
            Line::unknown(WHAT, "there is no capacity in that unit")
                .by(format!("crucible capacity {plan}{users} --within 5m"))
        }
    }
}

/// The fewest instances whose predicted throughput, less the headroom, is the load: by the lower end of the prediction, by
/// its most likely value and by its upper end.
fn by_law(law: &Law, load: f64, shown: &str, headroom: f64, measured: f64) -> Line {
    const WHAT: &str = "recommended instances";
    let enough = load / (1.0 - headroom);
    let top =
        law.peak.map_or(f64::from(MOST), |peak| peak.load.value.floor().max(1.0)).min(f64::from(MOST)) as u32;
    let Some(likely) = (1..=top).find(|count| law.throughput(f64::from(*count)) >= enough) else {
        let most = law.throughput(f64::from(top));
        let why = format!(
            "{shown} with {} headroom is more than they carry together: at most {}",
            show_share(headroom),
            show_number(most)
        );
        return Line::new(WHAT, "no number is enough", why);
    };
    let mut safe = likely;
    loop {
        match law.predict(f64::from(safe)) {
            Prediction::Throughput(there) if there.low >= enough => break,
            Prediction::Throughput(_) if safe < top && safe < likely.saturating_mul(2) => safe += 1,
            Prediction::Throughput(_) => {
                return Line::unknown(
                    WHAT,
                    format!(
                        "{likely} by the most likely value, but the interval is too wide to be sure of any number: more runs at each"
                    ),
                );
            }
            Prediction::Refused { load_to, .. } => {
                let up_to = if load_to.is_finite() {
                    format!(" up to {}", short(load_to.ceil()))
                } else {
                    String::new()
                };
                let why = format!(
                    "{shown} takes {likely} by the most likely value; to be sure, more than the {} that were measured, and a \
                     prediction for {safe} would err by more than 20 %: measure{up_to}",
                    short(measured)
                );
                return Line::unknown(WHAT, why);
            }
        }
    }
    let reaches = |count: &u32| matches!(law.predict(f64::from(*count)), Prediction::Throughput(there) if there.high >= enough);
    let lucky = (1..=likely).rev().take_while(reaches).last().unwrap_or(likely);
    let why = format!(
        "{shown} with {} headroom; {likely} by the most likely value, {lucky} by the upper end of the interval; efficiency at \
         {safe}: {}",
        show_share(headroom),
        show_share(law.efficiency(f64::from(safe)))
    );
    Line::new(WHAT, safe.to_string(), why)
}

/// Without a law: what was measured to be enough.
fn measured(levels: &[Level], load: f64, shown: &str, headroom: f64, why: &str) -> Line {
    const WHAT: &str = "recommended instances";
    match levels.iter().find(|level| level.throughput * (1.0 - headroom) >= load) {
        Some(level) => {
            let from = format!(
                "{} carried {} ({}); no law: {why}",
                short(level.load),
                show_number(level.throughput),
                level.name
            );
            Line::new(WHAT, short(level.load), from)
        }
        None => Line::unknown(
            WHAT,
            format!("none of those measured carries {shown} with {} headroom; {why}", show_share(headroom)),
        ),
    }
}

/// One capacity: at least so many, if each further instance adds as much as the first.
fn alone(case: &Case<'_>, capacity: &Capacity, load: f64, shown: &str) -> Line {
    const WHAT: &str = "recommended instances";
    let units = case.survey.asked.instances.unwrap_or(1.0);
    if let Answer::NoEdge(highest) = &capacity.answer
        && load <= highest * (1.0 - capacity.headroom)
    {
        let carried = capacity.show(*highest);
        return Line::new(
            WHAT,
            short(units),
            format!("{carried} were carried, and nothing gave way up to there"),
        );
    }
    let Answer::Edge(edge) = &capacity.answer else {
        return Line::unknown(WHAT, format!("the capacity is {}: {}", capacity.words(), capacity.sure()));
    };
    let count = |carries: f64| (load / (carries * (1.0 - capacity.headroom)) * units).ceil().max(1.0);
    let (safe, likely) = (count(edge.low), count(edge.estimate));
    let lucky = if edge.high.is_finite() { short(count(edge.high)) } else { "?".into() };
    let why = format!(
        "{shown} over {} to {} for each {}, with {} headroom ({} by the most likely value, {lucky} by the upper end)",
        capacity.show(edge.low),
        capacity.show(edge.high),
        if units == 1.0 { "instance".into() } else { instances(units) },
        show_share(capacity.headroom),
        short(likely)
    );
    if edge.low <= 0.0 {
        return Line::unknown(WHAT, "the interval of the capacity is open: give the search more time");
    }
    if safe <= units {
        return Line::new(WHAT, short(units), why);
    }
    let unknown = "that each further one adds as much as the first is not known: search with 2 and 4, then";
    Line::new(WHAT, format!("at least {}", short(safe)), format!("{why}; {unknown}"))
        .by(format!("crucible report RUN,RUN,RUN --format scaling --at 1,2,4 --for {}", plain(case)))
}

fn plain(case: &Case<'_>) -> String {
    match case.survey.asked.wanted {
        Some(Wanted::Rate(rate)) => format!("{}/s", short(rate)),
        Some(Wanted::Users(users)) => short(users),
        None => "500/s".into(),
    }
}

/// When to add one, and when to take one away.
fn triggers(case: &Case<'_>, current: Option<f64>) -> [Line; 2] {
    const UP: &str = "scaling trigger";
    const DOWN: &str = "scale-down trigger";
    let Some((run, capacity)) = case.capacity else {
        return [UP, DOWN].map(|what| {
            Line::unknown(what, "it is the recommended maximum of a capacity, and there is none")
        });
    };
    let Some(recommended) = capacity.recommended.filter(|load| *load > 0.0) else {
        return [UP, DOWN].map(|what| Line::unknown(what, "the search recommends no load"));
    };
    let count = current.unwrap_or(1.0).max(1.0);
    // with one instance fewer, each has more to do, and must stay below the trigger with the headroom
    let share = count / (count + 1.0) * (1.0 - capacity.headroom);
    let shown = |load: f64| {
        if capacity.users { capacity.show(load.floor()) } else { capacity.show(load) }
    };
    let mut up = Line::new(
        UP,
        format!("load > {} for {UP_AFTER}", shown(recommended)),
        format!("the recommended maximum of {}, {}", instances(count), mark(*run)),
    );
    let mut down = Line::new(
        DOWN,
        format!("load < {} for {DOWN_AFTER}", shown(recommended * share)),
        format!(
            "of {}: one fewer then stays {} below the trigger",
            instances(count + 1.0),
            show_share(capacity.headroom)
        ),
    );
    let used = case.busiest().zip(case.recommended_throughput());
    if let Some(((demand, limit, of), rate)) = used {
        let (component, share_up) = (case.component(of, demand), demand.at(rate) / limit);
        let words = format!("{component} CPU is then at {}", show_share(share_up.min(9.99)));
        if share_up >= TELLING {
            let idle = demand.idle / limit;
            let share_down = idle + (share_up - idle) * share;
            up.from = format!("{words} (utilisation law); {}", up.from);
            up.value = format!("{component} CPU > {} or {}", percent(share_up), up.value);
            down.value = format!("{component} CPU < {} and {}", percent(share_down), down.value);
        } else {
            let reason = match case.crowded() {
                Some(_) => "too little to go by, on a machine that others kept busy",
                None => "too little to go by, something else gives way first",
            };
            up.from = format!("{}; {words}: {reason}", up.from);
        }
    }
    [up, down]
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

fn instances(count: f64) -> String {
    if count == 1.0 { "1 instance".into() } else { format!("{} instances", short(count)) }
}
