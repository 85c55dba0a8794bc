//! `/oauth`: signing in through a provider.
//!
//! Between the two requests nothing is kept here. What has to come back (state, nonce, the PKCE verifier)
//! travels in a sealed cookie of the browser, which the provider's redirect brings along because it is a
//! plain navigation.

use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use breezeway_auth::{Action, Arrival, Error, ProviderError, Session};
use breezeway_core::Secret;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{info, warn};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::auths::{no_store, session_cookie};
use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult},
    extract::{Path, Query, Trail},
    state::{ApiState, SignOn},
};

/// The cookie that goes with somebody to the provider and back.
const COOKIE: &str = "oauth_departure";
/// What its seal is for.
const PURPOSE: &str = "oauth departure";
/// How long somebody may take at the provider.
const JOURNEY: Duration = Duration::from_secs(10 * 60);

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(callback)).routes(routes!(legacy_callback))
}

/// What the provider's redirect says.
#[derive(Deserialize)]
struct Returned {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// Why a sign-in came to nothing.
enum Failure {
    Provider(ProviderError),
    Account(Error),
}

impl From<ProviderError> for Failure {
    fn from(failure: ProviderError) -> Self {
        Self::Provider(failure)
    }
}

impl From<Error> for Failure {
    fn from(failure: Error) -> Self {
        Self::Account(failure)
    }
}

/// Go to the provider to sign in.
#[utoipa::path(
    get, path = "/oauth/{provider}/login", tag = "oauth", security(()),
    params(("provider" = String, Path, description = "one of `oauth.providers` in `/api/config`")),
    responses(
        (status = 302, description = "to the provider, or to `/auth?error=…`"),
        (status = 404, description = "no such provider"),
    ),
)]
async fn login(
    State(state): State<ApiState>,
    Path(provider): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let sign_on = named(&state, &provider)?;
    let return_to = return_address(&state, sign_on, &uri, &headers)?;
    match sign_on.provider.begin(&return_to).await {
        Ok(departure) => {
            let sealed = state.auth.seal_note(PURPOSE, &departure.kept, JOURNEY)?;
            let sealed = BASE64_URL_SAFE_NO_PAD.encode(sealed);
            Ok(redirect(&departure.url, [cookie(&state, &sealed, JOURNEY)]))
        }
        Err(failure) => Ok(refused(&state, sign_on, &failure.into())),
    }
}

/// Come back from the provider: sets the session's cookie and goes to `/auth`.
#[utoipa::path(
    get, path = "/oauth/{provider}/login/callback", tag = "oauth", security(()),
    params(
        ("provider" = String, Path, description = "one of `oauth.providers` in `/api/config`"),
        ("code" = Option<String>, Query, description = "what the provider gives for an ID token"),
        ("state" = Option<String>, Query, description = "what went to the provider"),
        ("error" = Option<String>, Query, description = "why there is no code"),
    ),
    responses(
        (status = 302, description = "to `/auth`, or to `/auth?error=…`"),
        (status = 404, description = "no such provider"),
    ),
)]
async fn callback(
    State(state): State<ApiState>,
    Path(provider): Path<String>,
    Query(returned): Query<Returned>,
    headers: HeaderMap,
    trail: Trail,
) -> ApiResult<Response> {
    let sign_on = named(&state, &provider)?;
    match signed_in(&state, sign_on, returned, &headers).await {
        Ok(session) => {
            info!(principal.id = %session.account.id, "Signed in account `{}` through a provider", session.account.id);
            trail.report_as(&session.account, Action::SignIn, json!({"method": provider})).await;
            let to = format!("{}/auth", public_address(&state).unwrap_or_default());
            Ok(redirect(&to, [session_cookie(&state, &session), cookie(&state, "", Duration::ZERO)]))
        }
        Err(failure) => {
            trail.report_refused_arrival(&provider).await;
            Ok(refused(&state, sign_on, &failure))
        }
    }
}

/// The same under its older path.
#[utoipa::path(
    get, path = "/oauth/{provider}/callback", tag = "oauth", security(()),
    params(
        ("provider" = String, Path, description = "one of `oauth.providers` in `/api/config`"),
        ("code" = Option<String>, Query, description = "what the provider gives for an ID token"),
        ("state" = Option<String>, Query, description = "what went to the provider"),
        ("error" = Option<String>, Query, description = "why there is no code"),
    ),
    responses(
        (status = 302, description = "to `/auth`, or to `/auth?error=…`"),
        (status = 404, description = "no such provider"),
    ),
)]
async fn legacy_callback(
    state: State<ApiState>,
    provider: Path<String>,
    returned: Query<Returned>,
    headers: HeaderMap,
    trail: Trail,
) -> ApiResult<Response> {
    callback(state, provider, returned, headers, trail).await
}

fn named<'a>(state: &'a ApiState, provider: &str) -> ApiResult<&'a SignOn> {
    let sign_on = state.sign_on.as_ref().filter(|sign_on| sign_on.provider.id() == provider);
    sign_on.ok_or_else(ApiError::not_found)
}

