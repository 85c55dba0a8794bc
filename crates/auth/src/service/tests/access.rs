use std::collections::BTreeSet;

use super::*;

fn role(role: Role) -> AccountChange {
    AccountChange { role: Some(role), ..AccountChange::default() }
}

#[tokio::test]
async fn a_lower_role_ends_the_sessions_and_a_higher_one_counts_in_them() {
    let (auth, _, user) = World::new().populated().await;
    let id = &user.account.id;

    auth.update_account(id, role(Role::Admin)).await.unwrap();
    assert_eq!(principal(&auth, &user).role, Role::Admin);

    auth.update_account(id, role(Role::User)).await.unwrap();
    assert!(matches!(auth.authenticate(user.token.expose()), Err(Error::Revoked)));

    let again = auth.sign_in("user@example.org", &PASSWORD.into()).await.unwrap();
    auth.update_account(id, role(Role::User)).await.unwrap();
    assert_eq!(principal(&auth, &again).role, Role::User, "the same role changes nothing");
}

#[tokio::test]
async fn an_admin_ends_all_sessions_of_an_account_and_none_of_others() {
    let (auth, admin, user) = World::new().populated().await;
    let elsewhere = auth.sign_in("user@example.org", &PASSWORD.into()).await.unwrap();

    auth.end_sessions(&user.account.id).await.unwrap();

    for session in [&user, &elsewhere] {
        assert!(matches!(auth.authenticate(session.token.expose()), Err(Error::Revoked)));
    }
    assert!(auth.authenticate(admin.token.expose()).is_ok());
    assert!(auth.sign_in("user@example.org", &PASSWORD.into()).await.is_ok());
    let nobody = auth.end_sessions(&UserId::mint()).await;
    assert!(matches!(nobody, Err(Error::NoSuchAccount(_))));
}

#[tokio::test]
async fn who_departs_may_do_nothing_more_and_can_depart_again() {
    let (auth, admin, user) = World::new().populated().await;
    let (admin, id) = (&admin.account.id, &user.account.id);

    let removal = auth.begin_removal(id, None, admin).await.unwrap().unwrap();
    assert_eq!(auth.keeper(&removal).as_ref(), Some(admin));
    assert!(matches!(auth.authenticate(user.token.expose()), Err(Error::Revoked)));
    assert_eq!(auth.account(id).unwrap().role, Role::Pending);

    assert_eq!(auth.removals(), std::slice::from_ref(&removal));
    let let_in = auth.update_account(id, role(Role::User)).await;
    assert!(matches!(let_in, Err(Error::Leaving(_))));

    assert_eq!(auth.begin_removal(id, None, admin).await.unwrap(), Some(removal));
    assert!(auth.delete_account(id).await.unwrap());
    assert_eq!(auth.begin_removal(id, None, admin).await.unwrap(), None, "there is nobody any more");
    assert_eq!(auth.removals(), []);
}

#[tokio::test]
async fn an_admin_who_departs_leaves_the_server_to_another() {
    let (auth, admin, user) = World::new().populated().await;
    let (admin, user) = (&admin.account.id, &user.account.id);
    assert!(matches!(auth.begin_removal(admin, None, admin).await, Err(Error::LastAdmin)));

    auth.update_account(user, role(Role::Admin)).await.unwrap();

    let removal = auth.begin_removal(admin, None, admin).await.unwrap().unwrap();
    assert_eq!(auth.keeper(&removal).as_ref(), Some(user));
}

#[tokio::test]
async fn a_removal_keeps_its_heir_and_a_restart_knows_it() {
    let world = World::new();
    let (auth, admin, user) = world.populated().await;
    let (admin, user) = (&admin.account.id, &user.account.id);
    let bob = auth.add_account(new("bob")).await.unwrap().account.id;
    let eve = auth.add_account(new("eve")).await.unwrap().account.id;
    for nobody in [UserId::mint(), user.clone()] {
        let refused = auth.begin_removal(user, Some(&nobody), admin).await;
        assert!(matches!(refused, Err(Error::NoSuchHeir(_))));
    }
    assert_eq!(auth.removals(), [], "a refusal changes nothing");

    auth.begin_removal(user, Some(&bob), admin).await.unwrap();
    let auth = world.open().await;

    let removal = auth.begin_removal(user, None, admin).await.unwrap().unwrap();
    assert_eq!(removal.heir.as_ref(), Some(&bob));
    auth.begin_removal(&bob, None, admin).await.unwrap();
    let heir_goes = auth.begin_removal(user, None, admin).await;
    assert!(matches!(heir_goes, Err(Error::NoSuchHeir(_))), "{heir_goes:?}");
    let removal = auth.begin_removal(user, Some(&eve), admin).await.unwrap().unwrap();
    assert_eq!(removal.heir, Some(eve));
}

