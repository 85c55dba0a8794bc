//! The process stops after any step of a deletion, and the next one finishes it.

use std::{
    fs,
    future::poll_fn,
    path::Path,
    pin::pin,
    task::{Context, Poll},
};

use serde_json::json;
use tempfile::TempDir;
use tokio::task::{
    coop::{consume_budget, has_budget_remaining},
    yield_now,
};

use super::Scene;
use crate::harness::{TestServer, eventually};

/// Poll a future so often at most: a call that waits for the database once more has then been made and
/// answered, and nobody has gone on.
///
/// A database that answers before it is asked again would take two steps for one. So each poll gets what
/// tokio's cooperative scheduling allows for a single answer, and the next one waits for the next poll.
pub(super) async fn at_most<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let allowed = poll_fn(|context| {
        let mut allowed = 0;
        while has_budget_remaining() {
            spend(1, context);
            allowed += 1;
        }
        Poll::Ready(allowed)
    })
    .await;
    yield_now().await;
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| match left {
        0 => Poll::Ready(None),
        _ => {
            left -= 1;
            spend(allowed - 1, context);
            future.as_mut().poll(context).map(Some)
        }
    })
    .await
}

fn spend(answers: usize, context: &mut Context<'_>) {
    for _ in 0..answers {
        assert!(pin!(consume_budget()).poll(context).is_ready(), "so many are allowed");
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match from.is_dir() {
            true => copy(&from, &to),
            false => fs::copy(from, to).map(drop).unwrap(),
        }
    }
}

impl Scene {
    /// A server over a copy of this one's folder, as a process that was killed leaves it.
    async fn copied(&self, folder: &Path) -> TestServer {
        let copied = TempDir::new().unwrap();
        copy(folder, copied.path());
        TestServer::over(copied, &self.upstreams).await
    }
}

/// Whose the things of Eve are: hers, her heir's, or nobody's.
async fn owners(server: &TestServer, scene: &Scene) -> [Option<String>; 4] {
    let admin = server.admin();
    let of = async |path: String| {
        let answer = admin.get(&path).await;
        (answer.status == 200).then(|| answer.json()["user_id"].as_str().unwrap().to_owned())
    };
    let collections = admin.get("/api/v1/knowledge/").await.text();
    let file = of(format!("/api/v1/files/{}", scene.eves_file)).await;
    let notes = of(format!("/api/v1/knowledge/{}", scene.notes)).await;
    assert_eq!(notes.is_some(), collections.contains(&scene.notes));
    [
        file,
        notes,
        of("/api/v1/models/model?id=eves-model".into()).await,
        of(format!("/api/v1/chats/share/{}", scene.share)).await,
    ]
}

async fn killed_after_each_step(with_heir: bool) {
    let mut scene = Scene::new().await;
    let bob = scene.server.sign_up("bob").await;
    scene.server.stop().await;
    let original = scene.server.breezeway.config().data_folder.clone();
    let heir = with_heir.then(|| bob.id.clone());
    let path = match &heir {
        Some(heir) => format!("{}?transfer_to={heir}", scene.account()),
        None => scene.account(),
    };
    let eve = Some(scene.eve.id.clone());

    let mut steps_with_removal = 0;
    for polls in 1.. {
        let server = scene.copied(&original).await;
        let ended = at_most(polls, server.admin().delete(&path)).await;
        assert_eq!(server.breezeway.store().check().await.unwrap(), [""; 0], "after {polls} steps");
        let folder = server.breezeway.config().data_folder.clone();
        let mut next = scene.copied(&folder).await;
        drop(server);

        assert_eq!(next.breezeway.store().check().await.unwrap(), [""; 0], "after {polls} steps");
        let still = |server: &TestServer| server.breezeway.auth().account(&scene.eve.id.parse().unwrap());
        let begun = !next.breezeway.auth().removals().is_empty();
        if still(&next).is_some() && !begun {
            assert_eq!(owners(&next, &scene).await, [(); 4].map(|()| eve.clone()), "nothing has begun");
            continue;
        }
        steps_with_removal += usize::from(begun);
        let form = json!({"email": "eve@example.org", "password": crate::harness::PASSWORD});
        let session = next.stranger().post("/api/v1/auths/signin", form).await;
        assert!(session.status == 400 || session.json()["role"] == "pending", "{}", session.summary());

        // Every second time an admin tries again, without a word of the heir; else the server by itself.
        if polls % 2 == 0 {
            assert_eq!(next.admin().delete(&scene.account()).await.text(), "true");
        } else {
            next.run();
            eventually("the end of the deletion", async || still(&next).is_none().then_some(())).await;
        }

        assert_eq!(next.breezeway.auth().removals(), []);
        assert_eq!(next.breezeway.store().check().await.unwrap(), [""; 0], "after {polls} steps");
        assert_eq!(owners(&next, &scene).await, [(); 4].map(|()| heir.clone()), "after {polls} steps");
        if ended.is_some() {
            break;
        }
    }
    assert!(steps_with_removal > 4, "{steps_with_removal}");
}

#[tokio::test]
async fn a_deletion_that_is_killed_after_any_step_comes_to_its_end() {
    killed_after_each_step(false).await;
}

#[tokio::test]
async fn a_handing_over_that_is_killed_after_any_step_comes_to_its_end() {
    killed_after_each_step(true).await;
}
