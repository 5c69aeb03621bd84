//! `auth: {bearer: TOKEN}`, `{basic: {user: U, password: P}}`, `{digest: {user: U, password: P}}`, `none`.

use super::text::template;
use crate::auth::{Auth, Credentials, UserPassword};
use crate::encode::has_line_end;
use crate::pattern::{Form, Pattern};
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, NodeKind, Template};

/// What `auth` says: nothing, none, or credentials.
#[derive(Clone, Debug, Default)]
pub(crate) enum Said {
    #[default]
    Nothing,
    None,
    Use(Auth),
}

const HINT: &str =
    "write {bearer: TOKEN}, {basic: {user: U, password: P}}, {digest: {user: U, password: P}} or none";

/// Reads the credentials of a step or of the settings.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> Said {
    if let Some(NodeKind::Text(word)) = fields.get("auth").map(|node| &node.kind)
        && word == "none"
    {
        return Said::None;
    }
    let Some(table) = fields.table("auth") else { return Said::Nothing };
    let ways: Vec<&str> = ["bearer", "basic", "digest"].into_iter().filter(|way| table.has(way)).collect();
    let bearer = bearer(&table, context);
    let basic = table.table("basic").and_then(|inner| basic(&inner, context));
    let digest = table.table("digest").and_then(|inner| pair(&inner, context));
    table.finish();
    if ways.len() != 1 {
        fields.error("auth", "one kind of credentials is needed", HINT);
        return Said::Nothing;
    }
    let digest = digest.map(|pair| Credentials::Digest(Box::new(pair)));
    let found = bearer.or(basic).map(Credentials::Header).or(digest);
    found.map_or(Said::Nothing, |found| Said::Use(Auth(found)))
}

fn bearer(table: &Fields<'_>, context: &StepContext) -> Option<Pattern> {
    let token = table.text("bearer")?;
    if has_line_end(token.as_bytes()) {
        table.error("bearer", "a header value holds a line end", "write it on one line");
        return None;
    }
    let mut value = Pattern::bytes("Bearer ");
    value.extend(Pattern::text(template(context, table, "bearer", token.trim())?, Form::Header));
    Some(value)
}

fn basic(table: &Fields<'_>, context: &StepContext) -> Option<Pattern> {
    let (user, password) = texts(table)?;
    template(context, table, "user", &user)?;
    let both = template(context, table, "password", &format!("{user}:{password}"))?;
    let mut value = Pattern::bytes("Basic ");
    value.push(both, Form::Basic);
    Some(value)
}

fn pair(table: &Fields<'_>, context: &StepContext) -> Option<UserPassword> {
    let (user, password) = texts(table)?;
    let read = |key: &str, text: &str| -> Option<Template> { template(context, table, key, text) };
    let (user, password) = (read("user", &user), read("password", &password));
    Some(UserPassword { user: user?, password: password? })
}

fn texts(table: &Fields<'_>) -> Option<(String, String)> {
    let (user, password) = (table.text("user"), table.text("password"));
    table.finish();
    if user.is_none() && !table.has("user") {
        table.diagnostics().error(table.at, &table.path, "`user` is missing", "write {user: U, password: P}");
    }
    let user = user?;
    // RFC 7617 2: the first colon ends the user
    if super::text::find_outside(&user, &[':']).is_some() && table.path.ends_with("basic") {
        table.error(
            "user",
            "a user's name holds a colon",
            "the server would take what follows for the password",
        );
        return None;
    }
    Some((user, password.unwrap_or_default()))
}
