//! T4: our own floor, against a client that does nothing but write and read.

use crate::Failure;
use crate::machine;
use crate::truth::table::Row;
use crate::truth::{Claim, Needs, Settings};
use crucible_core::{Histogram, Ns};
use crucible_testkit::servers::NullServer;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(super) const CLAIM: Claim =
    Claim { id: "T4", about: "our own floor against a bare blocking client", needs: Needs::Product, rows };

const RATE: u64 = 1000;

fn rows(settings: &Settings) -> Result<Vec<Row>, Failure> {
    let server = NullServer::start(1).map_err(|error| format!("failed to start a server: {error}"))?;
    let (rounds, seconds) = if settings.fast { (2, 2) } else { (5, 4) };
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let (mut lag_p50, mut lag_p99, mut lag_max) = (Vec::new(), Vec::new(), Vec::new());
    let duration = format!("{seconds}s");
    for _ in 0..rounds {
        bare.push(
            bare_client(server.addr(), RATE * seconds).map_err(|error| format!("failed to ask: {error}"))?,
        );
        let told =
            settings.product.bench(&[&server.url(), "-r", "1000", "-d", &duration, "-c", "1"], None)?;
        ours.push(told.time("all/service/p50_ns")?);
        lag_p50.push(told.time("generator/lag/p50_ns")?);
        lag_p99.push(told.time("generator/lag/p99_ns")?);
        lag_max.push(told.time("generator/lag/max_ns")?);
    }
    let (bare, ours) = (median(&mut bare), median(&mut ours));
    let measured = format!("ours {ours}, bare {bare} (medians of {rounds})");
    let lag =
        format!("p50 {}, p99 {}, max {}", median(&mut lag_p50), median(&mut lag_p99), median(&mut lag_max));
    Ok(vec![
        Row::new(
            "median service time at 1,000/s",
            measured,
            "within 30 us",
            ours.0.abs_diff(bare.0) <= 30_000,
        ),
        Row::new("send lag at 1,000/s", lag, "reported", true),
    ])
}

fn median(values: &mut [Ns]) -> Ns {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// One blocking socket, one request every 1/[`RATE`] s; the median time from before the write to the end of the read.
fn bare_client(addr: SocketAddr, requests: u64) -> std::io::Result<Ns> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let request = format!("GET / HTTP/1.1\r\nhost: {addr}\r\n\r\n");
    let mut buffer = [0u8; 4096];
    let mut times = Histogram::default();
    let began = machine::now();
    for number in 0..requests {
        let due = Duration::from_nanos(number * 1_000_000_000 / RATE);
        machine::sleep(due.saturating_sub(began.elapsed()));
        let sent = machine::now();
        stream.write_all(request.as_bytes())?;
        let mut got = 0;
        while !buffer[..got].ends_with(b"\r\n\r\nok") {
            match stream.read(&mut buffer[got..])? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                count => got += count,
            }
        }
        times.record(sent.elapsed().into());
    }
    Ok(times.quantile(0.5).unwrap_or_default())
}
