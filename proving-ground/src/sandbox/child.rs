//! What happens between the fork and the start of the program.
//!
//! The parent has several threads, so after the fork nothing may allocate, lock or panic: everything that is
//! needed lies in [`Prepared`], and only plain system calls are made. Each step that fails is told to the
//! parent by its name and errno.
//!
//! Two processes: the first makes the world (in namespaces of its own it is process 1 there), starts the second,
//! which becomes the program, and waits for it. When the first one ends, so does everything in its world.
//!
//! Over the socket go messages of [`MESSAGE`] bytes: a failed step, or the end of the program; with the latter
//! comes the scratch folder as a descriptor, so that the parent can read it after the world is gone.

use super::landlock::{self, Right};
use seccompiler::BpfProgram;
use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::os::fd::RawFd;

/// Length of a message to the parent: kind, two unused bytes, step, and a number.
pub(super) const MESSAGE: usize = 8;
/// Kind of a message: a step failed; the number is its errno.
pub(super) const FAILED: u8 = 1;
/// Kind of a message: the program ended; the number is its wait status.
pub(super) const ENDED: u8 = 2;

/// The steps that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Handshake,
    Identity,
    Mounts,
    Scratch,
    Fork,
    Limits,
    Landlock,
    Seccomp,
    Start,
}

/// All steps, for reading messages.
pub(super) const STEPS: [Step; 9] = [
    Step::Handshake,
    Step::Identity,
    Step::Mounts,
    Step::Scratch,
    Step::Fork,
    Step::Limits,
    Step::Landlock,
    Step::Seccomp,
    Step::Start,
];

/// A path of the machine that is bound into the new root at the same place.
pub(super) struct Bind {
    pub(super) path: CString,
    /// The folders above it, outermost first, relative to the new root.
    pub(super) above: Vec<CString>,
    /// The path relative to the new root.
    pub(super) place: CString,
    pub(super) folder: bool,
    pub(super) right: Right,
}

/// Everything that the child needs, made before the fork.
pub(super) struct Prepared {
    /// Whether the child gets namespaces of its own.
    pub(super) own_world: bool,
    /// User and group to become; `None`: stay.
    pub(super) user: Option<u32>,
    /// Whether supplementary groups can be dropped.
    pub(super) drop_groups: bool,
    pub(super) binds: Vec<Bind>,
    /// Where the scratch folder is: `/scratch` in an own world, else a folder of the machine.
    pub(super) scratch: CString,
    /// Options of the scratch folder's tmpfs.
    pub(super) scratch_options: CString,
    pub(super) files: Vec<(CString, Vec<u8>)>,
    pub(super) program: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    pub(super) limits: Vec<(u32, u64)>,
    pub(super) seccomp: Vec<BpfProgram>,
    /// Version of Landlock; 0: not used.
    pub(super) landlock: i32,
}

/// Descriptors for the child, as the parent numbers them.
pub(super) struct Ends {
    pub(super) stdin: RawFd,
    pub(super) stdout: RawFd,
    pub(super) stderr: RawFd,
    pub(super) talk: RawFd,
}

/// Null-terminated arrays for `execve`, made before the fork.
pub(super) struct Pointers {
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
}

impl Pointers {
    /// Valid for as long as `prepared` lives and is not changed.
    pub(super) fn new(prepared: &Prepared) -> Pointers {
        let array = |texts: &[CString]| {
            texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        Pointers { arguments: array(&prepared.arguments), environment: array(&prepared.environment) }
    }
}

const SOCKET: RawFd = 3;
const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

/// Starts the first process. Returns its id, or the errno.
pub(super) fn start(prepared: &Prepared, pointers: &Pointers, ends: &Ends) -> Result<i32, i32> {
    // SAFETY: the sets are initialised by the calls that fill them; the mask is restored below
    let mut before: libc::sigset_t = unsafe { std::mem::zeroed() };
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
    }
    let flags = if prepared.own_world { NAMESPACES } else { 0 };
    // SAFETY: like fork: the child has a copy of this thread only, and `first` keeps to plain system calls
    let pid = unsafe { fork(flags) };
    if pid == 0 {
        first(prepared, pointers, ends);
    }
    let result = if pid < 0 { Err(errno()) } else { Ok(i32::try_from(pid).unwrap_or(-1)) };
    // SAFETY: `before` was filled above
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut()) };
    result
}

