use breezeway_core::{AccessGrant, ApiKeyId, Grantee, Grants, KeyRules, Permission};
use serde_json::{Value, json};

use super::*;
use crate::{Alias, AskedCollection};

fn collection(id: &str, name: &str, owner: &str, seconds: i64) -> AskedCollection {
    AskedCollection {
        id: id.parse().unwrap(),
        name: name.into(),
        description: format!("about {name}"),
        owner: user(owner),
        grants: Default::default(),
        created_at: UnixTime::from_seconds(seconds),
        updated_at: UnixTime::from_seconds(seconds),
    }
}

fn public(collection: AskedCollection) -> AskedCollection {
    AskedCollection { grants: Grants::new([AccessGrant::PUBLIC_READ]), ..collection }
}

async fn offering(collections: Vec<AskedCollection>) -> Bench {
    let gpt = ScriptedUpstream::serving(["gpt"]);
    let bench = bench(&[(openai(0), &gpt)], &[], |_| ()).await;
    bench.registry.refresh(true).await;
    bench.registry.offer_collections(id("gpt"), collections);
    bench
}

fn attached(route: &Route) -> Value {
    route.overlay.as_ref().unwrap().meta["knowledge"].clone()
}

#[tokio::test]
async fn a_collection_is_a_model_for_whoever_may_read_it_and_for_nobody_else() {
    let shared = AskedCollection {
        grants: Grants::new([AccessGrant {
            grantee: Grantee::User(user("eve")),
            permission: Permission::Read,
        }]),
        ..collection("c1", "notes", "ada", 1)
    };
    let bench = offering(vec![shared]).await;
    let who = |name: &str| principal(Role::User, name, &[]);

    for reader in ["ada", "eve"] {
        assert_eq!(listed(&bench.registry, &who(reader)), ["knowledge:notes"], "the base is not theirs");
        for name in ["knowledge:notes", "knowledge:c1"] {
            let route = bench.registry.resolve(&who(reader), name).unwrap();
            assert_eq!((route.model.id.as_str(), route.upstream_model.as_str()), ("knowledge:notes", "gpt"));
            assert_eq!(attached(&route), json!([{"type": "collection", "id": "c1", "name": "notes"}]));
            assert!(route.overlay.unwrap().grants.is_empty(), "who else may read it is not told");
        }
    }
    assert_eq!(listed(&bench.registry, &admin()), ["gpt", "knowledge:notes"]);
    assert_eq!(listed(&bench.registry, &who("bob")), [""; 0]);
    for name in ["knowledge:notes", "knowledge:c1", "knowledge:other"] {
        assert!(matches!(bench.registry.resolve(&who("bob"), name), Err(Error::NoSuchModel(_))), "{name}");
    }
}

#[tokio::test]
async fn without_a_base_that_is_there_no_collection_is_a_model() {
    let bench = offering(vec![public(collection("c1", "notes", "ada", 1))]).await;

    bench.registry.offer_collections(id("gone"), vec![public(collection("c1", "notes", "ada", 1))]);

    assert_eq!(listed(&bench.registry, &admin()), ["gpt"]);
    assert!(bench.registry.resolve(&admin(), "knowledge:notes").is_err());
}

#[tokio::test]
async fn names_are_told_apart_and_say_nothing_of_hidden_collections() {
    let bench = offering(vec![
        collection("11111111-a", "notes", "bob", 1),
        public(collection("22222222-b", "notes", "ada", 2)),
        collection("33333333-c", "notes", "eve", 3),
        public(collection("44444444-d", "notes-33333333", "ada", 4)),
        public(collection("55555555-e", " ", "ada", 5)),
    ])
    .await;
    let who = |name: &str| principal(Role::User, name, &[]);
    let seen = |name: &str| listed(&bench.registry, &who(name));
    let collection = |caller: &str, model: &str| {
        let route = bench.registry.resolve(&who(caller), model).unwrap();
        attached(&route)[0]["id"].as_str().unwrap().to_owned()
    };

    assert_eq!(seen("zoe"), ["knowledge:notes", "knowledge:notes-33333333", "knowledge:55555555-e"]);
    assert_eq!(
        seen("bob"),
        ["knowledge:notes", "knowledge:notes-22222222", "knowledge:notes-33333333", "knowledge:55555555-e"]
    );
    // Her own is what she calls it, although an older one is shared with her.
    assert_eq!(collection("eve", "knowledge:notes"), "33333333-c");
    assert_eq!(collection("zoe", "knowledge:notes"), "22222222-b");
    assert_eq!(collection("bob", "knowledge:notes-22222222"), "22222222-b");
    for caller in ["zoe", "bob", "eve", "ada"] {
        let mut found: Vec<_> = seen(caller).iter().map(|model| collection(caller, model)).collect();
        let all = found.len();
        found.sort();
        found.dedup();
        assert_eq!(found.len(), all, "every model of {caller} is a collection of its own");
        for model in seen(caller) {
            assert_eq!(bench.registry.resolve(&who(caller), &model).unwrap().model.id.as_str(), model);
        }
    }
}