async fn signed_in(
    state: &ApiState,
    sign_on: &SignOn,
    returned: Returned,
    headers: &HeaderMap,
) -> Result<Session, Failure> {
    let kept = kept(state, headers).ok_or(ProviderError::Mismatch)?;
    let arrival = Arrival {
        code: returned.code.map(Secret::from),
        state: returned.state.map(Secret::from),
        error: returned.error,
    };
    let person = sign_on.provider.finish(&kept, arrival).await?;
    Ok(state.auth.sign_in_external(person, &sign_on.policy).await?)
}

/// What the browser has kept of its departure.
fn kept(state: &ApiState, headers: &HeaderMap) -> Option<Secret> {
    // A cookie of somebody else beside it may hold what it likes.
    let cookies =
        headers.get_all(header::COOKIE).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
    let mut ours =
        cookies.filter_map(|cookie| cookie.trim_ascii().strip_prefix(COOKIE.as_bytes())?.strip_prefix(b"="));
    ours.find_map(|sealed| {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        state.auth.open_note(PURPOSE, &sealed)
    })
}

/// The cookie of a departure; without a value it is to be forgotten. It may travel back from the
/// provider's pages, so it cannot be `Strict`.
fn cookie(state: &ApiState, value: &str, lifetime: Duration) -> Option<HeaderValue> {
    let (age, secure) = (lifetime.as_secs(), if state.config.secure_cookies { " Secure;" } else { "" });
    let text = format!("{COOKIE}={value}; HttpOnly; Max-Age={age};{secure} Path=/oauth; SameSite=lax");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn redirect<const N: usize>(to: &str, cookies: [Option<HeaderValue>; N]) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else {
        return ApiError::new(StatusCode::BAD_GATEWAY, "There is nowhere to go from here.").into_response();
    };
    let mut response = (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    no_store(&mut response);
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Back to the page where people sign in, with a sentence for them. The log has the reason.
fn refused(state: &ApiState, sign_on: &SignOn, failure: &Failure) -> Response {
    let provider = sign_on.provider.id();
    match failure {
        Failure::Provider(why) => {
            warn!(provider, error = %why, "A sign-in through `{provider}` failed: {why}")
        }
        Failure::Account(why) => {
            warn!(provider, error = %why, "Nobody was signed in through `{provider}`: {why}")
        }
    }
    let to = format!(
        "{}/auth?error={}",
        public_address(state).unwrap_or_default(),
        percent_encoded(told(failure))
    );
    redirect(&to, [cookie(state, "", Duration::ZERO)])
}

/// What a person is told.
fn told(failure: &Failure) -> &'static str {
    match failure {
        Failure::Provider(ProviderError::Unavailable(_)) => {
            "The sign-in service cannot be reached. Please try again in a moment."
        }
        Failure::Provider(ProviderError::Refused(_)) => "The sign-in service did not let you in.",
        Failure::Provider(ProviderError::Mismatch) => {
            "This sign-in was begun in another window, or took too long. Please try again."
        }
        Failure::Provider(ProviderError::Missing(_)) => "The sign-in service does not tell enough about you.",
        Failure::Provider(ProviderError::DomainNotAllowed)
        | Failure::Account(Error::SignupClosed | Error::Forbidden) => ACCESS_PROHIBITED,
        Failure::Provider(_) => "The answer of the sign-in service could not be verified.",
        Failure::Account(Error::EmailTaken) => {
            "Uh-oh! This email is already registered. Sign in with your existing account or choose another email to start anew."
        }
        Failure::Account(Error::InvalidEmail) => "The sign-in service tells an email address that is none.",
        Failure::Account(_) => "Something went wrong on our side. The server's log says more.",
    }
}

/// Where this server is reached, without a slash behind: what an admin has set, else what is configured.
fn public_address(state: &ApiState) -> Option<String> {
    let settings = state.auth.settings();
    let set = settings.other.get("WEBUI_URL").and_then(Value::as_str).filter(|url| !url.is_empty());
    let address = set.or(state.config.public_url.as_deref())?.trim_end_matches('/');
    let is_one = address.starts_with("https://") || address.starts_with("http://");
    is_one.then(|| address.to_owned())
}

/// The address to which the provider sends people back. It has to know it beforehand, so that a host
/// somebody made up leads nowhere.
fn return_address(state: &ApiState, sign_on: &SignOn, uri: &Uri, headers: &HeaderMap) -> ApiResult<String> {
    if let Some(return_to) = &sign_on.return_to {
        return Ok(return_to.clone());
    }
    let base = match public_address(state) {
        Some(address) => address,
        None => {
            let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let host = uri.authority().map(http::uri::Authority::as_str).or(named);
            let host = host.filter(|host| {
                host.parse::<http::uri::Authority>().is_ok_and(|host| !host.as_str().contains('@'))
            });
            let host =
                host.ok_or_else(|| ApiError::bad_request("The request does not say for which host it is."))?;
            let scheme = if state.config.secure_cookies { "https" } else { "http" };
            format!("{scheme}://{host}")
        }
    };
    Ok(format!("{base}/oauth/{}/callback", sign_on.provider.id()))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
