//! `/proc/PID/stat`: the figures of one process. See proc_pid_stat(5).

/// What is read of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The parent.
    pub(crate) parent: u32,
    /// `Z` is a process that has ended and was not yet waited for.
    pub(crate) zombie: bool,
    /// Page faults, minor and major, of the process alone.
    pub(crate) faults: (u64, u64),
    /// Those of children that ended and were waited for.
    pub(crate) child_faults: (u64, u64),
    /// CPU in ticks, user and system, of the process alone.
    pub(crate) cpu: (u64, u64),
    /// That of children that ended and were waited for.
    pub(crate) child_cpu: (u64, u64),
    pub(crate) threads: u64,
    /// When it began, in ticks since the machine did.
    pub(crate) start: u64,
    /// Resident pages.
    pub(crate) resident: u64,
}

/// Reads the line; `None` if it is none. The name, which may hold anything, ends at the last parenthesis.
pub(crate) fn parse(line: &str) -> Option<Stat> {
    let rest = &line[line.rfind(')')? + 1..];
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let mut numbers = [0i64; 21];
    for slot in &mut numbers {
        *slot = fields.next()?.parse().unwrap_or(0);
    }
    // numbers[n] is field n + 4 of the manual page
    let at = |field: usize| u64::try_from(numbers[field - 4]).unwrap_or(0);
    Some(Stat {
        parent: u32::try_from(at(4)).unwrap_or(0),
        zombie: state == "Z" || state == "X",
        faults: (at(10), at(12)),
        child_faults: (at(11), at(13)),
        cpu: (at(14), at(15)),
        child_cpu: (at(16), at(17)),
        threads: at(20),
        start: at(22),
        resident: at(24),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_may_hold_anything() {
        let line = "42 (a) b (c) R 7 1 1 0 -1 4194304 10 20 30 40 50 60 70 80 20 0 3 0 1234 99999 55 1844674407370955161";
        let stat = parse(line).unwrap();
        assert_eq!(
            (stat.parent, stat.zombie, stat.threads, stat.start, stat.resident),
            (7, false, 3, 1234, 55)
        );
        assert_eq!((stat.faults, stat.child_faults), ((10, 30), (20, 40)));
        assert_eq!((stat.cpu, stat.child_cpu), ((50, 60), (70, 80)));
        assert_eq!(parse("42 (x) R 1 2"), None);
        assert_eq!(parse("nothing"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(line in proptest::prelude::any::<String>()) {
            let _ = parse(&line);
            let _ = parse(&format!("1 ({line}) {line}"));
        }
    }
}
