//! The run store against its promises: nothing is lost, nothing is invented, and errors say what to do.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{every_kind, started, told, window};
use crucible_core::Ns;
use crucible_record::*;
use proptest::prelude::*;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

fn read(store: &Store, id: &str) -> Vec<RunEvent> {
    store.events(id).unwrap().map(|event| event.unwrap()).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn store_with_windows(path: &Path, run: &str, windows: u64) -> Store {
    let store = Store::open(path).unwrap();
    let mut writer = store.begin(&started(run)).unwrap();
    for index in 0..windows {
        writer.append(&RunEvent::Window(Box::new(window(index, 7)))).unwrap();
    }
    writer.finish().unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_kind_of_event_comes_back_as_it_was(seed in any::<u64>()) {
        let store = Store::in_memory().unwrap();
        let labels = vec![("branch".into(), "main".into()), ("version".into(), format!("1.{seed}"))];
        let first = RunStarted { labels, ..started("20260101-000000-aaaa") };
        let mut writer = store.begin(&first).unwrap();
        let events = every_kind(seed);
        for event in &events {
            writer.append(event).unwrap();
        }
        writer.finish().unwrap();
        let back = read(&store, "20260101-000000-aaaa");
        prop_assert_eq!(told(&back[0]), told(&RunEvent::Started(Box::new(first))));
        for (came, went) in back[1..].iter().zip(&events) {
            prop_assert_eq!(told(came), told(went));
        }
        prop_assert_eq!(back.len(), events.len() + 1);
    }

    #[test]
    fn foreign_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200), kind in 0usize..6, cut in 0usize..4000) {
        let folder = folder();
        let path = folder.path().join("runs.db");
        let store = store_with_windows(&path, "r", 1);
        let kinds = ["started", "phase", "window", "note", "gap", "finished"];
        let raw = Connection::open(&path).unwrap();
        let digest = fnv(&body);
        raw.execute("UPDATE events SET kind = ?1, body = ?2, digest = ?3 WHERE seq = 1", (kinds[kind], &body, digest)).unwrap();
        let _ = store.events("r").unwrap().map(|e| e.is_ok()).collect::<Vec<_>>();
        // a real window, cut short or with a byte changed, under a digest that fits
        let mut real: Vec<u8> = raw.query_row("SELECT body FROM events WHERE seq = 0", [], |r| r.get(0)).unwrap();
        let at = cut % real.len();
        real[at] ^= 0x15;
        raw.execute("UPDATE events SET kind = 'started', body = ?1, digest = ?2 WHERE seq = 1", (&real, fnv(&real))).unwrap();
        let _ = store.events("r").unwrap().map(|e| e.is_ok()).collect::<Vec<_>>();
    }
}

fn fnv(body: &[u8]) -> i64 {
    body.iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
        as i64
}

#[test]
fn runs_are_listed_found_judged_and_deleted() {
    let store = Store::in_memory().unwrap();
    for (run, at) in [("20260101-aa", 1_000), ("20260102-bb", 3_000), ("20260101-ab", 2_000)] {
        let mut writer = store.begin(&RunStarted { started_unix_ms: at, ..started(run) }).unwrap();
        if run.ends_with("bb") {
            writer.append(&every_kind(1).pop().unwrap()).unwrap();
        }
        writer.finish().unwrap();
    }
    store.set_verdict("20260102-bb", "fail").unwrap();
    let runs = store.runs().unwrap();
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    assert_eq!(ids, ["20260102-bb", "20260101-ab", "20260101-aa"]);
    assert_eq!(runs[0].state, RunState::Complete("completed".into()));
    assert_eq!(runs[0].verdict.as_deref(), Some("fail"));
    assert_eq!((runs[0].events, runs[1].events), (2, 1));
    assert_eq!((&runs[1].state, &runs[1].tests), (&RunState::Incomplete, &vec!["load".to_owned()]));
    assert!(runs[0].bytes > 100);

    let find = |asked: &str| store.find(asked).map_err(|error| error.to_string());
    assert_eq!(find("last"), Ok("20260102-bb".into()));
    assert_eq!(find("20260102"), Ok("20260102-bb".into()));
    assert_eq!(find("20260101-ab"), Ok("20260101-ab".into()));
    insta::assert_snapshot!(find("20260101").unwrap_err(), @"there is no single run 20260101; did you mean 20260101-ab, 20260101-aa (see `crucible runs`)");
    insta::assert_snapshot!(find("x").unwrap_err(), @"there is no run x (see `crucible runs`)");
    assert!(find("").is_err());

    store.delete("20260102-bb").unwrap();
    assert_eq!(find("last"), Ok("20260101-ab".into()));
    assert!(store.events("20260102-bb").is_err());
    assert!(store.delete("20260102-bb").is_err());
    insta::assert_snapshot!(store.begin(&started("20260101-ab")).unwrap_err(), @"there is a run 20260101-ab already (begin it again)");
}

