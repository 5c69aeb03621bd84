//! A Rust file as the rules see it: comments and the insides of literals blanked, test modules known. Lines and
//! columns stay where they are.

/// See the module text.
pub(super) struct Source {
    /// Relative to the root.
    pub(super) file: String,
    /// The text as it is.
    pub(super) text: String,
    /// The text with comments and the insides of literals blanked.
    pub(super) code: String,
    /// Lines (from 0) that belong to test code.
    test_lines: Vec<bool>,
}

impl Source {
    pub(super) fn new(file: &str, text: &str) -> Source {
        let code = blank(text);
        let whole = file.contains("/tests/")
            || file.contains("/benches/")
            || file.contains("/examples/")
            || file.ends_with("tests.rs");
        let mut test_lines = vec![whole; code.lines().count() + 1];
        let mut from = 0;
        while let Some(found) = code[from..].find("#[cfg(test)]") {
            let start = from + found;
            let end = item_end(&code, start);
            let (first, last) = (line_of(&code, start), line_of(&code, end));
            test_lines[first..=last].fill(true);
            from = end.max(start + 1);
        }
        Source { file: file.to_owned(), text: text.to_owned(), code, test_lines }
    }

    /// Lines of code (literals and comments blanked) with their numbers from 1, test code left out.
    pub(super) fn live_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .filter(|(index, _)| !self.test_lines[*index])
            .map(|(index, line)| (index + 1, line))
    }

    /// The functions: name, line of their head (from 1), number of lines from there through their last brace.
    pub(super) fn functions(&self) -> Vec<(String, usize, usize)> {
        let bytes = self.code.as_bytes();
        let mut functions = Vec::new();
        for (start, _) in self.code.match_indices("fn ") {
            if start > 0 && (bytes[start - 1].is_ascii_alphanumeric() || bytes[start - 1] == b'_') {
                continue;
            }
            let name: String =
                self.code[start + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.is_empty() || self.test_lines[line_of(&self.code, start)] {
                continue;
            }
            let Some(length) = self.code[start..].find(['{', ';']) else { continue };
            if bytes[start + length] == b';' && !self.code[start..start + length].contains('[') {
                continue;
            }
            let Some(open) = self.code[start..].find('{') else { continue };
            let end = closing(&self.code, start + open);
            let (first, last) = (line_of(&self.code, start), line_of(&self.code, end));
            functions.push((name, first + 1, last - first + 1));
        }
        functions
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

/// The end of the item that begins at `start`: its closing brace, or its semicolon.
fn item_end(code: &str, start: usize) -> usize {
    match code[start..].find(['{', ';']) {
        Some(offset) if code.as_bytes()[start + offset] == b'{' => closing(code, start + offset),
        Some(offset) => start + offset,
        None => code.len() - 1,
    }
}

/// The brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (index, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    code.len() - 1
}

/// Blanks comments and the insides of string and character literals; newlines stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n"),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'r' | b'b' if starts_raw(bytes, at).is_some() => {
                let (open, hashes) = starts_raw(bytes, at).unwrap_or_default();
                let mut mark = vec![b'"'];
                mark.resize(1 + hashes, b'#');
                find(bytes, open + 1, &mark) + mark.len()
            }
            b'"' => string_end(bytes, at),
            b'\'' => char_end(bytes, at),
            _ => {
                at += 1;
                continue;
            }
        };
        let end = end.min(bytes.len());
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).unwrap_or_default()
}

fn find(bytes: &[u8], from: usize, mark: &[u8]) -> usize {
    (from..bytes.len()).find(|at| bytes[*at..].starts_with(mark)).unwrap_or(bytes.len())
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0usize, start);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// Where the quote of a raw string that begins at `at` stands, and its number of hashes.
fn starts_raw(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    if at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') {
        return None;
    }
    let mut next = at;
    next += usize::from(bytes.get(next) == Some(&b'b'));
    if bytes.get(next) != Some(&b'r') {
        return None;
    }
    next += 1;
    let hashes = bytes[next..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(next + hashes) == Some(&b'"')).then_some((next + hashes, hashes))
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// The end of a character literal, or its own place if it is a lifetime.
fn char_end(bytes: &[u8], start: usize) -> usize {
    if bytes.get(start + 1) == Some(&b'\\') {
        return find(bytes, start + 3, b"'") + 1;
    }
    let close = find(bytes, start + 1, b"'");
    let inside = String::from_utf8_lossy(&bytes[start + 1..close.min(bytes.len())]).chars().count();
    if inside == 1 && close < bytes.len() { close + 1 } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_nothing_else() {
        let check = |text: &str, expected: &str| assert_eq!(blank(text), expected, "{text}");
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check(r#"f("x\"{", '{', 'a)"#, r#"f(      ,    , 'a)"#);
        check(r###"f(r#"a"b"#) + br"x""###, "f(        ) +      ");
        check("fn a<'b>(c: &'b str)", "fn a<'b>(c: &'b str)");
        check(r"'\''; x", "    ; x");
    }

    #[test]
    fn functions_are_measured_and_tests_left_out() {
        let source = Source::new(
            "a.rs",
            "fn one() {\n  if x { y }\n}\ntrait T { fn none(); }\n#[cfg(test)]\nmod tests {\n  fn two() {}\n}\nfn three() {}\n",
        );
        assert_eq!(source.functions(), [("one".to_owned(), 1, 3), ("three".to_owned(), 9, 1)]);
        let lines: Vec<usize> = source.live_lines().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 9]);
    }
}
