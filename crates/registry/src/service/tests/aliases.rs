use breezeway_core::{AccessGrant, Grantee, Grants, Permission};
use breezeway_wire::ChatRequest;
use serde_json::json;

use super::*;
use crate::{Errand, UpstreamError, conformance::overlay};

fn alias(name: &str, targets: &[&str]) -> Alias {
    Alias { id: id(name), targets: targets.iter().map(|target| id(target)).collect() }
}

fn readable(overlay: Overlay, by: &str) -> Overlay {
    let grant = AccessGrant { grantee: Grantee::User(user(by)), permission: Permission::Read };
    Overlay { grants: Grants::new([grant]), ..overlay }
}

fn chat() -> ChatRequest {
    ChatRequest::try_from(json!({"model": "fast", "messages": []})).unwrap()
}

fn gone() -> UpstreamError {
    UpstreamError::Unreachable("nobody is there".into())
}

/// Two OpenAI-compatible upstreams and an Ollama, each with a model of its own.
async fn three(
    overlays: &[Overlay],
    targets: &[&str],
) -> (Bench, ScriptedUpstream, ScriptedUpstream, ScriptedUpstream) {
    let (mini, large, llama) = (
        ScriptedUpstream::serving(["mini"]),
        ScriptedUpstream::serving(["large"]),
        ScriptedUpstream::serving(["llama:latest"]),
    );
    let upstreams = [(openai(0), &mini), (openai(1), &large), (ollama(0), &llama)];
    let bench = bench(&upstreams, overlays, |config| config.aliases = vec![alias("fast", targets)]).await;
    bench.registry.refresh(false).await;
    (bench, mini, large, llama)
}

#[tokio::test]
async fn an_alias_is_listed_and_goes_to_the_first_target_that_exists() {
    let (bench, ..) = three(&[], &["missing", "large", "mini"]).await;

    let route = bench.registry.resolve(&admin(), "fast").unwrap();

    assert_eq!(listed(&bench.registry, &admin()), ["mini", "large", "llama:latest", "fast"]);
    assert_eq!((route.model.id.as_str(), route.upstream_model.as_str()), ("large", "large"));
}

#[tokio::test]
async fn an_alias_without_a_target_does_not_exist() {
    let (bench, ..) = three(&[], &["missing", "fast"]).await;

    assert!(!listed(&bench.registry, &admin()).contains(&"fast".to_owned()));
    assert!(matches!(bench.registry.resolve(&admin(), "fast"), Err(Error::NoSuchModel(_))));
}

#[tokio::test]
async fn an_alias_leads_nobody_past_their_rights() {
    let granted = readable(overlay("large", None, 1), "eve");
    let (bench, ..) = three(&[granted], &["mini", "large"]).await;
    let (eve, ada) = (principal(Role::User, "eve", &[]), principal(Role::User, "ada", &[]));

    let route = bench.registry.resolve(&eve, "fast").unwrap();

    assert_eq!(route.upstream_model, "large");
    assert_eq!(listed(&bench.registry, &eve), ["large", "fast"]);
    assert!(listed(&bench.registry, &ada).is_empty());
    assert!(bench.registry.resolve(&ada, "fast").is_err());
}

#[tokio::test]
async fn a_failure_before_the_first_byte_goes_on_to_the_next_target() {
    let (bench, mini, large, _) = three(&[], &["mini", "large"]).await;
    mini.fail_chat(gone());
    let route = bench.registry.resolve(&admin(), "fast").unwrap();

    let errand = Errand::default();
    let answer = route.upstream.chat_for(&errand, chat()).await;

    assert!(answer.is_ok());
    assert_eq!(mini.requests()[0].model(), Some("mini"));
    assert_eq!(large.requests()[0].model(), Some("large"));
    assert_eq!(&*errand.served().unwrap().upstream_model, "large");
}

#[tokio::test]
async fn a_broken_target_is_left_out_until_it_works_again() {
    let (bench, mini, ..) = three(&[], &["mini", "large"]).await;
    for _ in 0..5 {
        mini.fail_chat(gone());
        bench.registry.resolve(&admin(), "fast").unwrap().upstream.chat(chat()).await.unwrap();
    }

    let route = bench.registry.resolve(&admin(), "fast").unwrap();

    assert_eq!(route.upstream_model, "large");
}

