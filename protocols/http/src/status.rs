//! Sets of status codes: `200`, `2xx`, `200-299`.

use std::ops::RangeInclusive;

/// A set of status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMatch {
    /// The ranges.
    pub ranges: Vec<RangeInclusive<u16>>,
}

impl StatusMatch {
    /// Reads `200`, `2xx` or `200-299`. The error is a hint.
    pub fn parse(text: &str) -> Result<StatusMatch, String> {
        let text = text.trim();
        let hint = || "write a status as 200, 2xx or 200-299".to_owned();
        let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=999).contains(code));
        let range = if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class)).ok_or_else(hint)?;
            class * 100..=class * 100 + 99
        } else if let Some((low, high)) = text.split_once('-') {
            code(low).ok_or_else(hint)?..=code(high).ok_or_else(hint)?
        } else {
            let code = code(text).ok_or_else(hint)?;
            code..=code
        };
        if range.is_empty() { Err(hint()) } else { Ok(StatusMatch { ranges: vec![range] }) }
    }

    /// Whether the code is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|range| range.contains(&status))
    }
}

impl From<u16> for StatusMatch {
    fn from(status: u16) -> StatusMatch {
        StatusMatch { ranges: vec![status..=status] }
    }
}

impl From<RangeInclusive<u16>> for StatusMatch {
    fn from(range: RangeInclusive<u16>) -> StatusMatch {
        StatusMatch { ranges: vec![range] }
    }
}

impl std::fmt::Display for StatusMatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let separator = if index > 0 { " or " } else { "" };
            match (*range.start(), *range.end()) {
                (low, high) if low == high => write!(f, "{separator}{low}")?,
                (low, high) if low % 100 == 0 && high == low + 99 => write!(f, "{separator}{}xx", low / 100)?,
                (low, high) => write!(f, "{separator}{low}-{high}")?,
            }
        }
        Ok(())
    }
}
