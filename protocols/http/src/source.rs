//! Where a value in an answer is found: for what is saved, measured and split.

use crate::html::Selector;
use crate::json::JsonQuery;
use regex::bytes::Regex;

/// A value of an answer: where it stands, and which of several is meant.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The part of the answer.
    pub part: Part,
    /// Looks inside the part's text; the value is what the group matched.
    pub regex: Option<Capture>,
    /// Which of several; without it the first, or the value itself if the part has one.
    pub pick: Option<Pick>,
    /// As the plan wrote it, for names and messages.
    pub text: String,
}

/// A part of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// What a path selects in a JSON body.
    Json(JsonQuery),
    /// The values of a header.
    Header(String),
    /// The cookie that this answer set, or that the user holds.
    Cookie(String),
    /// The decoded body.
    Body,
    /// What a selector finds in an HTML body.
    Html(Selector),
    /// The status code.
    Status,
    /// Bytes of the body as sent.
    Size,
    /// Milliseconds since the start of the operation.
    Latency,
}

/// A group of a regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    pub expression: Regex,
    /// Number of the group; 0 is the whole match.
    pub group: usize,
}

/// Which of several values is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    First,
    Last,
    /// One of them, from the user's random stream.
    Random,
    /// All of them, as a list.
    All,
    /// How many there are; none is a value too.
    Count,
}

impl Pick {
    /// The words of the plan.
    pub(crate) const WORDS: [(&'static str, Pick); 5] = [
        ("first", Pick::First),
        ("last", Pick::Last),
        ("random", Pick::Random),
        ("all", Pick::All),
        ("count", Pick::Count),
    ];
}

impl Source {
    /// Whether the head must be kept for it.
    pub(crate) fn reads_head(&self) -> bool {
        matches!(self.part, Part::Header(_) | Part::Cookie(_))
    }

    /// Whether the body must be kept for it.
    pub(crate) fn reads_body(&self) -> bool {
        matches!(self.part, Part::Json(_) | Part::Body | Part::Html(_))
    }
}
