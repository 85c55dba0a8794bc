use std::convert::Infallible;

use breezeway_auth::AuthSettings;
use breezeway_core::{Credential, Secret};
use http::Response;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::testing;

/// What the inner service finds in the extensions.
type Seen = Result<Principal, Arc<Error>>;

async fn seen(auth: &Auth, headers: &[(&str, &[u8])]) -> Seen {
    let layer = CredentialsLayer::new(auth.clone(), "x-api-key").unwrap();
    let service = layer.layer(service_fn(async |request: Request<()>| {
        let extensions = request.extensions();
        let seen = match (extensions.get::<Principal>(), extensions.get::<AuthRefusal>()) {
            (Some(principal), None) => Ok(principal.clone()),
            (None, Some(AuthRefusal(reason))) => Err(reason.clone()),
            both => panic!("exactly one of the two is there, not {both:?}"),
        };
        Ok::<_, Infallible>(Response::new(seen))
    }));
    let mut request = Request::builder().uri("/api/models?x=1").body(()).unwrap();
    for (name, value) in headers {
        request
            .headers_mut()
            .append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value).unwrap());
    }
    service.oneshot(request).await.unwrap().into_body()
}

/// A service with an admin, its session token and its key.
async fn admin() -> (Auth, Secret, Secret) {
    let auth = testing::auth(false).await;
    let session = testing::sign_up(&auth, "ada").await;
    let principal = auth.authenticate(session.token.expose()).unwrap();
    let key = auth.create_api_key(&principal).await.unwrap();
    (auth, session.token, key)
}

#[tokio::test]
async fn tokens_and_keys_are_taken_from_each_of_the_three_places() {
    let (auth, token, key) = admin().await;

    for (credential, is_key) in [(token.expose(), false), (key.expose(), true)] {
        for (name, value) in [
            ("authorization", format!("Bearer {credential}")),
            ("authorization", format!("bEARER   {credential} ")),
            ("cookie", format!("token={credential}")),
            ("cookie", format!("a=b; token=\"{credential}\"; tokens=x")),
            ("x-api-key", credential.to_owned()),
        ] {
            let principal = seen(&auth, &[(name, value.as_bytes())]).await.expect("the credential is good");
            assert_eq!(&*principal.email, "ada@example.org");
            assert_eq!(matches!(principal.credential, Credential::ApiKey(_)), is_key, "{name}");
        }
    }
}

#[tokio::test]
async fn the_first_credential_present_is_final() {
    let (auth, token, key) = admin().await;
    let (cookie, bearer) = (format!("token={}", token.expose()), format!("Bearer {}", token.expose()));
    let (cookie, bearer, key) = (cookie.as_bytes(), bearer.as_bytes(), key.expose().as_bytes());

    let bad_bearer =
        seen(&auth, &[("authorization", b"Bearer nonsense"), ("cookie", cookie), ("x-api-key", key)]).await;
    let bad_cookie = seen(&auth, &[("cookie", b"token=nonsense"), ("x-api-key", key)]).await;
    let good_bearer =
        seen(&auth, &[("authorization", bearer), ("cookie", b"token=x"), ("x-api-key", b"x")]).await;
    let empty_bearer =
        seen(&auth, &[("authorization", b"Bearer"), ("cookie", b"token="), ("x-api-key", key)]).await;

    assert!(matches!(*bad_bearer.unwrap_err(), Error::InvalidToken));
    assert!(matches!(*bad_cookie.unwrap_err(), Error::InvalidToken));
    assert!(good_bearer.is_ok());
    assert!(empty_bearer.is_ok());
}

#[tokio::test]
async fn each_refusal_keeps_its_reason() {
    let (auth, ..) = admin().await;
    let unknown = format!("Bearer sk-{}", "0".repeat(32));
    let reason = async |name, value: &[u8]| seen(&auth, &[(name, value)]).await.unwrap_err();

    assert!(matches!(*seen(&auth, &[]).await.unwrap_err(), Error::NoCredential));
    assert!(matches!(*reason("authorization", b"Bearer").await, Error::NoCredential));
    assert!(matches!(*reason("authorization", b"Bearer  ").await, Error::NoCredential));
    assert!(matches!(*reason("authorization", b"").await, Error::NoCredential));
    assert!(matches!(*reason("x-api-key", b"").await, Error::NoCredential));
    assert!(matches!(*reason("authorization", b"Basic YTpi").await, Error::InvalidToken));
    assert!(matches!(*reason("authorization", b"Bearer \xff").await, Error::InvalidToken));
    assert!(matches!(*reason("cookie", b"token=\xff").await, Error::InvalidToken));
    assert!(matches!(*reason("cookie", b"other=\xff").await, Error::NoCredential));
    assert!(matches!(*reason("authorization", unknown.as_bytes()).await, Error::UnknownCredential));
}

#[tokio::test]
async fn a_restricted_key_is_refused_outside_its_paths_and_a_session_is_not() {
    let (auth, token, key) = admin().await;
    let restricted = |paths: &[&str]| AuthSettings {
        restrict_api_key_endpoints: true,
        api_keys_allowed_endpoints: paths.iter().map(|&path| path.to_owned()).collect(),
        ..AuthSettings::default()
    };

    auth.update_settings(restricted(&["/api/v1/files"])).await.unwrap();
    let refused = seen(&auth, &[("x-api-key", key.expose().as_bytes())]).await;
    let session = seen(&auth, &[("x-api-key", token.expose().as_bytes())]).await;
    auth.update_settings(restricted(&["/api/v1/files", "/api/models"])).await.unwrap();
    let allowed = seen(&auth, &[("x-api-key", key.expose().as_bytes())]).await;

    assert!(matches!(*refused.unwrap_err(), Error::EndpointNotAllowed));
    assert!(session.is_ok());
    assert!(allowed.is_ok());
}

#[tokio::test]
async fn in_single_user_mode_nothing_is_asked_for() {
    let auth = testing::auth(true).await;

    let principal = seen(&auth, &[]).await.unwrap();
    let wrong = seen(&auth, &[("authorization", b"Bearer nonsense")]).await;

    assert!(principal.is_admin());
    assert_eq!(principal.credential, Credential::Local);
    assert!(matches!(*wrong.unwrap_err(), Error::InvalidToken));
}

#[tokio::test]
async fn the_name_of_the_key_header_is_checked() {
    let auth = testing::auth(true).await;

    assert_eq!(
        CredentialsLayer::new(auth, "not a name").err(),
        Some(InvalidConfig::HeaderName("not a name".into()))
    );
}
