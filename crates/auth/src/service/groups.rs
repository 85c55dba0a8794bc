//! Making, changing and deleting groups.
//!
//! Groups have accounts as members and never other groups, so there is no cycle to fall into.

use std::{collections::BTreeSet, sync::Arc};

use breezeway_core::{GroupId, UserId};

use super::Auth;
use crate::{Error, Group, GroupChange, Result};

impl Auth {
    /// Make a group.
    ///
    /// # Errors
    /// The store's.
    pub async fn create_group(&self, owner: &UserId, name: &str, description: &str) -> Result<Arc<Group>> {
        let now = self.0.clock.now();
        let group = Group {
            id: GroupId::mint(),
            owner: owner.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            permissions: None,
            data: None,
            meta: None,
            members: BTreeSet::new(),
            created_at: now,
            updated_at: now,
        };
        self.write(async move |auth| auth.put_group(group).await).await
    }

    /// Change a group. Members who have no account are left out.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`]; the store's.
    pub async fn update_group(&self, id: &GroupId, change: GroupChange) -> Result<Arc<Group>> {
        let id = id.clone();
        self.write(async move |auth| {
            let before = auth.0.directory.group(&id).ok_or(Error::NoSuchGroup)?;
            let mut group = Group::clone(&before);
            if let Some(name) = change.name {
                group.name = name;
            }
            if let Some(description) = change.description {
                group.description = description;
            }
            if let Some(permissions) = change.permissions {
                group.permissions = Some(permissions);
            }
            if let Some(mut members) = change.members {
                members.retain(|member| auth.account(member).is_some());
                group.members = members;
            }
            group.updated_at = auth.0.clock.now();
            auth.put_group(group).await
        })
        .await
    }

    /// Bring accounts into a group and take others out. Those who have no account are left out.
    ///
    /// # Errors
    /// [`Error::NoSuchGroup`]; the store's.
    pub async fn change_members(
        &self,
        id: &GroupId,
        added: BTreeSet<UserId>,
        removed: BTreeSet<UserId>,
    ) -> Result<Arc<Group>> {
        let id = id.clone();
        self.write(async move |auth| {
            let before = auth.0.directory.group(&id).ok_or(Error::NoSuchGroup)?;
            let mut group = Group::clone(&before);
            group.members.extend(added);
            group.members.retain(|member| !removed.contains(member) && auth.account(member).is_some());
            group.updated_at = auth.0.clock.now();
            auth.put_group(group).await
        })
        .await
    }

    /// Bring a new account into the group that the settings name, if there is one.
    pub(super) async fn join_default_group(&self, account: &UserId) -> Result<()> {
        let settings = self.settings();
        let id = settings.default_group().and_then(|id| id.parse::<GroupId>().ok());
        let Some(before) = id.and_then(|id| self.0.directory.group(&id)) else { return Ok(()) };
        let mut group = Group::clone(&before);
        group.members.insert(account.clone());
        self.put_group(group).await.map(drop)
    }

    /// A group.
    pub fn group(&self, id: &GroupId) -> Option<Arc<Group>> {
        self.0.directory.group(id)
    }

    /// Delete a group; answers whether it existed.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_group(&self, id: &GroupId) -> Result<bool> {
        let id = id.clone();
        self.write(async move |auth| {
            let existed = auth.0.directory.group(&id).is_some();
            auth.0.store.delete_group(&id).await?;
            auth.0.directory.remove_group(&id);
            Ok(existed)
        })
        .await
    }

    async fn put_group(&self, group: Group) -> Result<Arc<Group>> {
        self.0.store.save_group(&group).await?;
        Ok(self.0.directory.put_group(group))
    }
}
