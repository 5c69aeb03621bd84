//! Rows of all kinds of sources, and what is told of broken ones.

#![allow(clippy::unwrap_used, reason = "a test may")]

use crucible_core::{Feeder, Map, Node, NodeKind, Position, Value};
use crucible_feeders::{Limits, Source, Wanted, open, open_source};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder with a file of this text in it.
fn file(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn csv(path: &Path, limits: Limits) -> Result<Arc<dyn Feeder>, String> {
    open_source(Source::Csv { path: path.to_owned(), separator: b',', columns: None }, limits)
}

fn lines(path: &Path, limits: Limits) -> Result<Arc<dyn Feeder>, String> {
    open_source(Source::JsonLines { path: path.to_owned() }, limits)
}

const HELD: Limits = Limits { held: u64::MAX, offsets: 0 };
const INDEXED: Limits = Limits { held: 0, offsets: 4 };

fn all(feeder: &dyn Feeder) -> Vec<Vec<Value>> {
    (0..feeder.rows().unwrap()).map(|index| feeder.row(index).unwrap().to_vec()).collect()
}

fn node(kind: NodeKind) -> Node {
    Node { at: Position { line: 1, column: 1 }, kind }
}

fn map(entries: &[(&str, NodeKind)]) -> Map {
    let at = Position { line: 1, column: 1 };
    Map { entries: entries.iter().map(|(name, kind)| ((*name).to_owned(), at, node(kind.clone()))).collect() }
}

fn wanted(kind: &str, source: NodeKind, options: &[(&str, NodeKind)]) -> Result<Arc<dyn Feeder>, String> {
    open(&Wanted {
        name: "pupils",
        kind,
        source: &node(source),
        options: &map(options),
        folder: Path::new("."),
        seed: 1,
        language: None,
    })
}

#[test]
fn csv_has_quotes_marks_line_ends_and_types_by_column() {
    let text = "\u{feff}name,\"age\",code\r\n\"Doe, \"\"J\"\"\",12,007\r\n\r\nünal,-3,12\r\n";
    let (_folder, path) = file(text);
    for limits in [HELD, INDEXED] {
        let feeder = csv(&path, limits).unwrap();
        assert_eq!(feeder.columns(), ["name", "age", "code"]);
        let rows = [
            vec![Value::text("Doe, \"J\""), Value::Int(12), Value::text("007")],
            vec![Value::text("ünal"), Value::Int(-3), Value::text("12")],
        ];
        assert_eq!(all(&*feeder), rows);
        assert!(feeder.row(2).is_err());
    }
}

#[test]
fn texts_that_only_look_like_numbers_stay_texts() {
    for cell in ["007", "+1", "-0", "1.0", "1e3", "", " 1", "9223372036854775808", "0x1", "1_000"] {
        let (_folder, path) = file(format!("a,b\n{cell},1\n"));
        assert_eq!(all(&*csv(&path, HELD).unwrap()), [[Value::text(cell), Value::Int(1)]], "{cell:?}");
    }
    for (cell, number) in [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX)] {
        let (_folder, path) = file(format!("a\n{cell}\n"));
        assert_eq!(all(&*csv(&path, HELD).unwrap()), [[Value::Int(number)]]);
    }
}

#[test]
fn separators_and_columns_can_be_given() {
    let (folder, _) = file("a\tb\n1\tx\n");
    let options = [
        ("separator", NodeKind::Text("tab".into())),
        ("columns", NodeKind::List(vec![node(NodeKind::Text("p".into())), node(NodeKind::Text("q".into()))])),
    ];
    let source = node(NodeKind::Text("rows".into()));
    let options = map(&options);
    let wanted = Wanted {
        name: "d",
        kind: "csv",
        source: &source,
        options: &options,
        folder: folder.path(),
        seed: 1,
        language: None,
    };
    let feeder = open(&wanted).unwrap();
    assert_eq!(feeder.columns(), ["p", "q"]);
    assert_eq!(feeder.rows(), Some(2));
}

