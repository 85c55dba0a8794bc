use std::collections::BTreeSet;

use serde_json::json;

use super::*;

async fn group_of(auth: &Auth, owner: &UserId, members: &[&UserId], permissions: Value) -> GroupId {
    let group = auth.create_group(owner, "Readers", "who read").await.unwrap();
    let change = GroupChange {
        permissions: Some(permissions),
        members: Some(members.iter().map(|&member| member.clone()).collect()),
        ..GroupChange::default()
    };
    auth.update_group(&group.id, change).await.unwrap();
    group.id.clone()
}

#[tokio::test]
async fn a_group_widens_what_its_members_may() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    assert!(!auth.has_permission(&principal(&auth, &user), "workspace.knowledge"));

    let tree = json!({"workspace": {"knowledge": true}, "chat": {"delete": false}});
    let group = group_of(&auth, &admin.account.id, &[&user.account.id], tree).await;

    for auth in [&auth, &world.open().await] {
        let who = principal(auth, &user);
        assert_eq!(&*who.groups, std::slice::from_ref(&group));
        assert!(auth.has_permission(&who, "workspace.knowledge"));
        assert!(auth.has_permission(&who, "chat.delete"));
        assert_eq!(auth.permissions(&who)["workspace"]["knowledge"], true);
        assert_eq!(auth.permissions(&principal(auth, &admin))["workspace"]["knowledge"], false);
    }
    assert!(auth.delete_group(&group).await.unwrap());
    assert!(!auth.delete_group(&group).await.unwrap());
    let who = principal(&auth, &user);
    assert!(who.groups.is_empty());
    assert!(!auth.has_permission(&who, "workspace.knowledge"));
}

#[tokio::test]
async fn admins_may_everything_and_pending_accounts_nothing() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let pending = auth.add_account(NewAccount { role: Role::Pending, ..new("bob") }).await.unwrap();
    let (admin, pending) = (principal(&auth, &admin), principal(&auth, &pending));

    assert!(auth.has_permission(&admin, "workspace.knowledge"));
    assert!(auth.has_permission(&admin, "no.such"));
    assert!(!auth.has_permission(&pending, "chat.delete"));
}

#[tokio::test]
async fn memberships_follow_the_accounts() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    let owner = admin.account.id;
    let (one, two) = (
        group_of(&auth, &owner, &[&user.account.id, &UserId::mint()], json!({})).await,
        group_of(&auth, &owner, &[&user.account.id, &owner], json!({})).await,
    );
    assert_eq!(auth.groups().iter().map(|group| group.members.len()).sum::<usize>(), 3);

    let change = GroupChange { members: Some(BTreeSet::from([owner.clone()])), ..GroupChange::default() };
    auth.update_group(&one, change).await.unwrap();
    assert_eq!(&*principal(&auth, &user).groups, std::slice::from_ref(&two));
    auth.delete_account(&user.account.id).await.unwrap();

    for auth in [&auth, &world.open().await] {
        assert!(auth.groups().iter().all(|group| group.members == BTreeSet::from([owner.clone()])));
    }
    let gone = auth.update_group(&GroupId::mint(), GroupChange::default()).await;
    assert!(matches!(gone, Err(Error::NoSuchGroup)));
}

#[tokio::test]
async fn groups_are_listed_by_name() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    for name in ["Writers", "Authors", "Readers"] {
        auth.create_group(&admin.account.id, name, "").await.unwrap();
    }

    let names: Vec<_> = auth.groups().iter().map(|group| group.name.clone()).collect();

    assert_eq!(names, ["Authors", "Readers", "Writers"]);
}
