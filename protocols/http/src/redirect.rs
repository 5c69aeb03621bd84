//! Where a redirect leads (RFC 9110 15.4, with the method changes that browsers make: WHATWG Fetch 4.4).

use crate::exchange::Incoming;
use crate::origin::Origin;
use crate::prepare::{Detour, Prepared};
use std::sync::Arc;
use url::Url;

/// Longest `Location` that is followed.
const LOCATION_LIMIT: usize = 8 << 10;

/// The next request, if `answer` (to a request for `from`) is a redirect that can be followed. The error says why one cannot be.
pub(crate) fn next(
    step: &Prepared,
    current: Option<&Detour>,
    from: &Url,
    answer: &Incoming,
) -> Result<Option<Detour>, &'static str> {
    let Some(range) = answer.head.location.clone() else { return Ok(None) };
    let method = current.map_or(step.method.as_str(), |detour| &detour.method);
    let (method, keeps_body) = match answer.head.status {
        301 | 302 if method == "POST" => ("GET", false),
        303 if method != "HEAD" => ("GET", false),
        301 | 302 | 303 | 307 | 308 => (method, true),
        _ => return Ok(None),
    };
    let value = answer.kept_head.get(range.start as usize..range.end as usize).unwrap_or_default();
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LOCATION_LIMIT);
    let url =
        text.and_then(|text| from.join(text).ok()).ok_or("the redirect leads to something that is no URL")?;
    let origin = Origin::of(&url).map_err(|_| "the redirect leads to something that is not http")?;
    let origin = if origin == *step.origin { Arc::clone(&step.origin) } else { Arc::new(origin) };
    Ok(Some(Detour {
        // once left, the plan's credentials stay behind
        same_origin: origin == step.origin && current.is_none_or(|detour| detour.same_origin),
        with_body: keeps_body && current.is_none_or(|detour| detour.with_body),
        method: method.to_owned(),
        origin,
        url,
    }))
}