#[test]
fn broken_files_are_told_with_their_lines() {
    let unclosed = format!("a,b\n1,2\n\"3,{}", "4\n".repeat(1 << 20));
    let cases: &[(&[u8], &str)] = &[
        (b"", "no columns"),
        (b"a,b\n", "no rows"),
        (b"a,a\n1,2\n", "two columns are called `a`"),
        (b"a,\n1,2\n", "column 2 has no name"),
        (b"a,b\n1\n1,2\n1,2,3\n", "in 2 places: line 2: 1 values for 2 columns; line 4: 3 values"),
        (b"a,b\n1,2\n1,\xff\n", "line 3: it is no UTF-8"),
        (unclosed.as_bytes(), "line 3: the row that begins here is larger than 1 MiB"),
    ];
    for (text, part) in cases {
        let (_folder, path) = file(text);
        for limits in [HELD, INDEXED] {
            let told = csv(&path, limits).err().unwrap_or_default();
            assert!(told.contains(part) && told.contains('\n'), "{part}: {told}");
        }
    }
    let (_folder, path) = file("{\"a\": 1}\n\n[1]\n{\n{}\n");
    for limits in [HELD, INDEXED] {
        let told = lines(&path, limits).err().unwrap();
        assert!(told.contains("line 3: ") && told.contains("line 4: "), "{told}");
    }
    let missing = csv(Path::new("nowhere.csv"), HELD).err().unwrap();
    assert!(missing.contains("nowhere.csv") && missing.contains("folder of the plan"), "{missing}");
}

#[test]
fn json_keeps_types_and_what_a_row_lacks_is_absent() {
    let expected = [
        vec![Value::Int(1), Value::Absent, Value::text("x")],
        vec![Value::Float(2.5), Value::List([Value::Null].into()), Value::Absent],
    ];
    let (_folder, path) = file("{\"a\": 1, \"c\": \"x\"}\r\n\n{\"a\": 2.5, \"b\": [null]}");
    for limits in [HELD, INDEXED] {
        let feeder = lines(&path, limits).unwrap();
        let order: Vec<usize> = ["a", "b", "c"]
            .iter()
            .map(|name| feeder.columns().iter().position(|c| c == name).unwrap())
            .collect();
        let rows: Vec<Vec<Value>> =
            all(&*feeder).iter().map(|row| order.iter().map(|index| row[*index].clone()).collect()).collect();
        assert_eq!(rows, expected);
    }
    let (_folder, path) = file("[{\"a\": 1}, {\"a\": true}]");
    let feeder = open_source(Source::Json { path }, HELD).unwrap();
    assert_eq!(all(&*feeder), [[Value::Int(1)], [Value::Bool(true)]]);
    for (text, part) in [("[1]", "item 0"), ("{", "broken"), ("[]", "no columns")] {
        let (_folder, path) = file(text);
        let told = open_source(Source::Json { path }, HELD).err().unwrap();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_large_file_is_read_where_its_rows_stand() {
    let mut text = String::from("id,name\n");
    for id in 0..100_000 {
        writeln!(text, "{id},\"name\n{}\"", id * 7).unwrap();
    }
    let (_folder, path) = file(text);
    let feeder = csv(&path, Limits { held: 0, offsets: 1_000 }).unwrap();
    assert_eq!(feeder.rows(), Some(100_000));
    for index in [0, 1, 15, 16, 17, 4_095, 65_535, 65_536, 99_999, 0, 31_337] {
        let row = feeder.row(index).unwrap();
        assert_eq!(*row, [Value::Int(index as i64), Value::text(&format!("name\n{}", index * 7))]);
    }
    let told = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope
                    .spawn(|| (0..2_000).all(|i| feeder.row(i * 50).unwrap()[0] == Value::Int(i as i64 * 50)))
            })
            .collect();
        threads.into_iter().all(|thread| thread.join().unwrap())
    });
    assert!(told);
}

