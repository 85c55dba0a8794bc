//! Signing in through an OpenID Connect provider, from the button to the session.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use breezeway::{
    SignOnConfig,
    parts::{
        auth::ExternalPolicy,
        core::Secret,
        oidc::{OidcConfig, RoleMapping},
    },
};
use breezeway_testkit::{Reply, ScriptedProvider};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestServer};

/// The account that is there before anybody comes from elsewhere.
const ROOT: &str = "root";

struct World {
    server: TestServer,
    provider: ScriptedProvider,
}

/// A browser that was sent off.
struct Trip {
    /// What comes with it when it comes back.
    cookie: String,
    state: String,
    nonce: String,
    to: String,
}

impl World {
    /// A server that lets newcomers in, with an admin.
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SignOnConfig)) -> Self {
        let world = Self::empty(change).await;
        world.server.sign_up(ROOT).await;
        world
    }

    /// A server without any account.
    async fn empty(change: impl FnOnce(&mut SignOnConfig)) -> Self {
        let provider = ScriptedProvider::start("chat").await;
        let mut sign_on = SignOnConfig {
            provider: OidcConfig {
                client_secret: Some(Secret::new("the client's secret")),
                title: "Example".into(),
                ..OidcConfig::new(provider.discovery_url(), "chat")
            },
            policy: ExternalPolicy { sign_up: true, ..ExternalPolicy::default() },
            return_to: None,
        };
        change(&mut sign_on);
        let server = TestServer::with(|config| config.sign_on = Some(sign_on)).await;
        Self { server, provider }
    }

    fn browser(&self) -> Client {
        self.server.stranger()
    }

    /// Go off to the provider.
    async fn depart(&self) -> Trip {
        let answer = self.browser().get("/oauth/oidc/login").await;
        assert_eq!(answer.status, 302, "{}", answer.summary());
        let to = answer.header("location").to_owned();
        let cookie = cookie(&answer, "oauth_departure").expect("the browser keeps something");
        Trip { cookie, state: parameter(&to, "state"), nonce: parameter(&to, "nonce"), to }
    }

    /// Claims about Ada for this trip, changed.
    fn claims(&self, trip: &Trip, change: Value) -> Value {
        let mut claims = self.provider.claims(&trip.nonce, self.server.clock.now().seconds());
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    /// Come back with a code for which the provider gives this token.
    async fn come_back(&self, trip: &Trip, id_token: &str) -> Answer {
        self.provider.grant(id_token);
        self.arrive(trip, &format!("code=the-code&state={}", trip.state)).await
    }

    async fn arrive(&self, trip: &Trip, query: &str) -> Answer {
        let cookies = format!("a=b; oauth_departure={}; c=\u{e9}", trip.cookie);
        let browser = self.browser().with_header("cookie", &cookies);
        let answer = browser.get(&format!("/oauth/oidc/callback?{query}")).await;
        self.provider.upstream().queue("/token", Reply::json(400, &json!({"error": "invalid_grant"})));
        answer
    }

    /// The whole way with these changes of the claims.
    async fn sign_in(&self, change: Value) -> Answer {
        let trip = self.depart().await;
        self.provider.upstream().reset();
        let token = self.provider.sign(&self.claims(&trip, change));
        self.come_back(&trip, &token).await
    }

    /// Who has a session now by this answer.
    async fn session(&self, answer: &Answer) -> Value {
        assert_eq!((answer.status, answer.header("location")), (302, "/auth"), "{}", answer.summary());
        let token = cookie(answer, "token").expect("a sign-in sets the cookie");
        self.browser().with_header("cookie", &format!("token={token}")).get("/api/v1/auths/").await.json()
    }

    async fn groups(&self, session: &Value) -> Vec<String> {
        let id = session["id"].as_str().unwrap();
        let groups = self.server.breezeway.auth().groups();
        let theirs = groups.iter().filter(|group| group.members.iter().any(|member| member.as_str() == id));
        theirs.map(|group| group.name.clone()).collect()
    }
}

/// The value of a cookie that an answer sets.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let values = set.filter_map(|text| text.split(';').next()?.strip_prefix(name)?.strip_prefix('='));
    values.filter(|value| !value.is_empty()).map(str::to_owned).next()
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').expect("the address has a query").1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("`{name}` in {url}")).to_owned()
}

/// The sentence with which somebody is sent back, who has no session.
fn told(answer: &Answer) -> String {
    assert_eq!(answer.status, 302, "{}", answer.summary());
    assert_eq!(cookie(answer, "token"), None);
    let to = answer.header("location");
    let sentence = to.strip_prefix("/auth?error=").unwrap_or_else(|| panic!("an error in {to}"));
    sentence.replace("%20", " ").replace("%27", "'").replace("%2C", ",").replace("%21", "!")
}

