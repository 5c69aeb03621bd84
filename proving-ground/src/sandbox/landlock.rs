//! Landlock: the file system once more, by another part of the kernel (Linux 5.13 and newer).
//!
//! Done with plain system calls, because the rules are made after the fork, where nothing may allocate.
//! Source of the numbers: `include/uapi/linux/landlock.h`.

use std::ffi::CStr;

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
/// Everything of the first version.
const FIRST: u64 = (1 << 13) - 1;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;

#[repr(C)]
struct Ruleset {
    fs: u64,
    net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// The first version that keeps signals inside.
pub(crate) const SCOPES: i32 = 6;

/// What may be done with a path and with what lies beneath it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Read and execute.
    Read,
    /// Read and write a device such as `/dev/null`.
    Device,
    /// Everything.
    All,
}

/// The version of the kernel's Landlock; 0 if there is none.
pub(crate) fn version() -> i32 {
    // SAFETY: with a null attribute and the flag 1 the call only returns the version
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, 1u32) };
    i32::try_from(version).unwrap_or(0).max(0)
}

fn handled(version: i32) -> u64 {
    let mut fs = FIRST;
    for (since, right) in [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)] {
        if version >= since {
            fs |= right;
        }
    }
    fs
}

/// Confines the calling thread and all that it starts to `paths`: no other file, no TCP port, no signal to
/// anybody outside and no abstract socket of theirs, as far as the version knows these. Async-signal-safe.
///
/// Needs `no_new_privs`. Paths that do not exist are passed over. Error: the step's errno.
pub(crate) fn confine<'a>(version: i32, paths: impl Iterator<Item = (&'a CStr, Right)>) -> Result<(), i32> {
    let fs = handled(version);
    let rules = Ruleset { fs, net: 3, scoped: 3 };
    let size = match version {
        ..4 => 8,
        4..SCOPES => 16,
        _ => size_of::<Ruleset>(),
    };
    // SAFETY: `rules` is as long as `size` says or longer and lives through the call
    let set = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rules, size, 0u32) };
    let set = i32::try_from(set).unwrap_or(-1);
    if set < 0 {
        return Err(errno());
    }
    for (path, right) in paths {
        allow(set, path, right, fs)?;
    }
    // SAFETY: `set` is the descriptor made above
    if unsafe { libc::syscall(libc::SYS_landlock_restrict_self, set, 0u32) } != 0 {
        return Err(errno());
    }
    // SAFETY: closes the descriptor made above, which nobody else knows
    unsafe { libc::close(set) };
    Ok(())
}

fn allow(set: i32, path: &CStr, right: Right, handled: u64) -> Result<(), i32> {
    // SAFETY: `path` is a terminated string
    let parent = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
    if parent < 0 {
        return Ok(());
    }
    // SAFETY: an all-zero `stat` is valid, and the call fills it
    let folder = unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        libc::fstat(parent, &raw mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFDIR
    };
    let of_files = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
    let mut allowed = match right {
        Right::Read => EXECUTE | READ_FILE | READ_DIR,
        Right::Device => READ_FILE | WRITE_FILE | TRUNCATE,
        Right::All => FIRST | REFER | TRUNCATE,
    } & handled;
    if !folder {
        allowed &= of_files;
    }
    let rule = Beneath { allowed, parent };
    // SAFETY: 1 is LANDLOCK_RULE_PATH_BENEATH, whose attribute `rule` is; both descriptors are open
    let added = unsafe { libc::syscall(libc::SYS_landlock_add_rule, set, 1u32, &raw const rule, 0u32) };
    let result = if added == 0 { Ok(()) } else { Err(errno()) };
    // SAFETY: closes the descriptor opened above
    unsafe { libc::close(parent) };
    result
}

fn errno() -> i32 {
    // SAFETY: the address of this thread's errno is always valid
    unsafe { *libc::__errno_location() }
}