#[tokio::test]
async fn a_key_has_to_allow_the_model_and_the_collection() {
    let bench = offering(vec![public(collection("c1", "notes", "ada", 1))]).await;
    let check = |models: Option<&[&str]>, collections: Option<&[&str]>, expected: bool| {
        let list =
            |names: Option<&[&str]>| names.map(|names| names.iter().map(|&name| name.into()).collect());
        let rules = KeyRules { models: list(models), collections: list(collections), ..KeyRules::default() };
        let program = Principal {
            credential: Credential::ApiKey(ApiKeyId::mint()),
            rules: Some(Arc::new(rules)),
            ..principal(Role::User, "eve", &[])
        };
        let is_listed = listed(&bench.registry, &program) == ["knowledge:notes"];
        let is_found = bench.registry.resolve(&program, "knowledge:notes").is_ok();
        assert_eq!((is_listed, is_found), (expected, expected), "{models:?} {collections:?}");
        assert_eq!(bench.registry.resolve(&program, "knowledge:c1").is_ok(), expected);
    };

    check(None, None, true);
    check(Some(&["knowledge:notes"]), None, true);
    check(Some(&["knowledge:c1"]), Some(&["c1"]), true);
    check(Some(&["gpt"]), None, false);
    check(None, Some(&["c2"]), false);
    check(Some(&["knowledge:notes"]), Some(&[]), false);
}

#[tokio::test]
async fn the_base_may_be_a_custom_model_or_an_alias_and_brings_what_is_its() {
    let (gpt, other) = (ScriptedUpstream::serving(["gpt"]), ScriptedUpstream::serving(["llama"]));
    let custom = Overlay {
        params: json!({"system": "Be brief."}).as_object().unwrap().clone(),
        meta: json!({"knowledge": [{"type": "file", "id": "f"}], "capabilities": {"usage": true}})
            .as_object()
            .unwrap()
            .clone(),
        ..overlay_of("brief", Some("gpt"))
    };
    let bench = bench(&[(openai(0), &gpt), (ollama(0), &other)], &[custom], |config| {
        config.aliases = vec![Alias { id: id("best"), targets: vec![id("brief"), id("llama")] }];
    })
    .await;
    bench.registry.refresh(true).await;
    let notes = || vec![public(collection("c1", "notes", "ada", 1))];

    for base in ["brief", "best"] {
        bench.registry.offer_collections(id(base), notes());
        let route = bench.registry.resolve(&principal(Role::User, "eve", &[]), "knowledge:notes").unwrap();

        let overlay = route.overlay.clone().unwrap();
        assert_eq!(overlay.params["system"], "Be brief.");
        assert_eq!(overlay.meta["capabilities"], json!({"usage": true}));
        let ids: Vec<_> =
            attached(&route).as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        assert_eq!(ids, ["f", "c1"]);
        let next = route.fallback.as_deref().map(|next| (attached(next), next.model.id.to_string()));
        let expected = (base == "best").then(|| {
            (json!([{"type": "collection", "id": "c1", "name": "notes"}]), "knowledge:notes".to_owned())
        });
        assert_eq!(next, expected, "the collection goes along");
    }
}

fn overlay_of(text: &str, base: Option<&str>) -> Overlay {
    let new = new_overlay(text, base);
    Overlay {
        id: new.id,
        owner: user("admin"),
        base: new.base,
        name: new.name,
        params: new.params,
        meta: new.meta,
        grants: Default::default(),
        active: true,
        created_at: UnixTime::from_seconds(1),
        updated_at: UnixTime::from_seconds(1),
    }
}
