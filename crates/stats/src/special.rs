//! The few special functions that the intervals need.
//!
//! Arguments outside of a function's domain are clamped to it; nothing here panics or loops without bound.

/// Natural logarithm of the gamma function for `x > 0`; relative error below 1e-14. Source: Lanczos (1964), with the
/// coefficients of Godfrey for g = 607/128, n = 15.
pub fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 15] = [
        0.999_999_999_999_997_1,
        57.156_235_665_862_92,
        -59.597_960_355_475_49,
        14.136_097_974_741_746,
        -0.491_913_816_097_620_2,
        0.339_946_499_848_118_9e-4,
        0.465_236_289_270_485_8e-4,
        -0.983_744_753_048_795_6e-4,
        0.158_088_703_224_912_5e-3,
        -0.210_264_441_724_104_88e-3,
        0.217_439_618_115_212_65e-3,
        -0.164_318_106_536_763_9e-3,
        0.844_182_239_838_527_4e-4,
        -0.261_908_384_015_814_1e-4,
        0.368_991_826_595_316_23e-5,
    ];
    let x = x.max(f64::MIN_POSITIVE);
    let base = x + 671.0 / 128.0;
    let sum: f64 =
        COEFFICIENTS[0] + (1..).zip(&COEFFICIENTS[1..]).map(|(k, c)| c / (x + f64::from(k))).sum::<f64>();
    (x + 0.5) * base.ln() - base + (std::f64::consts::TAU.sqrt() * sum / x).ln()
}

/// The regularised incomplete beta function I_x(a, b) for `a, b > 0`. Source: DLMF 8.17.22, the continued fraction
/// evaluated by the modified method of Lentz (1976); on its fast side by DLMF 8.17.4.
pub fn beta_inc(a: f64, b: f64, x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_inc_fast(b, a, 1.0 - x);
    }
    beta_inc_fast(a, b, x)
}

