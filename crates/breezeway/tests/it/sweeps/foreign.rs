//! Whatever is somebody else's is like what nobody has, wherever an operation takes an id.

use breezeway::parts::core::FileId;

use super::{
    Row, Things, call,
    policy::{somebody, widened},
    rows, server,
};

/// Operations that show a thing to everybody on purpose: whoever may share must find people, and those
/// who were shared with are told by whom.
const SHOWN_TO_ALL: &[&str] =
    &["/api/v1/users/{id}/info", "/api/v1/users/{id}/active", "/api/v1/users/{id}/profile/image"];

/// Whether a call of the row names something that belongs to somebody.
fn names_a_thing(row: &Row) -> bool {
    let body = row.json();
    row.path.contains("{id}")
        || row.query.contains("id=")
        || ["$user", "$file", "$collection", "\"id\":\"zed\""].iter().any(|name| body.contains(name))
}

impl Things {
    /// Ids of nothing that look like those of something.
    fn imagined() -> Self {
        let id = || FileId::mint().to_string();
        Self {
            user: id(),
            group: id(),
            file: id(),
            collection: id(),
            key: id(),
            // Pictures are drawn with the first letter.
            model: format!("a{}", id()),
            chat: id(),
            share: id(),
            folder: id(),
            openai: String::new(),
            ollama: String::new(),
        }
    }

    /// A text without the ids.
    fn without_ids(&self, text: &str) -> String {
        [
            &self.user,
            &self.group,
            &self.file,
            &self.collection,
            &self.key,
            &self.model,
            &self.chat,
            &self.folder,
        ]
        .into_iter()
        .filter(|id| *id != "unknown")
        .fold(text.to_owned(), |text, id| text.replace(id.as_str(), "[id]"))
    }
}

#[tokio::test]
async fn what_is_foreign_looks_like_what_nobody_has() {
    let (server, upstreams) = server().await;
    widened(&server).await;
    let mut faults = Vec::new();
    let mut compared = 0;

    for row in rows().iter().filter(|row| names_a_thing(row) && !SHOWN_TO_ALL.contains(&row.path)) {
        let eve = somebody(&server).await;
        let foreign = Things::made_by(&server.admin(), "adas-model", &server, &upstreams, row).await;
        let imagined = Things::imagined();

        let (known, unknown) = (call(&eve, row, &foreign).await, call(&eve, row, &imagined).await);

        let (shown, expected) = (foreign.without_ids(&known.text()), imagined.without_ids(&unknown.text()));
        let alike = known.status == unknown.status && shown == expected;
        // A picture is drawn for every name.
        let refused = known.status >= 400 || row.path.ends_with("/profile/image");
        if !alike || !refused {
            faults.push(format!(
                "{} {}: {} {shown} instead of {} {expected}",
                row.method, row.path, known.status, unknown.status
            ));
        }
        compared += 1;
    }

    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(compared > 30, "{compared} operations were compared");
}
