//! How long requests take: added service time for all routes or one, downstream delay, slow start, pauses.

use super::Switch;
use crucible_core::units::{parse_duration, parse_share};
use crucible_core::{Ns, Rng};
use std::sync::Arc;

/// Longest time that is drawn.
const LONGEST: Ns = Ns::from_secs(600);
/// Most times in a file.
const FILE_TIMES: usize = 1_000_000;
const HINT: &str = "write fixed:5ms, exponential:10ms, lognormal:5ms:0.5, bimodal:5ms:200ms:1% or file:PATH";

pub(super) const SERVICE: Switch = Switch {
    name: "service",
    doc: "time added to the work of every API route: fixed:TIME, exponential:MEAN, lognormal:MEDIAN:SIGMA, \
          bimodal:TIME:TIME:SHARE-OF-THE-SECOND or file:PATH (one duration a line, drawn with equal chance)",
    example: "lognormal:5ms:0.5",
    implies: "with workers=c and mean S a queue with c servers: capacity c/S; fixed, c=1, load r: mean wait \
              rS/(2(1-r)) (M/D/1); exponential: M/M/c; log-normal mean = MEDIAN exp(SIGMA^2/2)",
    set: |truth, value| {
        truth.service = read(value)?;
        Ok(())
    },
};

pub(super) const SERVICE_OF: Switch = Switch {
    name: "service./PATH",
    doc: "the same for one route, written as its pattern or as a path; a method and a blank may stand before it",
    example: "exponential:10ms",
    implies: "as service, for this route alone; the others keep theirs",
    set: |truth, value| {
        let (route, value) = value.split_once('=').unwrap_or((value, ""));
        let service = read(value)?;
        truth.services.retain(|(known, _)| known != route);
        truth.services.push((route.to_owned(), service));
        Ok(())
    },
};

pub(super) const DOWNSTREAM: Switch = Switch {
    name: "downstream",
    doc: "time that every API request waits for a system behind this one, its worker held; written as service",
    example: "fixed:20ms",
    implies: "adds to the service time: mean S + D, capacity workers/(S + D); not made slower by warm-up",
    set: |truth, value| {
        truth.downstream = read(value)?;
        Ok(())
    },
};

pub(super) const WARM_UP: Switch = Switch {
    name: "warm-up",
    doc: "slow start FACTOR:TIME: the added service time is longer after the start and falls back with this time constant",
    example: "3:20s",
    implies: "at t after the start the service time is S (1 + (FACTOR-1) exp(-t/TIME)); within 1 % of S \
              after TIME ln(100 (FACTOR-1)): 3:20s after 106 s",
    set: |truth, value| {
        let (factor, time) = value.split_once(':').ok_or("write FACTOR:TIME, as in 3:20s")?;
        let factor = factor
            .parse()
            .ok()
            .filter(|f| (1.0..=1000.0).contains(f))
            .ok_or("the factor lies from 1 to 1000")?;
        let constant = limited(time)?;
        if constant == Ns::ZERO {
            return Err("the time constant is longer than nothing".into());
        }
        truth.warm_up = Some(WarmUp { factor, constant });
        Ok(())
    },
};

pub(super) const PAUSES: Switch = Switch {
    name: "pauses",
    doc: "FOR/EVERY: all routes stand still for FOR at the end of each EVERY, as a collector that stops the world",
    example: "100ms/10s",
    implies: "a share FOR/EVERY of the arrivals meets a pause and waits FOR/2 on average, FOR at most; \
              capacity times 1 - FOR/EVERY",
    set: |truth, value| {
        let (length, every) = value.split_once('/').ok_or("write FOR/EVERY, as in 100ms/10s")?;
        let (length, every) = (limited(length)?, limited(every)?);
        if length == Ns::ZERO || length >= every {
            return Err("a pause is longer than nothing and shorter than the time between two".into());
        }
        truth.pauses = Some(Pauses { length, every });
        Ok(())
    },
};

fn limited(text: &str) -> Result<Ns, String> {
    let time = parse_duration(text)?;
    if time <= LONGEST { Ok(time) } else { Err("ten minutes are the most".to_owned()) }
}

/// Distribution of a time.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) enum Service {
    /// Nothing is added.
    #[default]
    None,
    /// Always the same.
    Fixed(Ns),
    /// Exponential with this mean.
    Exponential(Ns),
    /// Log-normal with this median and this standard deviation of the logarithm.
    LogNormal(Ns, f64),
    /// The first time, or with this share the second.
    Bimodal(Ns, Ns, f64),
    /// One of these with equal chance.
    Listed(Arc<[Ns]>),
}

impl Service {
    /// The time for request `number`; a pure function of seed and number. Cut off at ten minutes.
    pub(crate) fn draw(&self, seed: u64, number: u64) -> Ns {
        self.draw_for("service", seed, number)
    }

    /// The same from a stream of its own for `purpose`.
    pub(crate) fn draw_for(&self, purpose: &str, seed: u64, number: u64) -> Ns {
        let mut rng = Rng::new(seed, purpose, number);
        let secs = match self {
            Service::None => return Ns::ZERO,
            Service::Fixed(time) => return *time,
            Service::Exponential(mean) => mean.as_secs_f64() * rng.exponential(),
            Service::LogNormal(median, sigma) => median.as_secs_f64() * (sigma * rng.normal()).exp(),
            Service::Bimodal(first, second, share) => {
                return if rng.unit() < *share { *second } else { *first };
            }
            Service::Listed(times) => {
                let last = times.len().saturating_sub(1) as u64;
                let index = usize::try_from(rng.between(0, last)).unwrap_or(0);
                return times.get(index).copied().unwrap_or(Ns::ZERO);
            }
        };
        Ns::from_secs_f64(secs.min(LONGEST.as_secs_f64()))
    }
}

