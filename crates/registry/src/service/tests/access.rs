use breezeway_core::{AccessGrant, Grantee, Grants, Permission};
use proptest::prelude::*;

use super::*;
use crate::conformance::overlay;

fn public(overlay: Overlay) -> Overlay {
    Overlay { grants: Grants::new([AccessGrant::PUBLIC_READ]), ..overlay }
}

#[tokio::test]
async fn a_new_user_sees_no_model_until_one_is_granted() {
    let upstream = ScriptedUpstream::serving(["gpt", "llama:latest"]);
    let bench = bench(&[(openai(0), &upstream)], &[public(overlay("llama:latest", None, 1))], |_| {}).await;
    bench.registry.refresh(false).await;
    let eve = principal(Role::User, "eve", &[]);

    assert_eq!(listed(&bench.registry, &admin()), ["gpt", "llama:latest"]);
    assert_eq!(listed(&bench.registry, &eve), ["llama:latest"]);
    assert!(matches!(bench.registry.resolve(&eve, "gpt"), Err(Error::NoSuchModel(_))));
    assert_eq!(bench.registry.resolve(&eve, "llama").unwrap().upstream_model, "llama:latest");
}

#[tokio::test]
async fn a_custom_model_needs_its_base_too() {
    let upstream = ScriptedUpstream::serving(["open", "closed"]);
    let overlays = [
        public(overlay("open", None, 1)),
        public(overlay("on-open", Some("open"), 2)),
        public(overlay("on-closed", Some("closed"), 3)),
        overlay("private", Some("open"), 4),
    ];
    let bench = bench(&[(openai(0), &upstream)], &overlays, |_| {}).await;
    bench.registry.refresh(false).await;

    let stranger = principal(Role::User, "eve", &[]);
    let owner = principal(Role::User, "owner", &[]);

    assert_eq!(listed(&bench.registry, &stranger), ["open", "on-open"]);
    assert_eq!(listed(&bench.registry, &owner), ["open", "on-open", "private"]);
    assert_eq!(listed(&bench.registry, &admin()), ["open", "closed", "on-open", "on-closed", "private"]);
}

#[tokio::test]
async fn open_to_all_lifts_grants_and_not_the_switch() {
    let upstream = ScriptedUpstream::serving(["a", "off"]);
    let off = Overlay { active: false, ..overlay("off", None, 1) };
    let bench = bench(&[(openai(0), &upstream)], &[off], |config| config.open_to_all = true).await;
    bench.registry.refresh(false).await;

    assert_eq!(listed(&bench.registry, &principal(Role::User, "eve", &[])), ["a"]);
}

#[tokio::test]
async fn a_native_route_does_not_tell_a_forbidden_model_from_an_unknown_one() {
    let (cloud, local) = (ScriptedUpstream::serving(["gpt"]), ScriptedUpstream::serving(["llama:latest"]));
    let bench = bench(
        &[(openai(0), &cloud), (ollama(0), &local)],
        &[overlay("aide", Some("llama:latest"), 1)],
        |_| {},
    )
    .await;
    bench.registry.refresh(false).await;
    let eve = principal(Role::User, "eve", &[]);
    let at = |who: &Principal, model: &str| bench.registry.resolve_at(who, ConnectionKind::Ollama, model);

    assert_eq!(at(&admin(), "llama").unwrap().upstream_model, "llama:latest");
    assert!(matches!(at(&eve, "llama"), Err(Error::NoSuchModel(name)) if name == "llama"));
    assert!(matches!(at(&admin(), "gpt"), Err(Error::NoSuchModel(_))));
    assert!(matches!(at(&admin(), "aide"), Err(Error::NoSuchModel(_))));
}

#[tokio::test]
async fn a_route_has_the_bare_name_and_the_overlay() {
    let upstream = ScriptedUpstream::serving(["chat"]);
    let prefixed = Connection { prefix: Some("b".into()), ..openai(0) };
    let bench = bench(&[(prefixed, &upstream)], &[overlay("aide", Some("b.chat"), 1)], |_| {}).await;
    bench.registry.refresh(false).await;

    let route = bench.registry.resolve(&admin(), "aide").unwrap();

    assert_eq!(route.upstream_model, "chat");
    assert_eq!(route.overlay.unwrap().id, id("aide"));
    assert!(matches!(bench.registry.resolve(&admin(), "chat"), Err(Error::NoSuchModel(_))));
}

