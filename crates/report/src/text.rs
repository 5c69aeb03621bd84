//! Putting words on lines: escaping foreign text, cutting, padding, wrapping, bars.

use std::fmt::{self, Write};

/// Characters that a terminal might obey or that are read as something else: controls (C0, C1), and the marks
/// that turn the direction of text (Unicode TR 9), which can make a report read other than it is.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Foreign text on one line: unsafe characters as `\n`, `\u{1b}`.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Foreign text on one line of at most `width` characters; what is cut off shows as `…` (`~` in ASCII).
pub(crate) fn cut(text: &str, width: usize, ascii: bool) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return text;
    }
    let mut out: String = text.chars().take(width.saturating_sub(1)).collect();
    out.push(if ascii { '~' } else { '…' });
    out
}

/// Labels on one line, as in `version 1.4, commit 0a1b2c3d4e5f`; commits are cut to what tells them apart.
pub(crate) fn labels(labels: &[(String, String)]) -> String {
    let one = |(name, value): &(String, String)| format!("{} {}", clean(name), label(value));
    labels.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The value of a label; a commit is cut to what tells it apart.
pub(crate) fn label(value: &str) -> String {
    let is_commit = value.len() >= 40 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit { value[..12].to_owned() } else { clean(value) }
}

/// Writes `text` in lines of at most `width` characters, each behind `indent` blanks; the first line begins behind
/// `lead` instead. Words longer than a line are broken.
pub(crate) fn wrap(out: &mut dyn Write, lead: &str, indent: usize, width: usize, text: &str) -> fmt::Result {
    let room = width.saturating_sub(indent).max(10);
    let mut line = String::new();
    let mut first = true;
    let mut flush = |line: &mut String| -> fmt::Result {
        if first {
            write!(out, "{lead:<indent$}")?;
        } else {
            write!(out, "{:indent$}", "")?;
        }
        first = false;
        writeln!(out, "{}", line.trim_end())?;
        line.clear();
        Ok(())
    };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word.chars().collect();
        let used = line.chars().count();
        if used > 0 && used + 1 + word.len() > room {
            flush(&mut line)?;
        }
        while word.len() > room {
            line.extend(word.drain(..room));
            flush(&mut line)?;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word);
    }
    if line.is_empty() { Ok(()) } else { flush(&mut line) }
}

/// A bar of `share` (0 to 1) of `width` characters, to an eighth of a character (whole ones in ASCII). Anything
/// above nothing shows.
pub(crate) fn bar(share: f64, width: usize, ascii: bool) -> String {
    if share <= 0.0 {
        return String::new();
    }
    if ascii {
        return "#".repeat(((share * width as f64).round() as usize).clamp(1, width));
    }
    let eighths = ((share * width as f64 * 8.0).round() as usize).clamp(1, width * 8);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'].get((eighths % 8).wrapping_sub(1)) {
        bar.push(*rest);
    }
    bar
}

/// Milliseconds since the Unix epoch as `2026-11-21 04:40:00 UTC`. Days to dates: Hinnant, "chrono-compatible
/// low-level date algorithms", civil_from_days.
pub(crate) fn utc(unix_ms: u64) -> String {
    let secs = unix_ms / 1000;
    let days = (secs / 86_400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let doe = days.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_command_a_terminal() {
        assert_eq!(clean("a\x1b[31mb\r\nc\u{9b}d\u{202e}e é"), "a\\u{1b}[31mb\\r\\nc\\u{9b}d\\u{202e}e é");
        assert_eq!(cut("abcdef", 4, false), "abc…");
        assert_eq!(cut("abcdef", 6, false), "abcdef");
        assert_eq!(cut("\n\n\n", 4, true), "\\n\\~");
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_text_no_line_is_wider_and_none_commands(text in "\\PC{0,300}|[\\x00-\\x7f]{0,200}", width in 20usize..100) {
            let mut out = String::new();
            wrap(&mut out, "lead", 6, width, &clean(&text)).unwrap();
            proptest::prop_assert!(out.lines().all(|line| line.chars().count() <= width));
            proptest::prop_assert!(!out.chars().any(|c| c != '\n' && is_unsafe(c)));
            let short = cut(&text, width, false);
            proptest::prop_assert!(short.chars().count() <= width && !short.chars().any(is_unsafe));
        }
    }

    #[test]
    fn lines_are_no_wider_than_asked() {
        let mut out = String::new();
        wrap(&mut out, "why", 5, 20, "one two three fourfivesixseveneightnine ten").unwrap();
        assert_eq!(out, "why  one two three\n     fourfivesixseve\n     neightnine ten\n");
    }

    #[test]
    fn bars() {
        assert_eq!(bar(1.0, 4, false), "████");
        assert_eq!(bar(0.5, 3, false), "█▌");
        assert_eq!(bar(0.000_1, 4, false), "▏");
        assert_eq!(bar(0.6, 5, true), "###");
        assert_eq!(bar(0.0, 4, false), "");
    }

    #[test]
    fn dates() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_236_000_000), "2026-11-21 04:40:00 UTC");
    }
}
