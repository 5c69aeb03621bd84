//! A process and its children: CPU, memory, descriptors, threads, context switches, page faults, storage.
//!
//! What costs little is read every time. What the kernel has to walk for (descriptors, threads' switches: at most once a
//! second; private memory: at most once in five seconds) is read less often and is missing from the readings between.

use crate::counters::Counter;
use crate::find;
use crate::proc::{Files, Unread, field};
use crate::tree::Tree;
use crucible_core::monitor::{PROCESS, Series, Target};
use crucible_core::{Monitor, Ns};
use std::collections::BTreeMap;
use std::fs;

/// Between two looks at what costs more.
const SLOW: Ns = Ns::from_millis(950);
const SLOWEST: Ns = Ns::from_millis(4_950);
/// Between two searches for a process that is not there.
const SEARCH: Ns = Ns::from_millis(950);
/// Threads whose context switches are counted; beyond them none are, rather than some.
const THREADS_MAX: u64 = 512;

/// See the module text.
pub(crate) struct Process {
    target: Target,
    tree: Tree,
    files: Files,
    page: u64,
    ticks: f64,
    searched: Option<Ns>,
    slow: Option<Ns>,
    slowest: Option<Ns>,
    counters: [Counter; 8],
    /// Sums of counters that each process keeps: switches (voluntary, involuntary), bytes (read, written).
    kept: [Kept; 2],
    told: Vec<String>,
}

/// Two counters by process and thread (0 where there are none).
type Pairs = BTreeMap<(u32, u32), (u64, u64)>;

/// A pair of counters summed over processes or threads that come and go.
#[derive(Debug, Default)]
struct Kept {
    last: Pairs,
    sums: (u64, u64),
    begun: bool,
}

impl Kept {
    /// Takes in what is seen now; what is new after the first time is counted whole.
    fn take(&mut self, seen: Pairs) {
        for (key, now) in &seen {
            let before = match self.last.get(key) {
                Some(before) => *before,
                None if self.begun => (0, 0),
                None => *now,
            };
            self.sums.0 += now.0.saturating_sub(before.0);
            self.sums.1 += now.1.saturating_sub(before.1);
        }
        self.begun = true;
        self.last = seen;
    }
}

/// Places in [`PROCESS`].
mod at {
    pub(super) const CPU: usize = 0;
    pub(super) const CPU_USER: usize = 1;
    pub(super) const CPU_SYSTEM: usize = 2;
    pub(super) const MEMORY: usize = 3;
    pub(super) const PRIVATE: usize = 4;
    pub(super) const DESCRIPTORS: usize = 5;
    pub(super) const THREADS: usize = 6;
    pub(super) const PROCESSES: usize = 7;
    pub(super) const SWITCHES: usize = 8;
    pub(super) const FAULTS: usize = 10;
    pub(super) const STORAGE: usize = 12;
}

impl Process {
    /// A monitor of what `target` means; it need not be there yet.
    pub(crate) fn new(target: Target) -> Process {
        // the generator's children are systems that it has started, not itself
        let children = target != Target::Itself;
        Process {
            target,
            tree: Tree::new(children),
            files: Files::default(),
            page: rustix::param::page_size() as u64,
            ticks: rustix::param::clock_ticks_per_second().max(1) as f64,
            searched: None,
            slow: None,
            slowest: None,
            counters: [Counter::default(); 8],
            kept: [Kept::default(), Kept::default()],
            told: Vec::new(),
        }
    }

