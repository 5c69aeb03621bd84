//! Programs that try to get out, each against the whole sandbox and against its fallback.

use super::{End, Job, Limits, Report, Sandbox};
use crucible_core::Ns;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

fn both() -> &'static [(&'static str, Sandbox)] {
    static BOTH: OnceLock<Vec<(&str, Sandbox)>> = OnceLock::new();
    BOTH.get_or_init(make_both)
}

fn whole() -> &'static Sandbox {
    &both()[0].1
}

fn make_both() -> Vec<(&'static str, Sandbox)> {
    let whole = Sandbox::new().unwrap();
    assert!(whole.layers().iter().all(|layer| layer.active), "{:?}", whole.layers());
    vec![("whole", whole), ("fallback", Sandbox::fallback().unwrap())]
}

fn run_with(sandbox: &Sandbox, code: &str, limits: Limits) -> Report {
    let job = Job { code: code.into(), limits, files: Vec::new() };
    sandbox.run(&job, &AtomicBool::new(false)).unwrap()
}

/// Each program in both, with a wall limit of ten seconds; `check` sees the report and its texts.
fn each(code: &str, check: impl Fn(&str, &Report, &str, &str)) {
    for (name, sandbox) in both() {
        let limits = Limits { wall: Ns::from_secs(10), memory: 256 << 20, ..Limits::default() };
        let report = run_with(sandbox, code, limits);
        let (out, err) = (
            String::from_utf8_lossy(&report.stdout).into_owned(),
            String::from_utf8_lossy(&report.stderr).into_owned(),
        );
        check(name, &report, &out, &err);
    }
}

fn prints(code: &str, expected: &str) {
    each(code, |name, report, out, err| {
        assert_eq!((report.end, out.trim()), (End::Exited(0), expected), "{name}: {code}\n{err}");
    });
}

fn ends(code: &str, expected: End) {
    each(code, |name, report, out, err| assert_eq!(report.end, expected, "{name}: {code}\n{out}\n{err}"));
}

#[test]
fn ordinary_programs_work() {
    prints("print(6 * 7)", "42");
    prints("import json, re, decimal, hashlib, random\nprint(json.dumps([1]))", "[1]");
    prints(
        "import threading\nt = [threading.Thread(target=print, args=(i,)) for i in range(1)]\nfor x in t: x.start()\nfor x in t: x.join()",
        "0",
    );
    prints(
        "import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    print('async')\nasyncio.run(f())",
        "async",
    );
    prints("open('note.txt', 'w').write('kept'); print(open('note.txt').read())", "kept");
    prints("import tempfile\nwith tempfile.TemporaryFile(dir='.') as f: print(f.write(b'abc'))", "3");
    prints(
        "import os, sys; print(sorted(os.environ), file=sys.stderr); print(os.listdir('.'))",
        "['main.py']",
    );
}

#[test]
fn each_way_to_end_is_told_apart() {
    ends("print('unbalanced'", End::Syntax);
    ends("if True:\nprint(1)", End::Syntax);
    ends("1 / 0", End::Raised);
    ends("raise SystemExit(7)", End::Exited(7));
    ends("import sys; sys.exit(1)", End::Exited(1));
    ends("import os; os.abort()", End::Signalled(libc::SIGABRT));
    ends("import ctypes; ctypes.string_at(0)", End::Signalled(libc::SIGSEGV));
    ends("import resource\nx = 'a'\nwhile True: x += x", End::Memory);
    ends("while True: print('x' * 1000)", End::Output);
}

#[test]
fn time_is_limited_by_the_wall_and_by_the_processor() {
    for (name, sandbox) in both() {
        let limits = Limits { wall: Ns::from_millis(300), ..Limits::default() };
        for code in ["while True: pass", "import time; time.sleep(100)"] {
            let report = run_with(sandbox, &format!("print('begun')\n{code}"), limits);
            assert_eq!(
                (report.end, report.stdout.as_slice()),
                (End::Time, &b"begun\n"[..]),
                "{name}: {code}"
            );
            assert!(report.wall >= limits.wall, "{name}: {}", report.wall);
        }
        let limits = Limits { cpu: Ns::from_secs(1), ..Limits::default() };
        assert_eq!(run_with(sandbox, "while True: pass", limits).end, End::Time, "{name}");
    }
}

