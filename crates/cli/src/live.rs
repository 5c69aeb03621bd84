//! What is shown on standard error while a run goes on: a few lines that renew themselves on a terminal, plain lines
//! otherwise. A reader of the view like any other: however slow the terminal, the load is not.

use crate::out;
use crucible_analysis::{RunView, judged_response};
use crucible_core::{Ns, units};
use crucible_record::{Model, RunEvent, RunStarted};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Distance of plain lines.
const PLAIN_EVERY: Ns = Ns::from_secs(10);

/// The live display.
pub enum Live {
    /// Nothing.
    Quiet,
    /// Lines that renew themselves.
    Screen(Box<Screen>),
    /// A line every ten seconds and at the start of each phase.
    Plain {
        /// When the next line is due, on the run's clock.
        next: Ns,
    },
}

/// See [`Live::Screen`].
pub struct Screen {
    bar: ProgressBar,
}

impl Live {
    /// What suits standard error, or nothing.
    pub fn new(quiet: bool) -> Live {
        if quiet {
            Live::Quiet
        } else if out::interactive() {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(8));
            let style = ProgressStyle::with_template("{prefix}\n{bar:48.cyan/238} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─");
            bar.set_style(style);
            Live::Screen(Box::new(Screen { bar }))
        } else {
            Live::Plain { next: Ns::ZERO }
        }
    }

    /// The run is about to start.
    pub fn begin(&self, started: &RunStarted, files: u64) {
        let most = started.phases.iter().map(|phase| phase.max_users).max().unwrap_or(0);
        let note = |text: &str| match self {
            Live::Quiet => {}
            Live::Screen(screen) => screen.bar.println(text),
            Live::Plain { .. } => out::note(text),
        };
        note(&format!("run {}: {} on {}", started.run, started.plan, started.target));
        if most + 64 > files {
            note(&format!(
                "warning: up to {most} users want a connection each, but at most {files} files may be open\n  \
                 raise the limit (`ulimit -n {}`) or ask for fewer users",
                most + 1024
            ));
        }
    }

    /// Something happened.
    pub fn follow(&mut self, view: &RunView, event: &RunEvent) {
        let (RunEvent::Phase(_) | RunEvent::Window(_)) = event else { return };
        let Some(index) = view.current_phase else { return };
        match self {
            Live::Quiet => {}
            Live::Screen(screen) => screen.show(view, index),
            Live::Plain { next } => match event {
                RunEvent::Phase(phase) => {
                    *next = phase.at + PLAIN_EVERY;
                    out::note(&headline(view, index));
                }
                RunEvent::Window(window) if window.to >= *next => {
                    *next = window.to + PLAIN_EVERY;
                    out::note(&figures(view, index).join("  "));
                }
                _ => {}
            },
        }
    }

    /// The run is over.
    pub fn end(&mut self) {
        if let Live::Screen(screen) = self {
            screen.bar.finish_and_clear();
        }
    }
}

impl Screen {
    fn show(&self, view: &RunView, index: usize) {
        let meta = &view.started.phases[index];
        let totals = &view.phases[index];
        let elapsed = totals.from.map_or(Ns::ZERO, |from| totals.to.since(from));
        self.bar.set_length(meta.length.0.max(1));
        self.bar.set_position(elapsed.0.min(meta.length.0));
        self.bar.set_message(match meta.length.since(elapsed) {
            Ns::ZERO => "letting the last ones finish".into(),
            left => format!("{left} left"),
        });
        let [first, second, third] = figures(view, index);
        self.bar.set_prefix(format!("{}\n  {first}\n  {second}\n  {third}", headline(view, index)));
    }
}

fn headline(view: &RunView, index: usize) -> String {
    let meta = &view.started.phases[index];
    let test = view.started.tests.get(usize::from(meta.test)).map_or("", |test| test.name.as_str());
    let of = match view.started.phases.len() {
        1 => String::new(),
        all => format!(" ({} of {all})", index + 1),
    };
    format!("{test}: {}{of}, {}", meta.name, meta.length)
}

/// Load, latency, health: the present second beside the phase so far.
fn figures(view: &RunView, index: usize) -> [String; 3] {
    let meta = &view.started.phases[index];
    let totals = &view.phases[index];
    let Some(point) = view.timeline.points().last() else {
        return ["starting".into(), String::new(), String::new()];
    };
    let rate = |value: f64| format!("{}/s", units::show_number(value));
    let asked = match meta.model {
        Model::Open => format!(" (asked {})", rate(point.due_rate())),
        Model::Closed => String::new(),
    };
    let judged = judged_response(&totals.all);
    let shown = |share| judged.quantile(share).map_or("-".into(), |ns: Ns| ns.to_string());
    let errors = totals.all.error_rate().map_or("-".into(), units::show_share);
    let lag = totals.lag.generator.quantile(0.99).max(totals.lag.heartbeat.quantile(0.99));
    [
        format!(
            "users {} ({} busy)   ok {}{asked}",
            point.users_active,
            point.users_busy,
            rate(point.ok_rate())
        ),
        format!(
            "p50 {}  p95 {}  p99 {}  max {}",
            shown(0.5),
            shown(0.95),
            shown(0.99),
            judged.max().map_or("-".into(), |ns| ns.to_string())
        ),
        format!("errors {errors}   our own lateness p99 {}", lag.map_or("-".into(), |ns| ns.to_string())),
    ]
}
