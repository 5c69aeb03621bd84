//! The scratch folder: the files that go in and those that are read back.
//!
//! What lies there was made by the program: links, pipes, devices, a million names. Only plain files of the top
//! level are read, nothing is followed, and everything is counted.

use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, openat};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

/// Most files that are read back.
const MOST: usize = 100;
/// Most names that are looked at.
const LOOKED_AT: usize = 1_000;

/// Whether a file may have this name: letters, digits, `.`, `_`, `-`; not hidden; at most 100 bytes.
pub(super) fn plain(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.chars().all(known)
}

/// The files in `folder`, in order of names, `most` bytes together at most.
pub(super) fn read(folder: OwnedFd, most: u64) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = Dir::read_from(&folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .take(LOOKED_AT)
        .map_while(Result::ok)
        .filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned))
        .filter(|name| plain(name))
        .collect();
    names.sort_unstable();
    let mut left = most;
    let mut files = Vec::new();
    for name in names.into_iter().take(MOST) {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = openat(&folder, &name, flags, Mode::empty()) else { continue };
        let ordinary =
            fstat(&file).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile);
        let mut content = Vec::new();
        if ordinary && File::from(file).take(left).read_to_end(&mut content).is_ok() {
            left -= content.len() as u64;
            files.push((name, content));
        }
    }
    files
}