#[test]
fn there_is_no_network() {
    let refused = "PermissionError";
    each("import socket; socket.create_connection(('127.0.0.1', 22), 1)", |name, report, out, err| {
        assert!(report.end == End::Raised && err.contains(refused), "{name}: {out} {err}");
    });
    for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_PACKET"] {
        each(
            &format!("import socket; socket.socket(socket.{family}, socket.SOCK_RAW)"),
            |name, _, out, err| {
                assert!(err.contains(refused), "{name}, {family}: {out} {err}");
            },
        );
    }
}

#[test]
fn files_outside_are_neither_read_nor_written() {
    for code in [
        "open('/etc/passwd').read()",
        "open('/etc/shadow').read()",
        "open('../../../../etc/passwd').read()",
        "import os; os.symlink('/etc/passwd', 'link'); open('link').read()",
        "open('/proc/1/environ', 'rb').read()",
        "open('/proc/self/mem', 'rb').read()",
        "import os; os.listdir('/proc')",
        "import os; os.listdir('/root')",
        "import os; os.listdir('/home')",
        "open('/tmp/escaped', 'w')",
        "open('/escaped', 'w')",
        "open('/usr/lib/escaped', 'w')",
        "open('/dev/shm/escaped', 'w')",
        "import os; os.chmod('/usr/lib', 0o777)",
        "import os; os.mkdir('/usr/lib/escaped')",
        "import os; os.chroot('.')",
        "import os; os.execv('/bin/sh', ['sh', '-c', 'echo out'])",
    ] {
        each(code, |name, report, out, err| {
            assert_eq!(report.end, End::Raised, "{name}: {code}: {out} {err}");
            let known = ["PermissionError", "FileNotFoundError", "OSError: [Errno 30]", "NotADirectory"];
            assert!(known.iter().any(|known| err.contains(known)), "{name}: {code}: {err}");
        });
    }
    assert!(!std::path::Path::new("/tmp/escaped").exists());
}

#[test]
fn disk_is_limited() {
    let code = "import os
wrote = 0
try:
    for i in range(1000):
        with open(f'f{i}', 'wb') as f: wrote += f.write(b'x' * (1 << 20))
except OSError as e:
    print('full' if wrote <= 16 << 20 else wrote)";
    let sandbox = whole();
    let report = run_with(sandbox, code, Limits::default());
    assert_eq!(report.stdout, b"full\n", "{report:?}");
    ends(
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('f', 'wb').truncate(1 << 40)",
        End::Signalled(libc::SIGXFSZ),
    );
}

#[test]
fn a_fork_bomb_is_contained() {
    let bomb = "import os
print(os.getpid(), flush=True)
while True:
    try: os.fork()
    except OSError: pass";
    for (name, sandbox) in both() {
        let limits = Limits { wall: Ns::from_millis(700), ..Limits::default() };
        let report = run_with(sandbox, bomb, limits);
        assert_eq!(report.end, End::Time, "{name}: {report:?}");
    }
    let sandbox = whole();
    let count = "import os
n = 0
try:
    while n < 1000:
        if os.fork() == 0:
            import time; time.sleep(60)
        n += 1
except OSError: pass
print(n)";
    let report = run_with(sandbox, count, Limits::default());
    assert_eq!(String::from_utf8_lossy(&report.stdout).trim(), "15", "{report:?}");
    assert_eq!(report.end, End::Exited(0), "what was left behind ended with the program");
    assert!(report.wall < Ns::from_secs(30));
}

#[test]
fn memory_of_many_processes_counts_together() {
    let code = "import os, time
for i in range(8):
    if os.fork() == 0:
        x = bytearray(64 << 20)
        for at in range(0, len(x), 4096): x[at] = 1
        time.sleep(60)
time.sleep(60)";
    let limits = Limits { memory: 256 << 20, ..Limits::default() };
    let report = run_with(whole(), code, limits);
    assert_eq!(report.end, End::Memory, "{report:?}");
}

