//! Access grants: who, beside its owner, may read or change a thing.

use crate::{GroupId, Principal, UserId};

/// What a grant allows. Writing includes reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// See and search it.
    Read,
    /// Change it.
    Write,
}

impl Permission {
    /// The word of the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// To whom a grant is given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// Every account that is not pending; `user` `*` in the API.
    Everyone,
    /// One account.
    User(UserId),
    /// The members of a group.
    Group(GroupId),
}

/// One line of a thing's access list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessGrant {
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub permission: Permission,
}

impl AccessGrant {
    /// Reading for everyone: what makes a thing public.
    pub const PUBLIC_READ: Self = Self { grantee: Grantee::Everyone, permission: Permission::Read };
}

/// A thing's access list. Empty means: its owner and admins only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<AccessGrant>);

impl Grants {
    /// The list, in order and without repetitions.
    pub fn new(grants: impl IntoIterator<Item = AccessGrant>) -> Self {
        let mut list: Vec<_> = grants.into_iter().collect();
        list.sort();
        list.dedup();
        Self(list)
    }

    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = &AccessGrant> {
        self.0.iter()
    }

    /// The list without the lines for one grantee.
    #[must_use]
    pub fn without(&self, grantee: &Grantee) -> Self {
        Self(self.0.iter().filter(|grant| grant.grantee != *grantee).cloned().collect())
    }

    /// Whether the list has no lines.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `principal` may do `wanted` to a thing of `owner` with this list.
    ///
    /// Admins and owners always may. A write grant allows reading too.
    pub fn allow(&self, principal: &Principal, owner: &UserId, wanted: Permission) -> bool {
        principal.is_admin()
            || principal.user == *owner
            || self.0.iter().any(|grant| {
                grant.permission >= wanted
                    && match &grant.grantee {
                        Grantee::Everyone => true,
                        Grantee::User(user) => *user == principal.user,
                        Grantee::Group(group) => principal.groups.contains(group),
                    }
            })
    }
}

impl FromIterator<AccessGrant> for Grants {
    fn from_iter<T: IntoIterator<Item = AccessGrant>>(grants: T) -> Self {
        Self::new(grants)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Credential, Role};

    use super::*;

    fn principal(role: Role, groups: &[&GroupId]) -> Principal {
        Principal {
            user: UserId::mint(),
            role,
            name: "Ada".into(),
            email: "ada@example.org".into(),
            groups: groups.iter().map(|&group| group.clone()).collect(),
            credential: Credential::Local,
            rules: None,
        }
    }

    #[test]
    fn an_empty_list_is_for_the_owner_and_admins() {
        let (owner, stranger, admin) =
            (principal(Role::User, &[]), principal(Role::User, &[]), principal(Role::Admin, &[]));
        let grants = Grants::default();

        assert!(grants.allow(&owner, &owner.user, Permission::Write));
        assert!(grants.allow(&admin, &owner.user, Permission::Write));
        assert!(!grants.allow(&stranger, &owner.user, Permission::Read));
    }

    #[test]
    fn a_write_grant_reads_and_a_read_grant_does_not_write() {
        let (owner, group) = (UserId::mint(), GroupId::mint());
        let member = principal(Role::User, &[&group]);
        let writable = Grants::new([AccessGrant {
            grantee: Grantee::Group(group.clone()),
            permission: Permission::Write,
        }]);
        let readable = Grants::new([AccessGrant::PUBLIC_READ]);

        assert!(writable.allow(&member, &owner, Permission::Read));
        assert!(readable.allow(&member, &owner, Permission::Read));
        assert!(!readable.allow(&member, &owner, Permission::Write));
    }
}
