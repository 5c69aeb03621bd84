//! A series in one line of characters.

/// Widest line.
pub(super) const WIDTH: usize = 30;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 7] = ['_', '.', '-', '=', '+', '*', '#'];

/// The series between its smallest and largest value; longer ones by the medians of neighbours. A blank where there is no
/// value.
pub(super) fn spark(values: &[f64], ascii: bool) -> String {
    let signs: &[char] = if ascii { &ASCII } else { &BLOCKS };
    let points: Vec<f64> = match values.len() {
        n if n > WIDTH => {
            let edge = |bin: usize| bin * n / WIDTH;
            (0..WIDTH).map(|bin| middle(&values[edge(bin)..edge(bin + 1)])).collect()
        }
        _ => values.to_vec(),
    };
    let fine = points.iter().copied().filter(|value| value.is_finite());
    let (low, high) = fine.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let sign = |value: &f64| match value {
        value if !value.is_finite() => ' ',
        _ if high <= low => signs[0],
        value => signs[(((value - low) / (high - low)) * (signs.len() - 1) as f64).round() as usize],
    };
    points.iter().map(sign).collect()
}

/// The median of those that are known.
fn middle(values: &[f64]) -> f64 {
    let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_long_as_their_series_up_to_the_width() {
        assert_eq!(spark(&[1.0, 2.0, f64::NAN, 8.0], false), "▁▂ █");
        assert_eq!(spark(&[1.0, 2.0, f64::NAN, 8.0], true), "_. #");
        assert_eq!(spark(&[5.0; 3], false), "▁▁▁");
        assert_eq!(spark(&[f64::NAN; 2], false), "  ");
        assert_eq!(spark(&[], false), "");
        let long: Vec<f64> = (0..95).map(f64::from).collect();
        let line = spark(&long, false);
        assert_eq!(
            (line.chars().count(), line.chars().next(), line.chars().last()),
            (WIDTH, Some('▁'), Some('█'))
        );
    }
}
