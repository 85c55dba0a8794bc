use breezeway_core::{ApiKeyId, Credential, KeyRules, Role};
use serde_json::json;

use super::*;

fn principal(rules: Option<KeyRules>) -> Principal {
    Principal {
        user: "ada".parse().unwrap(),
        role: Role::User,
        name: "ada".into(),
        email: "ada@example.org".into(),
        groups: [].into(),
        credential: Credential::ApiKey(ApiKeyId::mint()),
        rules: rules.map(Arc::new),
    }
}

fn kept(clock: &Clock) -> StoredResponses {
    StoredResponses::new(Arc::new(MemoryResponses::default()), clock.clone())
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    conformance::response_store(async || MemoryResponses::default()).await;
}

#[tokio::test]
async fn a_conversation_is_kept_with_its_answer_for_thirty_days() {
    let clock = Clock::fixed(UnixTime::from_seconds(1_000));
    let (responses, ada) = (kept(&clock), principal(None));
    let response = object(json!({"id": "r", "model": "m", "output": [{"type": "message"}]}));

    let stays = responses.keep(&ada, "r".parse().unwrap(), response, vec![json!({"role": "user"})]).await;

    assert!(stays.unwrap());
    let found = responses.find(&ada, "r").await.unwrap().unwrap();
    assert_eq!(found.items, [json!({"role": "user"}), json!({"type": "message"})]);
    clock.set(UnixTime::from_seconds(1_000 + KEPT_FOR + 1));
    assert_eq!(responses.find(&ada, "r").await.unwrap(), None);
    assert_eq!(responses.find(&ada, "").await.unwrap(), None);
}

#[tokio::test]
async fn a_narrow_key_reads_and_keeps_what_it_may() {
    let clock = Clock::fixed(UnixTime::from_seconds(1_000));
    let responses = kept(&clock);
    let models = |names: [&str; 1]| {
        principal(Some(KeyRules { models: Some(names.map(Into::into).to_vec()), ..KeyRules::default() }))
    };
    let response = object(json!({"id": "r", "model": "m", "output": []}));
    let reader = principal(Some(KeyRules { read_only: true, ..KeyRules::default() }));

    assert!(!responses.keep(&reader, "r".parse().unwrap(), response.clone(), Vec::new()).await.unwrap());
    assert!(responses.keep(&models(["m"]), "r".parse().unwrap(), response, Vec::new()).await.unwrap());

    assert!(responses.find(&reader, "r").await.unwrap().is_some());
    assert_eq!(responses.find(&models(["n"]), "r").await.unwrap(), None);
    assert!(!responses.forget(&models(["n"]), "r").await.unwrap());
    assert!(responses.forget(&models(["m"]), "r").await.unwrap());
}

#[tokio::test]
async fn what_is_too_large_is_not_kept() {
    let clock = Clock::fixed(UnixTime::from_seconds(1_000));
    let items = vec![json!({"content": "x".repeat(LARGEST)})];

    let stays = kept(&clock).keep(&principal(None), "r".parse().unwrap(), Map::new(), items).await.unwrap();

    assert!(!stays);
}
