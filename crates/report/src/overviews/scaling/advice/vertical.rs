//! What a larger machine would do: which resource is near its end at the highest steady load, and what an operation costs.

use super::{Case, Line};
use crate::survey::{Wanted, mark};
use crucible_analysis::scaling::Demand;
use crucible_core::Ns;
use crucible_core::units::{show_bytes, show_number, show_share};

/// Share of CPU that should not be passed in normal times: the documents' own figure.
const COMFORT: f64 = 0.7;
/// Below this share CPU is not what gives way.
const IDLE: f64 = 0.5;

pub(super) fn rows(case: &Case<'_>) -> Vec<Line> {
    let Some(growth) = case.load.filter(|growth| !growth.demands.is_empty()) else {
        let why = "no CPU was read at several levels of load: name the system's processes under `components` of the plan";
        return vec![
            Line::unknown("current resources", why),
            Line::unknown("recommended resources", ""),
            Line::unknown("when to scale", ""),
        ];
    };
    let run = growth.runs[0];
    let mut rows = vec![current(case, run), recommended(case), when(case)];
    for demand in growth.demands.iter().filter(|demand| case.component(run, demand) != "host") {
        rows.push(cost(case, run, demand));
    }
    rows.extend(memory(case, run));
    rows
}

fn current(case: &Case<'_>, run: usize) -> Line {
    let facts = &case.survey.runs[run].view.started.environment;
    let fact = |name: &str| facts.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let cores = fact("cpus_online").map_or("? CPUs".to_owned(), |cores| format!("{cores} CPUs"));
    let memory = fact("memory").and_then(total).map_or("? memory".to_owned(), show_bytes);
    Line::new(
        "current resources",
        format!("{cores}, {memory}"),
        format!("the machine that was watched, {}", mark(run)),
    )
}

/// `8123456 kB` in bytes.
fn total(text: &str) -> Option<f64> {
    crate::survey::number(text).map(|kilo| kilo * 1024.0)
}

/// CPUs for the load that is wanted, from what an operation costs.
fn recommended(case: &Case<'_>) -> Line {
    const WHAT: &str = "recommended resources";
    let Some((demand, limit, run)) = case.busiest() else {
        return Line::unknown(WHAT, "it is not known how many CPUs there are");
    };
    if demand.at_most.0 / limit < IDLE {
        if let Some(busy) = case.crowded() {
            return Line::unknown(WHAT, crowded(case.component(run, demand), demand.at_most.0 / limit, busy));
        }
        let used = show_share(demand.at_most.0 / limit);
        let why = format!(
            "{} CPU was at {used} of its limit at the highest steady load: more CPU would not help, something else gives way",
            case.component(run, demand)
        );
        return Line::new(WHAT, "as they are", why);
    }
    let Some(Wanted::Rate(rate)) = case.survey.asked.wanted else {
        return Line::unknown(WHAT, "say which load it shall carry: --for 500/s");
    };
    let operations = match case.capacity.and_then(|(_, capacity)| {
        let (load, throughput) = capacity.curve.last()?;
        Some(throughput / load)
    }) {
        Some(each) => rate * each,
        None => rate,
    };
    let whole = |value: f64| (value / COMFORT).ceil();
    let cores = case.cores(run).unwrap_or(1.0);
    let scale = if limit <= 1.0 { cores } else { 1.0 };
    let needed = whole(demand.at(operations) * scale);
    let ends = demand.interval.map_or(String::new(), |(low, high)| {
        let at = |each: f64| whole((demand.idle + each.max(0.0) * operations) * scale);
        format!(" ({:.0} to {:.0} at 95 %)", at(low), at(high))
    });
    let why = format!(
        "{} at {} of CPU each, at most {} busy; if nothing else gives way before",
        format_args!("{} operations a second", show_number(operations)),
        Ns::from_secs_f64(demand.each * scale),
        show_share(COMFORT)
    );
    Line::new(WHAT, format!("{needed:.0} CPU{}{ends}", if needed > 1.0 { "s" } else { "" }), why)
}

/// Why nothing follows from a machine that others keep busy.
fn crowded(component: &str, used: f64, busy: f64) -> String {
    format!(
        "{component} used {} of the CPUs, but the machine was {} busy: others (the generator?) took what it may have wanted; \
         measure with the system on a machine of its own",
        show_share(used),
        show_share(busy)
    )
}

fn when(case: &Case<'_>) -> Line {
    const WHAT: &str = "when to scale";
    let Some((demand, limit, run)) = case.busiest() else {
        return Line::unknown(WHAT, "it is not known how many CPUs there are");
    };
    let component = case.component(run, demand);
    match demand.reaches(COMFORT * limit) {
        Some(rate) if demand.at_most.0 / limit >= IDLE => Line::new(
            WHAT,
            format!("beyond {} operations a second", show_number(rate)),
            format!("{component} CPU then passes {} (utilisation law)", show_share(COMFORT)),
        ),
        _ if case.crowded().is_some() => Line::unknown(WHAT, "for the same reason"),
        _ => Line::new(
            WHAT,
            "not by CPU",
            format!(
                "{component} CPU was at {} at the highest steady load",
                show_share(demand.at_most.0 / limit)
            ),
        ),
    }
}

/// What an operation costs a component, and what it would come to at the capacity.
fn cost(case: &Case<'_>, run: usize, demand: &Demand) -> Line {
    let ends = demand.interval.map_or(String::new(), |(low, high)| {
        format!(" ({} to {} at 95 %)", Ns::from_secs_f64(low.max(0.0)), Ns::from_secs_f64(high.max(0.0)))
    });
    let edge = case.capacity.and_then(|(_, capacity)| {
        let rate = capacity.throughput(capacity.bounds()?.0)?;
        Some(format!("; at the capacity {}", show_share(demand.at(rate))))
    });
    let component = case.component(run, demand);
    Line::new(
        "CPU an operation",
        format!("{component}: {}{ends}", Ns::from_secs_f64(demand.each)),
        format!(
            "{} of a CPU at {} operations a second{}, {}",
            show_share(demand.at_most.0),
            show_number(demand.throughput),
            edge.unwrap_or_default(),
            mark(run)
        ),
    )
}

/// The most memory of each component, against that of the machine.
fn memory(case: &Case<'_>, run: usize) -> Vec<Line> {
    let view = case.survey.runs[run].view;
    let machine = view.started.environment.iter().find(|(name, _)| name == "memory");
    let machine = machine.and_then(|(_, text)| total(text));
    let all = view.started.series.iter().zip(&view.series);
    let own = all.filter(|(meta, totals)| {
        meta.name == "memory" && meta.component != "generator" && meta.component != "host" && totals.count > 0
    });
    own.map(|(meta, totals)| {
        let share = machine
            .map_or(String::new(), |all| format!(", {} of the machine's", show_share(totals.max / all)));
        Line::new(
            "memory",
            format!("{}: at most {}", meta.component, show_bytes(totals.max)),
            format!("{} readings{share}, {}", totals.count, mark(run)),
        )
    })
    .collect()
}
