//! Many WebSocket connections that are mostly silent: memory and CPU of our generator, beside Locust and k6 where they can
//! be had.
//!
//! Each user opens a socket, and speaks and waits for the echo once in a while; together they make the wanted number of
//! messages a second. The server is ours and runs in this process, so that what is measured is the client's alone.

use super::folder;
use crate::machine::{self, Ended, on_path};
use crate::truth::product::Product;
use crate::{Failure, flag, option, root};
use crucible_core::Ns;
use crucible_testkit::servers::EchoServer;
use std::path::Path;
use std::process::Command;

/// Descriptors that a process needs beside its sockets.
const OTHER_FILES: u64 = 200;
/// The connections of the small run, whose memory is that of everything but connections.
const FEW: u64 = 10;

/// What is measured.
#[derive(Clone, Copy)]
struct Job {
    connections: u64,
    /// Messages a second, all together.
    rate: u64,
    /// Seconds in which connections are opened, and for which they are held after that.
    ramp: u64,
    seconds: u64,
    port: u16,
}

impl Job {
    /// Mean pause of a user between two messages, in ms.
    fn pause_ms(&self) -> u64 {
        (self.connections * 1000 / self.rate.max(1)).max(1)
    }
}

/// What came out; the count is the tool's own.
struct Turn {
    messages: f64,
    note: String,
    ended: Ended,
}

pub(super) fn run(arguments: &[String]) -> Result<(), Failure> {
    let wanted = option(arguments, "--connections", 10_000)?;
    let connections = most_connections(wanted);
    if connections < wanted {
        eprintln!(
            "note: {connections} connections instead of {wanted}: a process may open that many files; \
             `ulimit -n {}` before it (or nofile in limits.conf) allows all",
            wanted + OTHER_FILES
        );
    }
    if !flag(arguments, "--no-build") {
        crate::truth::build()?;
    }
    let server = EchoServer::start().map_err(|error| format!("failed to start the echo server: {error}"))?;
    let rate: u64 = option(arguments, "--rate", 1_000)?;
    let seconds = option(arguments, "--seconds", 30)?;
    let job = Job { connections, rate, ramp: 10, seconds, port: server.addr().port() };
    println!("{connections} WebSocket connections, {rate} messages/s together, held for {seconds} s");
    let few = Job { connections: FEW, rate: FEW, ramp: 1, seconds: 3, ..job };
    let (base, turn) = (ours(&few)?, ours(&job)?);
    show("crucible", &job, &turn, Some(&base));
    match flag(arguments, "--no-locust") {
        true => {}
        false => match locust_program() {
            Ok(program) => {
                show("locust", &job, &locust(&program, &job)?, locust(&program, &few).ok().as_ref())
            }
            Err(why) => println!("locust    left out: {why}"),
        },
    }
    match k6_program() {
        Some(program) => show("k6", &job, &k6(&program, &job)?, k6(&program, &few).ok().as_ref()),
        None => {
            println!("k6        left out: it is not on the path (no package of Debian, npm or PyPI has it)")
        }
    }
    Ok(())
}

/// Raises the limit of open files as far as it goes; client and server need one for each connection.
fn most_connections(wanted: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a live local.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        }
    }
    wanted.min(limit.rlim_cur.saturating_sub(OTHER_FILES))
}

fn show(name: &str, job: &Job, turn: &Turn, base: Option<&Turn>) {
    let seconds = (job.ramp + job.seconds) as f64;
    let each = base.map_or(f64::NAN, |base| {
        turn.ended.rss.saturating_sub(base.ended.rss) as f64 / (job.connections - FEW) as f64 / 1024.0
    });
    println!(
        "{name:<10}{:>9.0} messages/s  {:>7.1} MB peak, {each:>6.1} KiB a connection  {:>5.1} % of a CPU  {}",
        turn.messages / seconds,
        turn.ended.rss as f64 / 1e6,
        turn.ended.cpu.as_secs_f64() / turn.ended.wall.as_secs_f64() * 100.0,
        turn.note
    );
}

