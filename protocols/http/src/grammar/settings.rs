//! The keys at the top of a plan: headers, TLS, connections, names, time limits.

use super::{Said, auth, step};
use crate::origin::Origin;
use crate::settings::{
    AddressFamily, ConnectionPool, CookieMode, DnsSettings, HttpSettings, SelectAddress, TlsSettings,
};
use crucible_core::fields::suggest;
use crucible_core::protocol::StepContext;
use crucible_core::{Fields, NodeKind, Ns};
use std::net::IpAddr;
use std::path::PathBuf;

/// Reads the settings; mistakes go to the fields' diagnostics.
pub(super) fn read(fields: &Fields<'_>, context: &StepContext) -> HttpSettings {
    let mut settings = HttpSettings { headers: step::headers(fields, context), ..HttpSettings::default() };
    if let Said::Use(auth) = auth::read(fields, context) {
        let target = context.target.as_deref().and_then(|target| crate::spec::parse_url(target).ok());
        match target.and_then(|url| Origin::of(&url).ok()) {
            Some(origin) => settings.auth = Some((origin, auth)),
            None => fields.error(
                "auth",
                "credentials of all requests go to the target, and the plan has none",
                "give the plan a `target`, or the steps an `auth`",
            ),
        }
    }
    settings.timeouts = step::limits(fields).over(&settings.timeouts);
    if settings.timeouts.total == Ns::ZERO {
        fields.error(
            "timeout",
            "a limit of 0 leaves no time",
            "write how long an operation may take, as in 30s",
        );
    }
    if let Some(table) = fields.table("tls") {
        settings.tls = tls(&table, context);
        table.finish();
    }
    if let Some(table) = fields.table("http") {
        http(&table, context, &mut settings);
        table.finish();
    }
    settings
}

fn tls(table: &Fields<'_>, context: &StepContext) -> TlsSettings {
    let file = |key: &'static str| -> Option<PathBuf> {
        // an empty name is none, so that a variable may say which file, or that there is none
        let name = table.text(key).filter(|name| !name.is_empty())?;
        let path = context.folder.join(&name);
        if let Err(error) = std::fs::File::open(&path) {
            let hint = "names of files are relative to the plan's folder";
            table.error(key, format!("{name} cannot be read: {error}"), hint);
        }
        Some(path)
    };
    let settings = TlsSettings {
        ca: file("ca"),
        cert: file("cert"),
        key: file("key"),
        verify: table.flag("verify").unwrap_or(true),
        server_name: table.text("server_name"),
    };
    if settings.cert.is_some() != settings.key.is_some() {
        let (has, lacks) = if settings.cert.is_some() { ("cert", "key") } else { ("key", "cert") };
        table.error(has, format!("`{has}` needs `{lacks}` beside it"), format!("add `{lacks}: FILE.pem`"));
    }
    if !settings.verify {
        let hint = "give `ca: ./ca.pem` instead if the certificate is your own";
        table.warning("verify", "server certificates will not be verified", hint);
    }
    settings
}

fn http(table: &Fields<'_>, context: &StepContext, settings: &mut HttpSettings) {
    if let Some(on) = table.flag("keep_alive") {
        settings.keep_alive = on;
    }
    let pools = [("vu", ConnectionPool::Vu), ("shared", ConnectionPool::Shared)];
    if let Some(pool) = table.parse("pool", |text| one_of(text, &pools)) {
        settings.pool = pool;
    }
    if let Some(most) = table.count("redirects") {
        settings.redirects = u32::try_from(most).unwrap_or(u32::MAX);
    }
    if let Some(node) = table.get("cookies") {
        match &node.kind {
            NodeKind::Bool(on) => {
                settings.cookies = if *on { CookieMode::PerIteration } else { CookieMode::Off }
            }
            NodeKind::Text(text) if text == "keep" => settings.cookies = CookieMode::Keep,
            _ => table.error("cookies", "this is not a way to treat cookies", "write true, false or keep"),
        }
    }
    if let Some(on) = table.flag("decompress") {
        settings.decompress = on;
    }
    settings.accept_encoding = table.text("accept_encoding");
    if let Some(bytes) = table.size("max_body") {
        settings.max_body = bytes;
    }
    if let Some(agent) = table.text("user_agent") {
        settings.user_agent = agent;
    }
    settings.unix_socket = table.text("unix_socket").map(|path| context.folder.join(path));
    for node in table.list("local_addresses").unwrap_or_default() {
        match node.scalar().and_then(|text| text.parse().ok()) {
            Some(address) => settings.local_addresses.push(address),
            None => table.error(
                "local_addresses",
                "this is not an address",
                "write addresses of this machine, as in [10.0.0.5]",
            ),
        }
    }
    if let Some(names) = table.table("resolve") {
        for (name, _, node) in names.all() {
            match node.scalar().and_then(|text| text.parse::<IpAddr>().ok()) {
                Some(address) => settings.resolve.push((name.to_owned(), address)),
                None => names.error(name, "this is not an address", "write an IP address, as in 127.0.0.1"),
            }
        }
    }
    if let Some(names) = table.table("dns") {
        settings.dns = dns(&names);
        names.finish();
    }
}

fn dns(table: &Fields<'_>) -> DnsSettings {
    let families = [
        ("any", AddressFamily::Any),
        ("ipv4", AddressFamily::Ipv4),
        ("ipv6", AddressFamily::Ipv6),
        ("prefer_ipv4", AddressFamily::PreferIpv4),
        ("prefer_ipv6", AddressFamily::PreferIpv6),
    ];
    let selections = [
        ("first", SelectAddress::First),
        ("random", SelectAddress::Random),
        ("round_robin", SelectAddress::RoundRobin),
    ];
    let usual = DnsSettings::default();
    DnsSettings {
        family: table.parse("policy", |text| one_of(text, &families)).unwrap_or(usual.family),
        select: table.parse("select", |text| one_of(text, &selections)).unwrap_or(usual.select),
        ttl: table.duration("ttl").unwrap_or(usual.ttl),
    }
}

fn one_of<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let names: Vec<&str> = words.iter().map(|word| word.0).collect();
    words.iter().find(|word| word.0 == text).map(|word| word.1).ok_or_else(|| suggest(text, &names))
}
