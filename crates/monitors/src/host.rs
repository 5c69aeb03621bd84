//! The machine: CPU by mode, pressure, memory, network, TCP.

use crate::counters::Counter;
use crate::proc::{Files, field};
use crucible_core::monitor::{HOST, Series};
use crucible_core::{Monitor, Ns};

/// See the module text.
#[derive(Default)]
pub(crate) struct Host {
    files: Files,
    cpu: Option<[u64; 8]>,
    pressure: [Counter; 3],
    network: [Counter; 2],
    retransmits: Counter,
    told: Vec<String>,
}

/// Places in [`HOST`].
mod at {
    pub(super) const CPU: usize = 0;
    pub(super) const RUNNING: usize = 6;
    pub(super) const BLOCKED: usize = 7;
    pub(super) const PRESSURE: usize = 8;
    pub(super) const MEMORY: usize = 11;
    pub(super) const NETWORK: usize = 12;
    pub(super) const RETRANSMITS: usize = 14;
    pub(super) const SOCKETS: usize = 15;
    pub(super) const TIME_WAIT: usize = 16;
}

impl Host {
    pub(crate) fn new() -> Host {
        Host::default()
    }

    fn cpu(&mut self, out: &mut dyn FnMut(usize, f64)) -> Option<()> {
        let text = self.files.read("/proc/stat").ok()?;
        out(at::RUNNING, field(text, "procs_running")? as f64);
        out(at::BLOCKED, field(text, "procs_blocked")? as f64);
        let now = modes(text)?;
        if let Some(before) = self.cpu.replace(now) {
            shares(&before, &now, out);
        }
        Some(())
    }

    fn pressure(&mut self, now: Ns, out: &mut dyn FnMut(usize, f64)) -> Option<()> {
        for (index, what) in ["cpu", "memory", "io"].into_iter().enumerate() {
            let text = self.files.read(&format!("/proc/pressure/{what}")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
            let total = line.rsplit("total=").next()?.trim().parse().ok()?;
            if let Some(rate) = self.pressure[index].rate(now, total) {
                // microseconds of waiting in a second
                out(at::PRESSURE + index, (rate / 1e6).min(1.0));
            }
        }
        Some(())
    }

    fn network(&mut self, now: Ns, out: &mut dyn FnMut(usize, f64)) -> Option<()> {
        let bytes = traffic(self.files.read("/proc/net/dev").ok()?);
        for (index, value) in [bytes.0, bytes.1].into_iter().enumerate() {
            if let Some(rate) = self.network[index].rate(now, value) {
                out(at::NETWORK + index, rate);
            }
        }
        let again = retransmitted(self.files.read("/proc/net/snmp").ok()?)?;
        if let Some(rate) = self.retransmits.rate(now, again) {
            out(at::RETRANSMITS, rate);
        }
        let text = self.files.read("/proc/net/sockstat").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let after = |name: &str| {
            words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)?.parse().ok())
        };
        out(at::SOCKETS, after("inuse")?);
        out(at::TIME_WAIT, after("tw")?);
        Some(())
    }
}

impl Monitor for Host {
    fn series(&self) -> &'static [Series] {
        HOST
    }

    fn read(&mut self, now: Ns, out: &mut dyn FnMut(usize, f64)) -> Result<(), String> {
        let mut unread = Vec::new();
        if self.cpu(out).is_none() {
            unread.push("CPU (/proc/stat)");
        }
        if self.pressure(now, out).is_none() {
            unread.push("pressure (/proc/pressure: the kernel does not tell it, or was started with psi=0)");
        }
        match self.files.read("/proc/meminfo").ok().and_then(|text| field(text, "MemAvailable")) {
            Some(kib) => out(at::MEMORY, kib as f64 * 1024.0),
            None => unread.push("memory (/proc/meminfo)"),
        }
        if self.network(now, out).is_none() {
            unread.push("network (/proc/net)");
        }
        let new: Vec<String> = unread
            .into_iter()
            .filter(|what| !self.told.iter().any(|told| told == what))
            .map(str::to_owned)
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.told.extend(new.iter().cloned());
        Err(format!("not readable: {}", new.join(", ")))
    }
}

