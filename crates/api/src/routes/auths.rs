//! `/api/v1/auths`: signing up, in and out, the own profile, the own key, and the admin's settings.

use axum::{
    Extension, Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_auth::{AccountChange, Action, AuthSettings, Error, NewAccount, Session, Target};
use breezeway_core::{Credential, Role, Secret};
use breezeway_middleware::{CrossSite, FromProxy, credential};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult},
    extract::{Admin, AuthJson, Human, SignedIn, Trail, Verified},
    state::ApiState,
    views::accounts::{AccountSummary, SessionView},
};

mod keys;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(sign_in))
        .routes(routes!(session))
        .routes(routes!(sign_out))
        .merge(keys::router())
        .routes(routes!(add_account))
        .routes(routes!(change_password))
        .routes(routes!(change_profile))
        .routes(routes!(change_timezone))
        .routes(routes!(admin_config, change_admin_config))
        .routes(routes!(admin_details))
}

/// What somebody who signs up says about themselves.
#[derive(Deserialize, ToSchema)]
struct SignUp {
    name: String,
    email: String,
    password: String,
    profile_image_url: Option<String>,
}

/// How somebody signs in.
#[derive(Deserialize, ToSchema)]
struct SignIn {
    email: String,
    password: String,
}

/// An account that an admin makes.
#[derive(Deserialize, ToSchema)]
struct AddAccount {
    name: String,
    email: String,
    password: String,
    profile_image_url: Option<String>,
    role: Option<String>,
}

/// A change of the own password.
#[derive(Deserialize, ToSchema)]
struct ChangePassword {
    password: String,
    new_password: String,
}

/// A change of the own profile.
#[derive(Deserialize, ToSchema)]
struct ChangeProfile {
    name: String,
    profile_image_url: String,
    bio: Option<String>,
    gender: Option<String>,
    date_of_birth: Option<String>,
}

/// Where the caller is.
#[derive(Deserialize, ToSchema)]
struct ChangeTimezone {
    timezone: String,
}

/// Sign up. The first account becomes admin and closes sign-up.
#[utoipa::path(
    post, path = "/api/v1/auths/signup", tag = "auths", request_body = SignUp, security(()),
    responses((status = 200, body = SessionView), (status = "4XX", description = "refused")),
)]
async fn sign_up(
    State(state): State<ApiState>,
    from: Option<Extension<CrossSite>>,
    trail: Trail,
    AuthJson(form): AuthJson<SignUp>,
) -> ApiResult<Response> {
    // Whoever comes first becomes admin; that must not be a page in somebody's browser.
    if state.auth.is_empty() && matches!(from, Some(Extension(CrossSite::Origin))) {
        return Err(ApiError::new(http::StatusCode::FORBIDDEN, ACCESS_PROHIBITED));
    }
    fits(&form.name, form.profile_image_url.as_deref())?;
    let new = NewAccount {
        email: form.email,
        name: form.name,
        password: form.password.into(),
        // The service decides: admin for the first, the configured role for others.
        role: Role::Pending,
        profile_image_url: form.profile_image_url,
    };
    let session = state.auth.sign_up(new).await?;
    let role = session.account.role.as_str();
    trail.report_as(&session.account, Action::SignUp, json!({"role": role})).await;
    Ok(signed_in(&state, &session, false))
}

/// Sign in.
#[utoipa::path(
    post, path = "/api/v1/auths/signin", tag = "auths", request_body = SignIn, security(()),
    responses((status = 200, body = SessionView), (status = "4XX", description = "refused")),
)]
async fn sign_in(
    State(state): State<ApiState>,
    from: Option<Extension<CrossSite>>,
    from_proxy: Option<Extension<FromProxy>>,
    trail: Trail,
    form: ApiResult<AuthJson<SignIn>>,
) -> ApiResult<Response> {
    if state.config.trusted_headers && !state.config.single_user {
        let word = from_proxy.map(|Extension(word)| word);
        let session = sign_in_by_proxy(&state, from.map(|Extension(from)| from), word).await?;
        trail.report_as(&session.account, Action::SignIn, json!({"method": "trusted_header"})).await;
        return Ok(signed_in(&state, &session, false));
    }
    let AuthJson(form) = form?;
    let session = if state.config.single_user {
        // No password is asked for, so a page of another site must not get the token.
        if from.is_some() {
            return Err(ApiError::new(http::StatusCode::FORBIDDEN, ACCESS_PROHIBITED));
        }
        state.auth.sign_in_single_user().await?
    } else {
        let session = state.auth.sign_in(&form.email, &form.password.into()).await;
        if let Err(refusal) = &session {
            trail.report_refusal(&form.email, refusal).await;
        }
        session?
    };
    trail.report_as(&session.account, Action::SignIn, json!({"method": "password"})).await;
    Ok(signed_in(&state, &session, false))
}