/// What is known of a process that was waited for.
pub(super) struct Reaped {
    pub(super) cpu_ns: u64,
    pub(super) peak_memory: u64,
}

/// Kills process `pid`, a child of this process that was not waited for.
pub(super) fn kill(pid: i32) {
    // SAFETY: no memory is touched; the id is that of a child that is not reaped, so it is not of another
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Waits for the end of the child `pid` and of what it had waited for.
pub(super) fn reap(pid: i32) -> Reaped {
    // SAFETY: an all-zero `rusage` is valid, and the call fills it
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        let mut status = 0;
        while libc::wait4(pid, &raw mut status, 0, &raw mut usage) < 0 && errno() == libc::EINTR {}
        usage
    };
    let ns = |time: libc::timeval| {
        u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
            + u64::try_from(time.tv_usec).unwrap_or(0) * 1_000
    };
    Reaped {
        cpu_ns: ns(usage.ru_utime) + ns(usage.ru_stime),
        peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
    }
}

/// Without the handlers that the C library runs around its own fork: they take locks.
unsafe fn fork(flags: c_int) -> c_long {
    // SAFETY: a null stack means a copy of this one
    unsafe {
        libc::syscall(libc::SYS_clone, c_long::from(flags | libc::SIGCHLD), 0usize, 0usize, 0usize, 0usize)
    }
}

fn errno() -> i32 {
    // SAFETY: the address of this thread's errno is always valid
    unsafe { *libc::__errno_location() }
}

/// The result of a call that gives a negative number upon failure.
fn checked(step: Step, result: c_long) -> Result<RawFd, (Step, i32)> {
    if result < 0 { Err((step, errno())) } else { Ok(RawFd::try_from(result).unwrap_or(0)) }
}

fn first(prepared: &Prepared, pointers: &Pointers, ends: &Ends) -> ! {
    // SAFETY: plain system calls on descriptors and memory of this process, which has one thread
    unsafe {
        place_descriptors(ends);
        let result = make_world(prepared).and_then(|scratch| {
            let program = checked(Step::Fork, fork(0))?;
            if program == 0 {
                let (step, errno) = become_program(prepared, pointers);
                tell(FAILED, step as u8, errno, -1);
                libc::_exit(127);
            }
            for descriptor in 0..3 {
                libc::close(descriptor);
            }
            let status = wait_for(prepared, program);
            tell(ENDED, 0, status, scratch);
            Ok(())
        });
        if let Err((step, errno)) = result {
            tell(FAILED, step as u8, errno, -1);
        }
        libc::_exit(0)
    }
}