#[test]
fn others_are_neither_seen_nor_signalled() {
    let sandbox = whole();
    let own = std::process::id();
    let report =
        run_with(sandbox, &format!("import os\nprint(os.getpid())\nos.kill({own}, 9)"), Limits::default());
    assert_eq!((report.end, report.stdout.as_slice()), (End::Raised, &b"2\n"[..]), "{report:?}");
    each(&format!("import os\nos.kill({own}, 0)"), |name, report, _, err| {
        assert_eq!(report.end, End::Raised, "{name}: {err}");
    });
    // everybody else of its world is process 1
    let report = run_with(sandbox, "import os\nos.kill(1, 9)", Limits::default());
    assert_eq!(report.end, End::Raised, "{report:?}");
    let report = run_with(sandbox, "import os\nos.kill(os.getpid(), 9)", Limits::default());
    assert_eq!(report.end, End::Signalled(libc::SIGKILL), "{report:?}");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn new_namespaces_and_tracing_are_refused() {
    let call = |text: &str| {
        format!(
            "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nprint({text}, ctypes.get_errno())"
        )
    };
    for text in [
        "libc.unshare(0x10000000)",
        "libc.ptrace(16, 1, 0, 0)",
        "libc.mount(b'x', b'/scratch', b'tmpfs', 0, None)",
        "libc.syscall(425, 8, 0)",
        "libc.memfd_create(b'x', 0)",
        "libc.prctl(1, 0, 0, 0, 0)",
        "libc.syscall(302, 1, 7, None, None)",
        "libc.shmget(1, 4096, 0o1600)",
        "libc.keyctl(0, 0)",
        "libc.personality(0xffffffff)",
    ] {
        let text = if text.contains("keyctl") { "libc.syscall(250, 0, 0)" } else { text };
        prints(&call(text), "-1 1");
    }
}

#[test]
fn files_go_in_and_come_out() {
    let code = "import os
print(open('in.txt').read())
open('out.txt', 'w').write('made')
os.symlink('/etc/passwd', 'link'); os.mkfifo if False else None
os.mkdir('folder')";
    for (name, sandbox) in both() {
        let files = vec![("in.txt".to_owned(), b"given".to_vec())];
        let job = Job { code: code.into(), files, ..Job::default() };
        let report = sandbox.run(&job, &AtomicBool::new(false)).unwrap();
        assert_eq!(report.stdout, b"given\n", "{name}: {report:?}");
        let names: Vec<&str> = report.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["in.txt", "main.py", "out.txt"], "{name}");
        assert_eq!(report.files[2].1, b"made");
    }
    let sandbox = whole();
    for name in ["../x", "/x", "", ".hidden", "main.py", "a/b", "a\0b"] {
        let job = Job { files: vec![(name.to_owned(), Vec::new())], ..Job::default() };
        assert!(sandbox.run(&job, &AtomicBool::new(false)).is_err(), "{name:?}");
    }
}

#[test]
fn a_run_can_be_stopped() {
    let sandbox = whole();
    let stop = AtomicBool::new(false);
    let job = Job { code: b"import time; time.sleep(60)".to_vec(), ..Job::default() };
    let report = std::thread::scope(|scope| {
        let running = scope.spawn(|| sandbox.run(&job, &stop).unwrap());
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap()
    });
    assert_eq!(report.end, End::Stopped);
}

/// What a program is begun with must wait for no thread of ours: the child has copies of them that never go on. (Groups are
/// dropped by root only, which is where this went wrong.)
#[test]
fn threads_that_come_and_go_hold_no_program_up() {
    let limits = Limits { wall: Ns::from_secs(5), ..Limits::default() };
    let sandbox = whole();
    std::thread::scope(|scope| {
        let programs = scope.spawn(|| (0..30).map(|_| run_with(sandbox, "", limits).end).collect::<Vec<_>>());
        while !programs.is_finished() {
            std::thread::scope(|short| drop(short.spawn(|| ())));
        }
        let ends = programs.join().unwrap();
        assert!(ends.iter().all(|end| *end == End::Exited(0)), "{ends:?}");
    });
}
