//! Making, showing, changing and deleting API keys.
//!
//! An account has one key without a name, which is replaced as a whole and shown again, and many with
//! names, which are shown once. Whoever comes with a key that is narrowed in any way is refused here:
//! with a key of their own making they would be rid of its limits.

use breezeway_core::{ApiKeyId, KeyRules, Principal, Secret, UserId};

use super::Auth;
use crate::{
    ApiKeyRecord, Error, KeyChange, KeyHash, NewKey, Result, SealedKey,
    api_key::{self, MOST_KEYS},
};

/// How many keys of an account are read at once: all there can be.
const ALL: u64 = MOST_KEYS as u64 + 1;

/// How many keys are read, and written in one transaction, while they are sealed anew: about a
/// millisecond of work between two waits.
const RESEALED_AT_ONCE: u64 = 256;

impl Auth {
    // --- the one without a name

    /// Make the account's unnamed key, replacing the one it had.
    ///
    /// # Errors
    /// [`Error::KeysNotAllowed`] if keys are off or the account lacks `features.api_keys`;
    /// [`Error::NarrowedKey`]; the store's.
    pub async fn create_api_key(&self, principal: &Principal) -> Result<Secret> {
        self.may_make_keys(principal)?;
        let owner = principal.user.clone();
        self.write(async move |auth| {
            // The account may be gone by now, and its key would be nobody's.
            auth.account(&owner).ok_or(Error::UnknownCredential)?;
            let former = auth.unnamed(&owner).await?;
            let key = api_key::mint()?;
            let mut record = auth.record(&owner, &key);
            record.sealed = Some(SealedKey(auth.0.sealer.seal(record.id.as_str(), &key)?));
            auth.0.store.replace_api_key(&owner, Some(&record)).await?;
            if let Some(former) = former {
                auth.0.directory.remove_key(&owner, &former.id);
            }
            auth.0.directory.put_key(&record);
            Ok(key)
        })
        .await
    }

    /// Show the account's unnamed key.
    ///
    /// # Errors
    /// [`Error::NoKey`]; [`Error::KeySealed`] if it was sealed under a secret the server has no more;
    /// [`Error::NarrowedKey`]; the store's.
    pub async fn api_key(&self, principal: &Principal) -> Result<Secret> {
        whole(principal)?;
        let record = self.unnamed(&principal.user).await?.ok_or(Error::NoKey)?;
        let sealed = record.sealed.ok_or(Error::KeySealed)?;
        self.0.sealer.open(record.id.as_str(), &sealed.0)
    }

    /// Delete the account's unnamed key.
    ///
    /// # Errors
    /// [`Error::NarrowedKey`]; the store's. Deleting where there is none is no error.
    pub async fn delete_api_key(&self, principal: &Principal) -> Result<()> {
        whole(principal)?;
        let owner = principal.user.clone();
        self.write(async move |auth| {
            let former = auth.unnamed(&owner).await?;
            auth.0.store.replace_api_key(&owner, None).await?;
            if let Some(former) = former {
                auth.0.directory.remove_key(&owner, &former.id);
            }
            Ok(())
        })
        .await
    }

    // --- those with a name

    /// Make a named key. This is the only time that it is shown.
    ///
    /// # Errors
    /// [`Error::KeysNotAllowed`] as for the unnamed one; [`Error::NarrowedKey`]; [`Error::InvalidKey`]
    /// for a field that makes no sense; [`Error::TooManyKeys`]; the store's.
    pub async fn create_named_key(
        &self,
        principal: &Principal,
        new: NewKey,
    ) -> Result<(ApiKeyRecord, Secret)> {
        self.may_make_keys(principal)?;
        let owner = principal.user.clone();
        let key = api_key::mint()?;
        let record = ApiKeyRecord {
            name: Some(new.name.trim().to_owned()),
            expires_at: new.expires_at,
            rules: new.rules,
            ..self.record(&owner, &key)
        };
        api_key::check(&record, self.0.clock.now())?;
        self.write(async move |auth| {
            auth.account(&owner).ok_or(Error::UnknownCredential)?;
            if auth.0.directory.count_keys(&owner) >= MOST_KEYS {
                return Err(Error::TooManyKeys(MOST_KEYS));
            }
            auth.0.store.insert_api_key(&record).await?;
            auth.0.directory.put_key(&record);
            Ok((record, key))
        })
        .await
    }

    /// The account's keys, the unnamed one included, in the order they were made.
    ///
    /// # Errors
    /// [`Error::NarrowedKey`]; the store's.
    pub async fn api_keys(&self, principal: &Principal) -> Result<Vec<ApiKeyRecord>> {
        whole(principal)?;
        self.keys_of(Some(&principal.user), 0, ALL).await
    }

    /// Keys of an account or of all, for admins: at most `limit` after the first `offset`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody else; [`Error::NarrowedKey`]; the store's.
    pub async fn all_api_keys(
        &self,
        principal: &Principal,
        owner: Option<&UserId>,
        offset: u64,
        limit: u64,
    ) -> Result<Vec<ApiKeyRecord>> {
        whole(principal)?;
        if !principal.is_admin() {
            return Err(Error::Forbidden);
        }
        self.keys_of(owner, offset, limit).await
    }

