//! What a line takes from the words of HTTP: the request that it begins with, and the contents of messages.

use crate::grammar;
use crate::pattern::Pattern;
use crate::spec::RequestSpec;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, Scope};

/// What a message holds.
pub type Content = Pattern;

/// GET of the address that stands under `key`, with the step's query, headers and credentials.
pub(crate) fn read_get(
    fields: &Fields<'_>,
    key: &str,
    text: &str,
    context: &StepContext,
) -> Option<RequestSpec> {
    grammar::read_get(fields, key, text, context)
}

/// The content that stands under `text` or `json` in the table; `None` if there is none, or a mistake in it.
pub(crate) fn read_content(fields: &Fields<'_>, context: &StepContext) -> Option<Content> {
    grammar::read_content(fields, context)
}

/// Text with places.
pub(crate) fn read_text(
    fields: &Fields<'_>,
    key: &str,
    text: &str,
    context: &StepContext,
) -> Option<Content> {
    grammar::read_text(fields, key, text, context)
}

/// Appends a content. The error says which value is missing.
pub(crate) fn render(content: &Content, scope: &mut Scope, out: &mut Vec<u8>) -> Result<(), String> {
    content.render(scope, out)
}
