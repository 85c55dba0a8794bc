//! Overlays: read from memory, written through.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use breezeway_core::{ModelId, Permission, Principal, StoreError};
use tracing::warn;

use super::{Registry, State, no_such_overlay};
use crate::{Error, NewOverlay, Overlay, Result, catalog::key_allows};

impl Registry {
    /// All overlays the caller may read, in the order they were made.
    pub fn overlays(&self, principal: &Principal) -> Vec<Arc<Overlay>> {
        let state = self.state.load();
        state.overlays.iter().filter(|overlay| may(principal, overlay, Permission::Read)).cloned().collect()
    }

    /// An overlay the caller may read: `NoSuchModel`, whether there is none or it is not for them.
    pub fn overlay(&self, principal: &Principal, id: &ModelId) -> Result<Arc<Overlay>> {
        self.known(principal, id, Permission::Read)
    }

    /// Make one. Whether the caller's permissions allow that is asked before.
    pub async fn create_overlay(&self, principal: &Principal, new: NewOverlay) -> Result<Arc<Overlay>> {
        let writing = self.shared.writing.lock().await;
        self.reload_if_stale().await?;
        if self.find_overlay(&new.id).is_some() {
            return Err(Error::Taken(new.id));
        }
        self.may_be_made(principal, &new)?;
        let overlay = Arc::new(self.made_of(principal, new, None));
        self.write(&overlay.id, self.store.insert_overlay(&overlay)).await?;
        self.publish(|overlays| overlays.push(overlay.clone()));
        drop(writing);
        Ok(overlay)
    }

    /// Whether the caller may make such an overlay: only admins may decide about an upstream's own model,
    /// be it without a base or by taking its id. To own that overlay would be to own the model, its
    /// system prompt for everyone included.
    ///
    /// A key for certain models must not put others under an id that it may use.
    fn may_be_made(&self, principal: &Principal, new: &NewOverlay) -> Result<()> {
        if !key_allows(principal, &new.id) || !new.base.iter().all(|base| key_allows(principal, base)) {
            return Err(Error::Forbidden(new.id.clone()));
        }
        let listed = || self.base_models().iter().any(|model| model.id == new.id);
        if principal.is_admin() || (new.base.is_some() && !listed()) {
            return Ok(());
        }
        Err(Error::Forbidden(new.id.clone()))
    }

    /// Replace one the caller may write.
    pub async fn update_overlay(&self, principal: &Principal, new: NewOverlay) -> Result<Arc<Overlay>> {
        let writing = self.shared.writing.lock().await;
        self.reload_if_stale().await?;
        let old = self.known(principal, &new.id, Permission::Write)?;
        self.may_be_made(principal, &new)?;
        let overlay = self.save(self.made_of(principal, new, Some(&old))).await?;
        drop(writing);
        Ok(overlay)
    }

    /// Flip whether one is offered.
    pub async fn toggle_overlay(&self, principal: &Principal, id: &ModelId) -> Result<Arc<Overlay>> {
        let writing = self.shared.writing.lock().await;
        self.reload_if_stale().await?;
        let old = self.known(principal, id, Permission::Write)?;
        let flipped = Overlay { active: !old.active, updated_at: self.clock.now(), ..Overlay::clone(&old) };
        let overlay = self.save(flipped).await?;
        drop(writing);
        Ok(overlay)
    }

    /// Delete one.
    pub async fn delete_overlay(&self, principal: &Principal, id: &ModelId) -> Result<()> {
        let writing = self.shared.writing.lock().await;
        self.reload_if_stale().await?;
        self.known(principal, id, Permission::Write)?;
        self.write(id, self.store.delete_overlay(id)).await?;
        self.publish(|overlays| overlays.retain(|overlay| overlay.id != *id));
        drop(writing);
        Ok(())
    }