/// Standard streams at 0 to 2, the socket at [`SOCKET`], nothing else.
unsafe fn place_descriptors(ends: &Ends) {
    // SAFETY: see `first`
    unsafe {
        let wanted = [ends.stdin, ends.stdout, ends.stderr, ends.talk];
        let mut high = [0; 4];
        for (copy, descriptor) in high.iter_mut().zip(wanted) {
            *copy = libc::fcntl(descriptor, libc::F_DUPFD, 64);
        }
        for (place, copy) in (0..).zip(high) {
            libc::dup2(copy, place);
        }
        libc::syscall(libc::SYS_close_range, SOCKET + 1, u32::MAX, 0u32);
        libc::fcntl(SOCKET, libc::F_SETFD, libc::FD_CLOEXEC);
        // handlers of the parent have no meaning here; the C library's call takes a lock for some signals
        let default = [0u64; 4];
        for signal in 1..=64 {
            let none = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, size_of::<u64>());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Tells the parent; `descriptor` goes with it unless it is negative.
unsafe fn tell(kind: u8, step: u8, number: i32, descriptor: RawFd) {
    let mut bytes = [0u8; MESSAGE];
    bytes[0] = kind;
    bytes[1] = step;
    bytes[4..].copy_from_slice(&number.to_le_bytes());
    // SAFETY: all buffers live through the call; the control buffer is aligned and large enough for one number
    unsafe {
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        let mut control = [0u64; 8];
        if descriptor >= 0 {
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(4) as _;
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(head).cast::<RawFd>().write_unaligned(descriptor);
        }
        libc::sendmsg(SOCKET, &raw const message, libc::MSG_NOSIGNAL);
    }
}

/// Everything up to a scratch folder with the files in it; returns the folder.
unsafe fn make_world(prepared: &Prepared) -> Result<RawFd, (Step, i32)> {
    // SAFETY: see `first`; all strings are terminated
    unsafe {
        // the parent writes the user map first; no byte means that it is gone
        let mut byte = 0u8;
        if libc::read(SOCKET, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(0);
        }
        // while files of the parent's user can still be read
        let mut trees = [-1; 32];
        if prepared.own_world {
            libc::sethostname(c"sandbox".as_ptr(), 7);
            let anywhere = c"/".as_ptr();
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let made = libc::mount(std::ptr::null(), anywhere, std::ptr::null(), private, std::ptr::null());
            checked(Step::Mounts, made.into())?;
            for (tree, bind) in trees.iter_mut().zip(&prepared.binds) {
                *tree = take_tree(bind)?;
            }
        }
        if let Some(user) = prepared.user {
            if prepared.drop_groups {
                // not the C library's: that one waits for all threads of the process, of which the child
                // has copies only, and for the lock under which they begin and end
                let none = std::ptr::null::<libc::gid_t>();
                checked(Step::Identity, libc::syscall(libc::SYS_setgroups, 0, none))?;
            }
            checked(Step::Identity, libc::syscall(libc::SYS_setresgid, user, user, user))?;
            checked(Step::Identity, libc::syscall(libc::SYS_setresuid, user, user, user))?;
        }
        libc::umask(0o077);
        die_with_parent();
        if prepared.own_world {
            make_root(prepared, &trees)?;
        } else {
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        }
        fill_scratch(prepared)
    }
}

/// The parent may have died before this is set; then its end of the socket is closed.
unsafe fn die_with_parent() {
    // SAFETY: see `first`
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        let mut byte = 0u8;
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        if libc::recv(SOCKET, (&raw mut byte).cast(), 1, flags) == 0 {
            libc::_exit(0);
        }
    }
}

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const READ_ONLY: u64 = 1;
const NO_SETUID: u64 = 2;
const NO_DEVICES: u64 = 4;
const CLONE_TREE: u32 = 1;
const EMPTY_PATH: u32 = 0x1000;
const RECURSIVE: u32 = 0x8000;
const MOVE_FROM_EMPTY_PATH: u32 = 4;

/// A detached copy of the mounts at a path, read only.
unsafe fn take_tree(bind: &Bind) -> Result<RawFd, (Step, i32)> {
    // SAFETY: see `first`
    unsafe {
        let flags = CLONE_TREE | RECURSIVE | libc::O_CLOEXEC.unsigned_abs();
        let tree = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, bind.path.as_ptr(), flags);
        let tree = checked(Step::Mounts, tree)?;
        let set = match bind.right {
            Right::Device => NO_SETUID,
            _ => READ_ONLY | NO_SETUID | NO_DEVICES,
        };
        set_mount(tree, set, RECURSIVE)?;
        Ok(tree)
    }
}

unsafe fn set_mount(mount: RawFd, set: u64, recursive: u32) -> Result<(), (Step, i32)> {
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    let size = size_of::<MountAttributes>();
    // SAFETY: see `first`; the attributes live through the call
    let done = unsafe {
        let flags = EMPTY_PATH | recursive;
        libc::syscall(libc::SYS_mount_setattr, mount, c"".as_ptr(), flags, &raw const attributes, size)
    };
    checked(Step::Mounts, done).map(drop)
}

unsafe fn mount_tmpfs(place: &CStr, options: &CStr) -> Result<(), (Step, i32)> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    // SAFETY: see `first`
    let done = unsafe {
        libc::mount(c"tmpfs".as_ptr(), place.as_ptr(), c"tmpfs".as_ptr(), flags, options.as_ptr().cast())
    };
    checked(Step::Mounts, done.into()).map(drop)
}