    /// One of the account's keys.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], also if it is somebody else's; [`Error::NarrowedKey`]; the store's.
    pub async fn api_key_by_id(&self, principal: &Principal, id: &ApiKeyId) -> Result<ApiKeyRecord> {
        let keys = self.api_keys(principal).await?;
        keys.into_iter().find(|key| key.id == *id).ok_or(Error::NoSuchKey)
    }

    /// Change one of the account's named keys. The change is in force when this answers.
    ///
    /// # Errors
    /// As for showing and making one; [`Error::UnnamedKey`].
    pub async fn update_api_key(
        &self,
        principal: &Principal,
        id: &ApiKeyId,
        change: KeyChange,
    ) -> Result<ApiKeyRecord> {
        self.may_make_keys(principal)?;
        let (principal, id) = (principal.clone(), id.clone());
        self.write(async move |auth| {
            let mut record = auth.api_key_by_id(&principal, &id).await?;
            if record.name.is_none() {
                return Err(Error::UnnamedKey);
            }
            change.apply(&mut record);
            api_key::check(&record, auth.0.clock.now())?;
            if !auth.0.store.update_api_key(&record).await? {
                return Err(Error::NoSuchKey);
            }
            auth.0.directory.put_key(&record);
            Ok(record)
        })
        .await
    }

    /// Delete a key by its id: one's own, or as an admin anybody's. Answers whose it was; it opens
    /// nothing any more then.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`]; [`Error::NarrowedKey`]; the store's.
    pub async fn revoke_api_key(&self, principal: &Principal, id: &ApiKeyId) -> Result<UserId> {
        whole(principal)?;
        let (principal, id) = (principal.clone(), id.clone());
        self.write(async move |auth| {
            let owner = auth.0.directory.owner_of(&id, &principal.user);
            let owner = match owner {
                None if principal.is_admin() => auth.0.directory.owner_of_any(&id),
                known => known,
            };
            let owner = owner.ok_or(Error::NoSuchKey)?;
            auth.0.store.delete_api_key(&id).await?;
            auth.0.directory.remove_key(&owner, &id);
            Ok(owner)
        })
        .await
    }

    /// Seal anew what a previous secret has sealed, so that that secret can be given up; answers how
    /// many keys. Run once after the start, beside everything else.
    ///
    /// # Errors
    /// The store's; keys that were not reached are sealed anew after the next start.
    pub async fn reseal_api_keys(&self) -> Result<usize> {
        if !self.0.sealer.has_previous() {
            return Ok(0);
        }
        let (mut offset, mut count) = (0, 0);
        loop {
            let keys = self.0.store.api_keys_of(None, offset, RESEALED_AT_ONCE).await?;
            if keys.is_empty() {
                return Ok(count);
            }
            offset += keys.len() as u64;
            let mut changed = Vec::new();
            for mut key in keys {
                let Some(sealed) = &key.sealed else { continue };
                if let Some((secret, sealed)) = self.0.sealer.reseal(key.id.as_str(), &sealed.0)? {
                    key.sealed = Some(SealedKey(sealed));
                    key.ending = api_key::ending(&secret);
                    changed.push(key);
                }
            }
            count += changed.len();
            if !changed.is_empty() {
                self.0.store.reseal_api_keys(&changed).await?;
            }
        }
    }

    async fn keys_of(&self, owner: Option<&UserId>, offset: u64, limit: u64) -> Result<Vec<ApiKeyRecord>> {
        let mut keys = self.0.store.api_keys_of(owner, offset, limit).await?;
        for key in &mut keys {
            // Uses are written in batches; memory knows of those that have not been.
            key.last_used_at = key.last_used_at.max(self.0.directory.key_seen(&key.hash));
            // A key from before endings were noted.
            if let Some(sealed) = key.sealed.as_ref().filter(|_| key.ending.is_empty()) {
                let opened = self.0.sealer.open(key.id.as_str(), &sealed.0);
                key.ending = opened.as_ref().map(api_key::ending).unwrap_or_default();
            }
        }
        Ok(keys)
    }

    async fn unnamed(&self, owner: &UserId) -> Result<Option<ApiKeyRecord>> {
        let keys = self.0.store.api_keys_of(Some(owner), 0, ALL).await?;
        Ok(keys.into_iter().find(|key| key.name.is_none()))
    }

    /// A key as it is stored, with nothing narrowed.
    fn record(&self, owner: &UserId, key: &Secret) -> ApiKeyRecord {
        ApiKeyRecord {
            id: ApiKeyId::mint(),
            owner: owner.clone(),
            name: None,
            hash: KeyHash::of(key.expose()),
            sealed: None,
            ending: api_key::ending(key),
            rules: KeyRules::default(),
            expires_at: None,
            created_at: self.0.clock.now(),
            last_used_at: None,
        }
    }

    fn may_make_keys(&self, principal: &Principal) -> Result<()> {
        whole(principal)?;
        if !self.settings().enable_api_keys || !self.has_permission(principal, "features.api_keys") {
            return Err(Error::KeysNotAllowed);
        }
        Ok(())
    }
}

/// Refuse keys that are narrowed.
fn whole(principal: &Principal) -> Result<()> {
    if principal.rules.is_some() { Err(Error::NarrowedKey) } else { Ok(()) }
}
