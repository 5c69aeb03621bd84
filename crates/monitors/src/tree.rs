//! A process with its children, and what they used together.
//!
//! A child that ends moves what it used into its parent's account of ended children when the parent waits for it. So
//! the rise of the whole is the rise of what the living used, plus what came into those accounts beyond what had been
//! counted while those children lived. Nothing is counted twice, short-lived children that were never seen are counted,
//! and nothing ever falls: a child that nobody waits for is counted as far as it was seen.

use crate::find;
use crate::proc::{Files, Unread};
use crate::stat::{self, Stat};
use crucible_core::Ns;
use std::collections::{BTreeMap, BTreeSet};

/// Counters of the tree: CPU ticks (user, system) and page faults (minor, major).
pub(crate) type Sums = [u64; 4];

fn own(stat: &Stat) -> Sums {
    [stat.cpu.0, stat.cpu.1, stat.faults.0, stat.faults.1]
}

fn of_children(stat: &Stat) -> Sums {
    [stat.child_cpu.0, stat.child_cpu.1, stat.child_faults.0, stat.child_faults.1]
}

/// See the module text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    members: BTreeMap<u32, Stat>,
    /// Processes that were looked at and do not belong, so that only new ones are.
    strangers: BTreeSet<u32>,
    children: bool,
    /// Rises since the tree was made.
    sums: Sums,
    /// Start of the youngest process when it was made; younger ones are counted from their start.
    begin: Option<u64>,
}

impl Tree {
    /// An empty tree; with or without children.
    pub(crate) fn new(children: bool) -> Tree {
        Tree { children, ..Tree::default() }
    }

    /// The living members with what is known of them.
    pub(crate) fn members(&self) -> impl Iterator<Item = (u32, &Stat)> {
        self.members.iter().filter(|(_, stat)| !stat.zombie).map(|(pid, stat)| (*pid, stat))
    }

    /// Rises of the counters since the tree was made.
    pub(crate) fn sums(&self) -> Sums {
        self.sums
    }

    /// Makes these processes members.
    pub(crate) fn adopt(&mut self, roots: &[u32], files: &mut Files) {
        for pid in roots {
            if let Some(stat) = read(*pid, files) {
                self.join(*pid, stat);
            }
        }
        self.strangers.clear();
    }

    fn join(&mut self, pid: u32, stat: Stat) {
        // a process that began after the first look is counted whole, an older one from now on
        if self.begin.is_some_and(|begin| stat.start > begin) {
            let (mine, theirs) = (own(&stat), of_children(&stat));
            for (sum, more) in self.sums.iter_mut().zip(mine.iter().zip(theirs)) {
                *sum += more.0 + more.1;
            }
        }
        self.members.insert(pid, stat);
    }

    /// Looks at all members, and for new children. `false` if nobody lives.
    pub(crate) fn look(&mut self, now: Ns, files: &mut Files) -> bool {
        let mut came: Sums = [0; 4];
        let mut gone: Sums = [0; 4];
        self.members.retain(|pid, before| {
            let now = read(*pid, files).filter(|now| now.start == before.start);
            let Some(now) = now else {
                let counted = own(before).into_iter().zip(of_children(before));
                gone.iter_mut().zip(counted).for_each(|(sum, (mine, theirs))| *sum += mine + theirs);
                return false;
            };
            for ((sum, now), before) in self.sums.iter_mut().zip(own(&now)).zip(own(before)) {
                *sum += now.saturating_sub(before);
            }
            for ((sum, now), before) in came.iter_mut().zip(of_children(&now)).zip(of_children(before)) {
                *sum += now.saturating_sub(before);
            }
            *before = now;
            true
        });
        for ((sum, came), gone) in self.sums.iter_mut().zip(came).zip(gone) {
            *sum += came.saturating_sub(gone);
        }
        if self.children && !self.members.is_empty() {
            find::listed(now, |pids| self.children_of_members(pids, files));
        }
        if self.begin.is_none() {
            self.begin = self.members.values().map(|stat| stat.start).max();
        }
        self.members().next().is_some()
    }

    /// New processes whose parent is a member. Parents have lower numbers but for the wrap-around, which a second look
    /// settles.
    fn children_of_members(&mut self, pids: &[u32], files: &mut Files) {
        self.strangers.retain(|pid| pids.binary_search(pid).is_ok());
        for pid in pids.iter().copied() {
            if self.members.contains_key(&pid) || self.strangers.contains(&pid) {
                continue;
            }
            match read(pid, files) {
                Some(stat) if self.members.contains_key(&stat.parent) => self.join(pid, stat),
                Some(_) => {
                    self.strangers.insert(pid);
                }
                None => {}
            }
        }
    }
}

fn read(pid: u32, files: &mut Files) -> Option<Stat> {
    match files.read(&format!("/proc/{pid}/stat")) {
        Ok(text) => stat::parse(text),
        Err(Unread::Gone | Unread::Refused(_)) => None,
    }
}
