//! Names of columns, and mistakes gathered by line.

/// Most columns of a source.
const COLUMNS_MAX: usize = 1_000;

/// Largest row, in bytes.
pub(crate) const ROW_MAX: usize = 1 << 20;

/// Most mistakes that are told of one file.
const TOLD_MAX: usize = 10;

/// Checks names of columns. The error is what is wrong and, on its own line, what to do.
pub(crate) fn check(columns: &[String]) -> Result<(), String> {
    if columns.is_empty() {
        return Err("there are no columns\nname them in the first line".into());
    }
    if columns.len() > COLUMNS_MAX {
        return Err(format!("there are {} columns\n{COLUMNS_MAX} are the most", columns.len()));
    }
    for (index, name) in columns.iter().enumerate() {
        if name.trim().is_empty() {
            return Err(format!("column {} has no name\nname all columns in the first line", index + 1));
        }
        if columns[..index].contains(name) {
            return Err(format!("two columns are called `{name}`\ngive one of them another name"));
        }
    }
    Ok(())
}

/// What is wrong in a file.
#[derive(Default)]
pub(crate) struct Mistakes {
    told: Vec<String>,
    count: u64,
}

impl Mistakes {
    pub(crate) fn tell(&mut self, line: u64, what: impl std::fmt::Display) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("line {line}: {what}"));
        }
    }

    /// The error, if there was a mistake.
    pub(crate) fn finish(self, path: &std::path::Path, remedy: &str) -> Result<(), String> {
        let more = self.count - self.told.len() as u64;
        let told = match more {
            0 => self.told.join("; "),
            more => format!("{}; and {more} more", self.told.join("; ")),
        };
        match self.count {
            0 => Ok(()),
            1 => Err(format!("{} is broken: {told}\n{remedy}", path.display())),
            count => Err(format!("{} is broken in {count} places: {told}\n{remedy}", path.display())),
        }
    }
}
