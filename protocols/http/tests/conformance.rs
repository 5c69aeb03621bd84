//! The suite that every protocol must pass, over TCP.

#![allow(clippy::unwrap_used)]

use crucible_core::StepId;
use crucible_http::{HttpProtocol, HttpSettings, RequestSpec};
use crucible_testkit::conformance::{self, Dialect, Setup};
use std::sync::Arc;

fn build(setup: Setup) -> HttpProtocol {
    let spec = RequestSpec::new("GET", &format!("http://{}/", setup.addr)).unwrap().timeout(setup.limit);
    HttpProtocol::new(&HttpSettings::default(), vec![(StepId(0), Arc::new(spec))]).unwrap()
}

#[test]
fn http_over_tcp_conforms() {
    conformance::protocol(&Dialect::http1(), build);
}

#[test]
fn http_over_tcp_with_a_shared_pool_conforms() {
    conformance::protocol(&Dialect::http1(), |setup| {
        let spec = RequestSpec::new("GET", &format!("http://{}/", setup.addr)).unwrap().timeout(setup.limit);
        let settings =
            HttpSettings { pool: crucible_http::ConnectionPool::Shared, ..HttpSettings::default() };
        HttpProtocol::new(&settings, vec![(StepId(0), Arc::new(spec))]).unwrap()
    });
}
