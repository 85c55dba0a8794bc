use jsonwebtoken::{decode_header, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const LATER: UnixTime = UnixTime::from_seconds(1_700_000_100);

fn tokens(secret: &str, previous: &[&str]) -> Tokens {
    let previous: Vec<_> = previous.iter().map(|&secret| secret.into()).collect();
    Tokens::new(&secret.into(), &previous)
}

fn session() -> SessionToken {
    SessionToken {
        user: "ada".parse().unwrap(),
        session: "one".parse().unwrap(),
        stamp: "stamp".into(),
        expires_at: Some(LATER),
        method: "oauth".into(),
        proved_at: UnixTime::from_seconds(1_600_000_000),
    }
}

fn claims() -> Value {
    json!({
        "id": "ada", "typ": "session", "auth_method": "oauth", "auth_time": 1_600_000_000,
        "session_stamp": "stamp", "mfa_verified": false, "iat": 1_700_000_000, "exp": 1_700_000_100, "jti": "one",
    })
}

fn forge(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[test]
fn a_token_reads_back_until_it_expires() {
    let tokens = tokens("secret", &[]);

    let token = tokens.sign(session(), NOW).unwrap();

    assert_eq!(tokens.verify(token.expose(), NOW).unwrap(), session());
    assert!(matches!(tokens.verify(token.expose(), LATER), Err(Error::InvalidToken)));
}

#[test]
fn a_token_without_an_end_never_expires() {
    let tokens = tokens("secret", &[]);

    let token = tokens.sign(SessionToken { expires_at: None, ..session() }, NOW).unwrap();

    assert!(tokens.verify(token.expose(), UnixTime::from_seconds(i64::MAX)).is_ok());
}

#[test]
fn the_claims_are_those_of_open_webui() {
    let token = tokens("secret", &[]).sign(session(), NOW).unwrap();

    let mut anything = Validation::new(Algorithm::HS256);
    anything.validate_exp = false;
    let decoded =
        jsonwebtoken::decode::<Value>(token.expose(), &DecodingKey::from_secret(b"secret"), &anything)
            .unwrap();
    assert_eq!(decoded.claims, claims());
    assert_eq!(decode_header(token.expose()).unwrap().typ.as_deref(), Some("JWT"));
}

#[test]
fn a_previous_secret_still_verifies_and_an_unknown_one_does_not() {
    let token = tokens("old", &[]).sign(session(), NOW).unwrap();

    assert!(tokens("new", &["older", "old"]).verify(token.expose(), NOW).is_ok());
    assert!(matches!(tokens("new", &["older"]).verify(token.expose(), NOW), Err(Error::InvalidToken)));
}

#[test]
fn only_the_one_algorithm_is_taken() {
    let tokens = tokens("secret", &[]);
    // {"alg":"none","typ":"JWT"} with the claims of a valid token and no signature.
    let body = forge(Algorithm::HS256, &claims(), "secret");
    let payload = body.split('.').nth(1).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");

    assert!(tokens.verify(&body, NOW).is_ok());
    assert!(matches!(tokens.verify(&unsigned, NOW), Err(Error::InvalidToken)));
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let token = forge(algorithm, &claims(), "secret");
        assert!(matches!(tokens.verify(&token, NOW), Err(Error::InvalidToken)), "{algorithm:?}");
    }
}

#[test]
fn a_token_of_another_kind_or_without_a_session_is_refused() {
    let tokens = tokens("secret", &[]);

    for (name, value) in [
        ("typ", json!("reset")),
        ("id", json!("")),
        ("jti", json!(null)),
        ("exp", json!("soon")),
        ("id", json!(7)),
    ] {
        let mut claims = claims();
        claims[name] = value;
        let token = forge(Algorithm::HS256, &claims, "secret");
        assert!(matches!(tokens.verify(&token, NOW), Err(Error::InvalidToken)), "{name}");
    }
}

#[test]
fn a_token_from_the_future_is_refused_and_a_clock_that_is_a_little_off_is_not() {
    let tokens = tokens("secret", &[]);
    let check = |name: &str, seconds: i64, expected: bool| {
        let mut claims = claims();
        claims[name] = (NOW.seconds() + seconds).into();
        claims["exp"] = json!(null);
        let token = forge(Algorithm::HS256, &claims, "secret");
        assert_eq!(tokens.verify(&token, NOW).is_ok(), expected, "{name} {seconds}");
    };

    for name in ["iat", "nbf"] {
        check(name, 0, true);
        check(name, 300, true);
        check(name, 301, false);
        check(name, i64::MAX - NOW.seconds(), false);
        check(name, -NOW.seconds() - 1, true);
    }
}

#[test]
fn a_megabyte_is_refused_unread() {
    let token = format!("{}.{}.{}", "a".repeat(500_000), "b".repeat(500_000), "c".repeat(43));

    assert!(matches!(tokens("secret", &[]).verify(&token, NOW), Err(Error::InvalidToken)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_panics_or_verifies(text in "\\PC{0,200}") {
        prop_assert!(tokens("secret", &[]).verify(&text, NOW).is_err());
    }

    #[test]
    fn a_changed_token_does_not_verify(at in 0_usize..400, with in "[A-Za-z0-9_-]") {
        let tokens = tokens("secret", &[]);
        let token = tokens.sign(session(), NOW).unwrap().expose().to_owned();
        let at = at % token.len();
        let mut changed = token.clone();
        changed.replace_range(at..=at, &with);
        // The last character of a signature carries two bits that no decoder reads.
        prop_assume!(changed != token && at + 1 < token.len());

        prop_assert!(tokens.verify(&changed, NOW).is_err());
    }
}
