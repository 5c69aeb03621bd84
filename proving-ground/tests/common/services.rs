//! PostgreSQL and Redis of our own: private folders, free ports, gone when the test ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Both.
pub(crate) struct Services {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
}

impl Services {
    /// Starts both. Nothing if one is not installed, which is told, and fails if `CRUCIBLE_FULL` demands them.
    #[expect(
        clippy::disallowed_methods,
        reason = "the full test command says by this variable that all must run"
    )]
    #[allow(clippy::print_stdout, reason = "whoever reads the output of the tests must know of a skip")]
    pub(crate) fn start() -> Option<Services> {
        let (postgres, redis) = (postgres_folder(), on_path("redis-server"));
        if let (Some(postgres), Some(redis)) = (postgres, redis) {
            return Some(Services { postgres: Postgres::new(postgres), redis: Redis::start(&redis) });
        }
        let demanded = std::env::var("CRUCIBLE_FULL").is_ok_and(|value| !value.is_empty() && value != "0");
        assert!(!demanded, "PostgreSQL and redis-server must be installed for the full tests");
        println!("skipped: PostgreSQL or redis-server is not installed (Debian: postgresql, redis-server)");
        None
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/local/bin", "/usr/sbin"].map(|folder| Path::new(folder).join(name));
    found.into_iter().find(|path| path.is_file())
}

fn postgres_folder() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.push(PathBuf::from("/usr/local/bin"));
    folders.sort();
    let whole = |folder: &PathBuf| {
        ["initdb", "postgres", "createdb"].iter().all(|program| folder.join(program).is_file())
    };
    folders.into_iter().rev().find(whole)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for a line, then goes on reading so that the writer never blocks.
fn wait_for(stream: impl Read + Send + 'static, line: &str) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut seen = String::new();
    let found = lines.by_ref().any(|l| {
        seen = format!("{seen}{l}\n");
        l.contains(line)
    });
    assert!(found, "the service did not start:\n{seen}");
    std::thread::spawn(move || lines.for_each(drop));
}

fn stop(child: &mut Child, signal: Signal) {
    let _ = kill_process(Pid::from_child(child), signal);
    let _ = child.wait();
}

pub(crate) struct Postgres {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    server: Option<Child>,
    databases: AtomicU32,
}

impl Postgres {
    fn new(bin: PathBuf) -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        let mut postgres =
            Postgres { bin, folder, port: free_port(), server: None, databases: AtomicU32::new(0) };
        if geteuid().is_root() {
            let (user, group) = postgres.user();
            std::os::unix::fs::chown(postgres.folder.path(), Some(user), Some(group)).unwrap();
        }
        let made = postgres
            .command("initdb")
            .args(["-A", "trust", "--no-sync", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", "data"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.start();
        postgres
    }

    /// Uid and gid of the user `postgres`, as which a server that root starts must run.
    fn user(&self) -> (u32, u32) {
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find(|line| line.starts_with("postgres:")).expect("a user `postgres`");
        let fields: Vec<&str> = line.split(':').collect();
        (fields[2].parse().unwrap(), fields[3].parse().unwrap())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if geteuid().is_root() {
            let (user, group) = self.user();
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts the server, again if it was stopped.
    pub(crate) fn start(&mut self) {
        let port = self.port.to_string();
        let mut child = self
            .command("postgres")
            .args([
                "-D",
                "data",
                "-p",
                &port,
                "-k",
                ".",
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "fsync=off",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for(child.stderr.take().unwrap(), "ready to accept connections");
        self.server = Some(child);
    }

    /// Ends the server and all its connections at once.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            stop(&mut server, Signal::INT);
        }
    }

    /// An empty database: its address.
    pub(crate) fn new_database(&self) -> String {
        let name = format!("stories_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        let made = self
            .command("createdb")
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", &name])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            stop(&mut server, Signal::QUIT);
        }
    }
}

pub(crate) struct Redis {
    _folder: tempfile::TempDir,
    port: u16,
    server: Child,
}

impl Redis {
    fn start(program: &Path) -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut server = Command::new(program)
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
            ])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(server.stdout.take().unwrap(), "Ready to accept connections");
        Redis { _folder: folder, port, server }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forgets everything.
    pub(crate) fn flush(&self) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"FLUSHALL\r\n").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }

    /// Lets it hang: connections stay, nothing is answered.
    pub(crate) fn freeze(&self) {
        kill_process(Pid::from_child(&self.server), Signal::STOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill_process(Pid::from_child(&self.server), Signal::CONT).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        stop(&mut self.server, Signal::KILL);
    }
}
