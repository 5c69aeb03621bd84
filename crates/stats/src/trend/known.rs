//! Series whose truth is known: for this crate's tests and for the claims.

use crucible_core::Rng;

/// A resource that does not leak, read once a second, with a level of 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Benign {
    /// Autoregression with this correlation, standard deviation 2.
    Remembering(f64),
    /// A saw-tooth of this period in seconds, 60 high.
    Collector(f64),
    /// A cache that fills by 40 with a time constant of 300 s.
    Cache,
    /// One step up by 10.
    Step,
    /// The page cache: grows by 50 with the logarithm of the time.
    Pages,
}

impl Benign {
    /// All families with their names and slowest cycle in seconds (period, twice the autocorrelation time, time constant).
    pub const ALL: [(Benign, &'static str, f64); 8] = [
        (Benign::Remembering(0.5), "AR .5", 6.0),
        (Benign::Remembering(0.9), "AR .9", 38.0),
        (Benign::Remembering(0.99), "AR .99", 398.0),
        (Benign::Collector(60.0), "GC 60 s", 60.0),
        (Benign::Collector(300.0), "GC 300 s", 300.0),
        (Benign::Cache, "cache", 300.0),
        (Benign::Step, "one step", 0.0),
        (Benign::Pages, "page cache", 0.0),
    ];

    /// `seconds` readings; on top a leak of `leak` percent of the level a minute.
    pub fn series(self, seconds: usize, leak: f64, rng: &mut Rng) -> Vec<(f64, f64)> {
        let n = seconds as f64;
        let (mut noise, mut phase) = (0.0, rng.unit());
        let step_at = n * (0.2 + 0.6 * rng.unit());
        if let Benign::Remembering(_) = self {
            noise = 2.0 * rng.normal();
        }
        (0..seconds)
            .map(|i| {
                let t = i as f64;
                let small = 0.3 * rng.normal();
                let value = match self {
                    Benign::Remembering(r) => {
                        noise = r * noise + 2.0 * (1.0 - r * r).sqrt() * rng.normal();
                        noise
                    }
                    Benign::Collector(period) => {
                        phase += (1.0 + 0.05 * rng.normal()) / period;
                        60.0 * phase.fract() + small
                    }
                    Benign::Cache => 40.0 * (1.0 - (-t / 300.0).exp()) + small,
                    Benign::Step => 10.0 * f64::from(t >= step_at) + small,
                    Benign::Pages => 50.0 * (1.0 + t / 10.0).ln() / (1.0 + n / 10.0).ln() + small,
                };
                (t, 100.0 + value + leak * t / 60.0)
            })
            .collect()
    }
}

/// A history of runs without a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum History {
    /// Normal.
    Normal,
    /// Log-normal with sigma .5.
    LogNormal,
    /// Two modes, four standard deviations apart, one in four runs in the upper.
    Bimodal,
    /// Autoregression with correlation .5.
    Remembering,
}

impl History {
    /// All kinds with their names.
    pub const ALL: [(History, &'static str); 4] = [
        (History::Normal, "normal"),
        (History::LogNormal, "log-normal"),
        (History::Bimodal, "bimodal"),
        (History::Remembering, "AR .5"),
    ];

    /// `n` runs around 100 with a standard deviation of 2, those from `at` on shifted by `shift` standard deviations.
    pub fn series(self, n: usize, at: usize, shift: f64, rng: &mut Rng) -> Vec<f64> {
        let mut memory = rng.normal();
        (0..n)
            .map(|i| {
                let noise = match self {
                    History::Normal => rng.normal(),
                    // mean exp(1/8), standard deviation of exp(.5 z)
                    History::LogNormal => ((0.5 * rng.normal()).exp() - 1.1331) / 0.6039,
                    History::Bimodal => {
                        let upper = f64::from(rng.unit() < 0.25);
                        (upper * 4.0 - 1.0 + rng.normal()) / 2.0
                    }
                    History::Remembering => {
                        memory = 0.5 * memory + 0.75f64.sqrt() * rng.normal();
                        memory
                    }
                };
                100.0 + 2.0 * (noise + if i >= at { shift } else { 0.0 })
            })
            .collect()
    }
}
