//! Servers that others wrote, started with few lines of ours: nginx from the system's packages, a crate, a Python and a
//! Node package. What they need is made below `target/` when they are first asked for.

use crate::live::ground::Ground;
use crate::{Failure, machine, root};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// A running server; ends when dropped.
pub(super) struct Foreign {
    child: Child,
    /// Where it is asked.
    pub(super) url: String,
    /// What stands behind it.
    _behind: Option<Ground>,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

/// Where our sources are.
fn source(name: &str) -> PathBuf {
    root().join("xtask/foreign").join(name)
}

/// Where what they need is made.
fn made(name: &str) -> PathBuf {
    root().join("target/foreign").join(name)
}

/// Runs a command to its end; what it prints is shown only if it fails.
fn run(what: &str, command: &mut Command) -> Result<(), Failure> {
    let ended = machine::measure(command, None)?;
    let last = ended.stderr.trim().lines().last().unwrap_or_default().to_owned();
    if ended.code == 0 { Ok(()) } else { Err(format!("failed to {what}: {last}")) }
}

/// Starts a server that prints its address on its first line.
fn start(command: &mut Command) -> Result<Foreign, Failure> {
    let mut child = machine::start(command, None)?;
    let mut line = String::new();
    let said = child.stdout.as_mut().map(|out| BufReader::new(out).read_line(&mut line));
    let server = Foreign { child, url: line.trim().to_owned(), _behind: None };
    match said {
        Some(Ok(_)) if server.url.starts_with("http://") => Ok(server),
        _ => Err(format!("{command:?} did not start")),
    }
}

/// nginx with one directive in front of everything: zone `r` is 5 requests a second, zone `q` 10, zone `c` counts
/// connections. It serves a file, or passes on to what stands behind it.
pub(super) fn nginx(directive: &str, behind: Option<Ground>) -> Result<Foreign, Failure> {
    let failed = |error: std::io::Error| format!("failed to start nginx (is it installed?): {error}");
    let port =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).map_err(failed)?.port();
    let folder = made("nginx");
    std::fs::create_dir_all(folder.join("www")).map_err(failed)?;
    std::fs::write(folder.join("www/index.html"), "ok\n").map_err(failed)?;
    let config = folder.join("nginx.conf");
    let to = behind.as_ref().map_or(String::new(), |ground| format!("proxy_pass {};", ground.url));
    std::fs::write(&config, configuration(&folder, port, directive, &to)).map_err(failed)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&folder).arg("-c").arg(&config).arg("-e").arg(folder.join("error.log"));
    let child = machine::start(&mut command, None)?;
    let path = if behind.is_some() { "/api/v1/tasks" } else { "/index.html" };
    let server = Foreign { child, url: format!("http://127.0.0.1:{port}{path}"), _behind: behind };
    for _ in 0..200 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(server);
        }
        machine::sleep(Duration::from_millis(50));
    }
    Err("failed to start nginx: it does not listen".into())
}

fn configuration(folder: &Path, port: u16, directive: &str, to: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
           access_log off;\n\
           keepalive_requests 1000000;\n\
           client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n\
           uwsgi_temp_path {folder}; scgi_temp_path {folder};\n\
           limit_req_zone $binary_remote_addr zone=r:1m rate=5r/s;\n\
           limit_req_zone $binary_remote_addr zone=q:1m rate=10r/s;\n\
           limit_conn_zone $binary_remote_addr zone=c:1m;\n\
           server {{ listen 127.0.0.1:{port}; root {folder}/www; location / {{ {directive} {to} }} }}\n\
         }}\n"
    )
}

/// axum behind `tower_governor`: one request each `period` milliseconds, `burst` at once.
pub(super) fn governor(period: u64, burst: u64) -> Result<Foreign, Failure> {
    let target = root().join("target/foreign");
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--quiet", "--locked"]).current_dir(source("governor"));
    run("build foreign-governor", build.env("CARGO_TARGET_DIR", &target))?;
    let binary = target.join("release/foreign-governor");
    start(Command::new(binary).args([period.to_string(), burst.to_string()]))
}

/// Flask behind Flask-Limiter.
pub(super) fn flask(strategy: &str, limit: &str) -> Result<Foreign, Failure> {
    let venv = made("venv");
    if !venv.join("done").exists() {
        run("make a Python environment", Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let wanted = source("flask/requirements.txt");
        run(
            "install Flask-Limiter",
            Command::new(venv.join("bin/pip")).args(["install", "-q", "-r"]).arg(wanted),
        )?;
        std::fs::write(venv.join("done"), "").map_err(|e| format!("failed to write below target: {e}"))?;
    }
    start(Command::new(venv.join("bin/python")).arg(source("flask/server.py")).args([strategy, limit]))
}

/// Express behind express-rate-limit: `limit` in `window` milliseconds.
pub(super) fn express(limit: u64, window: u64) -> Result<Foreign, Failure> {
    let folder = made("express");
    if !folder.join("done").exists() {
        let failed = |e: std::io::Error| format!("failed to write below target: {e}");
        std::fs::create_dir_all(&folder).map_err(failed)?;
        for file in ["package.json", "server.js"] {
            std::fs::copy(source("express").join(file), folder.join(file)).map_err(failed)?;
        }
        let mut install = Command::new("npm");
        install.args(["install", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(&folder);
        run("install express-rate-limit", &mut install)?;
        std::fs::write(folder.join("done"), "").map_err(failed)?;
    }
    start(Command::new("node").arg(folder.join("server.js")).args([limit.to_string(), window.to_string()]))
}