const NOT_VERIFIED: &str = "The answer of the sign-in service could not be verified.";
const NOT_REACHED: &str = "The sign-in service cannot be reached. Please try again in a moment.";
const NOT_ALLOWED: &str =
    "You do not have permission to access this resource. Please contact your administrator for assistance.";

#[tokio::test]
async fn somebody_goes_to_the_provider_and_comes_back_with_a_session() {
    let world = World::new().await;

    let trip = world.depart().await;
    let token = world.provider.sign(&world.claims(&trip, json!({})));
    let answer = world.come_back(&trip, &token).await;

    let session = world.session(&answer).await;
    assert_eq!(
        (&session["email"], &session["name"], &session["role"]),
        (&json!("ada@example.org"), &json!("Ada"), &json!("pending"))
    );
    let exchange = world.provider.upstream().received_at("/token").remove(0);
    let body = String::from_utf8(exchange.body().to_vec()).unwrap();
    assert!(body.contains("code=the-code") && body.contains("code_verifier="), "{body}");
    assert_eq!(exchange.header("authorization"), Some("Basic Y2hhdDp0aGUrY2xpZW50JTI3cytzZWNyZXQ="));
}

#[tokio::test]
async fn the_provider_is_told_what_is_needed_and_the_browser_keeps_the_rest() {
    let world = World::new().await;

    let answer = world.browser().get("/oauth/oidc/login").await;

    let to = answer.header("location");
    assert!(to.starts_with(&format!("{}/authorize?", world.provider.url())), "{to}");
    assert_eq!(parameter(to, "response_type"), "code");
    assert_eq!(parameter(to, "client_id"), "chat");
    assert_eq!(parameter(to, "code_challenge_method"), "S256");
    assert_eq!(parameter(to, "scope"), "openid+email+profile");
    assert_eq!(parameter(to, "redirect_uri"), "http%3A%2F%2F127.0.0.1%3A3000%2Foauth%2Foidc%2Fcallback");
    let kept = answer.header("set-cookie");
    assert!(kept.ends_with("; HttpOnly; Max-Age=600; Path=/oauth; SameSite=lax"), "{kept}");
    assert!(!kept.contains(&parameter(to, "state")) && !kept.contains(&parameter(to, "nonce")), "{kept}");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_address_to_come_back_to_is_the_one_that_is_set() {
    let set = World::with(|sign_on| sign_on.return_to = Some("https://chat.example/back".into())).await;
    let derived = World::new().await;
    let form = json!({"WEBUI_URL": "https://chat.example/"});
    assert_eq!(derived.server.admin().post("/api/v1/auths/admin/config", form).await.status, 200);

    let to = set.depart().await.to;
    assert_eq!(parameter(&to, "redirect_uri"), "https%3A%2F%2Fchat.example%2Fback");
    let to = derived.depart().await.to;
    assert_eq!(parameter(&to, "redirect_uri"), "https%3A%2F%2Fchat.example%2Foauth%2Foidc%2Fcallback");
    let answer = derived.sign_in(json!({})).await;
    assert_eq!(answer.header("location"), "https://chat.example/auth");
}

#[tokio::test]
async fn both_paths_lead_back() {
    let world = World::new().await;
    let trip = world.depart().await;
    world.provider.grant(&world.provider.sign(&world.claims(&trip, json!({}))));
    let browser = world.browser().with_header("cookie", &format!("oauth_departure={}", trip.cookie));

    let path = format!("/oauth/oidc/login/callback?code=c&state={}", trip.state);
    let answer = browser.get(&path).await;

    assert_eq!(world.session(&answer).await["email"], "ada@example.org");
}

#[tokio::test]
async fn clients_are_told_of_the_provider() {
    let world = World::new().await;

    let config = world.browser().get("/api/config").await.json();

    assert_eq!(config["oauth"]["providers"], json!({"oidc": "Example"}));
    assert_snapshot!(world.browser().get("/oauth/google/login").await.summary(), @r#"
    404 Not Found
    {"detail":"We could not find what you're looking for :/"}
    "#);
}

#[tokio::test]
async fn a_state_that_is_not_this_browsers_is_refused() {
    let world = World::new().await;
    let (mine, other) = (world.depart().await, world.depart().await);
    let sentence = "This sign-in was begun in another window, or took too long. Please try again.";

    let swapped = Trip { state: other.state.clone(), ..world.depart().await };
    let stranger = Trip { cookie: String::new(), state: mine.state.clone(), ..world.depart().await };
    let forged = Trip { cookie: mine.cookie.chars().rev().collect(), ..world.depart().await };
    for trip in [swapped, stranger, forged] {
        let token = world.provider.sign(&world.claims(&trip, json!({})));
        assert_eq!(told(&world.come_back(&trip, &token).await), sentence);
    }
    assert_eq!(told(&world.arrive(&mine, "code=x").await), sentence);
    assert_eq!(told(&world.arrive(&mine, &format!("state={}", mine.state)).await), sentence);
    assert_eq!(world.provider.upstream().received_at("/token").len(), 0, "no code was exchanged");
}

#[tokio::test]
async fn whoever_takes_too_long_begins_again() {
    let world = World::new().await;
    let trip = world.depart().await;

    world.server.pass(600);

    let token = world.provider.sign(&world.claims(&trip, json!({})));
    let answer = world.come_back(&trip, &token).await;
    assert!(told(&answer).contains("took too long"));
}

#[tokio::test]
async fn a_token_that_is_not_good_opens_nothing() {
    let world = World::new().await;
    let now = world.server.clock.now().seconds();
    let good = world.sign_in(json!({})).await;
    world.session(&good).await;

    for change in [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"exp": now}),
        json!({"exp": now - 1}),
        json!({"aud": "another"}),
        json!({"aud": ["chat", "another"]}),
        json!({"aud": []}),
        json!({"iss": "http://127.0.0.1:1"}),
        json!({"iss": null}),
    ] {
        let answer = world.sign_in(change.clone()).await;
        let is_refused = told(&answer);
        assert!(is_refused == NOT_VERIFIED || is_refused == NOT_REACHED, "{change}: {is_refused}");
    }
}

