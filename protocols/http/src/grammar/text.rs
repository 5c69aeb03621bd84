//! Text with `${...}` places in it: looking between the places, and telling mistakes at their place.

use crate::pattern::{Form, Pattern};
use crucible_core::protocol::StepContext;
use crucible_core::template::closing;
use crucible_core::{Fields, Position, Template};

/// Length of the place that begins here, if one does.
pub(super) fn place_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("${")?;
    Some(closing(inner).map_or(text.len(), |end| end + 3))
}

/// Where one of these characters stands first outside of places.
pub(super) fn find_outside(text: &str, wanted: &[char]) -> Option<usize> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with("$${") {
            // a literal `${`
            at += 3;
        } else if let Some(length) = place_length(&text[at..]) {
            at += length;
        } else if wanted.contains(&c) {
            return Some(at);
        } else {
            at += c.len_utf8();
        }
    }
    None
}

/// Compiles the value of `key`, noting a mistake at its place.
pub(super) fn template(
    context: &StepContext,
    fields: &Fields<'_>,
    key: &str,
    text: &str,
) -> Option<Template> {
    template_at(context, fields, fields.position(key), &fields.path_of(key), text)
}

/// Compiles a text that stands here, noting a mistake at its place.
pub(super) fn template_at(
    context: &StepContext,
    fields: &Fields<'_>,
    at: Position,
    path: &str,
    text: &str,
) -> Option<Template> {
    context.symbols.reading(at, path);
    match Template::parse(text, &context.symbols) {
        Ok(template) => Some(template),
        Err(hint) => {
            fields.diagnostics().error(at, path, format!("{text:?} cannot be read here"), hint);
            None
        }
    }
}

/// The value of `key` as a pattern, noting a mistake at its place.
pub(super) fn pattern(
    context: &StepContext,
    fields: &Fields<'_>,
    key: &str,
    text: &str,
    form: Form,
) -> Option<Pattern> {
    template(context, fields, key, text).map(|template| Pattern::text(template, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_place_is_passed_over() {
        let check = |text: &str, expected: Option<usize>| {
            assert_eq!(find_outside(text, &['?', '#']), expected, "{text}");
        };
        check("/a?b", Some(2));
        check("/${a ? '}#' : {}}x#", Some(18));
        check("$${?", Some(3));
        check("/${x", None);
        check("ü?", Some(2));
        check("", None);
    }
}
