//! Who is signed in, over sockets: the first admin, and sessions that end at once.

use breezeway_testkit::{Answer, Client};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::gateway::{Gateway, Setup};

const PASSWORD: &str = "correct horse";

fn form(name: &str, role: &str) -> Value {
    json!({"name": name, "email": format!("{name}@test.example"), "password": PASSWORD, "role": role})
}

/// Somebody with a session.
struct Person {
    id: String,
    token: String,
    client: Client,
}

impl Person {
    fn of(gateway: &Gateway, answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let session = answer.json();
        let text = |field: &str| session[field].as_str().expect("it is there").to_owned();
        let (id, token) = (text("id"), text("token"));
        Self { id, client: gateway.client().bearer(&token), token }
    }

    async fn added(gateway: &Gateway, admin: &Client, name: &str, role: &str) -> Self {
        Self::of(gateway, &admin.post_json("/api/v1/auths/add", &form(name, role)).await)
    }

    async fn signed_in(gateway: &Gateway, name: &str) -> Self {
        Self::of(gateway, &gateway.client().post_json("/api/v1/auths/signin", &form(name, "")).await)
    }

    async fn is_signed_in(&self) -> bool {
        match self.client.get("/api/v1/auths/").await.status {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.client.post_json(path, &body).await
    }
}

#[tokio::test]
async fn a_hundred_sign_ups_at_once_make_one_admin() {
    let gateway = Setup::new().start().await;
    let mut sign_ups = JoinSet::new();
    for number in 0..100 {
        // A client each has a socket each, so that none waits for another.
        let client = gateway.client();
        sign_ups.spawn(async move {
            client.post_json("/api/v1/auths/signup", &form(&format!("user{number}"), "user")).await
        });
    }

    let answers: Vec<Answer> = sign_ups.join_all().await;

    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1, "the first closes the door");
    assert_eq!(made[0].json()["role"], "admin");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        // Closed, or more passwords than the lane that hashes them takes.
        assert!([403, 429, 503].contains(&answer.status), "{}", answer.summary());
    }
    let admin = gateway.client().bearer(made[0].json()["token"].as_str().expect("a token"));
    assert_eq!(admin.get("/api/v1/users/all").await.json()["total"], 1);
    gateway.stop().await;
}

#[tokio::test]
async fn sessions_end_at_once_and_stay_ended() {
    let setup = Setup::new();
    let gateway = setup.start().await;
    let admin = gateway.admin().await;
    let added = async |name: &str, role: &str| Person::added(&gateway, &admin, name, role).await;
    let change = async |person: &Person, body: Value| {
        let answer = admin.post_json(&format!("/api/v1/users/{}/update", person.id), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };

    let own = added("own", "user").await;
    let elsewhere = Person::signed_in(&gateway, "own").await;
    let form = json!({"password": PASSWORD, "new_password": "battery staple"});
    assert_eq!(own.post("/api/v1/auths/update/password", form).await.status, 200);
    assert!(!own.is_signed_in().await && !elsewhere.is_signed_in().await);

    let given = added("given", "user").await;
    change(&given, json!({"password": "battery staple"})).await;
    assert!(!given.is_signed_in().await);

    let waiting = added("waiting", "pending").await;
    change(&waiting, json!({"role": "user"})).await;
    assert!(waiting.is_signed_in().await, "whoever is let in need not sign in again");
    change(&waiting, json!({"role": "pending"})).await;
    assert!(!waiting.is_signed_in().await);

    let sent = added("sent", "user").await;
    let path = format!("/api/v1/users/{}/sessions/revoke", sent.id);
    assert_eq!(admin.post_json(&path, &json!({})).await.json(), true);
    assert!(!sent.is_signed_in().await);

    let leaving = added("leaving", "user").await;
    let staying = Person::signed_in(&gateway, "leaving").await;
    assert_eq!(leaving.post("/api/v1/auths/signout", json!({})).await.status, 200);
    assert!(!leaving.is_signed_in().await && staying.is_signed_in().await);

    let deleted = added("deleted", "user").await;
    assert_eq!(admin.delete(&format!("/api/v1/users/{}", deleted.id)).await.json(), true);
    assert!(!deleted.is_signed_in().await);

    // A new process has forgotten none of it.
    gateway.stop().await;
    let gateway = setup.start().await;
    for ended in [own, elsewhere, given, waiting, sent, leaving, deleted] {
        let again = Person { client: gateway.client().bearer(&ended.token), ..ended };
        assert!(!again.is_signed_in().await);
    }
    let again = Person { client: gateway.client().bearer(&staying.token), ..staying };
    assert!(again.is_signed_in().await);
    gateway.stop().await;
}

#[tokio::test]
async fn two_admins_who_delete_each_other_leave_one() {
    let gateway = Setup::new().start().await;
    let admin = gateway.admin().await;
    let first = Person::added(&gateway, &admin, "first", "admin").await;
    let second = Person::added(&gateway, &admin, "second", "admin").await;
    let own = admin.get("/api/v1/auths/").await.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(first.client.delete(&format!("/api/v1/users/{own}")).await.status, 200);

    let (by_first, by_second) =
        (format!("/api/v1/users/{}", second.id), format!("/api/v1/users/{}", first.id));
    let (by_first, by_second) =
        tokio::join!(first.client.delete(&by_first), second.client.delete(&by_second));

    let done = [&by_first, &by_second].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{} {}", by_first.summary(), by_second.summary());
    let left = if by_first.status == 200 { &first } else { &second };
    assert_eq!(left.client.get("/api/v1/users/all").await.json()["total"], 1);
    gateway.stop().await;
}