    fn cheap(&mut self, now: Ns, out: &mut dyn FnMut(usize, f64)) {
        let sums = self.tree.sums();
        let mut rate = |which: usize, value: u64| self.counters[which].rate(now, value);
        let (user, system) = (rate(0, sums[0]), rate(1, sums[1]));
        let faults = [rate(2, sums[2]), rate(3, sums[3])];
        if let (Some(user), Some(system)) = (user, system) {
            let (user, system) = (user / self.ticks, system / self.ticks);
            out(at::CPU, user + system);
            out(at::CPU_USER, user);
            out(at::CPU_SYSTEM, system);
        }
        for (index, rate) in faults.into_iter().enumerate() {
            if let Some(rate) = rate {
                out(at::FAULTS + index, rate);
            }
        }
        let (mut resident, mut threads, mut processes) = (0, 0, 0);
        for (_, stat) in self.tree.members() {
            resident += stat.resident * self.page;
            threads += stat.threads;
            processes += 1;
        }
        out(at::MEMORY, resident as f64);
        out(at::THREADS, threads as f64);
        out(at::PROCESSES, f64::from(processes));
    }

    fn slow(&mut self, now: Ns, out: &mut dyn FnMut(usize, f64), gaps: &mut Vec<String>) {
        let members: Vec<u32> = self.tree.members().map(|(pid, _)| pid).collect();
        let threads: u64 = self.tree.members().map(|(_, stat)| stat.threads).sum();
        match descriptors(&members) {
            Ok(count) => out(at::DESCRIPTORS, count as f64),
            Err(why) => gaps.push(why),
        }
        if threads <= THREADS_MAX {
            let seen = switches(&members, &mut self.files);
            self.kept[0].take(seen);
            let (voluntary, involuntary) = self.kept[0].sums;
            for (index, value) in [voluntary, involuntary].into_iter().enumerate() {
                if let Some(rate) = self.counters[4 + index].rate(now, value) {
                    out(at::SWITCHES + index, rate);
                }
            }
        } else {
            gaps.push(format!("context switches of more than {THREADS_MAX} threads are not read"));
        }
        match storage(&members, &mut self.files) {
            Ok(seen) => {
                self.kept[1].take(seen);
                let (read, written) = self.kept[1].sums;
                for (index, value) in [read, written].into_iter().enumerate() {
                    if let Some(rate) = self.counters[6 + index].rate(now, value) {
                        out(at::STORAGE + index, rate);
                    }
                }
            }
            Err(why) => gaps.push(why),
        }
    }

    /// What was not read is told once.
    fn tell(&mut self, gaps: Vec<String>) -> Result<(), String> {
        let new: Vec<String> = gaps.into_iter().filter(|gap| !self.told.contains(gap)).take(8).collect();
        if new.is_empty() || self.told.len() > 100 {
            return Ok(());
        }
        let text = new.join("; ");
        self.told.extend(new);
        Err(text)
    }
}

impl Monitor for Process {
    fn series(&self) -> &'static [Series] {
        PROCESS
    }

    fn read(&mut self, now: Ns, out: &mut dyn FnMut(usize, f64)) -> Result<(), String> {
        let due = |last: Option<Ns>, every: Ns| last.is_none_or(|last| now.since(last) >= every);
        if !self.tree.look(now, &mut self.files) {
            if !due(self.searched, SEARCH) {
                return Ok(());
            }
            self.searched = Some(now);
            let roots = match find::roots(&self.target, &mut self.files) {
                Ok(roots) => roots,
                Err(why) => return self.tell(vec![why]),
            };
            self.tree.adopt(&roots, &mut self.files);
            if !self.tree.look(now, &mut self.files) {
                return self.tell(vec![format!("no process {}", find::told(&self.target))]);
            }
            self.told.clear();
        }
        self.cheap(now, out);
        let mut gaps = Vec::new();
        if due(self.slow, SLOW) {
            self.slow = Some(now);
            self.slow(now, out, &mut gaps);
        }
        if due(self.slowest, SLOWEST) {
            self.slowest = Some(now);
            let members: Vec<(u32, u64)> =
                self.tree.members().map(|(pid, stat)| (pid, stat.resident * self.page)).collect();
            out(at::PRIVATE, private(&members, self.page, &mut self.files, &mut gaps) as f64);
        }
        self.tell(gaps)
    }
}

