//! Signing in through somebody else, over real sockets.

use breezeway_testkit::{Reply, ScriptedProvider};
use serde_json::json;

use crate::gateway::Setup;

/// In every secret of a sign-in, and nowhere else.
const MARK: &str = "hushword";

fn now() -> i64 {
    breezeway::parts::core::Clock::system().now().seconds()
}

fn parameter(url: &str, name: &str) -> String {
    let found = url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("`{name}` in {url}")).to_owned()
}

#[tokio::test]
async fn somebody_signs_in_at_the_provider_and_the_log_holds_no_secret() {
    let client_id = "chat";
    let provider = ScriptedProvider::start(client_id).await;
    let gateway = Setup::new()
        .set("GLOBAL_LOG_LEVEL", "trace")
        .set("OPENID_PROVIDER_URL", &provider.discovery_url())
        .set("OAUTH_CLIENT_ID", client_id)
        .set("OAUTH_CLIENT_SECRET", &format!("{MARK}-client-secret"))
        .set("ENABLE_OAUTH_SIGNUP", "true")
        .start()
        .await;
    let browser = gateway.client();

    let departure = browser.get("/oauth/oidc/login").await;
    let to = departure.header("location").expect("an address to go to").to_owned();
    let kept = departure.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
    let mut claims = provider.claims(&parameter(&to, "nonce"), now());
    claims["picture"] = format!("https://{MARK}.example/p.png").into();
    let id_token = provider.sign(&claims);
    let tokens = json!({
        "access_token": format!("{MARK}-access"), "token_type": "Bearer", "id_token": id_token,
    });
    provider.upstream().queue("/token", Reply::json(200, &tokens));
    let back = format!("/oauth/oidc/callback?code={MARK}-code&state={}", parameter(&to, "state"));
    let returning = browser.with_header("cookie", &kept);
    let arrival = returning.get(&back).await;
    let again = returning.get(&back).await;

    assert_eq!((arrival.status, arrival.header("location")), (302, Some("/auth")), "{}", gateway.log());
    assert!(again.header("location").unwrap().starts_with("/auth?error="), "a code is good once");
    let token = arrival.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let session = browser.with_header("cookie", &token).get("/api/v1/auths/").await;
    assert_eq!(session.json()["role"], "admin", "whoever comes first");
    let log = gateway.log();
    let secrets = [MARK, token.strip_prefix("token=").unwrap(), id_token.as_str(), kept.as_str()];
    for secret in secrets.into_iter().chain([parameter(&to, "state").as_str(), &parameter(&to, "nonce")]) {
        let leaks: Vec<&str> = log.lines().filter(|line| line.contains(secret)).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
    }
    assert!(log.contains("Signed in account"), "{log}");
}

#[tokio::test]
async fn a_header_is_believed_of_the_listed_address_only() {
    let setup = |proxies: &str| {
        Setup::new()
            .set("WEBUI_AUTH_TRUSTED_EMAIL_HEADER", "X-Email")
            .set("BREEZEWAY_TRUSTED_PROXIES", proxies)
    };
    let near = setup("127.0.0.0/8, ::1").start().await;
    let far = setup("10.0.0.0/8").start().await;

    let [near, far] = [near.client(), far.client()].map(|client| async move {
        let client = client.with_header("x-email", "ada@example.org");
        client.post_json("/api/v1/auths/signin", &json!({"email": "", "password": ""})).await
    });

    assert_eq!(near.await.json()["email"], "ada@example.org");
    assert_eq!(far.await.status, 400);
}

#[test]
fn a_header_without_proxies_keeps_the_server_from_starting() {
    let output = Setup::new().set("WEBUI_AUTH_TRUSTED_EMAIL_HEADER", "X-Email").run(&["config", "check"], "");

    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("BREEZEWAY_TRUSTED_PROXIES"), "{said}");
}