#[tokio::test]
async fn a_target_that_is_asked_differently_is_a_fallback() {
    let (bench, ..) = three(&[overlay("aide", Some("large"), 1)], &["mini", "llama", "aide", "large"]).await;

    let route = bench.registry.resolve(&admin(), "fast").unwrap();
    let names = std::iter::successors(Some(&route), |route| route.fallback.as_deref());
    let names: Vec<_> = names.map(|route| route.model.id.as_str()).collect();

    assert_eq!(names, ["mini", "llama:latest", "aide"]);
    assert_eq!(format!("{:?}", route.fleet), "[\"openai/0\", \"openai/1\"]");
}

#[tokio::test]
async fn an_alias_hides_a_model_of_its_name_and_can_begin_with_it() {
    let (mini, large) = (ScriptedUpstream::serving(["mini"]), ScriptedUpstream::serving(["large"]));
    let bench = bench(&[(openai(0), &mini), (openai(1), &large)], &[], |config| {
        config.aliases = vec![alias("mini", &["mini", "large"])];
    })
    .await;
    bench.registry.refresh(false).await;
    mini.fail_chat(gone());

    let route = bench.registry.resolve(&admin(), "mini").unwrap();
    route.upstream.chat(chat()).await.unwrap();

    assert_eq!(listed(&bench.registry, &admin()), ["large", "mini"]);
    assert_eq!((mini.requests().len(), large.requests().len()), (1, 1));
}

#[tokio::test]
async fn what_both_kinds_of_connection_have_falls_back_to_the_other() {
    let (cloud, local) = (ScriptedUpstream::serving(["same:1b"]), ScriptedUpstream::serving(["same:1b"]));
    let bench = bench(&[(openai(0), &cloud), (ollama(0), &local)], &[], |_| {}).await;
    bench.registry.refresh(false).await;

    let route = bench.registry.resolve(&admin(), "same:1b").unwrap();
    let other = route.fallback.as_deref().map(|route| route.connection.kind);

    assert_eq!((route.connection.kind, other), (ConnectionKind::Ollama, Some(ConnectionKind::OpenAi)));
}

#[tokio::test]
async fn native_routes_know_aliases_by_the_targets_of_their_kind() {
    let (bench, ..) = three(&[], &["llama", "mini", "large"]).await;
    let at = |kind| bench.registry.resolve_at(&admin(), kind, "fast").unwrap();

    let (native, openai) = (at(ConnectionKind::Ollama), at(ConnectionKind::OpenAi));

    assert_eq!(
        (native.upstream_model.as_str(), format!("{:?}", native.fleet).as_str()),
        ("llama:latest", "[\"ollama/0\"]")
    );
    assert_eq!(native.fallback.unwrap().upstream_model, "mini");
    assert_eq!(
        (openai.upstream_model.as_str(), format!("{:?}", openai.fleet).as_str()),
        ("mini", "[\"openai/0\", \"openai/1\"]")
    );
    assert_eq!(openai.fallback.unwrap().upstream_model, "llama:latest");
}

#[tokio::test]
async fn an_alias_that_begins_elsewhere_is_none_of_ollamas() {
    let (bench, ..) = three(&[], &["missing", "mini", "llama"]).await;
    let is_known = |kind| bench.registry.resolve_at(&admin(), kind, "fast").is_ok();

    assert_eq!((is_known(ConnectionKind::Ollama), is_known(ConnectionKind::OpenAi)), (false, true));
}

#[tokio::test]
async fn native_routes_lead_nobody_past_their_rights_either() {
    let granted = readable(overlay("large", None, 1), "eve");
    let (bench, ..) = three(&[granted], &["mini", "large"]).await;
    let at = |name| {
        let who = principal(Role::User, name, &[]);
        bench.registry.resolve_at(&who, ConnectionKind::OpenAi, "fast").map(|route| route.upstream_model)
    };

    assert_eq!(at("eve").unwrap(), "large");
    assert!(at("ada").is_err());
}