fn descriptors(members: &[u32]) -> Result<u64, String> {
    let mut count = 0;
    for pid in members {
        match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(entries) => count += entries.count() as u64,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(
                    "open descriptors may not be counted: permission denied (run as root or as its user)"
                        .into(),
                );
            }
            Err(_) => {}
        }
    }
    Ok(count)
}

fn switches(members: &[u32], files: &mut Files) -> Pairs {
    let mut seen = BTreeMap::new();
    for pid in members {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
            let Ok(text) = files.read(&format!("/proc/{pid}/task/{thread}/status")) else { continue };
            let counts = (field(text, "voluntary_ctxt_switches"), field(text, "nonvoluntary_ctxt_switches"));
            if let (Some(voluntary), Some(involuntary)) = counts {
                seen.insert((*pid, thread), (voluntary, involuntary));
            }
        }
    }
    seen
}

fn storage(members: &[u32], files: &mut Files) -> Result<Pairs, String> {
    let mut seen = BTreeMap::new();
    for pid in members {
        match files.read(&format!("/proc/{pid}/io")) {
            Ok(text) => {
                if let (Some(read), Some(written)) = (field(text, "read_bytes"), field(text, "write_bytes")) {
                    seen.insert((*pid, 0), (read, written));
                }
            }
            Err(Unread::Gone) => {}
            Err(Unread::Refused(_)) => {
                return Err("storage may not be read: permission denied (run as root or as its user)".into());
            }
        }
    }
    Ok(seen)
}

/// Private memory; where it may not be read, resident memory without what is shared, which is told.
fn private(members: &[(u32, u64)], page: u64, files: &mut Files, gaps: &mut Vec<String>) -> u64 {
    let mut sum = 0;
    for (pid, resident) in members {
        if let Ok(text) = files.read(&format!("/proc/{pid}/smaps_rollup"))
            && let (Some(clean), Some(dirty)) = (field(text, "Private_Clean"), field(text, "Private_Dirty"))
        {
            sum += (clean + dirty) * 1024;
            continue;
        }
        let text = files.read(&format!("/proc/{pid}/statm")).unwrap_or_default();
        let shared = text.split_ascii_whitespace().nth(2).and_then(|pages| pages.parse::<u64>().ok());
        sum += resident.saturating_sub(shared.unwrap_or(0) * page);
        gaps.push("private memory is resident memory without files: the exact figure may not be read".into());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_series() {
        for (place, name) in [
            (at::CPU, "cpu"),
            (at::CPU_USER, "cpu_user"),
            (at::CPU_SYSTEM, "cpu_system"),
            (at::MEMORY, "memory"),
            (at::PRIVATE, "memory_private"),
            (at::DESCRIPTORS, "descriptors"),
            (at::THREADS, "threads"),
            (at::PROCESSES, "processes"),
            (at::SWITCHES, "switches_voluntary"),
            (at::SWITCHES + 1, "switches_involuntary"),
            (at::FAULTS, "faults_minor"),
            (at::FAULTS + 1, "faults_major"),
            (at::STORAGE, "read"),
            (at::STORAGE + 1, "written"),
        ] {
            assert_eq!(PROCESS[place].name, name);
        }
        assert_eq!(PROCESS.len(), 14);
    }

    #[test]
    fn counters_of_those_that_come_and_go_never_fall() {
        let seen = |list: &[(u32, u64)]| list.iter().map(|(pid, n)| ((*pid, 0), (*n, 2 * n))).collect();
        let mut kept = Kept::default();
        kept.take(seen(&[(1, 100)]));
        assert_eq!(kept.sums, (0, 0), "what was before is no part of it");
        kept.take(seen(&[(1, 110), (2, 5)]));
        assert_eq!(kept.sums, (15, 30));
        kept.take(seen(&[(2, 6)]));
        kept.take(seen(&[(2, 1)]));
        assert_eq!(kept.sums, (16, 32));
    }
}