#[tokio::test]
async fn an_endless_name_is_cut_in_the_error() {
    let bench = bench(&[], &[], |_| {}).await;

    let error = bench.registry.resolve(&admin(), &"ä".repeat(100_000)).unwrap_err();

    assert!(error.to_string().len() < 400);
}

#[tokio::test]
async fn listing_five_hundred_models_takes_well_under_a_millisecond() {
    let names: Vec<String> = (0..500).map(|n| format!("model-{n}")).collect();
    let upstream = ScriptedUpstream::serving(names.iter().map(String::as_str));
    let overlays: Vec<_> = names.iter().map(|name| public(overlay(name, None, 1))).collect();
    let bench = bench(&[(openai(0), &upstream)], &overlays, |_| {}).await;
    bench.registry.refresh(false).await;
    let eve = principal(Role::User, "eve", &[]);

    // The best of many, so that a busy machine does not decide; unoptimised, so the limit is generous.
    let best = (0..50)
        .map(|_| {
            let begun = std::time::Instant::now();
            assert_eq!(bench.registry.models(&eve).len(), 500);
            begun.elapsed()
        })
        .min()
        .unwrap();

    assert!(best < Duration::from_millis(1), "took {best:?}");
}

const USERS: [&str; 3] = ["ada", "ben", "eve"];
const BASES: [&str; 4] = ["a", "b:latest", "c", "p.d"];

fn grant() -> impl Strategy<Value = AccessGrant> {
    let grantee = prop_oneof![
        1 => Just(Grantee::Everyone),
        3 => prop::sample::select(&USERS[..]).prop_map(|name| Grantee::User(user(name))),
        3 => prop::sample::select(&["g", "h"][..]).prop_map(|name| Grantee::Group(name.parse().unwrap())),
    ];
    (grantee, any::<bool>()).prop_map(|(grantee, write)| AccessGrant {
        grantee,
        permission: if write { Permission::Write } else { Permission::Read },
    })
}

fn overlays() -> impl Strategy<Value = Vec<Overlay>> {
    let names = ["a", "b", "b:latest", "c", "p.d", "x", "y", "z:latest"];
    let bases = prop::option::of(prop::sample::select(&["a", "b", "b:latest", "p.d", "x", "nowhere"][..]));
    let one = (bases, prop::sample::select(&USERS[..]), prop::collection::vec(grant(), 0..3), any::<bool>());
    prop::collection::vec(prop::option::of(one), names.len()).prop_map(move |drawn| {
        let made = names.iter().zip(drawn).enumerate();
        made.filter_map(|(at, (name, drawn))| {
            let (base, owner, grants, active) = drawn?;
            let made_at = i64::try_from(at).unwrap();
            Some(Overlay {
                owner: user(owner),
                grants: Grants::new(grants),
                active,
                ..overlay(name, base, made_at)
            })
        })
        .collect()
    })
}

fn principals() -> impl Strategy<Value = Principal> {
    let groups = prop::sample::subsequence(vec!["g", "h"], 0..=2);
    (prop::sample::select(&USERS[..]), any::<bool>(), groups).prop_map(|(name, is_admin, groups)| {
        let groups: Vec<GroupId> = groups.iter().map(|name| name.parse().unwrap()).collect();
        principal(if is_admin { Role::Admin } else { Role::User }, name, &groups)
    })
}

