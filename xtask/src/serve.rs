//! `cargo xtask serve`: one of the testkit's servers for measurements by hand, until interrupted.

use crate::{Failure, option};
use crucible_core::units::parse_duration;
use crucible_testkit::Law;
use crucible_testkit::servers::{Behaviour, NullServer, TruthConfig, TruthServer};

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("failed to start a server: {error}");
    match arguments.first().map(String::as_str) {
        Some("null") => {
            let server = NullServer::start(option(arguments, "--threads", 1)?).map_err(failed)?;
            println!("{}", server.url());
            wait()
        }
        Some("truth") => {
            let delay = parse_duration(&option(arguments, "--delay", "5ms".to_owned())?)?;
            let server =
                TruthServer::start(TruthConfig::of(Behaviour::delayed(Law::Fixed(delay)))).map_err(failed)?;
            println!("{}", server.url("/"));
            wait()
        }
        _ => Err("usage: cargo xtask serve null [--threads N] | truth [--delay 5ms]".into()),
    }
}

fn wait() -> Result<(), Failure> {
    loop {
        std::thread::park();
    }
}