/// Sign in whom the proxy in front has signed in. Where one does that, nobody signs in by a password.
async fn sign_in_by_proxy(
    state: &ApiState,
    from: Option<CrossSite>,
    word: Option<FromProxy>,
) -> ApiResult<Session> {
    // The proxy knows the browser, whichever page of it asks; the answer is a token.
    if from == Some(CrossSite::Origin) {
        return Err(ApiError::new(http::StatusCode::FORBIDDEN, ACCESS_PROHIBITED));
    }
    match word {
        Some(FromProxy(Ok(person))) => Ok(state.auth.sign_in_trusted(person).await?),
        Some(FromProxy(Err(_))) => Err(breezeway_auth::Error::UnclearPerson.into()),
        None => Err(ApiError::bad_request(NO_TRUSTED_HEADER)),
    }
}

/// What Open WebUI says where its header is missing.
const NO_TRUSTED_HEADER: &str =
    "Your provider has not provided a trusted header. Please contact your administrator for assistance.";

/// The signed-in account; renews the cookie.
#[utoipa::path(
    get, path = "/api/v1/auths/", tag = "auths",
    responses((status = 200, body = SessionView), (status = "4XX", description = "refused")),
)]
async fn session(
    State(state): State<ApiState>,
    Human(principal): Human,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let token = credential(&headers, &state.config.api_key_header);
    let session = state.auth.renew(&principal, token)?;
    Ok(signed_in(&state, &session, true))
}

/// Sign out: the token is refused from now on.
#[utoipa::path(
    post, path = "/api/v1/auths/signout", tag = "auths",
    responses((status = 200, description = "signed out")),
)]
async fn sign_out(
    State(state): State<ApiState>,
    crate::extract::Optional(principal): crate::extract::Optional,
    trail: Trail,
) -> ApiResult<Response> {
    if let Some(principal) = principal {
        state.auth.sign_out(&principal).await?;
        if matches!(principal.credential, Credential::Session(_)) {
            trail.report(Action::SignOut, Target::new("account", &principal.user), Value::Null).await;
        }
    }
    let mut response = JsonAnswer(json!({"status": true})).into_response();
    no_store(&mut response);
    let gone = HeaderValue::from_static("token=; HttpOnly; Max-Age=0; Path=/; SameSite=lax");
    response.headers_mut().append(header::SET_COOKIE, gone);
    Ok(response)
}

/// Make an account for somebody.
#[utoipa::path(
    post, path = "/api/v1/auths/add", tag = "auths", request_body = AddAccount,
    responses((status = 200, body = SessionView), (status = "4XX", description = "refused")),
)]
async fn add_account(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    AuthJson(form): AuthJson<AddAccount>,
) -> ApiResult<JsonAnswer<SessionView>> {
    fits(&form.name, form.profile_image_url.as_deref())?;
    let role = role(form.role.as_deref().unwrap_or("pending"))?;
    let new = NewAccount {
        email: form.email,
        name: form.name,
        password: form.password.into(),
        role,
        profile_image_url: form.profile_image_url,
    };
    let session = state.auth.add_account(new).await?;
    let detail = json!({"email": session.account.email, "role": role.as_str()});
    trail.report(Action::AccountCreated, Target::new("account", &session.account.id), detail).await;
    let permissions = permissions(&state, &session);
    Ok(JsonAnswer(SessionView::new(&session, permissions)))
}

/// Change the own password; every session ends.
#[utoipa::path(
    post, path = "/api/v1/auths/update/password", tag = "auths", request_body = ChangePassword,
    responses((status = 200, body = bool), (status = "4XX", description = "refused")),
)]
async fn change_password(
    State(state): State<ApiState>,
    Human(principal): Human,
    trail: Trail,
    AuthJson(form): AuthJson<ChangePassword>,
) -> ApiResult<JsonAnswer<bool>> {
    let (old, new) = (Secret::from(form.password), Secret::from(form.new_password));
    let changed = state.auth.change_password(&principal, &old, &new).await;
    if let Err(refusal @ (Error::WrongPassword | Error::Throttled(_))) = &changed {
        trail.report_refusal(&principal.email, refusal).await;
    }
    changed?;
    trail.report(Action::PasswordChanged, Target::new("account", &principal.user), Value::Null).await;
    Ok(JsonAnswer(true))
}