#[tokio::test]
async fn of_two_admins_who_delete_each_other_at_once_one_stays() {
    for _ in 0..20 {
        let (auth, admin, user) = World::new().populated().await;
        let (one, two) = (&admin.account.id, &user.account.id);
        auth.update_account(two, role(Role::Admin)).await.unwrap();

        let (first, second) =
            tokio::join!(auth.begin_removal(one, None, two), auth.begin_removal(two, None, one));

        let refused = [first, second].into_iter().filter(|answer| matches!(answer, Err(Error::LastAdmin)));
        assert_eq!(refused.count(), 1);
        let admins = auth.accounts().into_iter().filter(|account| account.role == Role::Admin);
        assert_eq!(admins.count(), 1);
    }
}

#[tokio::test]
async fn members_who_come_and_go_at_once_do_not_undo_each_other() {
    let (auth, admin, user) = World::new().populated().await;
    let (one, two) = (&admin.account.id, &user.account.id);
    let group = auth.create_group(one, "staff", "").await.unwrap().id.clone();
    let only = |id: &UserId| BTreeSet::from([id.clone()]);

    let (first, second) = tokio::join!(
        auth.change_members(&group, only(one), BTreeSet::new()),
        auth.change_members(&group, BTreeSet::from([two.clone(), UserId::mint()]), BTreeSet::new()),
    );
    first.and(second).unwrap();
    assert_eq!(auth.group(&group).unwrap().members, BTreeSet::from([one.clone(), two.clone()]));

    auth.change_members(&group, BTreeSet::new(), only(one)).await.unwrap();
    assert_eq!(auth.group(&group).unwrap().members, only(two));
    let unknown = auth.change_members(&GroupId::mint(), only(one), BTreeSet::new()).await;
    assert!(matches!(unknown, Err(Error::NoSuchGroup)));
}

#[tokio::test]
async fn whoever_is_new_comes_into_the_default_group() {
    let (auth, admin, _) = World::new().populated().await;
    let group = auth.create_group(&admin.account.id, "everybody", "").await.unwrap().id.clone();
    let name = |id: String| {
        auth.change_settings(move |settings| {
            settings.other.insert("DEFAULT_GROUP_ID".into(), id.into());
            settings.enable_signup = true;
        })
    };

    name(group.to_string()).await.unwrap();
    let added = auth.add_account(new("added")).await.unwrap();
    let signed_up = auth.sign_up(new("newcomer")).await.unwrap();
    name(GroupId::mint().to_string()).await.unwrap();
    auth.add_account(new("loner")).await.unwrap();

    let members = auth.group(&group).unwrap().members.clone();
    assert_eq!(members, BTreeSet::from([added.account.id.clone(), signed_up.account.id]));
    assert_eq!(*principal(&auth, &added).groups, [group]);
}

#[tokio::test]
async fn settings_changed_at_once_are_all_changed() {
    let (auth, ..) = World::new().populated().await;

    let changes = (0..20).map(|number| {
        auth.change_settings(move |settings| {
            settings.other.insert(format!("N{number}"), number.into());
        })
    });
    for changed in all(changes).await {
        changed.unwrap();
    }

    let settings = auth.settings();
    assert!((0..20).all(|number| settings.other.contains_key(&format!("N{number}"))));
    let odd = auth.change_settings(|settings| settings.jwt_expires_in = "soon".into()).await;
    assert!(matches!(odd, Err(Error::InvalidSetting { .. })));
    assert_eq!(auth.settings().jwt_expires_in, "4w");
}

/// All of some futures, begun before any has ended.
async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut open: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in open.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(done) = future.as_mut().poll(context) {
                *output = Some(done);
            }
        }
        let is_over = open.iter().all(|(_, output)| output.is_some());
        if is_over { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    open.into_iter().filter_map(|(_, output)| output).collect()
}
