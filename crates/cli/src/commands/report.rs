//! `crucible report`: a stored run in other forms. Needs nothing but the record.

use crate::args::ReportArgs;
use crate::exit::{CliError, PASS};
use crate::{out, stores};
use crucible_analysis::{RunView, assess};
use crucible_report::{FORMATS, Format, Options, Report};
use std::fs;

/// Renders the run in each of the forms.
pub fn run(args: &ReportArgs) -> Result<u8, CliError> {
    let formats: Vec<&Format> = args.format.iter().map(|name| find(name)).collect::<Result<_, _>>()?;
    let (_, view) = stores::view(args.store.store.as_deref(), &args.run)?;
    for format in &formats {
        let Some(output) = &args.output else {
            out::text(&render(&view, format, out::colour()));
            continue;
        };
        let path = if formats.len() == 1 { output.clone() } else { output.with_extension(format.extension) };
        fs::write(&path, render(&view, format, false)).map_err(|e| {
            CliError::usage(format!(
                "failed to write {}: {e}\n  choose another with --output",
                path.display()
            ))
        })?;
        out::note(&format!("wrote {}", path.display()));
    }
    Ok(PASS)
}

/// Prints a view in one form.
pub fn print(view: &RunView, format: &str) -> Result<(), CliError> {
    out::text(&render(view, find(format)?, out::colour()));
    Ok(())
}

/// The form of this name.
fn find(name: &str) -> Result<&'static Format, CliError> {
    crucible_report::find(name).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        CliError::usage(format!("there is no report form `{name}`\n  known: {}", known.join(", ")))
    })
}

fn render(view: &RunView, format: &Format, colour: bool) -> String {
    let assessment = assess(view);
    let report = Report::new(view, &assessment);
    format.text(&report.with(Options { colour, ..Options::default() }))
}