/// Change the own profile.
#[utoipa::path(
    post, path = "/api/v1/auths/update/profile", tag = "auths", request_body = ChangeProfile,
    responses((status = 200, body = AccountSummary), (status = "4XX", description = "refused")),
)]
async fn change_profile(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    AuthJson(form): AuthJson<ChangeProfile>,
) -> ApiResult<JsonAnswer<AccountSummary>> {
    fits(&form.name, Some(&form.profile_image_url))?;
    for text in [&form.bio, &form.gender, &form.date_of_birth].into_iter().flatten() {
        fits(text, None)?;
    }
    let fields = [("bio", form.bio), ("gender", form.gender), ("date_of_birth", form.date_of_birth)];
    let profile: Map<String, Value> =
        fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect();
    let change = AccountChange {
        name: Some(form.name),
        profile_image_url: Some(form.profile_image_url),
        profile: Some(profile),
        ..AccountChange::default()
    };
    let account = state.auth.update_account(&principal.user, change).await?;
    Ok(JsonAnswer(account.as_ref().into()))
}

/// Say in which time zone the caller is.
#[utoipa::path(
    post, path = "/api/v1/auths/update/timezone", tag = "auths", request_body = ChangeTimezone,
    responses((status = 200, description = "kept"), (status = "4XX", description = "refused")),
)]
async fn change_timezone(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    AuthJson(form): AuthJson<ChangeTimezone>,
) -> ApiResult<JsonAnswer<Value>> {
    // The longest name of the IANA database has 32 signs.
    if form.timezone.len() > 64 {
        return Err(ApiError::bad_request("This is no time zone."));
    }
    let profile = Map::from_iter([("timezone".to_owned(), form.timezone.into())]);
    let change = AccountChange { profile: Some(profile), ..AccountChange::default() };
    state.auth.update_account(&principal.user, change).await?;
    Ok(JsonAnswer(json!({"status": true})))
}

/// Whom to ask for access.
#[utoipa::path(
    get, path = "/api/v1/auths/admin/details", tag = "auths",
    responses((status = 200, description = "name and address of an admin")),
)]
async fn admin_details(State(state): State<ApiState>, _: SignedIn) -> JsonAnswer<Value> {
    let settings = state.auth.settings();
    let shown = settings.other.get("SHOW_ADMIN_DETAILS").and_then(Value::as_bool).unwrap_or(true);
    let mut admins = state.auth.accounts();
    admins.retain(|account| shown && account.role == Role::Admin);
    let first = admins.iter().min_by_key(|account| account.created_at);
    JsonAnswer(json!({
        "name": first.map(|account| account.name.clone()),
        "email": first.map(|account| account.email.clone()),
    }))
}

/// The settings of accounts.
#[utoipa::path(
    get, path = "/api/v1/auths/admin/config", tag = "auths",
    responses((status = 200, description = "the settings by their names")),
)]
async fn admin_config(State(state): State<ApiState>, Admin(_): Admin) -> JsonAnswer<Map<String, Value>> {
    JsonAnswer(config_view(&state.auth.settings()))
}

/// Change the settings of accounts.
#[utoipa::path(
    post, path = "/api/v1/auths/admin/config", tag = "auths", request_body = Object,
    responses((status = 200, description = "the settings by their names")),
)]
async fn change_admin_config(
    State(state): State<ApiState>,
    Admin(_): Admin,
    trail: Trail,
    AuthJson(form): AuthJson<Map<String, Value>>,
) -> ApiResult<JsonAnswer<Map<String, Value>>> {
    // Once to see whether it can be, and once more on what the settings are by then.
    apply(&mut AuthSettings::clone(&state.auth.settings()), &form)?;
    let fields: Vec<_> = form.keys().cloned().collect();
    let settings = state
        .auth
        .change_settings(move |settings| {
            // What can be applied once can be applied again.
            let _ = apply(settings, &form);
        })
        .await?;
    trail
        .report(Action::SettingsChanged, Target::new("settings", "accounts"), json!({"fields": fields}))
        .await;
    Ok(JsonAnswer(config_view(&settings)))
}

/// Settings that are kept for clients and change nothing here, with what they are until set.
const KEPT: [(&str, Kept); 14] = [
    ("SHOW_ADMIN_DETAILS", Kept::Bool(true)),
    ("ADMIN_EMAIL", Kept::Null),
    ("WEBUI_URL", Kept::Text("")),
    ("ENABLE_LOGIN_FORM", Kept::Bool(true)),
    ("DEFAULT_GROUP_ID", Kept::Text("")),
    ("ENABLE_COMMUNITY_SHARING", Kept::Bool(false)),
    ("ENABLE_MESSAGE_RATING", Kept::Bool(false)),
    ("ENABLE_FOLDERS", Kept::Bool(false)),
    ("ENABLE_AUTOMATIONS", Kept::Bool(false)),
    ("ENABLE_CHANNELS", Kept::Bool(false)),
    ("ENABLE_CALENDAR", Kept::Bool(false)),
    ("ENABLE_MEMORIES", Kept::Bool(false)),
    ("ENABLE_NOTES", Kept::Bool(false)),
    ("ENABLE_USER_WEBHOOKS", Kept::Bool(false)),
];

