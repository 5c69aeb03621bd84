//! The evaluation platform as tests see it: a process with parts, asked over real sockets.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers, of which each test file uses some"
)]

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Asks until there is an answer; panics after `limit`.
#[expect(clippy::disallowed_methods, reason = "the one bounded wait of these tests")]
pub fn until<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub const SOON: Duration = Duration::from_secs(20);

pub struct Platform {
    pub child: Child,
    pub address: SocketAddr,
    pub announced: Value,
}

impl Platform {
    pub fn start(data: &Path, truth: &[&str]) -> Platform {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crucible-ground"));
        command.arg("evaluation").arg("--data").arg(data);
        for switch in truth {
            command.args(["--truth", switch]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let announced: Value = serde_json::from_str(&line).expect("the platform must announce itself");
        let address = announced["address"].as_str().unwrap().parse().unwrap();
        Platform { child, address, announced }
    }

    pub fn fresh(truth: &[&str]) -> (Platform, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        (Platform::start(data.path(), truth), data)
    }

    pub fn try_ask(&self, method: &str, path: &str, body: Option<&str>) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: ground\r\nConnection: close\r\n");
        if let Some(body) = body {
            request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        request += body.unwrap_or("");
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status =
            head.get(9..12).and_then(|code| code.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
        Ok((status, body.to_owned()))
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let (status, body) = self.try_ask(method, path, body).unwrap();
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path, None);
        assert!(status == 200 || status == 202, "{path}: {status} {value}");
        value
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", path, Some(&body.to_string()))
    }

    /// Submits and gives the id.
    pub fn submit(&self, body: &Value) -> String {
        let (status, answer) = self.post("/api/eval", body);
        assert_eq!(status, 200, "{answer}");
        answer["eval_id"].as_str().unwrap().to_owned()
    }

    pub fn code(&self, code: &str) -> String {
        self.submit(&json!({"code": code}))
    }

    /// Waits for the final state.
    pub fn result(&self, id: &str) -> Value {
        until(SOON, id, || {
            let (status, value) = self.try_ask("GET", &format!("/api/eval/{id}"), None).ok()?;
            (status == 200).then(|| serde_json::from_str(&value).unwrap())
        })
    }

    pub fn wait_for_status(&self, id: &str, status: &str) {
        until(SOON, status, || {
            (self.get(&format!("/api/eval/{id}/status"))["status"] == status).then_some(())
        });
    }

    /// Process ids by name, as they are now.
    pub fn parts(&self) -> Vec<(String, u32)> {
        let list = self.get("/api/status")["parts"].as_array().unwrap().clone();
        list.iter()
            .map(|part| (part["name"].as_str().unwrap().to_owned(), part["pid"].as_u64().unwrap() as u32))
            .collect()
    }

    pub fn pid_of(&self, name: &str) -> u32 {
        until(SOON, name, || self.parts().into_iter().find(|(part, _)| part == name)).1
    }

    /// Kills a part and waits until another process has its name.
    pub fn kill(&self, name: &str) {
        let before = self.pid_of(name);
        signal(before, Signal::KILL);
        until(SOON, "the restart of a part", || (self.pid_of(name) != before).then_some(()));
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

pub fn signal(pid: u32, signal: Signal) {
    // it may have died meanwhile
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
}

pub fn lives(pid: u32) -> bool {
    let zombie = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    test_kill_process(Pid::from_raw(pid.cast_signed()).unwrap()).is_ok() && !zombie
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
