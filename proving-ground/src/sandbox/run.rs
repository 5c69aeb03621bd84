//! The sandbox as seen from outside: making one, running a program in it, watching it.

use super::child::{self, Bind, Ends, Pointers, Prepared, Step};
use super::landlock::{self, Right};
use super::python::{self, Python};
use super::watch::{Broken, Running, Stream};
use super::{Job, Layer, Report, files, filter};
use crate::clock::Watch;
use crucible_core::Ns;
use seccompiler::BpfProgram;
use std::ffi::CString;
use std::fs::File;
use std::io::{Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Name of the program's source in its scratch folder.
const MAIN: &str = "main.py";
/// The user inside of an own world.
const INNER_USER: u32 = 1000;
/// The user outside, if we may choose: nobody.
const OUTER_USER: u32 = 65_534;

/// Runs programs. Making one tries out which layers work here.
pub(crate) struct Sandbox {
    python: Python,
    own_world: bool,
    seccomp: Vec<BpfProgram>,
    landlock: i32,
    refused: Option<String>,
}

impl Sandbox {
    /// Finds the interpreter and tries the layers out, the strongest first.
    ///
    /// Errors: no interpreter; neither namespaces nor Landlock; a trial run that does not print.
    pub(crate) fn new() -> Result<Sandbox, String> {
        Sandbox::make(true)
    }

    fn make(own_world: bool) -> Result<Sandbox, String> {
        let mut candidates = python::CANDIDATES.iter();
        let first = python::find(candidates.next().copied().unwrap_or_default())?;
        let landlock = landlock::version();
        let seccomp = filter::build(own_world, landlock >= landlock::SCOPES)?;
        let mut sandbox = Sandbox { python: first, own_world, seccomp, landlock, refused: None };
        let trial = Job { code: b"print('ready')".to_vec(), ..Job::default() };
        for _ in 0..6 {
            match sandbox.attempt(&trial, &AtomicBool::new(false)) {
                Ok(report) if report.stdout == b"ready\n" => return Ok(sandbox),
                Ok(report) => {
                    let told = String::from_utf8_lossy(&report.stderr).into_owned();
                    return Err(format!("a trial run in the sandbox ended with {:?}: {told}", report.end));
                }
                Err(broken) if broken.step == Step::Start => {
                    let other = candidates.find_map(|candidate| python::find(candidate).ok());
                    sandbox.python = other.ok_or(broken.text)?;
                }
                Err(broken) => sandbox.weaken(broken)?,
            }
        }
        Err("cannot make a sandbox: its layers fail one after the other".into())
    }

    /// What is made where namespaces are refused.
    #[cfg(test)]
    pub(super) fn fallback() -> Result<Sandbox, String> {
        Sandbox::make(false)
    }

    /// Gives up the layer that failed, if enough is left.
    fn weaken(&mut self, broken: Broken) -> Result<(), String> {
        match broken.step {
            Step::Handshake | Step::Identity | Step::Mounts if self.own_world => {
                self.own_world = false;
                self.seccomp = filter::build(false, self.landlock >= landlock::SCOPES)?;
            }
            Step::Landlock if self.own_world => self.landlock = 0,
            Step::Seccomp if self.own_world => self.seccomp.clear(),
            _ => return Err(format!("cannot make a sandbox: {}", broken.text)),
        }
        if !self.own_world && self.landlock == 0 {
            return Err(format!("cannot make a sandbox: no Landlock, and {}", broken.text));
        }
        self.refused = Some(broken.text);
        Ok(())
    }

    /// Version of the interpreter.
    pub(crate) fn version(&self) -> &str {
        &self.python.version
    }

    /// What stands between a program and the machine, active or not.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let why = self.refused.clone().unwrap_or_else(|| "not available".into());
        let layer = |name, active, detail: &str| {
            let detail = if active { detail.to_owned() } else { why.clone() };
            Layer { name, active, detail }
        };
        let list =
            if self.own_world { "list of allowed calls" } else { "shorter list: no process, no signal" };
        let landlock = format!("version {}: interpreter read only, scratch folder, no TCP", self.landlock);
        vec![
            layer("user namespace", self.own_world, "an unprivileged user without capabilities"),
            layer("pid namespace", self.own_world, "sees and signals its own processes only"),
            layer("mount namespace", self.own_world, "root of tmpfs, interpreter bound read only"),
            layer("network namespace", self.own_world, "no interface is up"),
            layer("ipc and uts namespaces", self.own_world, "own shared memory and host name"),
            layer("seccomp", !self.seccomp.is_empty(), list),
            layer("landlock", self.landlock > 0, &landlock),
            layer("rlimits", true, "address space, CPU time, processes, file size, open files"),
            layer("watch", true, "wall time, output and resident memory of all processes"),
        ]
    }

    /// Runs one program to its end. Blocks. Sets `stop` to end it early.
    ///
    /// Errors are ours, not the program's: no process, no memory for a pipe; trying again may help.
    pub(crate) fn run(&self, job: &Job, stop: &AtomicBool) -> Result<Report, String> {
        self.attempt(job, stop).map_err(|broken| broken.text)
    }

    fn attempt(&self, job: &Job, stop: &AtomicBool) -> Result<Report, Broken> {
        let watch = Watch::start();
        let folder = if self.own_world { None } else { Some(scratch_folder()?) };
        let prepared = self.prepare(job, folder.as_ref().map(tempfile::TempDir::path))?;
        let io = |e: std::io::Error| broken(Step::Start, format!("cannot make a pipe: {e}"));
        let stdin = File::open("/dev/null").map_err(io)?;
        let (stdout, their_stdout) = pipe().map_err(io)?;
        let (stderr, their_stderr) = pipe().map_err(io)?;
        let (talk, their_talk) = UnixStream::pair().map_err(io)?;
        let ends = Ends {
            stdin: stdin.as_raw_fd(),
            stdout: their_stdout.as_raw_fd(),
            stderr: their_stderr.as_raw_fd(),
            talk: their_talk.as_raw_fd(),
        };
        let pid = child::start(&prepared, &Pointers::new(&prepared), &ends).map_err(|errno| {
            let error = std::io::Error::from_raw_os_error(errno);
            let step = if self.own_world { Step::Mounts } else { Step::Fork };
            broken(step, format!("namespaces or a new process are refused: {error}"))
        })?;
        drop((their_stdout, their_stderr, their_talk));
        let guard = Guard(Some(pid));
        self.introduce(pid, &talk)?;
        let mut running = Running {
            pid,
            talk,
            streams: [Stream::new(stdout), Stream::new(stderr)],
            limits: job.limits,
            watch,
            ended: None,
            folder: None,
        };
        let cut = running.follow(stop)?;
        let usage = guard.end();
        if running.ended.is_none() && cut.is_none() {
            return Err(broken(Step::Start, "the sandbox was killed from outside".into()));
        }
        let end = cut.unwrap_or_else(|| running.verdict());
        let files = running.folder.take().map(|f| files::read(f, job.limits.disk)).unwrap_or_default();
        let [stdout, stderr] = running.streams.map(|stream| stream.kept);
        let cpu = Ns(usage.cpu_ns);
        Ok(Report { end, stdout, stderr, wall: watch.elapsed(), cpu, peak_memory: usage.peak_memory, files })
    }

    /// Maps the user of an own world and lets the child go on.
    fn introduce(&self, pid: i32, mut talk: &UnixStream) -> Result<(), Broken> {
        let told = |e: std::io::Error| broken(Step::Handshake, format!("the user map is refused: {e}"));
        if self.own_world {
            let root = rustix::process::geteuid().is_root();
            let (user, group) = if root {
                (OUTER_USER, OUTER_USER)
            } else {
                std::fs::write(format!("/proc/{pid}/setgroups"), "deny").map_err(told)?;
                (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
            };
            std::fs::write(format!("/proc/{pid}/uid_map"), format!("{INNER_USER} {user} 1")).map_err(told)?;
            std::fs::write(format!("/proc/{pid}/gid_map"), format!("{INNER_USER} {group} 1"))
                .map_err(told)?;
        }
        talk.write_all(b"g").map_err(told)
    }

    fn prepare(&self, job: &Job, folder: Option<&Path>) -> Result<Prepared, Broken> {
        let root = rustix::process::geteuid().is_root();
        let needs = self.python.needs.iter().map(|path| (path.as_path(), Right::Read));
        let program = (self.python.program.as_path(), Right::Read);
        let devices = ["/dev/null", "/dev/zero", "/dev/urandom"].map(|path| (Path::new(path), Right::Device));
        let wanted = needs.chain(devices).chain((!self.covers_program()).then_some(program));
        let mut files = vec![(MAIN.to_owned(), job.code.clone())];
        files.extend(job.files.iter().cloned());
        if let Some((name, _)) = job.files.iter().find(|(name, _)| !files::plain(name) || name == MAIN) {
            return Err(broken(Step::Scratch, format!("a file cannot be called {name:?}")));
        }
        let limits = &job.limits;
        let memory = limits.memory;
        let cpu = limits.cpu.0.div_ceil(1_000_000_000).max(1);
        let mut rlimits = vec![
            (libc::RLIMIT_AS, memory),
            (libc::RLIMIT_CPU, cpu),
            (libc::RLIMIT_FSIZE, limits.disk),
            (libc::RLIMIT_NOFILE, 64),
            (libc::RLIMIT_CORE, 0),
            (libc::RLIMIT_MEMLOCK, 0),
            (libc::RLIMIT_MSGQUEUE, 0),
        ];
        if self.own_world {
            // the first process counts, too; outside of an own world the count would be that of a whole user
            rlimits.push((libc::RLIMIT_NPROC, u64::from(limits.processes) + 1));
        }
        let scratch = folder.map_or_else(|| "/scratch".into(), |path| path.to_string_lossy().into_owned());
        let home = format!("HOME={scratch}");
        let environment = ["PATH=", "LANG=C.UTF-8", "MALLOC_ARENA_MAX=2", "TMPDIR=/scratch", home.as_str()];
        let program = self.python.program.to_string_lossy().into_owned();
        let arguments = [program.as_str(), "-I", "-S", "-E", "-B", "-u", MAIN];
        Ok(Prepared {
            own_world: self.own_world,
            user: if self.own_world { Some(INNER_USER) } else { root.then_some(OUTER_USER) },
            drop_groups: root,
            binds: wanted.filter(|(path, _)| path.exists()).map(bind).collect::<Result<_, _>>()?,
            scratch: text(&scratch)?,
            scratch_options: text(&format!("size={},nr_inodes=1024,mode=700", limits.disk))?,
            files: files.into_iter().map(|(name, c)| Ok((text(&name)?, c))).collect::<Result<_, Broken>>()?,
            program: text(&program)?,
            arguments: arguments.into_iter().map(text).collect::<Result<_, _>>()?,
            environment: environment.into_iter().map(text).collect::<Result<_, _>>()?,
            limits: rlimits,
            seccomp: self.seccomp.clone(),
            landlock: self.landlock,
        })
    }

    fn covers_program(&self) -> bool {
        self.python.needs.iter().any(|path| self.python.program.starts_with(path))
    }
}

fn broken(step: Step, text: String) -> Broken {
    Broken::new(step, text)
}

fn text(text: &str) -> Result<CString, Broken> {
    CString::new(text).map_err(|_| broken(Step::Scratch, "a name has a zero byte".into()))
}

fn bind((path, right): (&Path, Right)) -> Result<Bind, Broken> {
    let full = path.to_string_lossy();
    let place = full.trim_start_matches('/');
    let above = place.match_indices('/').map(|(at, _)| text(&place[..at])).collect::<Result<_, _>>()?;
    Ok(Bind { path: text(&full)?, above, place: text(place)?, folder: path.is_dir(), right })
}

/// Without a mount namespace: a folder of the machine, given to the user that the program becomes.
fn scratch_folder() -> Result<tempfile::TempDir, Broken> {
    let told = |e: std::io::Error| broken(Step::Scratch, format!("cannot make a scratch folder: {e}"));
    let folder = tempfile::Builder::new().prefix("crucible-scratch-").tempdir().map_err(told)?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).map_err(told)?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(OUTER_USER), Some(OUTER_USER)).map_err(told)?;
    }
    Ok(folder)
}

/// Kills and reaps the first process on every way out.
struct Guard(Option<i32>);

impl Guard {
    fn end(mut self) -> child::Reaped {
        let pid = self.0.take().unwrap_or(-1);
        child::kill(pid);
        child::reap(pid)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(pid) = self.0.take() {
            child::kill(pid);
            child::reap(pid);
        }
    }
}