#[test]
fn a_file_that_changes_is_told() {
    let (_folder, path) = file("a\n1\n2\n3\n");
    let feeder = csv(&path, INDEXED).unwrap();
    std::fs::write(&path, "a\nx\ny\nz\n").unwrap();
    assert!(feeder.row(1).is_err_and(|told| told.contains("has changed")));
    std::fs::write(&path, "a\n").unwrap();
    assert!(feeder.row(0).is_err());
}

#[test]
fn rows_of_the_plan_and_generated_ones() {
    let row = |entries| node(NodeKind::Map(map(entries)));
    let list = vec![row(&[("a", NodeKind::Int(1))]), row(&[("b", NodeKind::Text("x".into()))])];
    let feeder = wanted("rows", NodeKind::List(list), &[]).unwrap();
    assert_eq!(all(&*feeder), [[Value::Int(1), Value::Absent], [Value::Absent, Value::text("x")]]);

    let columns = map(&[
        ("user", NodeKind::Text("user-${row}".into())),
        ("age", NodeKind::Text("${random(18, 80)}".into())),
        ("mail", NodeKind::Text("${user}@example.com".into())),
        ("plan", NodeKind::Text("free".into())),
    ]);
    let feeder = wanted("generate", NodeKind::Map(columns.clone()), &[("count", NodeKind::Int(5))]).unwrap();
    assert_eq!((feeder.columns().len(), feeder.rows()), (4, Some(5)));
    let row = feeder.row(3).unwrap();
    assert_eq!((row[0].to_string(), row[2].to_string()), ("user-3".into(), "user-3@example.com".into()));
    assert!(matches!(row[1], Value::Int(18..=80)));
    assert_eq!(feeder.row(3).unwrap(), row);
    let endless = wanted("generate", NodeKind::Map(columns), &[]).unwrap();
    assert_eq!(endless.rows(), None);
    assert_eq!(endless.row(3).unwrap(), row);
}

#[test]
fn what_cannot_be_a_source_says_why() {
    let text = |text: &str| NodeKind::Text(text.into());
    let columns = |name: &str, template: &str| NodeKind::Map(map(&[(name, text(template))]));
    let cases = [
        (wanted("csv", NodeKind::Int(1), &[]), "name of a file"),
        (wanted("csv", text("x"), &[("separater", text(";"))]), "did you mean `separator`"),
        (wanted("csv", text("x"), &[("separator", text(";;"))]), "one character"),
        (wanted("rows", NodeKind::List(vec![node(NodeKind::Int(1))]), &[]), "is no table"),
        (wanted("rows", NodeKind::List(vec![]), &[]), "no columns"),
        (wanted("generate", columns("a", "${b}"), &[]), "`b` is not known here"),
        (wanted("generate", columns("row", "x"), &[]), "choose another name"),
        (wanted("generate", columns("a", "${1 + 1}"), &[]), "neither a plain name"),
        (wanted("generate", columns("a", "x"), &[("count", NodeKind::Int(0))]), "from 1"),
    ];
    for (found, part) in cases {
        let told = found.err().unwrap_or_default();
        assert!(told.contains(part), "{part}: {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes, held and indexed rows are the same, and nothing panics.
    #[test]
    fn held_and_indexed_rows_agree(text in prop::collection::vec(prop::sample::select(b"a1,\"\n\r{}[]: \xff".to_vec()), 0..200)) {
        let (_folder, path) = file(&text);
        for read in [csv, lines] {
            match (read(&path, HELD), read(&path, INDEXED)) {
                (Ok(held), Ok(indexed)) => prop_assert_eq!(all(&*held), all(&*indexed)),
                (Err(held), Err(indexed)) => prop_assert_eq!(held, indexed),
                (held, indexed) => prop_assert!(false, "{:?} {:?}", held, indexed),
            }
        }
    }
}