fn beta_inc_fast(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep = |value: f64| if value.abs() < TINY { TINY } else { value };
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    // needs about the square root of the larger parameter
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep(1.0 + even * d);
        c = keep(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep(1.0 + odd * d);
        c = keep(1.0 + odd / c);
        let step = d * c;
        fraction *= step;
        if (step - 1.0).abs() < 1e-13 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// The `x` with I_x(a, b) = `share`, by bisection on the logarithm (so that shares far below 1e-9 are exact too).
pub fn beta_quantile(a: f64, b: f64, share: f64) -> f64 {
    if share <= 0.0 {
        return 0.0;
    }
    if share >= 1.0 {
        return 1.0;
    }
    let (mut low, mut high) = (-60.0_f64, 0.0_f64);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if beta_inc(a, b, middle.exp()) < share { low = middle } else { high = middle }
    }
    (0.5 * (low + high)).exp()
}

/// The value that a standard normal variable exceeds with probability `tail` (1e-300 < tail < 0.5); relative error below
/// 1e-6. Source: Wichura, algorithm AS 241 (PPND7), Applied Statistics 37 (1988).
pub fn normal_quantile(tail: f64) -> f64 {
    let ratio = |top: [f64; 4], bottom: [f64; 3], r: f64| {
        (((top[3] * r + top[2]) * r + top[1]) * r + top[0])
            / (((bottom[2] * r + bottom[1]) * r + bottom[0]) * r + 1.0)
    };
    let tail = tail.clamp(1e-300, 0.5);
    let q = 0.5 - tail;
    if q <= 0.425 {
        let top = [3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_720];
        return q * ratio(top, [17.895_169_469, 78.757_757_664, 67.187_563_600], 0.180_625 - q * q);
    }
    let r = (-tail.ln()).sqrt();
    if r <= 5.0 {
        let top = [1.423_437_277_7, 2.756_815_390_0, 1.306_728_481_6, 0.170_238_211_03];
        return ratio(top, [0.737_001_642_50, 0.120_211_329_75, 0.0], r - 1.6);
    }
    let top = [6.657_905_115_0, 3.081_226_386_0, 0.428_682_943_37, 0.017_337_203_997];
    ratio(top, [0.241_978_942_25, 0.012_258_202_635, 0.0], r - 5.0)
}

/// The probability that a variable of Student's t distribution with `freedom` degrees of freedom (above 0) exceeds `t` or
/// lies below `-t` (t >= 0). Source: I_{v/(v+t^2)}(v/2, 1/2), DLMF 8.17.
pub fn t_two_sided(freedom: f64, t: f64) -> f64 {
    beta_inc(0.5 * freedom, 0.5, freedom / (freedom + t * t))
}

/// Density of Student's t distribution with `freedom` degrees of freedom at `t`.
pub fn t_density(freedom: f64, t: f64) -> f64 {
    let front = ln_gamma(0.5 * (freedom + 1.0)) - ln_gamma(0.5 * freedom);
    (front - 0.5 * (freedom + 1.0) * (t * t / freedom).ln_1p()).exp()
        / (std::f64::consts::PI * freedom).sqrt()
}

/// The value that a variable of Student's t distribution with `freedom` degrees of freedom (at least 1) exceeds with
/// probability `tail` (0 < tail < 0.5). Source: the expansion of Cornish and Fisher, Abramowitz and Stegun 26.7.5, whose
/// error is below 1e-8 above 200 degrees; else from there by Newton's method on the logarithm of [`t_two_sided`], or by
/// bisection where that leaves its bounds.
pub fn t_quantile(freedom: f64, tail: f64) -> f64 {
    let freedom = freedom.max(1.0);
    let z = normal_quantile(tail);
    if z <= 0.0 {
        return 0.0;
    }
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let mut t = z + first / freedom + second / (freedom * freedom);
    if freedom > 200.0 {
        return t;
    }
    // the normal quantile is too small, that of one degree of freedom too large
    let (mut low, mut high) = (z * (1.0 - 1e-5), 1.000_01 / (std::f64::consts::PI * tail).tan());
    let wanted = (2.0 * tail).ln();
    for _ in 0..100 {
        let above = t_two_sided(freedom, t);
        if above.ln() > wanted {
            low = t
        } else {
            high = t
        }
        let step = (above.ln() - wanted) * above / (2.0 * t_density(freedom, t));
        let next = t + step;
        let next = if next > low && next < high { next } else { 0.5 * (low + high) };
        let moved = (next - t).abs();
        t = next;
        if moved <= 1e-13 * t {
            break;
        }
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance * expected.abs().max(1e-12), "{got} is not {expected}");
    }

    #[test]
    fn gamma_of_known_values() {
        near(ln_gamma(1.0).exp(), 1.0, 1e-13);
        near(ln_gamma(0.5).exp(), std::f64::consts::PI.sqrt(), 1e-13);
        near(ln_gamma(11.0).exp(), 3_628_800.0, 1e-12);
        near(ln_gamma(1e6), 12_815_504.569_147_61, 1e-13);
    }

    #[test]
    fn beta_against_closed_forms_and_tables() {
        // I_x(1, b) = 1 - (1-x)^b; I_x(a, 1) = x^a; I_1/2(a, a) = 1/2
        near(beta_inc(1.0, 299.0, 0.01), 1.0 - 0.99_f64.powi(299), 1e-12);
        near(beta_inc(7.0, 1.0, 0.3), 0.3_f64.powi(7), 1e-12);
        for a in [0.5, 3.0, 1e3, 1e6] {
            near(beta_inc(a, a, 0.5), 0.5, 1e-9);
        }
        // R: pbeta(0.2, 3, 7)
        near(beta_inc(3.0, 7.0, 0.2), 0.261_802_5, 1e-6);
        near(beta_inc(2.0, 1e9, 1e-9), 1.0 - 2.0 * (-1.0_f64).exp(), 1e-5);
    }

    #[test]
    fn quantiles_against_tables() {
        near(normal_quantile(0.05), 1.644_853_627, 1e-6);
        near(normal_quantile(0.001), 3.090_232_306, 1e-6);
        near(normal_quantile(0.4), 0.253_347_103, 1e-6);
        near(normal_quantile(1e-15), 7.941_345_3, 1e-6);
        // the two ways meet
        near(t_quantile(200.0, 0.05), t_quantile(200.0001, 0.05), 1e-6);
        for (freedom, expected) in [(1.0, 6.313_752), (4.0, 2.131_847), (9.0, 1.833_113), (30.0, 1.697_261)] {
            near(t_quantile(freedom, 0.05), expected, 1e-6);
        }
        near(beta_quantile(1.0, 299.0, 0.95), 1.0 - 0.05_f64.powf(1.0 / 299.0), 1e-9);
        for share in [1e-9, 0.01, 0.5, 0.999] {
            near(beta_inc(3.0, 400.0, beta_quantile(3.0, 400.0, share)), share, 1e-9);
        }
    }

    #[test]
    fn nonsense_ends() {
        assert_eq!(beta_inc(1.0, 1.0, f64::NAN), 0.0);
        assert!(beta_quantile(1e9, 1e9, 0.5).is_finite());
        assert_eq!((beta_quantile(2.0, 2.0, -1.0), beta_quantile(2.0, 2.0, 2.0)), (0.0, 1.0));
    }
}
