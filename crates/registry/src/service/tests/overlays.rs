use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use breezeway_core::{AccessGrant, Grantee, Grants, Permission, StoreError};

use super::*;
use crate::conformance::overlay;

fn grant_to(name: &str, permission: Permission) -> Option<Grants> {
    Some(Grants::new([AccessGrant { grantee: Grantee::User(user(name)), permission }]))
}

fn ids(overlays: &[Arc<Overlay>]) -> Vec<&str> {
    overlays.iter().map(|overlay| overlay.id.as_str()).collect()
}

#[tokio::test]
async fn a_made_overlay_is_stored_and_offered_at_once() {
    let upstream = ScriptedUpstream::serving(["gpt"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    bench.registry.refresh(false).await;

    let made = bench.registry.create_overlay(&admin(), new_overlay("aide", Some("gpt"))).await.unwrap();

    assert_eq!(made.owner, user("admin"));
    assert_eq!(made.created_at, bench.clock.now());
    assert_eq!(bench.store.overlays().await.unwrap(), [Overlay::clone(&made)]);
    assert_eq!(listed(&bench.registry, &admin()), ["gpt", "aide"]);
    let again = bench.registry.create_overlay(&admin(), new_overlay("aide", None)).await;
    assert!(matches!(again, Err(Error::Taken(taken)) if taken == id("aide")));
}

#[tokio::test]
async fn reading_and_writing_need_their_grants() {
    let bench = bench(&[], &[], |_| {}).await;
    let registry = &bench.registry;
    let [ada, ben, eve] = ["ada", "ben", "eve"].map(|name| principal(Role::User, name, &[]));
    let shown = NewOverlay { grants: grant_to("ben", Permission::Read), ..new_overlay("aide", Some("gpt")) };
    registry.create_overlay(&ada, shown).await.unwrap();

    assert!(registry.overlay(&ada, &id("aide")).is_ok());
    assert!(registry.overlay(&ben, &id("aide")).is_ok());
    assert!(matches!(registry.overlay(&eve, &id("aide")), Err(Error::NoSuchModel(_))));
    assert!(matches!(registry.overlay(&eve, &id("other")), Err(Error::NoSuchModel(_))));
    assert!(registry.overlays(&eve).is_empty());

    let forbidden = registry.update_overlay(&ben, new_overlay("aide", Some("gpt"))).await;
    assert!(matches!(forbidden, Err(Error::Forbidden(_))));
    assert!(matches!(registry.toggle_overlay(&ben, &id("aide")).await, Err(Error::Forbidden(_))));
    assert!(matches!(registry.delete_overlay(&ben, &id("aide")).await, Err(Error::Forbidden(_))));
    assert!(matches!(registry.delete_overlay(&ben, &id("other")).await, Err(Error::NoSuchModel(_))));
}

#[tokio::test]
async fn only_an_admin_decides_about_an_upstreams_own_model() {
    let upstream = ScriptedUpstream::serving(["gpt"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    bench.registry.refresh(false).await;
    let ada = principal(Role::User, "ada", &[]);

    for new in [new_overlay("gpt", None), new_overlay("gpt", Some("gpt")), new_overlay("later", None)] {
        let made = bench.registry.create_overlay(&ada, new.clone()).await;
        assert!(matches!(made, Err(Error::Forbidden(_))));
        let imported = bench.registry.import_overlays(&ada, vec![new], false).await;
        assert!(matches!(imported, Err(Error::Forbidden(_))));
    }

    assert!(listed(&bench.registry, &ada).is_empty());
    assert!(bench.registry.create_overlay(&ada, new_overlay("aide", Some("gpt"))).await.is_ok());
}

#[tokio::test]
async fn an_update_keeps_the_owner_the_birthday_and_unsaid_grants() {
    let bench = bench(&[], &[], |_| {}).await;
    let ada = principal(Role::User, "ada", &[]);
    let ben = principal(Role::User, "ben", &[]);
    let shared =
        NewOverlay { grants: grant_to("ben", Permission::Write), ..new_overlay("aide", Some("gpt")) };
    let made = bench.registry.create_overlay(&ada, shared).await.unwrap();
    bench.clock.set(UnixTime::from_seconds(1_800_000_500));

    let renamed = NewOverlay { name: "Aide".into(), ..new_overlay("aide", Some("gpt")) };
    let updated = bench.registry.update_overlay(&ben, renamed).await.unwrap();

    let expected = Overlay {
        name: "Aide".into(),
        updated_at: UnixTime::from_seconds(1_800_000_500),
        ..Overlay::clone(&made)
    };
    assert_eq!(*updated, expected);
    assert_eq!(bench.store.overlays().await.unwrap(), [expected]);
}

#[tokio::test]
async fn a_model_switched_off_is_gone_until_it_is_switched_on() {
    let upstream = ScriptedUpstream::serving(["gpt"]);
    let bench = bench(&[(openai(0), &upstream)], &[], |_| {}).await;
    bench.registry.refresh(false).await;
    bench.registry.create_overlay(&admin(), new_overlay("aide", Some("gpt"))).await.unwrap();

    let off = bench.registry.toggle_overlay(&admin(), &id("aide")).await.unwrap();
    let without = listed(&bench.registry, &admin());
    let on = bench.registry.toggle_overlay(&admin(), &id("aide")).await.unwrap();

    assert!(!off.active && on.active);
    assert_eq!(without, ["gpt"]);
    assert_eq!(listed(&bench.registry, &admin()), ["gpt", "aide"]);
}

#[tokio::test]
async fn an_import_adds_and_a_sync_deletes_the_rest() {
    let bench = bench(&[], &[], |_| {}).await;
    let registry = &bench.registry;
    registry.create_overlay(&admin(), new_overlay("old", None)).await.unwrap();
    registry.create_overlay(&admin(), new_overlay("dropped", None)).await.unwrap();

    let twice = NewOverlay { name: "second wins".into(), ..new_overlay("new", None) };
    let import = vec![new_overlay("old", None), new_overlay("new", None), twice];
    registry.import_overlays(&admin(), import.clone(), false).await.unwrap();
    let imported = registry.overlays(&admin());
    registry.import_overlays(&admin(), import, true).await.unwrap();
    let synced = registry.overlays(&admin());

    assert_eq!(ids(&imported), ["old", "dropped", "new"]);
    assert_eq!(imported[2].name, "second wins");
    assert_eq!(ids(&synced), ["old", "new"]);
    let stored: Vec<_> = bench.store.overlays().await.unwrap().into_iter().map(Arc::new).collect();
    assert_eq!(stored, synced);
}

#[tokio::test]
async fn an_import_over_a_foreign_overlay_changes_nothing() {
    let bench = bench(&[], &[], |_| {}).await;
    let registry = &bench.registry;
    registry.create_overlay(&admin(), new_overlay("foreign", None)).await.unwrap();
    let ada = principal(Role::User, "ada", &[]);

    let over = vec![new_overlay("mine", Some("gpt")), new_overlay("foreign", Some("gpt"))];
    let imported = registry.import_overlays(&ada, over, false).await;
    let synced = registry.import_overlays(&ada, vec![new_overlay("mine", Some("gpt"))], true).await;

    assert!(matches!(imported, Err(Error::Forbidden(foreign)) if foreign == id("foreign")));
    assert!(matches!(synced, Err(Error::Forbidden(_))));
    assert_eq!(ids(&registry.overlays(&admin())), ["foreign"]);
}

/// Commits a write and then never answers, as for a caller who has gone.
#[derive(Default)]
struct SilentStore {
    inner: MemoryModels,
    is_silent: AtomicBool,
}

#[async_trait]
impl ModelStore for SilentStore {
    async fn overlays(&self) -> Result<Vec<Overlay>, StoreError> {
        self.inner.overlays().await
    }

    async fn insert_overlay(&self, overlay: &Overlay) -> Result<(), StoreError> {
        self.inner.insert_overlay(overlay).await?;
        if self.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn save_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        self.inner.save_overlays(overlays).await
    }

    async fn delete_overlay(&self, id: &ModelId) -> Result<bool, StoreError> {
        self.inner.delete_overlay(id).await
    }

    async fn replace_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        self.inner.replace_overlays(overlays).await
    }

    async fn depart(&self, who: &Grantee) -> Result<(), StoreError> {
        self.inner.depart(who).await
    }
}

#[tokio::test]
async fn what_an_account_leaves_goes_to_its_heir_or_away() {
    let own =
        |id: &str, base: Option<&str>| Overlay { owner: "eve".parse().unwrap(), ..overlay(id, base, 1) };
    let shared = Overlay { grants: grant_to("eve", Permission::Read).unwrap(), ..overlay("shared", None, 3) };
    let (eve, bob, root) = ("eve".parse().unwrap(), "bob".parse().unwrap(), "root".parse().unwrap());
    let owners = |registry: &Registry| -> Vec<(String, String)> {
        let overlays = registry.overlays(&admin());
        overlays.iter().map(|it| (it.id.to_string(), it.owner.to_string())).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(id, owner)| ((*id).to_owned(), (*owner).to_owned())).collect()
    };

    for (heir, expected) in [
        (None, pairs(&[("gpt", "root"), ("shared", "owner")])),
        (Some(&bob), pairs(&[("aide", "bob"), ("gpt", "bob"), ("shared", "owner")])),
    ] {
        let bench = bench(&[], &[own("aide", Some("gpt")), own("gpt", None), shared.clone()], |_| {}).await;
        let registry = &bench.registry;

        registry.depart(&eve, heir, &root).await.unwrap();
        registry.depart(&eve, heir, &root).await.unwrap();

        assert_eq!(owners(registry), expected);
        let ghost = principal(Role::User, "eve", &[]);
        assert!(registry.overlays(&ghost).is_empty(), "nothing is hers or shown to her");
        let made = registry.create_overlay(&ghost, new_overlay("late", Some("gpt"))).await;
        assert!(matches!(made, Err(Error::Store(StoreError::Departed(_)))), "nothing more becomes hers");
        assert_eq!(owners(registry), expected);
    }
}

#[tokio::test]
async fn a_write_whose_caller_left_is_seen_by_the_next_one() {
    let store = Arc::new(SilentStore::default());
    let config = bench(&[], &[], |_| {}).await.registry.config;
    let registry = Registry::open(
        RegistryConfig::clone(&config),
        Vec::new(),
        store.clone(),
        Arc::new(|_: &Connection| unreachable!("there are no connections")),
        Clock::fixed(UnixTime::default()),
    )
    .await
    .unwrap();
    store.is_silent.store(true, Ordering::SeqCst);
    let (caller, anybody) = (admin(), admin());

    {
        let mut write = std::pin::pin!(registry.create_overlay(&caller, new_overlay("aide", None)));
        assert!(is_pending(write.as_mut()));
    }
    store.is_silent.store(false, Ordering::SeqCst);
    let again = registry.create_overlay(&anybody, new_overlay("aide", None)).await;

    assert!(matches!(again, Err(Error::Taken(_))));
    assert_eq!(ids(&registry.overlays(&anybody)), ["aide"]);
}

fn is_pending<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    future.poll(&mut context).is_pending()
}
