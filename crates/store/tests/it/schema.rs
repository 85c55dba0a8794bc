use crate::support::{TempStore, raw};

#[tokio::test]
async fn the_final_schema_is_as_recorded() {
    let temp = TempStore::new().await;
    let connection = raw(&temp.path());

    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name")
        .expect("prepared");
    let schema: Vec<String> =
        statement.query_map([], |row| row.get(0)).expect("asked").map(|sql| sql.expect("read")).collect();

    insta::assert_snapshot!(schema.join(";\n\n"));
}

/// What a plan must not contain: a pass over a whole table, or a sort of a whole list.
fn plan(connection: &rusqlite::Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("prepared");
    // Placeholders stay empty; the plan does not depend on them.
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().expect("read") {
        steps.push(row.get::<_, String>("detail").expect("read"));
    }
    steps.join("\n")
}

#[tokio::test]
async fn lists_and_the_queue_are_read_from_indexes() {
    let temp = TempStore::new().await;
    let connection = raw(&temp.path());
    let cases = [
        ("SELECT * FROM files ORDER BY created_at DESC, id LIMIT 50", "files_by_creation"),
        ("SELECT * FROM files ORDER BY updated_at DESC, id LIMIT 50", "files_by_change"),
        ("SELECT * FROM files ORDER BY name, id LIMIT 50", "files_by_name"),
        (
            "SELECT * FROM files WHERE owner = ?1 ORDER BY created_at DESC, id LIMIT 50",
            "files_of_owner_by_creation",
        ),
        ("SELECT * FROM files WHERE owner = ?1 ORDER BY name, id LIMIT 50", "files_of_owner_by_name"),
        (
            "SELECT * FROM chats WHERE owner = ?1 AND (?2 IS NULL OR archived = ?2) \
             ORDER BY updated_at DESC, id LIMIT 60",
            "chats_by_owner",
        ),
        ("SELECT id FROM files WHERE due_at <= ?1 ORDER BY created_at, id LIMIT 1", "files_due"),
    ];

    for (sql, index) in cases {
        let plan = plan(&connection, sql);
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}\n{plan}");
    }
    let oldest = plan(&connection, "SELECT * FROM files ORDER BY created_at, id LIMIT 50");
    assert!(oldest.contains("files_by_creation"), "{oldest}");
    let claimed = plan(
        &connection,
        "UPDATE files SET state = 'processing' WHERE id = (SELECT id FROM files WHERE due_at <= ?1 \
         ORDER BY created_at, id LIMIT 1)",
    );
    assert!(claimed.contains("files_due"), "{claimed}");
    let lacking = plan(
        &connection,
        "SELECT min(o.id) FROM chunks AS o WHERE NOT EXISTS (SELECT 1 FROM vectors AS v \
         WHERE v.hash = o.hash AND v.fingerprint = ?1) GROUP BY o.hash",
    );
    assert!(lacking.contains("COVERING INDEX chunks_by_hash"), "{lacking}");
}