/// A new root: tmpfs with the binds in it, and the scratch folder. The old root is let go.
unsafe fn make_root(prepared: &Prepared, trees: &[RawFd; 32]) -> Result<(), (Step, i32)> {
    // SAFETY: see `first`
    unsafe {
        // any folder that everybody may enter will do: it is covered in this world only
        mount_tmpfs(c"/tmp", c"size=256k,nr_inodes=512,mode=755")?;
        checked(Step::Mounts, libc::chdir(c"/tmp".as_ptr()).into())?;
        libc::umask(0o022);
        for (bind, tree) in prepared.binds.iter().zip(trees) {
            for folder in &bind.above {
                libc::mkdir(folder.as_ptr(), 0o755);
            }
            if bind.folder {
                libc::mkdir(bind.place.as_ptr(), 0o755);
            } else {
                let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC;
                libc::close(libc::open(bind.place.as_ptr(), flags, 0o644));
            }
            let (empty, place) = (c"".as_ptr(), bind.place.as_ptr());
            let here = libc::AT_FDCWD;
            let moved = libc::syscall(libc::SYS_move_mount, *tree, empty, here, place, MOVE_FROM_EMPTY_PATH);
            checked(Step::Mounts, moved)?;
            libc::close(*tree);
        }
        libc::mkdir(c"scratch".as_ptr(), 0o700);
        mount_tmpfs(c"scratch", &prepared.scratch_options)?;
        libc::umask(0o077);
        let here = c".".as_ptr();
        checked(Step::Mounts, libc::syscall(libc::SYS_pivot_root, here, here))?;
        checked(Step::Mounts, libc::umount2(here, libc::MNT_DETACH).into())?;
        let root = checked(Step::Mounts, libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC).into())?;
        set_mount(root, READ_ONLY | NO_SETUID | NO_DEVICES, 0)?;
        libc::close(root);
        Ok(())
    }
}

unsafe fn fill_scratch(prepared: &Prepared) -> Result<RawFd, (Step, i32)> {
    // SAFETY: see `first`
    unsafe {
        checked(Step::Scratch, libc::chdir(prepared.scratch.as_ptr()).into())?;
        for (name, content) in &prepared.files {
            let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC | libc::O_NOFOLLOW;
            let file = checked(Step::Scratch, libc::open(name.as_ptr(), flags, 0o600).into())?;
            let mut rest = content.as_slice();
            while !rest.is_empty() {
                let wrote =
                    checked(Step::Scratch, libc::write(file, rest.as_ptr().cast(), rest.len()) as c_long)?;
                rest = rest.get(wrote.unsigned_abs() as usize..).unwrap_or_default();
            }
            libc::close(file);
        }
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        checked(Step::Scratch, libc::open(c".".as_ptr(), flags).into())
    }
}

/// Returns only if it fails.
unsafe fn become_program(prepared: &Prepared, pointers: &Pointers) -> (Step, i32) {
    // SAFETY: see `first`; the arrays end with null and point to terminated strings
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        for (resource, most) in &prepared.limits {
            // CPU time is told by a signal first; the kill comes a second later
            let grace = u64::from(*resource == libc::RLIMIT_CPU);
            let limit = libc::rlimit { rlim_cur: *most, rlim_max: *most + grace };
            if libc::setrlimit(*resource as _, &raw const limit) != 0 {
                return (Step::Limits, errno());
            }
        }
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return (Step::Limits, errno());
        }
        if prepared.landlock > 0 {
            let own = (prepared.scratch.as_c_str(), Right::All);
            let binds = prepared.binds.iter().map(|bind| (bind.path.as_c_str(), bind.right));
            if let Err(errno) = landlock::confine(prepared.landlock, binds.chain([own])) {
                return (Step::Landlock, errno);
            }
        }
        for filter in &prepared.seccomp {
            if seccompiler::apply_filter(filter).is_err() {
                return (Step::Seccomp, errno());
            }
        }
        libc::execve(prepared.program.as_ptr(), pointers.arguments.as_ptr(), pointers.environment.as_ptr());
        (Step::Start, errno())
    }
}

/// Waits for the program, then ends and reaps whatever it has left. Returns its wait status.
unsafe fn wait_for(prepared: &Prepared, program: i32) -> c_int {
    let mut result = 0;
    // SAFETY: see `first`
    unsafe {
        loop {
            let mut status = 0;
            let ended = libc::waitpid(-1, &raw mut status, 0);
            if ended == program {
                result = status;
                break;
            }
            if ended < 0 && errno() != libc::EINTR {
                break;
            }
        }
        // only in a world of our own does -1 mean nobody but ours
        if prepared.own_world && libc::getpid() == 1 {
            libc::kill(-1, libc::SIGKILL);
            while libc::waitpid(-1, std::ptr::null_mut(), 0) > 0 || errno() == libc::EINTR {}
        }
    }
    result
}