#[tokio::test]
async fn a_signature_that_is_not_the_providers_opens_nothing() {
    let world = World::new().await;
    let claims = async |trip: &Trip| world.claims(trip, json!({}));
    let provider = &world.provider;
    let stranger = ScriptedProvider::start("chat").await;

    let trip = world.depart().await;
    let unsigned = provider.unsigned(&claims(&trip).await);
    assert_eq!(told(&world.come_back(&trip, &unsigned).await), NOT_VERIFIED);

    let signed = provider.sign(&claims(&trip).await);
    let cut = signed.rsplit_once('.').unwrap().0.to_owned() + ".";
    world.provider.upstream().reset();
    assert_ne!(told(&world.come_back(&trip, &cut).await), "");

    // The same key id, but not the key.
    world.provider.upstream().reset();
    let foreign = stranger.sign(&claims(&trip).await);
    assert_eq!(told(&world.come_back(&trip, &foreign).await), NOT_VERIFIED);

    for header in [
        json!({"alg": "HS256", "typ": "JWT"}),
        json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}),
        json!({"alg": "none", "typ": "JWT", "kid": "key-1"}),
        json!({"alg": "ES256", "typ": "JWT", "kid": "key-99"}),
    ] {
        world.provider.upstream().reset();
        let token = provider.sign_as(&header, &claims(&trip).await);
        assert_eq!(told(&world.come_back(&trip, &token).await), NOT_VERIFIED, "{header}");
    }
    assert_eq!(world.server.breezeway.auth().accounts().len(), 1, "nobody got an account");
}

#[tokio::test]
async fn a_provider_that_signs_with_rsa_is_understood() {
    let world = World::new().await;
    world.provider.use_rsa();

    let session = world.session(&world.sign_in(json!({})).await).await;

    assert_eq!(session["email"], "ada@example.org");
    let trip = world.depart().await;
    let token = world.provider.sign(&world.claims(&trip, json!({})));
    let other = world.provider.sign(&world.claims(&trip, json!({"sub": "eve"})));
    // What one says, with the signature of the other.
    let (head, signature) = (other.rsplit_once('.').unwrap().0, token.rsplit_once('.').unwrap().1);
    world.provider.upstream().reset();
    assert_eq!(told(&world.come_back(&trip, &format!("{head}.{signature}")).await), NOT_VERIFIED);
}

#[tokio::test]
async fn a_renewed_session_still_says_how_it_began() {
    let world = World::new().await;
    let answer = world.sign_in(json!({})).await;
    let first = claims_of(&cookie(&answer, "token").unwrap());
    world.server.pass(100);

    let renewed = claims_of(world.session(&answer).await["token"].as_str().unwrap());

    assert_eq!((&first["auth_method"], &renewed["auth_method"]), (&json!("oauth"), &json!("oauth")));
    assert_eq!(renewed["auth_time"], first["auth_time"]);
    assert_eq!(renewed["iat"].as_i64().unwrap(), first["iat"].as_i64().unwrap() + 100);
    assert_eq!(renewed["jti"], first["jti"]);
}

