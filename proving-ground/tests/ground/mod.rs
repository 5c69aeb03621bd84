//! A system as tests see it: a process, asked over real sockets.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "helpers, of which each test file uses some"
)]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Long enough on any machine; nothing waits for it when all is well.
pub const LONG: Duration = Duration::from_secs(30);

pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Server {
    pub fn start(system: &str, data: &Path, truth: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crucible-ground"));
        command.arg(system).arg("--data").arg(data);
        for switch in truth {
            command.args(["--truth", switch]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let announced: Value = serde_json::from_str(&line).expect("the system must announce itself");
        let address = announced["address"].as_str().unwrap().parse().unwrap();
        Server { child, address }
    }

    pub fn fresh(system: &str, truth: &[&str]) -> (Server, tempfile::TempDir) {
        let data = tempfile::tempdir().unwrap();
        (Server::start(system, data.path(), truth), data)
    }

    pub fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&str>,
    ) -> std::io::Result<Reply> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(LONG))?;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nHost: ground\r\nConnection: close\r\n{headers}");
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
        Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Reply {
        let headers = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        self.try_ask(method, path, &headers, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None, None)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
