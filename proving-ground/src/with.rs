//! Services outside of the process that a system uses instead of its embedded ones.

/// Systems that use services from outside.
const USERS: &[&str] = &["stories"];

/// Addresses of services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct With {
    /// `postgres://USER@HOST:PORT/DATABASE`.
    pub(crate) postgres: Option<String>,
    /// `redis://HOST:PORT`.
    pub(crate) redis: Option<String>,
}

impl With {
    /// Reads `postgres=URL` and `redis=URL`, also several in one text with commas between them.
    pub(crate) fn parse(texts: &[String]) -> Result<With, String> {
        let mut with = With::default();
        for part in texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|p| !p.is_empty()) {
            let (place, schemes): (_, &[&str]) = match part.split_once('=').map(|(name, _)| name) {
                Some("postgres") => (&mut with.postgres, &["postgres://", "postgresql://"]),
                Some("redis") => (&mut with.redis, &["redis://"]),
                _ => return Err(format!("service {part:?}: write postgres=URL or redis=URL")),
            };
            let url = part.split_once('=').map_or("", |(_, url)| url);
            if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
                return Err(format!("service {part:?}: the address begins with {}", schemes[0]));
            }
            *place = Some(url.to_owned());
        }
        Ok(with)
    }

    /// An error for a system that uses none.
    pub(crate) fn check(&self, system: &str) -> Result<(), String> {
        if *self == With::default() || USERS.contains(&system) {
            Ok(())
        } else {
            Err(format!("{system} uses its own parts only; leave out --with"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_by_their_addresses() {
        let parse = |text: &str| With::parse(&[text.to_owned()]);
        let both = parse("postgres=postgres://a@b:5/c,redis=redis://d:6").unwrap();
        assert_eq!(both.postgres.as_deref(), Some("postgres://a@b:5/c"));
        assert_eq!(both.redis.as_deref(), Some("redis://d:6"));
        assert_eq!(With::parse(&[]), Ok(With::default()));
        for (text, part) in
            [("mysql=x", "write postgres"), ("redis=localhost", "redis://"), ("redis", "write")]
        {
            assert!(parse(text).unwrap_err().contains(part), "{text}");
        }
        assert!(both.check("classroom").is_err() && both.check("stories").is_ok());
    }
}