/// Ticks by mode: user, nice, system, idle, waiting for storage, interrupts, soft interrupts, stolen.
fn modes(text: &str) -> Option<[u64; 8]> {
    let mut fields = text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
    let mut modes = [0; 8];
    for slot in &mut modes {
        *slot = fields.next()?.parse().ok()?;
    }
    Some(modes)
}

/// Shares of the time between two looks. The kernel may take ticks of waiting back: a mode never falls.
fn shares(before: &[u64; 8], now: &[u64; 8], out: &mut dyn FnMut(usize, f64)) {
    let mut ticks = [0.0; 8];
    for (slot, (now, before)) in ticks.iter_mut().zip(now.iter().zip(before)) {
        *slot = now.saturating_sub(*before) as f64;
    }
    let all: f64 = ticks.iter().sum();
    if all <= 0.0 {
        return;
    }
    let [user, nice, system, idle, wait, interrupts, soft, stolen] = ticks;
    let busy = all - idle - wait;
    for (index, part) in [busy, user + nice, system, interrupts + soft, wait, stolen].into_iter().enumerate()
    {
        out(at::CPU + index, part / all);
    }
}

/// Bytes received and sent over all interfaces.
fn traffic(text: &str) -> (u64, u64) {
    let mut sum = (0u64, 0u64);
    for (_, line) in text.lines().filter_map(|line| line.split_once(':')) {
        let mut fields = line.split_ascii_whitespace().map(|field| field.parse::<u64>().unwrap_or(0));
        sum.0 = sum.0.saturating_add(fields.next().unwrap_or(0));
        sum.1 = sum.1.saturating_add(fields.nth(7).unwrap_or(0));
    }
    sum
}

fn retransmitted(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_ascii_whitespace().position(|name| name == "RetransSegs")?;
    values.split_ascii_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_series() {
        for (place, name) in [
            (at::CPU, "cpu"),
            (at::CPU + 4, "cpu_wait"),
            (at::CPU + 5, "cpu_steal"),
            (at::RUNNING, "running"),
            (at::BLOCKED, "blocked"),
            (at::PRESSURE + 2, "pressure_io"),
            (at::MEMORY, "memory_available"),
            (at::NETWORK + 1, "network_out"),
            (at::RETRANSMITS, "retransmits"),
            (at::SOCKETS, "sockets"),
            (at::TIME_WAIT, "time_wait"),
        ] {
            assert_eq!(HOST[place].name, name);
        }
        assert_eq!(HOST.len(), 17);
    }

    #[test]
    fn shares_of_modes_add_up_and_nothing_falls() {
        let before = [100, 0, 100, 1_000, 50, 0, 0, 0];
        let now = [130, 10, 120, 1_030, 40, 5, 5, 0];
        let mut seen = Vec::new();
        shares(&before, &now, &mut |_, value| seen.push((value * 100.0).round()));
        assert_eq!(seen, [70.0, 40.0, 20.0, 10.0, 0.0, 0.0]);
        assert_eq!(modes("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1"), Some([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(modes("cpu0 1 2"), None);
    }

    #[test]
    fn the_kernels_tables() {
        let dev = "Inter-| Receive | Transmit\n face |bytes packets\n  lo: 100 1 0 0 0 0 0 0 200 1 0\neth0: 5 1 0 0 0 0 0 0 6 1\n";
        assert_eq!(traffic(dev), (105, 206));
        let snmp = "Ip: a b\nIp: 1 2\nTcp: x RetransSegs y\nTcp: -1 42 3\n";
        assert_eq!(retransmitted(snmp), Some(42));
        assert_eq!(retransmitted("Tcp: x"), None);
    }
}
