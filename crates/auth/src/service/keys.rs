//! Making, showing and deleting API keys.

use breezeway_core::{ApiKeyId, Principal, Secret};

use super::Auth;
use crate::{ApiKeyRecord, Error, KeyHash, Result, SealedKey, api_key};

impl Auth {
    /// Make the account's key, replacing the one it had.
    ///
    /// # Errors
    /// [`Error::KeysNotAllowed`] if keys are off or the account lacks `features.api_keys`; the store's.
    pub async fn create_api_key(&self, principal: &Principal) -> Result<Secret> {
        if !self.settings().enable_api_keys || !self.has_permission(principal, "features.api_keys") {
            return Err(Error::KeysNotAllowed);
        }
        let owner = principal.user.clone();
        self.write(async move |auth| {
            // The account may be gone by now, and its key would be nobody's.
            auth.account(&owner).ok_or(Error::UnknownCredential)?;
            let (id, key) = (ApiKeyId::mint(), api_key::mint()?);
            let record = ApiKeyRecord {
                owner: owner.clone(),
                hash: KeyHash::of(key.expose()),
                sealed: SealedKey(auth.0.sealer.seal(id.as_str(), &key)?),
                created_at: auth.0.clock.now(),
                last_used_at: None,
                id,
            };
            auth.0.store.replace_api_key(&owner, Some(&record)).await?;
            auth.0.directory.put_key(&owner, Some(record));
            Ok(key)
        })
        .await
    }

    /// Show the account's key.
    ///
    /// # Errors
    /// [`Error::NoKey`]; [`Error::KeySealed`] if it was sealed under a secret the server has no more.
    pub fn api_key(&self, principal: &Principal) -> Result<Secret> {
        let record = self.0.directory.key_of(&principal.user).ok_or(Error::NoKey)?;
        self.0.sealer.open(record.id.as_str(), &record.sealed.0)
    }

    /// Delete the account's key.
    ///
    /// # Errors
    /// The store's. Deleting where there is none is no error.
    pub async fn delete_api_key(&self, principal: &Principal) -> Result<()> {
        let owner = principal.user.clone();
        self.write(async move |auth| {
            auth.0.store.replace_api_key(&owner, None).await?;
            auth.0.directory.put_key(&owner, None);
            Ok(())
        })
        .await
    }
}