#[test]
fn a_deleted_run_cannot_be_written_on() {
    let store = Store::in_memory().unwrap();
    let mut writer = store.begin(&started("r")).unwrap();
    store.delete("r").unwrap();
    assert!(writer.append(&every_kind(1)[0]).is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn a_live_run_can_be_read_while_it_is_written() {
    let folder = folder();
    let path = folder.path().join("deep/er/runs.db");
    let store = Store::open(&path).unwrap();
    let mut writer = store.begin(&started("r")).unwrap();
    let reader = Store::open_read_only(&path).unwrap();
    let mut events = reader.events("r").unwrap();
    assert!(matches!(events.next(), Some(Ok(RunEvent::Started(_)))));
    assert!(events.next().is_none());
    writer.append(&RunEvent::Window(Box::new(window(0, 1)))).unwrap();
    assert!(matches!(events.next(), Some(Ok(RunEvent::Window(_)))));
    assert!(events.next().is_none());
    assert_eq!(events.position(), 2);
}

#[test]
fn two_runs_are_written_to_one_store_at_the_same_time() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    std::thread::scope(|scope| {
        for run in ["one", "two", "three"] {
            let path = path.clone();
            scope.spawn(move || store_with_windows(&path, run, 60));
        }
    });
    let store = Store::open(&path).unwrap();
    for run in ["one", "two", "three"] {
        assert_eq!(read(&store, run).len(), 61, "{run}");
    }
}

const CHILD: &str = "CRUCIBLE_RECORD_TEST_CHILD";

/// Not a test of its own: the process that the next test kills.
#[test]
#[allow(clippy::disallowed_methods)]
fn child_that_writes_until_it_is_killed() {
    use std::io::Write;
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Store::open(Path::new(&path)).unwrap();
    let mut writer = store.begin(&started("killed")).unwrap();
    let mut told = std::io::stderr();
    for index in 0.. {
        writer.append(&RunEvent::Window(Box::new(window(index, 7)))).unwrap();
        writeln!(told, "stored {index}").unwrap();
    }
}

#[test]
fn kill_9_leaves_all_that_was_acknowledged() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    for stop_after in [1u64, 40, 150] {
        let folder = folder();
        let path = folder.path().join("runs.db");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut acknowledged = 0;
        for line in lines {
            if let Some(index) = line.unwrap().strip_prefix("stored ") {
                acknowledged = index.parse::<u64>().unwrap() + 1;
                if acknowledged == stop_after {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        let store = Store::open(&path).unwrap();
        let events = read(&store, "killed");
        let windows = events.len() as u64 - 1;
        assert!(windows >= acknowledged && windows <= acknowledged + 1, "{windows} of {acknowledged}");
        for (index, event) in (0..).zip(&events[1..]) {
            assert_eq!(told(event), told(&RunEvent::Window(Box::new(window(index, 7)))));
        }
        assert_eq!(store.runs().unwrap()[0].state, RunState::Incomplete);
    }
}

#[test]
fn a_full_disk_is_told_and_survived() {
    let memory = Store::in_memory().unwrap();
    let mut writer = memory.begin(&started("full")).unwrap();
    memory.limit_pages(40);
    let mut stored = 0;
    let error = loop {
        match writer.append(&RunEvent::Window(Box::new(window(stored, 7)))) {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_disk_full() && stored > 2, "{error} after {stored}");
    assert!(error.to_string().contains("free some space"), "{error}");
    assert!(writer.append(&RunEvent::Window(Box::new(window(stored + 1, 7)))).is_err());
    memory.limit_pages(100_000);
    writer.append(&RunEvent::Window(Box::new(window(stored + 2, 7)))).unwrap();
    writer.append(&every_kind(1).pop().unwrap()).unwrap();
    writer.finish().unwrap();
    let events = read(&memory, "full");
    assert_eq!(events.len() as u64, 1 + stored + 3);
    match &events[1 + stored as usize] {
        RunEvent::Gap(gap) => {
            assert_eq!((gap.from, gap.to), (Ns::from_secs(stored), Ns::from_secs(stored + 2)));
            assert!(gap.text.starts_with("2 entries could not be stored: no room"), "{}", gap.text);
        }
        other => panic!("{other:?}"),
    }
}

/// A real file system without room, where one can be mounted.
#[test]
fn a_full_file_system_is_told() {
    use std::process::Command;
    let folder = folder();
    let mount = folder.path().join("tiny");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "none"]).arg(&mount).output();
    if !mounted.is_ok_and(|out| out.status.success()) {
        println!("skipped: mounting a tmpfs needs root");
        return;
    }
    let fill = mount.join("fill");
    let told = std::panic::catch_unwind(|| {
        let store = Store::open(&mount.join("runs.db")).unwrap();
        let mut writer = store.begin(&started("full")).unwrap();
        std::fs::write(&fill, vec![0; 128 << 10]).unwrap();
        let error =
            (0..).find_map(|i| writer.append(&RunEvent::Window(Box::new(window(i, 7)))).err()).unwrap();
        assert!(error.is_disk_full(), "{error}");
        std::fs::remove_file(&fill).unwrap();
        writer.append(&every_kind(1).pop().unwrap()).unwrap();
        writer.finish().unwrap();
        let events = read(&store, "full");
        assert!(matches!(events[events.len() - 2], RunEvent::Gap(_)));
    });
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
    assert!(told.is_ok());
}

#[test]
fn damage_is_told_by_run_and_row_and_the_rest_is_read() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let store = store_with_windows(&path, "r", 5);
    let raw = Connection::open(&path).unwrap();
    raw.execute("UPDATE events SET body = zeroblob(20) WHERE seq = 2", []).unwrap();
    raw.execute("DELETE FROM events WHERE seq = 4", []).unwrap();
    let garbage = vec![0xc1u8; 30];
    raw.execute("UPDATE events SET body = ?1, digest = ?2 WHERE seq = 3", (&garbage, fnv(&garbage))).unwrap();
    let read: Vec<_> = store.events("r").unwrap().collect();
    let good: Vec<bool> = read.iter().map(|event| event.is_ok()).collect();
    assert_eq!(good, [true, true, false, false, false, true]);
    assert!(read.iter().flat_map(|e| e.as_ref().err()).all(StoreError::is_damage));
    insta::assert_snapshot!(read[2].as_ref().unwrap_err(), @"entry 2 of run r is damaged (its bytes have changed since they were written); the other entries can be read");
    insta::assert_snapshot!(read[4].as_ref().unwrap_err(), @"entry 4 of run r is damaged (it is missing); the other entries can be read");
}

#[test]
fn entries_of_newer_versions_are_passed_over_or_named() {
    let folder = folder();
    let path = folder.path().join("runs.db");
    let store = store_with_windows(&path, "r", 2);
    let raw = Connection::open(&path).unwrap();
    raw.execute("UPDATE events SET kind = 'omen', format = 2 WHERE seq = 1", []).unwrap();
    raw.execute("UPDATE events SET kind = 'note', format = 2 WHERE seq = 2", []).unwrap();
    let read: Vec<_> = store.events("r").unwrap().collect();
    match read[1].as_ref().unwrap() {
        RunEvent::Note(note) => {
            insta::assert_snapshot!(note.text, @r#"an entry of the kind "omen" was skipped: it was written by a newer version"#);
        }
        other => panic!("{other:?}"),
    }
    // fields that this version does not know are skipped, fields that are absent have their defaults
    assert!(matches!(read[2].as_ref().unwrap(), RunEvent::Note(note) if note.text.is_empty()));
}

#[test]
fn one_run_is_handed_on_as_one_file() {
    let folder = folder();
    let store = store_with_windows(&folder.path().join("runs.db"), "keep", 3);
    store.begin(&started("other")).unwrap();
    store.set_verdict("keep", "pass").unwrap();
    let out: PathBuf = folder.path().join("out #1?.crucible");
    store.export("keep", &out).unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("out"))
        .collect();
    assert_eq!(names, ["out #1?.crucible"]);
    let alone = Store::open_read_only(&out).unwrap();
    assert_eq!(alone.runs().unwrap(), [store.runs().unwrap().into_iter().find(|r| r.id == "keep").unwrap()]);
    let (left, right) = (read(&alone, "keep"), read(&store, "keep"));
    assert_eq!(left.iter().map(told).collect::<Vec<_>>(), right.iter().map(told).collect::<Vec<_>>());
    assert!(alone.begin(&started("new")).is_err());

    assert!(matches!(store.export("keep", &out), Err(StoreError::Exists { .. })));
    assert!(matches!(store.export("absent", &folder.path().join("x")), Err(StoreError::UnknownRun { .. })));
    assert!(!folder.path().join("x").exists());

    let fresh = Store::open(&folder.path().join("fresh.db")).unwrap();
    assert_eq!(fresh.import(&out).unwrap(), ["keep"]);
    assert_eq!(fresh.import(&out).unwrap(), [] as [&str; 0]);
    assert_eq!(read(&fresh, "keep").len(), 4);
}

#[test]
fn files_that_are_no_store_of_ours_are_refused_with_a_remedy() {
    let folder = folder();
    let place = |name: &str| folder.path().join(name);
    let message = |result: Result<Store, StoreError>| {
        result.unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "DIR")
    };

    std::fs::write(place("text"), "this is not a database, it is a long enough text file".repeat(30))
        .unwrap();
    insta::assert_snapshot!(message(Store::open(&place("text"))), @"DIR/text is not a run store, or it is damaged (name another file with --store, or move it away to begin a new one)");
    insta::assert_snapshot!(message(Store::open_read_only(&place("text"))), @"DIR/text is not a run store, or it is damaged (name another file with --store, or move it away to begin a new one)");

    Connection::open(place("other.db")).unwrap().execute_batch("CREATE TABLE photos(x)").unwrap();
    insta::assert_snapshot!(message(Store::open(&place("other.db"))), @"DIR/other.db is not a run store, or it is damaged (name another file with --store, or move it away to begin a new one)");
    let tables: i64 = Connection::open(place("other.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1, "a foreign database must not be written to");

    insta::assert_snapshot!(message(Store::open_read_only(&place("absent"))), @"there is no run store at DIR/absent (check the path)");
    insta::assert_snapshot!(message(Store::open(folder.path())), @"DIR is not a run store, or it is damaged (name another file with --store, or move it away to begin a new one)");

    drop(Store::open(&place("new.db")).unwrap());
    let raw = Connection::open(place("new.db")).unwrap();
    raw.execute_batch("PRAGMA user_version = 7; UPDATE meta SET value = '3.1.4' WHERE name = 'needs'")
        .unwrap();
    insta::assert_snapshot!(message(Store::open(&place("new.db"))), @"the run store DIR/new.db has schema 7 and needs crucible 3.1.4 or newer (update crucible, or name another store with --store)");
    assert!(matches!(Store::open_read_only(&place("new.db")), Err(StoreError::Newer { schema: 7, .. })));
}

#[test]
fn a_store_that_is_held_by_another_is_told() {
    let error = StoreError::Busy { path: "runs.db".into() };
    insta::assert_snapshot!(error, @"the run store runs.db is held by another process (wait until it is done, or name another store with --store)");
    let error = StoreError::Permission { path: "runs.db".into() };
    insta::assert_snapshot!(error, @"no permission to write the run store runs.db (change the owner or mode of the file and its folder, or name another store with --store)");
}

/// `tests/fixtures/format-1.db` was written by the first version; it must be read for ever. It holds what
/// `every_kind(1)` gave then.
#[test]
fn records_of_format_1_are_still_read() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1.db");
    let store = Store::open_read_only(&fixture).unwrap();
    let events = read(&store, "20261121-041533-k3f9");
    let expected =
        [vec![RunEvent::Started(Box::new(started("20261121-041533-k3f9")))], every_kind(1)].concat();
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected.iter().map(told).collect::<Vec<_>>());
}

/// Writes the fixture; run by hand, once per format.
#[test]
#[ignore = "writes the fixture of a new format"]
fn write_fixture() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1.db");
    let store = Store::in_memory().unwrap();
    let mut writer = store.begin(&started("20261121-041533-k3f9")).unwrap();
    for event in every_kind(1) {
        writer.append(&event).unwrap();
    }
    store.export("20261121-041533-k3f9", &fixture).unwrap();
}