    /// Insert or replace several (`sync` also deletes all others). For admins and those permitted.
    ///
    /// The caller needs write access to every overlay that this would change or delete; without it
    /// nothing changes and the answer is `Forbidden`. Of several with one id the last counts.
    pub async fn import_overlays(
        &self,
        principal: &Principal,
        new: Vec<NewOverlay>,
        sync: bool,
    ) -> Result<()> {
        let writing = self.shared.writing.lock().await;
        self.reload_if_stale().await?;
        let stored = self.state.load().overlays.clone();
        new.iter().try_for_each(|new| self.may_be_made(principal, new))?;
        let mut places: HashMap<ModelId, usize> = HashMap::new();
        let mut imported: Vec<Arc<Overlay>> = Vec::new();
        for new in new {
            let old = stored.iter().find(|overlay| overlay.id == new.id);
            let overlay = Arc::new(self.made_of(principal, new, old));
            match places.get(&overlay.id) {
                Some(&place) => imported[place] = overlay,
                None => {
                    places.insert(overlay.id.clone(), imported.len());
                    imported.push(overlay);
                }
            }
        }
        let is_touched = |overlay: &Overlay| sync || places.contains_key(&overlay.id);
        let foreign =
            stored.iter().find(|overlay| is_touched(overlay) && !may(principal, overlay, Permission::Write));
        if let Some(foreign) = foreign {
            return Err(Error::Forbidden(foreign.id.clone()));
        }
        let Some(first) = imported.first().or(stored.first()).map(|overlay| overlay.id.clone()) else {
            return Ok(());
        };

        let plain: Vec<Overlay> = imported.iter().map(|overlay| Overlay::clone(overlay)).collect();
        if sync {
            self.write(&first, self.store.replace_overlays(&plain)).await?;
        } else {
            self.write(&first, self.store.save_overlays(&plain)).await?;
        }

        self.publish(|overlays| {
            if sync {
                overlays.retain(|overlay| places.contains_key(&overlay.id));
            }
            for overlay in imported {
                put(overlays, overlay);
            }
            overlays.sort_by_key(|overlay| overlay.created_at);
        });
        drop(writing);
        Ok(())
    }

    /// Read the overlays again if a write was cut short. A failure waits for the next time.
    pub(super) async fn catch_up(&self) {
        if !self.shared.stale.load(Ordering::SeqCst) {
            return;
        }
        let _writing = self.shared.writing.lock().await;
        if let Err(error) = self.reload_if_stale().await {
            warn!(%error, "The overlays cannot be read again");
        }
    }

    /// To be called with `writing` held.
    pub(super) async fn reload_if_stale(&self) -> Result<()> {
        if self.shared.stale.load(Ordering::SeqCst) {
            let stored = self.store.overlays().await?;
            self.publish(|overlays| *overlays = stored.into_iter().map(Arc::new).collect());
            self.shared.stale.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    fn find_overlay(&self, id: &ModelId) -> Option<Arc<Overlay>> {
        self.state.load().overlays.iter().find(|overlay| overlay.id == *id).cloned()
    }

    fn known(&self, principal: &Principal, id: &ModelId, wanted: Permission) -> Result<Arc<Overlay>> {
        // What the caller cannot even read must look like what nobody has.
        let found = self.find_overlay(id).filter(|overlay| may(principal, overlay, Permission::Read));
        let overlay = found.ok_or_else(|| no_such_overlay(id))?;
        if may(principal, &overlay, wanted) { Ok(overlay) } else { Err(Error::Forbidden(id.clone())) }
    }

    fn made_of(&self, principal: &Principal, new: NewOverlay, old: Option<&Arc<Overlay>>) -> Overlay {
        let now = self.clock.now();
        Overlay {
            id: new.id,
            owner: old.map_or_else(|| principal.user.clone(), |old| old.owner.clone()),
            base: new.base,
            name: new.name,
            params: new.params,
            meta: new.meta,
            grants: new.grants.or_else(|| old.map(|old| old.grants.clone())).unwrap_or_default(),
            active: new.active,
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: now,
        }
    }

    async fn save(&self, overlay: Overlay) -> Result<Arc<Overlay>> {
        self.write(&overlay.id, self.store.save_overlays(std::slice::from_ref(&overlay))).await?;
        let overlay = Arc::new(overlay);
        self.publish(|overlays| put(overlays, overlay.clone()));
        Ok(overlay)
    }

    /// Await a write of the store. A caller who goes away in the middle leaves it unknown whether it
    /// was committed, and so may a failure: both leave the mark that makes the next one read first.
    async fn write<T>(&self, id: &ModelId, write: impl Future<Output = Result<T, StoreError>>) -> Result<T> {
        self.shared.stale.store(true, Ordering::SeqCst);
        let answer = write.await;
        if answer.is_ok() {
            self.shared.stale.store(false, Ordering::SeqCst);
        }
        answer.map_err(|error| match error {
            StoreError::Taken(_) => Error::Taken(id.clone()),
            other => Error::Store(other),
        })
    }

    /// Show readers what is stored now.
    pub(super) fn publish(&self, change: impl FnOnce(&mut Vec<Arc<Overlay>>)) {
        self.state.update(|state| {
            let mut overlays = Vec::clone(&state.overlays);
            change(&mut overlays);
            (State::new(state.endpoints.clone(), Arc::new(overlays), self.setting()), ())
        });
    }
}

fn may(principal: &Principal, overlay: &Overlay, wanted: Permission) -> bool {
    key_allows(principal, &overlay.id) && overlay.grants.allow(principal, &overlay.owner, wanted)
}

fn put(overlays: &mut Vec<Arc<Overlay>>, overlay: Arc<Overlay>) {
    match overlays.iter_mut().find(|known| known.id == overlay.id) {
        Some(known) => *known = overlay,
        None => overlays.push(overlay),
    }
}