/// The rules once more, said as plainly as possible and without any preparation.
fn may_use(model: &str, overlays: &[Overlay], principal: &Principal, open: bool) -> bool {
    let reads = |overlay: &Overlay| overlay.grants.allow(principal, &overlay.owner, Permission::Read);
    let override_of = |base: &str| {
        let named = |name: &str| overlays.iter().find(|o| o.base.is_none() && o.id.as_str() == name);
        named(base).or_else(|| named(base.strip_suffix(":latest")?))
    };
    let base_allows = |base: &str| match override_of(base) {
        Some(overlay) => overlay.active && (open || principal.is_admin() || reads(overlay)),
        None => open || principal.is_admin(),
    };
    let full = |name: &str| {
        BASES.iter().find(|base| **base == name || base.strip_suffix(":latest") == Some(name)).copied()
    };
    // A custom model counts only while its base is there and switched on.
    let stands = |overlay: &Overlay| {
        let base = overlay.base.as_ref().and_then(|base| full(base.as_str()));
        overlay.active && base.is_some_and(|base| override_of(base).is_none_or(|o| o.active))
    };
    match overlays.iter().find(|o| o.base.is_some() && o.id.as_str() == model && stands(o)) {
        Some(custom) => {
            let base = full(custom.base.as_ref().unwrap().as_str()).unwrap();
            base_allows(base) && (open || principal.is_admin() || reads(custom))
        }
        None => BASES.contains(&model) && base_allows(model),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn what_is_listed_resolves_and_nothing_else(
        overlays in overlays(),
        principal in principals(),
        open in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (cloud, local) = (ScriptedUpstream::serving(["a", "c"]), ScriptedUpstream::serving(["b:latest"]));
            let third = ScriptedUpstream::serving(["d"]);
            let prefixed = Connection { prefix: Some("p".into()), ..openai(1) };
            let upstreams = [(openai(0), &cloud), (prefixed, &third), (ollama(0), &local)];
            let bench = bench(&upstreams, &overlays, |config| config.open_to_all = open).await;
            bench.registry.refresh(false).await;

            let listed = listed(&bench.registry, &principal);

            for model in ["a", "b", "b:latest", "c", "d", "p.d", "x", "y", "z", "z:latest", "nowhere"] {
                let expected = may_use(model, &overlays, &principal, open);
                prop_assert_eq!(listed.iter().any(|id| id == model), expected, "listed: {}", model);
                let exists = may_use(model, &overlays, &admin(), open);
                // A short name stands for its `:latest` unless a model of that very name is offered.
                let found = if exists { model.to_owned() } else { format!("{model}:latest") };
                let resolved = bench.registry.resolve(&principal, model);
                prop_assert_eq!(resolved.is_ok(), may_use(&found, &overlays, &principal, open), "resolved: {}", model);
                if let Ok(route) = resolved {
                    prop_assert_eq!(route.model.id.as_str(), found);
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_key_for_certain_models_knows_no_others() {
    let upstream = ScriptedUpstream::serving(["gpt", "llama:latest", "other"]);
    let overlays = [public(overlay("zed", Some("other"), 1))];
    let bench = bench(&[(openai(0), &upstream)], &overlays, |config| config.open_to_all = true).await;
    bench.registry.refresh(false).await;
    let models = Some(vec!["llama".into(), "zed".into(), "unknown".into()]);
    let rules = breezeway_core::KeyRules { models, ..Default::default() };
    let program = Principal { rules: Some(Arc::new(rules)), ..admin() };

    assert_eq!(listed(&bench.registry, &program), ["llama:latest", "zed"]);
    for name in ["gpt", "other", "unknown"] {
        let anywhere = bench.registry.resolve(&program, name);
        let here = bench.registry.resolve_at(&program, ConnectionKind::OpenAi, name);
        assert!(matches!(anywhere, Err(Error::NoSuchModel(_))), "{name}");
        assert!(matches!(here, Err(Error::NoSuchModel(_))), "{name}");
    }
    for name in ["llama", "llama:latest"] {
        assert_eq!(bench.registry.resolve(&program, name).unwrap().upstream_model, "llama:latest");
    }
    let known = bench.registry.overlay(&program, &"zed".parse().unwrap()).unwrap();
    let moved = NewOverlay {
        id: known.id.clone(),
        base: Some("gpt".parse().unwrap()),
        name: known.name.clone(),
        params: known.params.clone(),
        meta: known.meta.clone(),
        grants: None,
        active: true,
    };
    assert!(matches!(bench.registry.update_overlay(&program, moved).await, Err(Error::Forbidden(_))));
}