/// Reads the text of a distribution.
fn read(value: &str) -> Result<Service, String> {
    if let Some(path) = value.strip_prefix("file:") {
        return listed(path);
    }
    let parts: Vec<&str> = value.split(':').collect();
    Ok(match parts.as_slice() {
        ["none"] => Service::None,
        ["fixed", time] => Service::Fixed(limited(time)?),
        ["exponential", mean] => Service::Exponential(limited(mean)?),
        ["lognormal", median, sigma] => {
            let sigma =
                sigma.parse().ok().filter(|s| (0.0..=5.0).contains(s)).ok_or("sigma lies from 0 to 5")?;
            Service::LogNormal(limited(median)?, sigma)
        }
        ["bimodal", first, second, share] => {
            Service::Bimodal(limited(first)?, limited(second)?, parse_share(share)?)
        }
        _ => return Err(HINT.into()),
    })
}

fn listed(path: &str) -> Result<Service, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let times: Vec<Ns> = lines
        .take(FILE_TIMES + 1)
        .map(|(index, line)| limited(line).map_err(|e| format!("line {} of {path}: {e}", index + 1)))
        .collect::<Result<_, _>>()?;
    match times.len() {
        0 => Err(format!("{path} holds no time")),
        n if n > FILE_TIMES => Err(format!("{path} holds more than {FILE_TIMES} times")),
        _ => Ok(Service::Listed(times.into())),
    }
}

/// A slow start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WarmUp {
    /// At the start everything takes this many times as long.
    pub(crate) factor: f64,
    /// Time after which a third (1/e) of the excess is left.
    pub(crate) constant: Ns,
}

impl WarmUp {
    /// How many times as long work takes at `age` after the start.
    pub(crate) fn factor_at(&self, age: Ns) -> f64 {
        1.0 + (self.factor - 1.0) * (-age.as_secs_f64() / self.constant.as_secs_f64()).exp()
    }
}

/// Pauses of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pauses {
    /// Length of one.
    pub(crate) length: Ns,
    /// Time from one to the next. A pause ends each period.
    pub(crate) every: Ns,
}

impl Pauses {
    /// Time from `age` after the start until `work` is done, if nothing is done during pauses.
    pub(crate) fn stretch(&self, age: Ns, work: Ns) -> Ns {
        let awake = self.every.0 - self.length.0;
        let inside = age.0 % self.every.0;
        // counted from the start of this period, in time that is not paused
        let done = inside.min(awake);
        let end = u128::from(done) + u128::from(work.0);
        // work that ends with the awake part ends before the pause; a start in a pause waits for its end
        let crossed = match work.0 {
            0 => u128::from(inside >= awake),
            _ => (end - 1) / u128::from(awake),
        };
        let at = end + crossed * u128::from(self.length.0);
        Ns(u64::try_from(at).unwrap_or(u64::MAX).saturating_sub(inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn drawn_times_have_the_promised_centre() {
        let mean = |service: Service| {
            (0..20_000).map(|n| service.draw(3, n).as_millis_f64()).sum::<f64>() / 20_000.0
        };
        assert_eq!(mean(Service::Fixed(Ns::from_millis(5))), 5.0);
        // standard error of the mean: 10 / sqrt(20000) = 0.07
        assert!((mean(read("exponential:10ms").unwrap()) - 10.0).abs() < 0.3);
        // E = median * exp(sigma^2 / 2) = 5.666
        assert!((mean(read("lognormal:5ms:0.5").unwrap()) - 5.666).abs() < 0.1);
        // 0.9 * 5 + 0.1 * 200 = 24.5, standard error 0.41
        assert!((mean(read("bimodal:5ms:200ms:10%").unwrap()) - 24.5).abs() < 1.7);
    }

    #[test]
    fn a_file_gives_its_times_and_nothing_else() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"1ms\n\n2ms\n3ms\n").unwrap();
        let service = read(&format!("file:{}", file.path().display())).unwrap();
        let mut drawn: Vec<u64> = (0..100).map(|n| service.draw(1, n).0 / 1_000_000).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, [1, 2, 3]);
        file.write_all(b"soon\n").unwrap();
        let told = read(&format!("file:{}", file.path().display())).unwrap_err();
        assert!(told.contains("line 5"), "{told}");
        assert!(read("file:").unwrap_err().contains("cannot read"));
    }

    #[test]
    fn a_slow_start_falls_as_promised() {
        let warm = WarmUp { factor: 3.0, constant: Ns::from_secs(20) };
        assert_eq!(warm.factor_at(Ns::ZERO), 3.0);
        assert!((warm.factor_at(Ns::from_secs(20)) - (1.0 + 2.0 / std::f64::consts::E)).abs() < 1e-12);
        assert!(warm.factor_at(Ns::from_secs(106)) < 1.01);
    }

    proptest! {
        #[test]
        fn a_pause_does_no_work(length in 1u64..20, more in 1u64..20, age in 0u64..100, work in 0u64..200) {
            let every = length + more;
            let pauses = Pauses { length: Ns(length), every: Ns(every) };
            let awake = |t: u64| t % every < more;
            // tick by tick: work is done in the ticks that are awake
            let (mut t, mut left) = (age, work);
            while left > 0 || !(awake(t) || (t > age && awake(t - 1))) {
                left -= u64::from(awake(t) && left > 0);
                t += 1;
            }
            prop_assert_eq!(pauses.stretch(Ns(age), Ns(work)), Ns(t - age));
        }
    }
}
