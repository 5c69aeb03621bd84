//! Which processes a component is: by number, by name, by the port that they listen on.

use crate::proc::Files;
use crucible_core::Ns;
use crucible_core::monitor::Target;
use std::cell::RefCell;
use std::fs;

/// The numbers of all processes.
pub(crate) fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

thread_local! {
    static LISTED: RefCell<(Ns, Vec<u32>)> = const { RefCell::new((Ns::MAX, Vec::new())) };
}

/// Gives `look` the numbers of all processes at `now`, rising. All monitors that are read at the same instant share one
/// listing: it costs more than all else that they read.
pub(crate) fn listed<T>(now: Ns, look: impl FnOnce(&[u32]) -> T) -> T {
    LISTED.with_borrow_mut(|(at, pids)| {
        if *at != now {
            *pids = all();
            pids.sort_unstable();
            *at = now;
        }
        look(pids)
    })
}

/// The processes that a target means now, without their children. The error says what was looked for.
pub(crate) fn roots(target: &Target, files: &mut Files) -> Result<Vec<u32>, String> {
    let found = match target {
        Target::Itself => vec![std::process::id()],
        Target::Pid(pid) => vec![*pid],
        Target::Name(pattern) => by_name(pattern, files),
        Target::Port(port) => by_port(*port, files)?,
    };
    if found.is_empty() { Err(format!("no process {}", told(target))) } else { Ok(found) }
}

/// The target in words.
pub(crate) fn told(target: &Target) -> String {
    match target {
        Target::Itself => "of our own".into(),
        Target::Pid(pid) => format!("has the number {pid}"),
        Target::Name(name) => format!("is called {name:?}"),
        Target::Port(port) => format!("was found that listens on TCP port {port}"),
    }
}

fn by_name(pattern: &str, files: &mut Files) -> Vec<u32> {
    let me = std::process::id();
    let mut found: Vec<u32> =
        all().into_iter().filter(|pid| *pid != me && is_called(*pid, pattern, files)).collect();
    found.sort_unstable();
    found
}

/// The kernel's name of it, or the last part of the path of the program or of the script that it runs.
fn is_called(pid: u32, pattern: &str, files: &mut Files) -> bool {
    let name = files.read(&format!("/proc/{pid}/comm")).unwrap_or_default().trim_end();
    if matches(pattern, name) {
        return true;
    }
    let words = files.read(&format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.split('\0').take(2).any(|word| matches(pattern, word.rsplit('/').next().unwrap_or(word)))
}

/// Whether `*` for any characters makes the pattern the name. Linear: the last star is tried again.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if pattern.get(p) == Some(&name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Listening sockets of a port: their inodes, from the kernel's table.
fn listening(table: &str, port: u16, inodes: &mut Vec<u64>) {
    for line in table.lines().skip(1) {
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1).and_then(|address| address.rsplit(':').next());
        // 0A is LISTEN; the inode is the tenth field
        let (state, inode) = (fields.nth(1), fields.nth(5));
        if state == Some("0A") && local.and_then(|hex| u16::from_str_radix(hex, 16).ok()) == Some(port) {
            inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
        }
    }
}

fn by_port(port: u16, files: &mut Files) -> Result<Vec<u32>, String> {
    let mut inodes = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(text) = files.read(table) {
            listening(text, port, &mut inodes);
        }
    }
    if inodes.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let (mut found, mut refused) = (Vec::new(), false);
    for pid in all() {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")).inspect_err(|error| {
            refused |= error.kind() == std::io::ErrorKind::PermissionDenied;
        }) else {
            continue;
        };
        let holds = entries.flatten().any(|entry| {
            let link = fs::read_link(entry.path()).ok();
            link.is_some_and(|link| names.iter().any(|name| link.as_os_str() == name.as_str()))
        });
        if holds {
            found.push(pid);
        }
    }
    if found.is_empty() && refused {
        return Err(format!(
            "something listens on TCP port {port}, but its process may not be looked into (run as its user or as root, or \
             give its number)"
        ));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, expected) in [
            ("uvicorn", "uvicorn", true),
            ("uvicorn", "uvicorn2", false),
            ("uvi*", "uvicorn", true),
            ("*corn", "uvicorn", true),
            ("*co*n", "uvicocorn", true),
            ("a*b*c", "aXbY", false),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn the_kernels_table_of_sockets() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F86 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n\
             1: 0100007F:1F86 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n";
        let mut inodes = Vec::new();
        listening(table, 8070, &mut inodes);
        assert_eq!(inodes, [4711]);
    }

    #[test]
    fn a_listener_is_found_by_its_port_and_we_by_ourselves() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = std::process::id();
        let mut files = Files::default();
        assert_eq!(roots(&Target::Port(port), &mut files), Ok(vec![me]));
        assert_eq!(roots(&Target::Itself, &mut files), Ok(vec![me]));
        drop(listener);
        let gone = roots(&Target::Port(port), &mut files);
        assert!(gone.is_err_and(|why| why.contains(&port.to_string())));
        assert!(roots(&Target::Name("no such program".into()), &mut files).is_err());
    }
}
