//! A server behind `tower_governor`: `foreign-governor PERIOD_MS BURST`. Prints its address on one line.

use axum::{Router, routing::get};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut figures = std::env::args().skip(1);
    let mut figure = || figures.next().ok_or("usage: foreign-governor PERIOD_MS BURST");
    let (period, burst): (u64, u32) = (figure()?.parse()?, figure()?.parse()?);
    let config = GovernorConfigBuilder::default()
        .period(Duration::from_millis(period))
        .burst_size(burst)
        .use_headers()
        .finish()
        .ok_or("a period and a burst above zero are wanted")?;
    let app = Router::new().route("/", get(|| async { "ok" })).layer(GovernorLayer::new(config));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
