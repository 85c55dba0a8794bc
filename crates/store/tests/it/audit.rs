use breezeway_auth::{Action, AuditEvent, AuditQuery, AuditStore};
use serde_json::Map;

use crate::support::{TempStore, at, raw};

fn event(seconds: i64) -> AuditEvent {
    AuditEvent {
        at: at(seconds),
        action: Action::SignInFailed,
        actor: None,
        target: None,
        address: None,
        request_id: None,
        detail: Map::new(),
    }
}

#[tokio::test]
async fn nobody_with_the_database_at_hand_rewrites_the_log_by_accident() {
    let temp = TempStore::new().await;
    temp.store.append(&[event(1), event(2)]).await.expect("written");
    let connection = raw(&temp.path());

    for sql in ["DELETE FROM audit", "DELETE FROM audit WHERE id = 1", "UPDATE audit SET at = 9"] {
        let refused = connection.execute(sql, []).expect_err(sql).to_string();
        assert_eq!(refused, "the audit log is append-only", "{sql}");
    }

    let query = AuditQuery { limit: 9, ..AuditQuery::default() };
    let times: Vec<_> =
        temp.store.entries(&query).await.expect("read").iter().map(|entry| entry.event.at).collect();
    assert_eq!(times, [at(2), at(1)]);
}
