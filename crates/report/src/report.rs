//! What a format is given.

use crucible_analysis::{Assessment, RunView};

/// How text for people is to look. Formats for machines ignore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// ANSI colours. To be left off when the output is not a terminal.
    pub colour: bool,
    /// Bars and signs from ASCII only.
    pub ascii: bool,
}

/// A run and what is to be said about it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The run's figures.
    pub view: &'a RunView,
    /// The judgements.
    pub assessment: &'a Assessment,
    /// How text for people is to look.
    pub options: Options,
}

impl<'a> Report<'a> {
    /// A report without colour, with Unicode bars.
    pub fn new(view: &'a RunView, assessment: &'a Assessment) -> Report<'a> {
        Report { view, assessment, options: Options::default() }
    }

    /// With other looks.
    pub fn with(self, options: Options) -> Report<'a> {
        Report { options, ..self }
    }
}
