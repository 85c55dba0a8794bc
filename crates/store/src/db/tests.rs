use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use breezeway_core::StoreError;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    Pool, PoolConfig, Tx, Value, dialect,
    migrate::{self, MIGRATIONS, Migration},
};

const FIRST: Migration =
    Migration::new("0001_first", "CREATE TABLE notes (text TEXT NOT NULL UNIQUE) STRICT;");
const SECOND: Migration = Migration::new(
    "0002_second",
    "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0; UPDATE notes SET pinned = 1;",
);
const BROKEN: Migration =
    Migration::new("0002_broken", "CREATE TABLE half (id TEXT) STRICT; INSERT INTO nowhere VALUES (1);");

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn config(folder: &TempDir) -> PoolConfig {
    PoolConfig {
        path: folder.path().join("made/by/open/test.db"),
        readers: 2,
        busy_timeout: Duration::from_secs(5),
        wal_limit_bytes: 1 << 20,
        cache_bytes: 1 << 20,
    }
}

fn note(tx: &mut Tx<'_>, text: &str) -> Result<usize, StoreError> {
    tx.execute("INSERT INTO notes (text) VALUES (?1)", &[text.into()])
}

fn count(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    tx.query_one("SELECT count(*) AS n FROM notes", &[], |row| row.integer("n"))
}

#[test]
fn an_older_database_is_brought_up_to_date_and_keeps_its_content() {
    let folder = folder();
    let pool = Pool::open_with(&config(&folder), &[FIRST]).expect("opened");
    pool.write("note", |tx| note(tx, "old")).expect("written");
    drop(pool);

    let pool = Pool::open_with(&config(&folder), &[FIRST, SECOND]).expect("upgraded");

    let pinned = pool
        .read("read", |tx| {
            tx.query("SELECT text, pinned FROM notes", &[], |row| {
                Ok((row.text("text")?, row.bool("pinned")?))
            })
        })
        .expect("read");
    assert_eq!(pinned, [("old".to_owned(), true)]);
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_was() {
    let folder = folder();
    drop(Pool::open_with(&config(&folder), &[FIRST, SECOND]).expect("opened"));
    let before = std::fs::read(config(&folder).path).expect("read");

    let refused = Pool::open_with(&config(&folder), &[FIRST]).err().expect("refused");

    insta::assert_snapshot!(refused, @"the store holds an unreadable schema version: `2, made by a newer program; this one knows versions up to 1`");
    assert_eq!(std::fs::read(config(&folder).path).expect("read"), before);
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_was() {
    let folder = folder();
    let path = folder.path().join("webui.db");
    Connection::open(&path)
        .and_then(|other| other.execute_batch("CREATE TABLE user (id TEXT)"))
        .expect("made");
    let before = std::fs::read(&path).expect("read");

    let refused = Pool::open(&PoolConfig { path: path.clone(), ..config(&folder) }).err().expect("refused");

    insta::assert_snapshot!(refused, @"the store holds an unreadable schema: `1 tables and indexes of another program`");
    assert_eq!(std::fs::read(&path).expect("read"), before);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "no database at all, and long enough to be looked at".repeat(40)).expect("written");

    let refused = Pool::open(&PoolConfig { path, ..config(&folder) });

    assert!(matches!(refused, Err(StoreError::Failed { .. })));
}

#[test]
fn a_step_that_fails_leaves_no_half() {
    let folder = folder();
    drop(Pool::open_with(&config(&folder), &[FIRST]).expect("opened"));

    let failed = Pool::open_with(&config(&folder), &[FIRST, BROKEN]).err().expect("failed");

    assert_eq!(failed.to_string(), "the store failed to apply migration 0002_broken");
    let connection = Connection::open(config(&folder).path).expect("opened");
    assert_eq!(dialect::version(&connection).expect("read"), Some(1));
    assert!(connection.prepare("SELECT * FROM half").is_err());
}

#[test]
fn taking_all_steps_again_changes_nothing() {
    let mut connection = Connection::open_in_memory().expect("opened");
    migrate::run(&mut connection, MIGRATIONS).expect("first");

    migrate::run(&mut connection, MIGRATIONS).expect("again");

    assert_eq!(
        dialect::version(&connection).expect("read"),
        Some(u32::try_from(MIGRATIONS.len()).expect("few"))
    );
}

#[test]
fn a_transaction_that_fails_or_panics_leaves_no_trace() {
    let folder = folder();
    let pool = Pool::open_with(&config(&folder), &[FIRST]).expect("opened");

    let failed = pool.write("note", |tx| {
        note(tx, "one")?;
        Err::<(), _>(tx.refuse("second thoughts"))
    });
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.write("note", |tx| -> Result<(), StoreError> {
            note(tx, "two")?;
            panic!("expected by the test")
        })
    }));

    assert_eq!(failed.expect_err("refused").to_string(), "the store failed to note");
    assert!(panicked.is_err());
    assert_eq!(pool.write("count", count).expect("the writer is sound"), 0);
}