#[derive(Clone, Copy)]
enum Kept {
    Bool(bool),
    Text(&'static str),
    Null,
}

fn config_view(settings: &AuthSettings) -> Map<String, Value> {
    let mut view = Map::new();
    for (name, value) in KEPT {
        let value = match value {
            Kept::Bool(value) => Value::from(value),
            Kept::Text(value) => Value::from(value),
            Kept::Null => Value::Null,
        };
        view.insert(name.to_owned(), value);
    }
    view.extend(settings.other.clone());
    let ours = json!({
        "ENABLE_SIGNUP": settings.enable_signup,
        "ENABLE_API_KEYS": settings.enable_api_keys,
        "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS": settings.restrict_api_key_endpoints,
        "API_KEYS_ALLOWED_ENDPOINTS": settings.api_keys_allowed_endpoints.join(","),
        "DEFAULT_USER_ROLE": settings.default_user_role,
        "JWT_EXPIRES_IN": settings.jwt_expires_in,
    });
    if let Value::Object(ours) = ours {
        view.extend(ours);
    }
    view
}

fn apply(settings: &mut AuthSettings, form: &Map<String, Value>) -> ApiResult<()> {
    let refuse = || ApiError::new(http::StatusCode::UNPROCESSABLE_ENTITY, "Invalid authentication request.");
    for (name, value) in form {
        match (name.as_str(), value) {
            ("ENABLE_SIGNUP", Value::Bool(on)) => settings.enable_signup = *on,
            ("ENABLE_API_KEYS", Value::Bool(on)) => settings.enable_api_keys = *on,
            ("ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS", Value::Bool(on)) => {
                settings.restrict_api_key_endpoints = *on;
            }
            ("API_KEYS_ALLOWED_ENDPOINTS", Value::String(paths)) => {
                settings.api_keys_allowed_endpoints = paths
                    .split(',')
                    .map(str::trim)
                    .filter(|path| !path.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            ("DEFAULT_USER_ROLE", Value::String(role)) => {
                // An unknown role changes nothing, as on Open WebUI.
                if role.parse::<Role>().is_ok() {
                    settings.default_user_role.clone_from(role);
                }
            }
            ("JWT_EXPIRES_IN", Value::String(duration)) => settings.jwt_expires_in.clone_from(duration),
            (
                "ENABLE_SIGNUP"
                | "ENABLE_API_KEYS"
                | "ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS"
                | "API_KEYS_ALLOWED_ENDPOINTS"
                | "DEFAULT_USER_ROLE"
                | "JWT_EXPIRES_IN",
                _,
            ) => return Err(refuse()),
            _ => {
                settings.other.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(())
}

/// Refuse texts that are longer than anything a profile needs: accounts live in memory.
pub(super) fn fits(text: &str, picture: Option<&str>) -> ApiResult<()> {
    if text.len() > PROFILE_BYTES || picture.is_some_and(|picture| picture.len() > PICTURE_BYTES) {
        return Err(ApiError::new(http::StatusCode::PAYLOAD_TOO_LARGE, "This is too long for a profile."));
    }
    Ok(())
}

/// The longest name or other text of a profile.
const PROFILE_BYTES: usize = 4 << 10;

/// The longest address of a picture, which may be the picture itself in base64.
const PICTURE_BYTES: usize = 1 << 20;

pub(crate) fn role(text: &str) -> ApiResult<Role> {
    text.parse().map_err(|error: breezeway_core::UnknownRole| ApiError::bad_request(error.to_string()))
}

fn permissions(state: &ApiState, session: &Session) -> Value {
    let principal = state.auth.local_principal(&session.account.id);
    principal.map_or(Value::Null, |principal| state.auth.permissions(&principal))
}

/// A session as an answer: the body, and the token as a cookie.
fn signed_in(state: &ApiState, session: &Session, with_profile: bool) -> Response {
    let mut view = SessionView::new(session, permissions(state, session));
    if with_profile {
        view = view.with_profile(&session.account);
    }
    let mut response = JsonAnswer(view).into_response();
    no_store(&mut response);
    if let Some(cookie) = session_cookie(state, session) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The cookie that carries a session's token.
pub(super) fn session_cookie(state: &ApiState, session: &Session) -> Option<HeaderValue> {
    let age = session.expires_at.map_or_else(String::new, |at| {
        let seconds = at.seconds() - state.registry.clock().now().seconds();
        format!(" Max-Age={};", seconds.max(0))
    });
    let secure = if state.config.secure_cookies { " Secure;" } else { "" };
    let cookie = format!("token={}; HttpOnly;{age}{secure} Path=/; SameSite=lax", session.token.expose());
    let mut cookie = HeaderValue::from_str(&cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

pub(super) fn no_store(response: &mut Response) {
    const NAME: HeaderName = header::CACHE_CONTROL;
    response.headers_mut().insert(NAME, HeaderValue::from_static("no-store"));
}
