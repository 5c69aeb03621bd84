//! Closed forms for the simulated servers. Rates per second, times in seconds, load below 1.
//!
//! Sources: Kleinrock, "Queueing Systems" volume 1 (1975): Pollaczek-Khinchine in 5.6, M/M/m in 3.5.

/// Mean response time of M/G/1, from the first two moments of the service time (Pollaczek-Khinchine).
pub fn mg1_mean_response(lambda: f64, mean: f64, second_moment: f64) -> f64 {
    mean + lambda * second_moment / (2.0 * (1.0 - lambda * mean))
}

/// Mean response time of M/D/1.
pub fn md1_mean_response(lambda: f64, service: f64) -> f64 {
    mg1_mean_response(lambda, service, service * service)
}

/// Probability that an arrival has to wait in M/M/c with offered load `a = lambda / mu` (Erlang C, by the
/// recursion of Erlang B).
pub fn erlang_c(servers: u32, offered: f64) -> f64 {
    let blocked = (1..=servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    let load = offered / f64::from(servers);
    blocked / (1.0 - load * (1.0 - blocked))
}

/// `P(T > t)` of the response time of M/M/c.
pub fn mmc_tail(servers: u32, mu: f64, lambda: f64, t: f64) -> f64 {
    let wait = erlang_c(servers, lambda / mu);
    let spare = f64::from(servers) * mu - lambda;
    let busy = if (mu - spare).abs() < 1e-9 * mu {
        // the limit of the quotient below as spare approaches mu
        mu * t * (-mu * t).exp()
    } else {
        mu / (mu - spare) * ((-spare * t).exp() - (-mu * t).exp())
    };
    (-mu * t).exp() + wait * busy
}

/// Mean response time of M/M/c.
pub fn mmc_mean_response(servers: u32, mu: f64, lambda: f64) -> f64 {
    1.0 / mu + erlang_c(servers, lambda / mu) / (f64::from(servers) * mu - lambda)
}

/// The time that a share `p` of the responses of M/M/c does not exceed, by bisection to 1e-12 relative.
pub fn mmc_quantile(servers: u32, mu: f64, lambda: f64, p: f64) -> f64 {
    let mut high = 1.0 / mu;
    while mmc_tail(servers, mu, lambda, high) > 1.0 - p {
        high *= 2.0;
    }
    let mut low = 0.0;
    while high - low > 1e-12 * high {
        let middle = (low + high) / 2.0;
        if mmc_tail(servers, mu, lambda, middle) > 1.0 - p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, expected: f64) {
        assert!((got / expected - 1.0).abs() < 1e-9, "{got} for {expected}");
    }

    #[test]
    fn known_values() {
        near(md1_mean_response(800.0, 0.001), 0.003);
        // M/M/1: Erlang C is the load, the response is exponential with rate mu - lambda
        near(erlang_c(1, 0.8), 0.8);
        near(mmc_mean_response(1, 1000.0, 800.0), 0.005);
        near(mmc_tail(1, 1000.0, 800.0, 0.01), (-2.0f64).exp());
        near(mmc_quantile(1, 1000.0, 800.0, 0.99), 100f64.ln() / 200.0);
        // two servers at 50 %: C = 1/3
        near(erlang_c(2, 1.0), 1.0 / 3.0);
        // spare rate equal to mu: the limit is taken
        let beside = mmc_tail(2, 1.0, 1.0 + 1e-6, 1.0);
        assert!((mmc_tail(2, 1.0, 1.0, 1.0) - beside).abs() < 1e-6);
    }

    #[test]
    fn the_known_capacity_of_eight_servers() {
        // p99 reaches 100 ms at 749.04 per second with eight servers of 10 ms
        let p99 = mmc_quantile(8, 100.0, 749.04, 0.99);
        assert!((p99 - 0.1).abs() < 1e-4, "{p99}");
    }
}