fn ours(job: &Job) -> Result<Turn, Failure> {
    let pause = job.pause_ms();
    let text = format!(
        "name: sockets\ntarget: http://127.0.0.1:{}\nscenarios:\n  user:\n    think: 0ms..{}ms\n    setup: [{{name: open, ws: /}}]\n    \
         steps: [{{name: echo, send: 'message ${{vu}}/${{iteration}}', expect: {{text: {{exists: true}}}}}}]\n\
         tests: {{t: {{vus: {}, ramp: {}s, hold: {}s}}}}\n",
        job.port,
        2 * pause,
        job.connections,
        job.ramp,
        job.seconds
    );
    let told = Product::new(root()).plan("sockets", &text)?;
    let steps = told.json.pointer("/tests/0/totals/steps").and_then(|steps| steps.as_array().cloned());
    let echo = steps.unwrap_or_default().into_iter().find(|row| row["name"] == "echo").unwrap_or_default();
    let number = |path: &str| echo.pointer(path).and_then(serde_json::Value::as_f64);
    let time = |path: &str| number(path).map_or("-".into(), |ns| Ns(ns as u64).to_string());
    let note = format!(
        "echo p50 {}, p99 {}, not ok {}",
        time("/service/p50_ns"),
        time("/service/p99_ns"),
        number("/ended").unwrap_or(0.0) - number("/outcomes/ok").unwrap_or(0.0)
    );
    let messages = number("/outcomes/ok")
        .ok_or_else(|| format!("no figures of the echo: {}", told.ended.stderr.trim()))?;
    Ok(Turn { messages, note, ended: told.ended })
}

/// Locust in an environment of its own, installed if that is possible.
fn locust_program() -> Result<String, String> {
    let place = folder().join("locust");
    let program = place.join("bin/locust");
    if !program.exists() {
        if !on_path("python3") {
            return Err("python3 is not there".into());
        }
        eprintln!("installing locust and websocket-client (--no-locust goes without) ...");
        let shell = |script: String| {
            let done = Command::new("sh").args(["-c", &script]).output();
            done.is_ok_and(|out| out.status.success())
        };
        let place = place.display();
        if !shell(format!("python3 -m venv {place}"))
            || !shell(format!("{place}/bin/pip install --quiet locust websocket-client"))
        {
            return Err("it could not be installed from PyPI".into());
        }
    }
    Ok(program.display().to_string())
}

fn written(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(|error| format!("failed to write {}: {error}", file.display()))
}

fn locust(program: &str, job: &Job) -> Result<Turn, Failure> {
    let file = folder().join("sockets_locust.py");
    let pause = 2.0 * job.pause_ms() as f64 / 1000.0;
    let text = format!(
        r#"import time
import websocket
from locust import User, between, task


class Echo(User):
    wait_time = between(0, {pause})

    def on_start(self):
        self.socket = websocket.create_connection("ws://127.0.0.1:{port}/")

    @task
    def echo(self):
        begun = time.perf_counter()
        self.socket.send("message")
        self.socket.recv()
        took = (time.perf_counter() - begun) * 1000
        self.environment.events.request.fire(
            request_type="WS", name="echo", response_time=took, response_length=7, exception=None, context={{}})
"#,
        port = job.port
    );
    written(&file, &text)?;
    let mut command = Command::new(program);
    let spawn = (job.connections / job.ramp).max(1).to_string();
    command.arg("-f").arg(&file).args([
        "--headless",
        "--json",
        "--only-summary",
        "-u",
        &job.connections.to_string(),
    ]);
    command.args(["-r", &spawn, "-t", &format!("{}s", job.ramp + job.seconds), "--stop-timeout", "0"]);
    let ended = machine::measure(&mut command, None)?;
    let start = ended.stdout.find('[').unwrap_or(0);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout[start..]).unwrap_or_default();
    let messages = report.pointer("/0/num_requests").and_then(serde_json::Value::as_f64);
    let messages = messages.ok_or_else(|| format!("locust gave no count: {}", ended.stderr.trim()))?;
    Ok(Turn { messages, note: String::new(), ended })
}

fn k6_program() -> Option<String> {
    let ours = folder().join("bin/k6");
    if ours.exists() {
        return Some(ours.display().to_string());
    }
    on_path("k6").then(|| "k6".to_owned())
}

fn k6(program: &str, job: &Job) -> Result<Turn, Failure> {
    let file = folder().join("sockets_k6.js");
    let text = format!(
        "import ws from 'k6/ws';\n\
         export const options = {{stages: [{{duration: '{ramp}s', target: {vus}}}, {{duration: '{hold}s', target: {vus}}}], \
         gracefulStop: '0s'}};\n\
         export default function () {{\n  ws.connect('ws://127.0.0.1:{port}/', {{}}, (socket) => {{\n    \
         socket.on('open', () => socket.setInterval(() => socket.send('message'), {pause}));\n  }});\n}}\n",
        ramp = job.ramp,
        vus = job.connections,
        hold = job.seconds,
        port = job.port,
        pause = job.pause_ms(),
    );
    written(&file, &text)?;
    let mut command = Command::new(program);
    command.args(["run", "--quiet"]).arg(&file);
    let ended = machine::measure(&mut command, None)?;
    let line = ended.stdout.lines().find(|line| line.trim_start().starts_with("ws_msgs_received"));
    let count = line.and_then(|line| line.split(':').nth(1)?.split_whitespace().next()?.parse().ok());
    let messages = count.ok_or_else(|| format!("k6 gave no count: {}", ended.stderr.trim()))?;
    Ok(Turn { messages, note: String::new(), ended })
}
