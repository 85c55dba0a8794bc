use breezeway_testkit::{Reply, ScriptedUpstream};
use serde_json::{Value, json};

use crate::{
    connection,
    gateway::{Gateway, NOW},
};

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .expect("it is a list")
        .iter()
        .map(|entry| entry["name"].as_str().expect("a name"))
        .collect()
}

#[tokio::test]
async fn tags_are_merged_and_say_where_a_model_is() {
    let (first, second) = (
        ScriptedUpstream::with_models(["a:1", "both:1"]).await,
        ScriptedUpstream::with_models(["both:1"]).await,
    );
    let third = ScriptedUpstream::with_models(["c:1"]).await;
    let mut prefixed = connection(&third, 2);
    prefixed.prefix = Some("p".into());
    prefixed.connection_type = Some("external".into());
    let gateway = Gateway::start(vec![connection(&first, 0), connection(&second, 1), prefixed], &[]).await;

    let list = gateway.admin().get("/api/tags").await.json();

    assert_eq!(names(&list["models"]), ["a:1", "both:1", "p.c:1"]);
    let [a, both, c] = [0, 1, 2].map(|place| &list["models"][place]);
    assert_eq!((&a["urls"], &a["connection_type"]), (&json!([0]), &json!("local")));
    assert_eq!(a["expires_at"], 4_070_908_800_i64);
    assert_eq!((&a["size"], &a["details"]["family"]), (&json!(1024), &json!("llama")));
    assert_eq!(both["urls"], json!([0, 1]));
    assert_eq!((&c["model"], &c["connection_type"]), (&json!("p.c:1"), &json!("external")));
}

#[tokio::test]
async fn a_user_sees_only_what_was_granted() {
    let upstream = ScriptedUpstream::with_models(["open:latest", "closed:latest"]).await;
    let gateway = Gateway::start(vec![connection(&upstream, 0)], &["open:latest"]).await;

    for path in ["/api/tags", "/api/tags/0"] {
        let list = gateway.user().get(path).await.json();
        assert_eq!(names(&list["models"]), ["open:latest"], "{path}");
    }
    for path in ["/v1/models", "/v1/models/0"] {
        let list = gateway.user().get(path).await.json();
        let entry = json!({"id": "open:latest", "object": "model", "created": NOW, "owned_by": "openai"});
        assert_eq!(list, json!({"data": [entry], "object": "list"}), "{path}");
    }
    assert_eq!(gateway.admin().get("/api/tags/0").await.json()["models"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_index_without_a_connection_is_not_found() {
    let upstream = ScriptedUpstream::start().await;
    let gateway = Gateway::over(&upstream).await;

    for path in ["/api/tags/9", "/api/version/9", "/v1/models/9", "/api/ps/9"] {
        let answered = gateway.admin().get(path).await;
        assert_eq!((answered.status, answered.json()["detail"].is_string()), (404, true), "{path}");
    }
}

#[tokio::test]
async fn the_version_is_the_lowest_of_those_that_answer() {
    let (first, second) = (ScriptedUpstream::start().await, ScriptedUpstream::start().await);
    let third = ScriptedUpstream::start().await;
    first.queue("/api/version", Reply::json(200, &json!({"version": "0.9.12"})));
    third.queue("/api/version", Reply::cut());
    let connections = vec![connection(&first, 0), connection(&second, 1), connection(&third, 2)];
    let gateway = Gateway::start(connections, &[]).await;

    let merged = gateway.admin().get("/api/version").await.json();
    let one = gateway.admin().get("/api/version/1").await.json();
    third.queue("/api/version", Reply::cut());
    let silent = gateway.admin().get("/api/version/2").await;

    assert_eq!(merged, json!({"version": "0.9.12"}));
    assert_eq!(one, json!({"version": "0.12.3"}));
    assert_eq!(silent.status, 502);
}

#[tokio::test]
async fn what_is_loaded_is_merged_under_the_names_it_has_here() {
    let (first, second) =
        (ScriptedUpstream::with_models(["a:1"]).await, ScriptedUpstream::with_models(["a:1"]).await);
    let mut prefixed = connection(&second, 1);
    prefixed.prefix = Some("p".into());
    let connections = vec![connection(&first, 0), prefixed, connection(&second, 2)];
    let gateway = Gateway::start(connections, &[]).await;

    let list = gateway.admin().get("/api/ps").await.json();

    assert_eq!(names(&list["models"]), ["a:1", "p.a:1"]);
    assert_eq!(list["models"][0]["urls"], json!([0, 2]));
    assert_eq!(list["models"][0]["expires_at"], "2099-01-01T00:00:00Z");
}
