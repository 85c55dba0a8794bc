//! `/api/v1/auths`: signing up, in and out, and what an admin decides about it.

use http::Method;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, TestServer};

fn form(name: &str) -> Value {
    json!({"name": name, "email": format!("{name}@Example.org"), "password": PASSWORD})
}

/// The answer without its tree of permissions, which has a test of its own.
fn without_permissions(answer: &crate::harness::Answer) -> String {
    let mut answer = answer.clone();
    let mut body = answer.json();
    assert!(body["permissions"].is_object(), "{body}");
    body.as_object_mut().unwrap().shift_remove("permissions");
    answer.body = body.to_string().into();
    answer.summary()
}

#[tokio::test]
async fn the_first_to_sign_up_is_admin_and_closes_the_door() {
    let server = TestServer::start().await;

    let first = server.stranger().post("/api/v1/auths/signup", form("ada")).await;
    let second = server.stranger().post("/api/v1/auths/signup", form("eve")).await;

    assert_snapshot!(without_permissions(&first), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "ada",
      "role": "admin",
      "email": "ada@example.org",
      "profile_image_url": "/api/v1/users/[id]/profile/image",
      "token": "[token]",
      "token_type": "Bearer",
      "expires_at": 1802419200
    }
    "#);
    assert_snapshot!(second.summary(), @r#"
    403 Forbidden
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
}

#[tokio::test]
async fn a_sign_up_sets_a_cookie_that_scripts_cannot_read_and_nobody_caches() {
    let server = TestServer::start().await;

    let answer = server.stranger().post("/api/v1/auths/signup", form("ada")).await;

    let cookie = answer.header("set-cookie");
    let (token, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(token, format!("token={}", answer.json()["token"].as_str().unwrap()));
    assert_snapshot!(attributes, @" HttpOnly; Max-Age=2419200; Path=/; SameSite=lax");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn who_signs_up_later_waits_for_an_admin() {
    let server = TestServer::start().await;
    let admin = server.sign_up("ada").await;
    let opened = admin.post("/api/v1/auths/admin/config", json!({"ENABLE_SIGNUP": true})).await;
    assert_eq!(opened.status, 200);

    let answer = server.stranger().post("/api/v1/auths/signup", form("eve")).await;

    assert_eq!(answer.json()["role"], "pending");
    let eve = server.stranger().signed_in(&answer.json());
    assert_eq!(eve.get("/api/v1/auths/").await.json()["role"], "pending");
    assert_snapshot!(eve.get("/api/models").await.summary(), @r#"
    401 Unauthorized
    {
      "detail": "You do not have permission to access this resource. Please contact your administrator for assistance."
    }
    "#);
}

#[tokio::test]
async fn a_sign_up_that_cannot_be_taken_says_why() {
    let server = TestServer::start().await;
    let admin = server.sign_up("ada").await;
    admin.post("/api/v1/auths/admin/config", json!({"ENABLE_SIGNUP": true})).await;
    let sign_up = async |change: Value| {
        let mut body = form("eve");
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        server.stranger().post("/api/v1/auths/signup", body).await.summary()
    };

    assert_snapshot!(sign_up(json!({"email": "nowhere"})).await, @r#"
    400 Bad Request
    {
      "detail": "The email format you entered is invalid. Please double-check and make sure you're using a valid email address (e.g., yourname@example.com)."
    }
    "#);
    assert_snapshot!(sign_up(json!({"email": "ADA@example.org"})).await, @r#"
    400 Bad Request
    {
      "detail": "Uh-oh! This email is already registered. Sign in with your existing account or choose another email to start anew."
    }
    "#);
    assert_snapshot!(sign_up(json!({"password": "x".repeat(73)})).await, @r#"
    400 Bad Request
    {
      "detail": "Uh-oh! The password you entered is too long. Please make sure your password is less than 72 bytes long."
    }
    "#);
    assert_snapshot!(sign_up(json!({"password": ""})).await, @r#"
    400 Bad Request
    {"detail":"Please choose a password."}
    "#);
    assert_snapshot!(sign_up(json!({"name": null})).await, @r#"
    422 Unprocessable Entity
    {"detail":"Invalid authentication request."}
    "#);
    assert_snapshot!(sign_up(json!({"name": "x".repeat(5000)})).await, @r#"
    413 Payload Too Large
    {"detail":"This is too long for a profile."}
    "#);
}

#[tokio::test]
async fn every_fault_of_a_sign_in_form_is_one_fixed_text() {
    let server = TestServer::start().await;
    let expected = "422 Unprocessable Entity\n{\"detail\":\"Invalid authentication request.\"}";

    for body in
        ["", "null", "[]", "{}", "\"x\"", "{", "{\"email\":1,\"password\":2}", "{\"email\":\"a@b.c\"}"]
    {
        let answer = server.stranger().post("/api/v1/auths/signin", body).await;

        assert_eq!(answer.summary(), expected, "{body}");
    }
}

#[tokio::test]
async fn an_address_signs_in_in_any_case() {
    let server = TestServer::start().await;
    server.sign_up("ada").await;

    let form = json!({"email": "ADA@Example.ORG", "password": PASSWORD});
    let answer = server.stranger().post("/api/v1/auths/signin", form).await;

    assert_snapshot!(without_permissions(&answer), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "ada",
      "role": "admin",
      "email": "ada@example.org",
      "profile_image_url": "/api/v1/users/[id]/profile/image",
      "token": "[token]",
      "token_type": "Bearer",
      "expires_at": 1802419201
    }
    "#);
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_alike() {
    let server = TestServer::start().await;
    server.sign_up("ada").await;
    let sign_in = async |email: &str| {
        let form = json!({"email": email, "password": "wrong"});
        server.stranger().post("/api/v1/auths/signin", form).await.summary()
    };

    let (known, unknown) = (sign_in("ada@example.org").await, sign_in("eve@example.org").await);

    assert_eq!(known, unknown);
    assert_snapshot!(known, @r#"
    400 Bad Request
    {
      "detail": "The email or password provided is incorrect. Please check for typos and try logging in again."
    }
    "#);
}

#[tokio::test]
async fn the_sixteenth_try_in_three_minutes_waits() {
    let server = TestServer::start().await;
    server.sign_up("ada").await;
    let sign_in = async |password: &str| {
        let form = json!({"email": "ada@example.org", "password": password});
        server.stranger().post("/api/v1/auths/signin", form).await
    };
    for _ in 0..15 {
        assert_eq!(sign_in("wrong").await.status, 400);
    }

    assert_snapshot!(sign_in(PASSWORD).await.summary(), @r#"
    429 Too Many Requests
    {"detail":"API rate limit exceeded"}
    "#);

    server.pass(181);
    assert_eq!(sign_in(PASSWORD).await.status, 200);
}

#[tokio::test]
async fn the_session_shows_the_account_with_its_profile_and_renews_the_cookie() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    let answer = ada.get("/api/v1/auths/").await;

    assert_snapshot!(without_permissions(&answer), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "ada",
      "role": "admin",
      "email": "ada@example.org",
      "profile_image_url": "/api/v1/users/[id]/profile/image",
      "token": "[token]",
      "token_type": "Bearer",
      "expires_at": 1802419201,
      "bio": null,
      "gender": null,
      "date_of_birth": null,
      "status_emoji": null,
      "status_message": null,
      "status_expires_at": null
    }
    "#);
    assert!(answer.header("set-cookie").starts_with("token=eyJ"));
}

#[tokio::test]
async fn the_tree_of_permissions_has_the_sections_that_clients_read() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    let permissions = ada.get("/api/v1/auths/").await.json()["permissions"].clone();

    let sections: Vec<&String> = permissions.as_object().unwrap().keys().collect();
    assert_eq!(sections, ["workspace", "sharing", "access_grants", "chat", "features", "settings"]);
    assert_eq!(permissions["workspace"]["knowledge"], false);
    assert_eq!(permissions, ada.get("/api/v1/users/permissions").await.json());
}

#[tokio::test]
async fn each_way_to_be_unknown_has_its_own_text() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let eve = server.sign_up("eve").await;
    ada.delete(&format!("/api/v1/users/{}", eve.id)).await;
    let stranger = server.stranger();
    let ask = async |header: &str, value: &str| {
        let answer = stranger.with_header(header, value).get("/api/models").await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answer.summary()
    };

    assert_snapshot!(stranger.get("/api/models").await.summary(), @r#"
    401 Unauthorized
    {"detail":"Not authenticated"}
    "#);
    assert_snapshot!(ask("authorization", "Bearer").await, @r#"
    401 Unauthorized
    {"detail":"Not authenticated"}
    "#);
    assert_snapshot!(ask("authorization", "Bearer nonsense").await, @r#"
    401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
    assert_snapshot!(ask("authorization", "Basic YTpi").await, @r#"
    401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
    assert_snapshot!(ask("authorization", "Bearer sk-00000000000000000000000000000000").await, @r#"
    401 Unauthorized
    {"detail":"Your session has expired or the token is invalid. Please sign in again."}
    "#);
    assert_snapshot!(ask("authorization", &format!("Bearer {}", eve.token)).await, @r#"
    401 Unauthorized
    {"detail":"Your session has expired or the token is invalid. Please sign in again."}
    "#);
}

#[tokio::test]
async fn the_first_credential_counts_even_if_it_is_bad() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let key = ada.with_api_key().await.token;
    let stranger = server.stranger();
    let status = async |client: crate::harness::Client| client.get("/api/models").await.status;

    assert_eq!(status(stranger.with_header("authorization", &format!("bEARER {key}"))).await, 200);
    assert_eq!(status(stranger.with_header("cookie", &format!("a=b; token={}", ada.token))).await, 200);
    assert_eq!(status(stranger.with_header("cookie", &format!("token={key}"))).await, 200);
    assert_eq!(status(stranger.with_header("x-api-key", &key)).await, 200);
    let bad = stranger.with_header("authorization", "Bearer nonsense").with_header("x-api-key", &key);
    assert_eq!(status(bad).await, 401);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_no_other() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let elsewhere = server.admin();

    let answer = ada.post("/api/v1/auths/signout", ()).await;

    assert_snapshot!(answer.summary(), @r#"
    200 OK
    {"status":true}
    "#);
    assert_snapshot!(answer.header("set-cookie"), @"token=; HttpOnly; Max-Age=0; Path=/; SameSite=lax");
    assert_snapshot!(ada.get("/api/v1/auths/").await.summary(), @r#"
    401 Unauthorized
    {"detail":"Invalid token"}
    "#);
    assert_eq!(elsewhere.get("/api/v1/auths/").await.status, 200);
    assert_eq!(server.stranger().post("/api/v1/auths/signout", ()).await.status, 200);
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let elsewhere = server.admin();
    let change = async |old: &str, new: &str| {
        let form = json!({"password": old, "new_password": new});
        ada.post("/api/v1/auths/update/password", form).await.summary()
    };

    assert_snapshot!(change("wrong", "battery staple").await, @r#"
    400 Bad Request
    {"detail":"The password provided is incorrect. Please check for typos and try again."}
    "#);
    assert_snapshot!(change(PASSWORD, &"x".repeat(73)).await, @r#"
    400 Bad Request
    {
      "detail": "Uh-oh! The password you entered is too long. Please make sure your password is less than 72 bytes long."
    }
    "#);
    assert_snapshot!(change(PASSWORD, "battery staple").await, @r#"
    200 OK
    true
    "#);

    assert_snapshot!(ada.get("/api/v1/auths/").await.summary(), @r#"
    401 Unauthorized
    {"detail":"Invalid token"}
    "#);
    assert_eq!(elsewhere.get("/api/v1/auths/").await.status, 401);
    let form = json!({"email": "ada@example.org", "password": "battery staple"});
    assert_eq!(server.stranger().post("/api/v1/auths/signin", form).await.status, 200);
}

#[tokio::test]
async fn a_program_is_not_a_person() {
    let server = TestServer::start().await;
    let program = server.sign_up("ada").await.with_api_key().await;

    let session = program.get("/api/v1/auths/").await;
    let form = json!({"password": PASSWORD, "new_password": "battery staple"});
    let change = program.post("/api/v1/auths/update/password", form).await;

    assert_snapshot!(session.summary(), @r#"
    403 Forbidden
    {"detail":"A human session is required."}
    "#);
    assert_snapshot!(change.summary(), @r#"
    403 Forbidden
    {"detail":"A human session is required."}
    "#);
}

#[tokio::test]
async fn a_session_ends_after_four_weeks() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let four_weeks = 4 * 7 * 24 * 60 * 60;

    server.pass(four_weeks - 1);
    assert_eq!(ada.get("/api/v1/auths/").await.status, 200);

    server.pass(2);
    assert_snapshot!(ada.get("/api/v1/auths/").await.summary(), @r#"
    401 Unauthorized
    {"detail":"401 Unauthorized"}
    "#);
}

#[tokio::test]
async fn an_admin_makes_accounts() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let mut eve = form("eve");
    eve["role"] = "user".into();

    let made = ada.post("/api/v1/auths/add", eve.clone()).await;
    let again = ada.post("/api/v1/auths/add", eve).await;
    let waiting = ada.post("/api/v1/auths/add", form("bob")).await;
    let mut odd = form("odd");
    odd["role"] = "owner".into();
    let odd = ada.post("/api/v1/auths/add", odd).await;

    assert_snapshot!(without_permissions(&made), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "eve",
      "role": "user",
      "email": "eve@example.org",
      "profile_image_url": "/api/v1/users/[id]/profile/image",
      "token": "[token]",
      "token_type": "Bearer",
      "expires_at": 1802419201
    }
    "#);
    assert_eq!(server.stranger().signed_in(&made.json()).get("/api/models").await.status, 200);
    assert_eq!(again.status, 400);
    assert_eq!(waiting.json()["role"], "pending");
    assert_snapshot!(odd.summary(), @r#"
    400 Bad Request
    {"detail":"`owner` is no role; use `admin`, `user` or `pending`"}
    "#);
}

#[tokio::test]
async fn a_profile_is_changed_by_its_owner() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;

    let form = json!({"name": "Ada L.", "profile_image_url": "https://example.org/ada.png", "bio": "first"});
    let changed = ada.post("/api/v1/auths/update/profile", form).await;
    let zone = ada.post("/api/v1/auths/update/timezone", json!({"timezone": "Europe/London"})).await;
    let missing = ada.post("/api/v1/auths/update/profile", json!({"name": "Ada"})).await;

    assert_snapshot!(changed.summary(), @r#"
    200 OK
    {
      "id": "[id]",
      "name": "Ada L.",
      "role": "admin",
      "email": "ada@example.org",
      "profile_image_url": "https://example.org/ada.png"
    }
    "#);
    assert_snapshot!(zone.summary(), @r#"
    200 OK
    {"status":true}
    "#);
    assert_snapshot!(missing.summary(), @r#"
    422 Unprocessable Entity
    {"detail":"Invalid authentication request."}
    "#);
    let session = ada.get("/api/v1/auths/").await.json();
    assert_eq!((&session["name"], &session["bio"]), (&json!("Ada L."), &json!("first")));
}

#[tokio::test]
async fn an_admin_reads_and_changes_the_settings_of_accounts() {
    let server = TestServer::start().await;
    let ada = server.sign_up("ada").await;
    let path = "/api/v1/auths/admin/config";

    assert_snapshot!(ada.get(path).await.summary(), @r#"
    200 OK
    {
      "SHOW_ADMIN_DETAILS": true,
      "ADMIN_EMAIL": null,
      "WEBUI_URL": "",
      "ENABLE_LOGIN_FORM": true,
      "DEFAULT_GROUP_ID": "",
      "ENABLE_COMMUNITY_SHARING": false,
      "ENABLE_MESSAGE_RATING": false,
      "ENABLE_FOLDERS": false,
      "ENABLE_AUTOMATIONS": false,
      "ENABLE_CHANNELS": false,
      "ENABLE_CALENDAR": false,
      "ENABLE_MEMORIES": false,
      "ENABLE_NOTES": false,
      "ENABLE_USER_WEBHOOKS": false,
      "ENABLE_SIGNUP": false,
      "ENABLE_API_KEYS": true,
      "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": false,
      "API_KEYS_ALLOWED_ENDPOINTS": "",
      "DEFAULT_USER_ROLE": "pending",
      "JWT_EXPIRES_IN": "4w"
    }
    "#);

    let mut config = ada.get(path).await.json();
    config["DEFAULT_USER_ROLE"] = "user".into();
    config["JWT_EXPIRES_IN"] = "1h".into();
    config["API_KEYS_ALLOWED_ENDPOINTS"] = "/api/models, /api/chat".into();
    config["WEBUI_URL"] = "https://chat.example.org".into();
    let changed = ada.post(path, config).await;

    let read = ada.get(path).await.json();
    assert_eq!(changed.json(), read);
    assert_eq!(read["DEFAULT_USER_ROLE"], "user");
    assert_eq!(read["JWT_EXPIRES_IN"], "1h");
    assert_eq!(read["API_KEYS_ALLOWED_ENDPOINTS"], "/api/models,/api/chat");
    assert_eq!(read["WEBUI_URL"], "https://chat.example.org");
    assert_snapshot!(ada.post(path, json!({"JWT_EXPIRES_IN": "soon"})).await.summary(), @r#"
    400 Bad Request
    {"detail":"`soon` is no value for the setting `JWT_EXPIRES_IN`"}
    "#);
    assert_snapshot!(ada.post(path, json!({"ENABLE_SIGNUP": "yes"})).await.summary(), @r#"
    422 Unprocessable Entity
    {"detail":"Invalid authentication request."}
    "#);
}

#[tokio::test]
async fn whoever_waits_learns_whom_to_ask() {
    let server = TestServer::start().await;
    server.sign_up("ada").await;
    let eve = server.pending("eve").await;

    assert_snapshot!(eve.get("/api/v1/auths/admin/details").await.summary(), @r#"
    200 OK
    {"name":"ada","email":"ada@example.org"}
    "#);
}

#[tokio::test]
async fn a_hundred_sign_ups_at_once_make_one_admin() {
    let server = TestServer::start().await;
    let sign_up = async |number: usize| {
        server.stranger().post("/api/v1/auths/signup", form(&format!("user{number}"))).await
    };

    let answers = futures_util::future::join_all((0..100).map(sign_up)).await;

    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].json()["role"], "admin");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert!(matches!(answer.status, 403 | 503), "{}", answer.summary());
    }
    assert_eq!(server.admin().get("/api/v1/users/").await.json()["total"], 1);
}

#[tokio::test]
async fn a_form_is_read_whatever_its_content_type() {
    let server = TestServer::start().await;
    let curl = server.stranger().with_header("content-type", "application/x-www-form-urlencoded");

    let answer = curl.send(Method::POST, "/api/v1/auths/signup", form("ada").to_string().into()).await;

    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_rule_for_passwords_holds_wherever_one_is_chosen() {
    let server = TestServer::with(|config| {
        let rule = breezeway::parts::auth::PasswordRule::new(None, "Eight signs of all kinds, please.");
        config.auth.password_rule = Some(rule.unwrap());
        config.auth.settings.enable_signup = true;
    })
    .await;
    let strong = "C0rrect!horse";
    let with = |name: &str, password: &str| json!({"name": name, "email": format!("{name}@example.org"), "password": password});

    let weak = server.stranger().post("/api/v1/auths/signup", with("ada", PASSWORD)).await;
    assert_snapshot!(weak.summary(), @r#"
    400 Bad Request
    {"detail":"Eight signs of all kinds, please."}
    "#);
    let ada = server.stranger().post("/api/v1/auths/signup", with("ada", strong)).await;
    let ada = server.stranger().signed_in(&ada.json());
    let add = async |password: &str| ada.post("/api/v1/auths/add", with("eve", password)).await;
    assert_eq!(add(PASSWORD).await.summary(), weak.summary());
    let eve = add(strong).await;
    assert_eq!(eve.status, 200, "{}", eve.summary());
    let eve = server.stranger().signed_in(&eve.json());

    let change = json!({"password": strong, "new_password": PASSWORD});
    assert_eq!(ada.post("/api/v1/auths/update/password", change).await.summary(), weak.summary());
    let path = format!("/api/v1/users/{}/update", eve.id);
    assert_eq!(ada.post(&path, json!({"password": PASSWORD})).await.summary(), weak.summary());
    assert_eq!(ada.post(&path, json!({"password": "0ther!Word"})).await.status, 200);
    assert_eq!(server.stranger().post("/api/v1/auths/signin", with("ada", strong)).await.status, 200);
}
