//! Credentials that are no good, over sockets: forged, expired, odd, too long, too many.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};
use tokio::task::JoinSet;

use crate::gateway::{Gateway, Setup};

const SECRET: &str = "a secret that these tests know too, and long";

/// What a stranger is told, for comparison.
const NOBODY: &str = "HTTP/1.1 401";

/// Signs a token as its header says, with `secret`.
fn forge(header: &Value, claims: &Value, secret: &str) -> String {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    macro_rules! sign {
        ($hash:ty) => {{
            let mut mac = Hmac::<$hash>::new_from_slice(secret.as_bytes()).expect("any length will do");
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }};
    }
    let signature = match header["alg"].as_str() {
        Some("HS384") => sign!(Sha384),
        Some("HS512") => sign!(Sha512),
        Some("none") => Vec::new(),
        _ => sign!(Sha256),
    };
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn header(algorithm: &str) -> Value {
    json!({"typ": "JWT", "alg": algorithm})
}

/// What a good token says.
fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).expect("a token has three parts");
    let body = BASE64_URL_SAFE_NO_PAD.decode(body).expect("they are in base64");
    serde_json::from_slice(&body).expect("and say JSON")
}

/// The status line and body that a request with these header lines is answered with.
async fn ask(gateway: &Gateway, lines: &str) -> String {
    let mut raw = gateway.connect().await;
    raw.send(format!("GET /api/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n")).await;
    raw.rest().await
}

fn status(answer: &str) -> &str {
    answer.get(..NOBODY.len()).unwrap_or(answer)
}

#[tokio::test]
async fn tokens_that_were_not_signed_here_open_nothing() {
    let gateway = Setup::new().set("WEBUI_SECRET_KEY", SECRET).start().await;
    let good = gateway.token().await;
    let claims = claims(&good);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let now = claims["iat"].as_i64().expect("a time");
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");

    let own = forge(&header("HS256"), &claims, SECRET);
    assert_eq!(status(&ask(&gateway, &bearer(&own)).await), "HTTP/1.1 200", "the forge works");
    for (what, token) in [
        ("another key", forge(&header("HS256"), &claims, "another secret")),
        ("no key", forge(&header("HS256"), &claims, "")),
        ("HS384", forge(&header("HS384"), &claims, SECRET)),
        ("HS512", forge(&header("HS512"), &claims, SECRET)),
        ("RS256 in name", forge(&header("RS256"), &claims, SECRET)),
        ("none", forge(&header("none"), &claims, SECRET)),
        ("None", forge(&header("None"), &claims, SECRET)),
        ("no algorithm", forge(&json!({"typ": "JWT"}), &claims, SECRET)),
        ("expired", forge(&header("HS256"), &with("exp", json!(now - 1)), SECRET)),
        ("from the future", forge(&header("HS256"), &with("iat", json!(now + 86_400)), SECRET)),
        ("not yet", forge(&header("HS256"), &with("nbf", json!(now + 86_400)), SECRET)),
        ("another kind", forge(&header("HS256"), &with("typ", json!("reset")), SECRET)),
        ("another account", forge(&header("HS256"), &with("id", json!("somebody")), SECRET)),
        ("another stamp", forge(&header("HS256"), &with("session_stamp", json!("x")), SECRET)),
        ("without its end", good.rsplit_once('.').expect("it has dots").0.to_owned()),
        ("with an end more", format!("{good}.{good}")),
    ] {
        let answer = ask(&gateway, &bearer(&token)).await;
        assert_eq!(status(&answer), NOBODY, "{what}: {answer}");
        let cookie = ask(&gateway, &format!("Cookie: token={token}\r\n")).await;
        assert_eq!(status(&cookie), NOBODY, "{what} as a cookie: {cookie}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn credentials_of_an_odd_form_are_refused_in_words() {
    let gateway = Setup::new().set("WEBUI_SECRET_KEY", SECRET).start().await;
    let good = gateway.token().await;
    let long = "a".repeat(1 << 20);

    for (lines, expected) in [
        (format!("Authorization: Bearer {good}\r\n"), "HTTP/1.1 200"),
        // The first of two is the one that counts, whatever the second says.
        (format!("Authorization: Bearer {good}\r\nAuthorization: Bearer x\r\n"), "HTTP/1.1 200"),
        (format!("Authorization: Bearer x\r\nAuthorization: Bearer {good}\r\n"), NOBODY),
        (format!("Authorization: Bearer x\r\nCookie: token={good}\r\n"), NOBODY),
        (format!("Authorization: Bearer x\r\nX-Api-Key: {good}\r\n"), NOBODY),
        // Clients without a key send the word alone; then the next place is looked at.
        ("Authorization: Bearer\r\n".to_owned(), NOBODY),
        ("Authorization: Bearer \r\n".to_owned(), NOBODY),
        (format!("Authorization: Bearer\r\nX-Api-Key: {good}\r\n"), "HTTP/1.1 200"),
        (format!("Authorization: Basic {good}\r\n"), NOBODY),
        (format!("Authorization: {good}\r\n"), NOBODY),
        ("Authorization: Bearer sk-\r\n".to_owned(), NOBODY),
        ("Authorization: Bearer sk-\u{e4}\u{1f511}'\";--%00\r\n".to_owned(), NOBODY),
        (format!("Authorization: Bearer sk-{}\r\n", "0".repeat(4000)), NOBODY),
        (format!("Authorization: Bearer {}\r\n", "e30.".repeat(2000)), NOBODY),
        ("X-Api-Key: \u{fffd}\r\n".to_owned(), NOBODY),
        ("Cookie: token=\u{fffd}; token=x\r\n".to_owned(), NOBODY),
    ] {
        let answer = ask(&gateway, &lines).await;
        let shown = lines.replace(&good, "[good]");
        assert_eq!(status(&answer), expected, "{shown}: {answer}");
        assert!(expected != NOBODY || answer.contains("{\"detail\":\""), "{shown}: {answer}");
    }
    for place in ["Authorization: Bearer", "Cookie: token=", "X-Api-Key:"] {
        // Heads are bounded, so this never becomes a credential.
        let answer = ask(&gateway, &format!("{place} {long}\r\n")).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{place}: {answer}");
    }
    assert_eq!(status(&ask(&gateway, "X-Api-Key: sk-\x01\r\n").await), "HTTP/1.1 400");
    assert_eq!(gateway.client().bearer(&good).get("/api/models").await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_burst_of_wrong_passwords_is_bounded_and_passes() {
    let gateway = Setup::new().start().await;
    let token = gateway.token().await;
    let mut tries = JoinSet::new();
    for number in 0..200 {
        let client = gateway.client();
        let form = json!({"email": format!("nobody{number}@test.example"), "password": "wrong"});
        tries.spawn(async move { client.post_json("/api/v1/auths/signin", &form).await });
    }

    let answers = tries.join_all().await;

    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!refused.is_empty(), "the queue has an end");
    assert!(refused.iter().all(|answer| answer.header("retry-after") == Some("1")));
    assert!(answers.iter().all(|answer| [400, 429].contains(&answer.status)));
    // Two hashes at once take some 40 MiB; two hundred would take four gigabytes.
    assert!(gateway.peak_memory() < 400 << 20, "{}", gateway.peak_memory());
    let admin = gateway.client().bearer(&token);
    assert_eq!(admin.get("/api/models").await.status, 200);
    let failures = admin.get("/api/v1/audit?action=sign_in_failed&limit=1000").await.json();
    let written = failures["items"].as_array().map_or(0, Vec::len);
    assert_eq!(written, answers.len() - refused.len(), "each that was looked at is written down");
    gateway.stop().await;
}