#[test]
fn readers_come_back_after_a_panic() {
    let folder = folder();
    let pool = Pool::open_with(&config(&folder), &[FIRST]).expect("opened");

    for _ in 0..5 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            pool.read("count", |_| -> Result<(), StoreError> { panic!("expected by the test") })
        }));
        assert!(panicked.is_err());
    }

    assert_eq!(pool.read("count", count).expect("read"), 0);
}

#[test]
fn a_reader_cannot_write() {
    let folder = folder();
    let pool = Pool::open_with(&config(&folder), &[FIRST]).expect("opened");

    let refused = pool.read("note", |tx| note(tx, "smuggled"));

    assert!(matches!(refused, Err(StoreError::Failed { .. })));
}

#[test]
fn a_read_sees_one_state_throughout() {
    let folder = folder();
    let pool = Pool::open_with(&config(&folder), &[FIRST]).expect("opened");

    let (before, during) = pool
        .read("count", |tx| {
            let before = count(tx)?;
            pool.write("note", |tx| note(tx, "meanwhile"))?;
            Ok((before, count(tx)?))
        })
        .expect("read");

    assert_eq!((before, during), (0, 0));
    assert_eq!(pool.read("count", count).expect("read"), 1, "the next call reads it");
}

#[test]
fn every_connection_has_its_settings() {
    let folder = folder();
    let pool = Pool::open(&config(&folder)).expect("opened");
    let pragma = |tx: &mut Tx<'_>, name: &'static str| {
        tx.query_one(&format!("PRAGMA {name}"), &[], |row| row.integer(name))
    };

    let written = pool.write("look", |tx| {
        Ok((pragma(tx, "foreign_keys")?, pragma(tx, "synchronous")?, pragma(tx, "journal_size_limit")?))
    });
    let read = pool.read("look", |tx| Ok((pragma(tx, "query_only")?, pragma(tx, "trusted_schema")?)));
    let mode =
        pool.read("look", |tx| tx.query_one("PRAGMA journal_mode", &[], |row| row.text("journal_mode")));

    assert_eq!(written.expect("read"), (1, 1, 1 << 20));
    assert_eq!(read.expect("read"), (1, 0));
    assert_eq!(mode.expect("read"), "wal");
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();

    let _pool = Pool::open(&config(&folder)).expect("opened");

    for entry in std::fs::read_dir(folder.path().join("made/by/open")).expect("listed") {
        let entry = entry.expect("listed");
        let mode = entry.metadata().expect("read").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn values_read_back_as_written() {
    let folder = folder();
    let pool = Pool::open_with(&config(&folder), &[FIRST]).expect("opened");
    let values = [
        Value::from("Grüße\0日本"),
        Value::from(u64::MAX),
        Value::from(true),
        Value::from(None::<&str>),
        Value::blob(&[0, 255]),
    ];

    let read = pool.read("look", |tx| {
        tx.query_one("SELECT ?1 AS a, ?2 AS b, ?3 AS c, ?4 AS d, ?5 AS e", &values, |row| {
            let bytes = row.opt_bytes("e", |bytes| Some(bytes.to_vec()))?;
            Ok((row.text("a")?, row.integer("b")?, row.bool("c")?, row.opt_text("d")?, bytes))
        })
    });

    assert_eq!(read.expect("read"), ("Grüße\0日本".to_owned(), i64::MAX, true, None, Some(vec![0, 255])));
}

#[test]
fn an_unreadable_value_is_named_and_not_shown() {
    let folder = folder();
    let pool = Pool::open_with(&config(&folder), &[FIRST]).expect("opened");

    let refused = pool.read("look", |tx| {
        tx.query_one("SELECT 'private text' AS size_bytes", &[], |row| row.integer("size_bytes"))
    });

    let refused = refused.expect_err("a text is no number").to_string();
    assert!(refused.contains("size_bytes") && !refused.contains("private"), "{refused}");
}

#[test]
fn a_key_of_the_first_release_becomes_the_unnamed_one() {
    let folder = folder();
    let before = Pool::open_with(&config(&folder), &MIGRATIONS[..1]).expect("opened");
    before
        .write("fill", |tx| {
            tx.execute(
                "INSERT INTO accounts VALUES ('ada', 'a@b.c', 'Ada', 'user', '', '{}', '', '', 1, 1, 1)",
                &[],
            )?;
            tx.execute("INSERT INTO api_keys VALUES ('k', 'ada', zeroblob(32), x'0102', 7, 9)", &[])
        })
        .expect("filled");
    drop(before);

    let pool = Pool::open(&config(&folder)).expect("upgraded");

    let keys = pool.read("look", |tx| {
        tx.query("SELECT *, name IS NULL AND rules IS NULL AS plain FROM api_keys", &[], |row| {
            let sealed = row.opt_bytes("sealed", |bytes| Some(bytes.to_vec()))?;
            let times =
                (row.integer("created_at")?, row.opt_time("last_used_at")?, row.opt_time("expires_at")?);
            Ok((row.text("id")?, row.text("owner")?, sealed, row.bool("plain")?, times))
        })
    });
    let used = Some(breezeway_core::UnixTime::from_seconds(9));
    let expected = ("k".to_owned(), "ada".to_owned(), Some(vec![1, 2]), true, (7, used, None));
    assert_eq!(keys.expect("read"), [expected]);
}
