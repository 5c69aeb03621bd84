//! `crucible report`: stored runs in other forms. Needs nothing but the records.

mod gather;

use crate::args::ReportArgs;
use crate::exit::{self, CliError, PASS};
use crate::{out, stores};
use crucible_analysis::{RunView, Verdict, assess};
use crucible_report::{FORMATS, Format, OVERVIEWS, Options, Overview, Report, Told};
use gather::Gathered;
use std::fs;
use std::path::PathBuf;

/// A form: of one run, or of several.
#[derive(Clone, Copy)]
enum Form {
    One(&'static Format),
    Several(&'static Overview),
}

/// Renders the runs in each of the forms. The exit code is 0 unless the verdict is asked for.
pub fn run(args: &ReportArgs) -> Result<u8, CliError> {
    let forms: Vec<Form> = args.format.iter().map(|name| find(name)).collect::<Result<_, _>>()?;
    let overviews = forms.iter().any(|form| matches!(form, Form::Several(_)));
    let gathered = if overviews { Some(gather::gather(args)?) } else { None };
    let mut worst: Option<Verdict> = None;
    for form in &forms {
        let (text, verdict, extension) = match form {
            Form::One(format) if args.run.contains(',') => {
                return Err(CliError::usage(format!(
                    "the form `{}` is of one run\n  name one, or choose requirements, readiness or scaling",
                    format.name
                )));
            }
            Form::One(format) => {
                let (_, view) = stores::view(args.store.store.as_deref(), &args.run)?;
                let colour = args.output.is_none() && out::colour();
                (render(&view, format, colour), assess(&view).verdict, format.extension)
            }
            Form::Several(overview) => {
                let told = overview_of(args, gathered.as_ref(), overview);
                let extension = extension(args);
                (written(&told, extension), told.verdict, extension)
            }
        };
        worst = worst.max(Some(verdict));
        write(args, *form, forms.len() > 1, extension, &text)?;
    }
    match worst.filter(|_| args.overview.check) {
        Some(verdict) => Ok(exit::of(verdict, args.overview.allow.is_some())),
        None => Ok(PASS),
    }
}

fn overview_of(args: &ReportArgs, gathered: Option<&Gathered>, overview: &Overview) -> Told {
    let none = Gathered::default();
    let gathered = gathered.unwrap_or(&none);
    let colour = args.output.is_none() && extension(args) == "txt" && out::colour();
    gathered.survey(Options { colour, ..Options::default() }, |survey| overview.of(survey))
}

/// What an overview is written as: what is asked for, or what the name of the file says.
fn extension(args: &ReportArgs) -> &'static str {
    let named = args.output.as_ref().and_then(|path| path.extension()).and_then(|ending| ending.to_str());
    match named {
        _ if args.overview.json => "json",
        _ if args.overview.markdown => "md",
        Some("json") => "json",
        Some("md" | "markdown") => "md",
        _ => "txt",
    }
}

fn written(told: &Told, extension: &str) -> String {
    match extension {
        "json" => format!("{}\n", serde_json::to_string_pretty(&told.json).unwrap_or_default()),
        "md" => told.markdown(),
        _ => told.text(),
    }
}

fn write(args: &ReportArgs, form: Form, several: bool, extension: &str, text: &str) -> Result<(), CliError> {
    let Some(output) = &args.output else {
        out::text(text);
        return Ok(());
    };
    let path = match form {
        _ if !several => output.clone(),
        Form::One(_) => output.with_extension(extension),
        Form::Several(overview) => {
            let stem = output.file_stem().unwrap_or_default().to_string_lossy();
            output.with_file_name(PathBuf::from(format!("{stem}-{}.{extension}", overview.name)))
        }
    };
    fs::write(&path, text).map_err(|e| {
        CliError::usage(format!("failed to write {}: {e}\n  choose another with --output", path.display()))
    })?;
    out::note(&format!("wrote {}", path.display()));
    Ok(())
}

/// Prints a view in one form.
pub fn print(view: &RunView, format: &str) -> Result<(), CliError> {
    if let Form::One(format) = find(format)? {
        out::text(&render(view, format, out::colour()));
    }
    Ok(())
}

/// The form of this name.
fn find(name: &str) -> Result<Form, CliError> {
    let overview = || crucible_report::find_overview(name).map(Form::Several);
    crucible_report::find(name).map(Form::One).or_else(overview).ok_or_else(|| {
        let formats = FORMATS.iter().map(|format| format.name);
        let known: Vec<&str> = formats.chain(OVERVIEWS.iter().map(|overview| overview.name)).collect();
        CliError::usage(format!("there is no report form `{name}`\n  known: {}", known.join(", ")))
    })
}

fn render(view: &RunView, format: &Format, colour: bool) -> String {
    let assessment = assess(view);
    let report = Report::new(view, &assessment);
    format.text(&report.with(Options { colour, ..Options::default() }))
}