/// What a session's token says.
fn claims_of(token: &str) -> Value {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[tokio::test]
async fn keys_are_asked_for_again_when_one_is_not_known() {
    let world = World::new().await;
    world.session(&world.sign_in(json!({})).await).await;

    world.provider.rotate_key();
    world.server.pass(60);
    let answer = world.sign_in(json!({})).await;

    world.session(&answer).await;
    assert_eq!(world.provider.upstream().received_at("/jwks").len(), 1);
    world.session(&world.sign_in(json!({})).await).await;
    assert_eq!(world.provider.upstream().received_at("/jwks").len(), 0, "they are kept");
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_again_later_and_disturbs_nobody() {
    let world = World::new().await;
    let broken = Reply::json(503, &json!({"error": "down"}));
    world.provider.upstream().always("/.well-known/openid-configuration", broken);

    let first = world.browser().get("/oauth/oidc/login").await;
    let second = world.browser().get("/oauth/oidc/login").await;
    let asked = world.provider.upstream().received().len();
    world.provider.describe(&json!({}));
    world.server.pass(10);

    assert_eq!(told(&first), NOT_REACHED);
    assert_eq!(told(&second), NOT_REACHED);
    assert_eq!(asked, 1, "strangers cannot make it be asked all the time");
    assert_eq!(world.server.admin().get("/api/v1/auths/").await.status, 200);
    world.session(&world.sign_in(json!({})).await).await;
}

#[tokio::test]
async fn a_provider_that_is_gone_lets_the_server_start() {
    let world = World::with(|sign_on| {
        sign_on.provider.discovery_url = "http://127.0.0.1:9/.well-known/openid-configuration".into();
    })
    .await;

    assert_eq!(told(&world.browser().get("/oauth/oidc/login").await), NOT_REACHED);
    assert_eq!(world.browser().get("/health").await.status, 200);
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_passed_on_without_its_words() {
    let world = World::new().await;
    let trip = world.depart().await;

    let cancelled = format!("error=access_denied&error_description=%3Cb%3E&state={}", trip.state);
    let answer = world.arrive(&trip, &cancelled).await;
    assert_eq!(told(&answer), "The sign-in service did not let you in.");

    let answer = world.arrive(&trip, &format!("code=used&state={}", trip.state)).await;
    assert_eq!(told(&answer), "The sign-in service did not let you in.");
    for reply in [Reply::json(200, &json!({"access_token": "x"})), Reply::json(500, &json!({})), Reply::cut()]
    {
        world.provider.upstream().reset();
        world.provider.upstream().queue("/token", reply);
        let answer = world.arrive(&trip, &format!("code=c&state={}", trip.state)).await;
        assert_eq!(told(&answer), NOT_REACHED);
    }
}

#[tokio::test]
async fn whoever_comes_first_is_admin() {
    let world = World::empty(|_| {}).await;

    let first = world.session(&world.sign_in(json!({})).await).await;
    let second = world.session(&world.sign_in(json!({"sub": "eve", "email": "eve@example.org"})).await).await;

    assert_eq!((&first["role"], &second["role"]), (&json!("admin"), &json!("pending")));
}

#[tokio::test]
async fn newcomers_stay_out_where_sign_up_is_off() {
    let world = World::with(|sign_on| sign_on.policy.sign_up = false).await;

    assert_eq!(told(&world.sign_in(json!({})).await), NOT_ALLOWED);
    assert_eq!(world.server.breezeway.auth().accounts().len(), 1);
}

#[tokio::test]
async fn an_address_opens_an_account_only_if_that_is_on_and_it_is_verified() {
    let off = World::new().await;
    let on = World::with(|sign_on| sign_on.policy.merge_by_email = true).await;
    for world in [&off, &on] {
        world.server.sign_up("ada").await;
    }
    let taken = "Uh-oh! This email is already registered. Sign in with your existing account or choose another email to start anew.";

    assert_eq!(told(&off.sign_in(json!({})).await), taken);
    for unverified in [json!(false), json!("false"), json!(null)] {
        assert_eq!(told(&on.sign_in(json!({"email_verified": unverified})).await), taken);
    }
    let merged = on.session(&on.sign_in(json!({"email": "ADA@example.org"})).await).await;
    assert_eq!((&merged["email"], &merged["role"]), (&json!("ada@example.org"), &json!("user")));
    assert_eq!(on.server.breezeway.auth().accounts().len(), 2);
}

#[tokio::test]
async fn only_addresses_of_allowed_domains_are_let_in() {
    let world = World::with(|sign_on| sign_on.provider.allowed_domains = vec!["example.com".into()]).await;

    assert_eq!(told(&world.sign_in(json!({})).await), NOT_ALLOWED);
    let unverified = json!({"email": "ada@example.com", "email_verified": false});
    assert_eq!(told(&world.sign_in(unverified).await), NOT_ALLOWED);
    world.session(&world.sign_in(json!({"email": "ada@example.com"})).await).await;
}

#[tokio::test]
async fn roles_follow_the_claim_and_the_last_admin_stays() {
    let world = World::empty(|sign_on| {
        sign_on.provider.roles = Some(RoleMapping {
            claim: "realm_access.roles".into(),
            user: vec!["user".into()],
            admin: vec!["boss".into()],
        });
    })
    .await;
    let role = async |who: &str, roles: Value| {
        let email = format!("{who}@example.org");
        let claims = json!({"sub": who, "email": email, "realm_access": {"roles": roles}});
        world.session(&world.sign_in(claims).await).await["role"].clone()
    };

    assert_eq!(role("ada", json!(["user"])).await, "admin", "whoever comes first");
    assert_eq!(role("ada", json!(["user"])).await, "admin", "the last admin");
    assert_eq!(role("eve", json!("user")).await, "user");
    assert_eq!(role("eve", json!(["nothing", "boss"])).await, "admin");
    assert_eq!(role("ada", json!(["user"])).await, "user", "there is another admin now");
    assert_eq!(role("ada", json!([])).await, "pending");
}

#[tokio::test]
async fn groups_follow_the_claim() {
    let world = World::with(|sign_on| {
        sign_on.provider.groups_claim = Some("groups".into());
        sign_on.policy.create_groups = true;
        sign_on.policy.kept_groups = vec!["ours".into()];
    })
    .await;
    let admin = world.server.admin();
    for name in ["staff", "ours"] {
        let form = json!({"name": name, "description": ""});
        assert_eq!(admin.post("/api/v1/groups/create", form).await.status, 200);
    }
    let groups = async |claim: Value| {
        let session = world.session(&world.sign_in(json!({"groups": claim})).await).await;
        world.groups(&session).await
    };

    assert_eq!(groups(json!(["staff", "ours", "new"])).await, ["new", "staff"]);
    assert_eq!(groups(json!("new")).await, ["new"]);
    assert_eq!(groups(json!(null)).await, ["new"], "what is not told changes nothing");
    assert_eq!(groups(json!([])).await, [""; 0]);
}

#[tokio::test]
async fn what_the_token_leaves_out_is_asked_for() {
    let world = World::new().await;
    let endpoint = format!("{}/userinfo", world.provider.url());
    world.provider.describe(&json!({"userinfo_endpoint": endpoint}));
    let lean = json!({"email": null, "email_verified": null, "name": null});
    let userinfo =
        |sub: &str| Reply::json(200, &json!({"sub": sub, "email": "ada@id.org", "name": "Ada L."}));

    world.provider.upstream().always("/userinfo", userinfo("somebody else"));
    assert_eq!(told(&world.sign_in(lean.clone()).await), NOT_VERIFIED);
    world.provider.upstream().always("/userinfo", Reply::json(403, &json!({})));
    assert_eq!(told(&world.sign_in(lean.clone()).await), NOT_REACHED);
    world.provider.upstream().always("/userinfo", userinfo("ada"));
    let session = world.session(&world.sign_in(lean).await).await;

    assert_eq!((&session["email"], &session["name"]), (&json!("ada@id.org"), &json!("Ada L.")));
    let asked = world.provider.upstream().last_at("/userinfo");
    assert_eq!(asked.header("authorization"), Some("Bearer scripted-access-token"));
    world.session(&world.sign_in(json!({"email": "ada@id.org"})).await).await;
    assert_eq!(world.provider.upstream().received_at("/userinfo").len(), 0, "nothing was left out");
}

#[tokio::test]
async fn somebody_without_an_address_is_nobody() {
    let world = World::new().await;

    for email in [json!(null), json!(""), json!(7)] {
        let answer = world.sign_in(json!({"email": email})).await;
        assert_ne!(told(&answer), "");
    }
    let answer = world.sign_in(json!({"email": "nowhere"})).await;
    assert_eq!(told(&answer), "The sign-in service tells an email address that is none.");
    assert_eq!(world.server.breezeway.auth().accounts().len(), 1);
}
