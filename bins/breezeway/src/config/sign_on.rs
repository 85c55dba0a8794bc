//! Signing in through somebody else: an OpenID Connect provider, or a proxy in front.

use anyhow::{Context, Result, bail};
use breezeway::{
    Config, SignOnConfig,
    parts::{
        auth::ExternalPolicy,
        core::Secret,
        middleware::TrustedHeaders,
        oidc::{OidcConfig, RoleMapping},
    },
};

use super::{Source, words};

pub(super) fn read(source: &Source, gateway: &mut Config) -> Result<()> {
    gateway.api.public_url = source.text("WEBUI_URL");
    gateway.middleware.proxies = words(source.text("BREEZEWAY_TRUSTED_PROXIES").as_deref(), ',');
    gateway.middleware.trusted_headers = trusted_headers(source)?;
    gateway.sign_on = provider(source)?;
    Ok(())
}

/// Anybody can send a header. Open WebUI believes it of everybody who can reach the port; here it needs
/// the addresses that are believed, and without them nothing starts: to go on would either let everybody
/// in as anybody, or nobody at all.
fn trusted_headers(source: &Source) -> Result<Option<TrustedHeaders>> {
    let email = source.text("WEBUI_AUTH_TRUSTED_EMAIL_HEADER");
    let others = [
        "WEBUI_AUTH_TRUSTED_NAME_HEADER",
        "WEBUI_AUTH_TRUSTED_GROUPS_HEADER",
        "WEBUI_AUTH_TRUSTED_ROLE_HEADER",
    ];
    let [name, groups, role] = others.map(|variable| source.text(variable));
    let proxies = words(source.text("BREEZEWAY_TRUSTED_PROXIES").as_deref(), ',');
    let Some(email) = email else {
        if name.or(groups).or(role).is_some() {
            bail!(
                "a trusted header is set and `WEBUI_AUTH_TRUSTED_EMAIL_HEADER`, which names the person, is not"
            );
        }
        return Ok(None);
    };
    if proxies.is_empty() {
        bail!(
            "`WEBUI_AUTH_TRUSTED_EMAIL_HEADER` is set and `BREEZEWAY_TRUSTED_PROXIES` is not: list the addresses \
             or networks of the proxies that may say who somebody is, such as `127.0.0.1, 172.18.0.0/16`"
        );
    }
    Ok(Some(TrustedHeaders { email, name, groups, role, proxies }))
}

fn provider(source: &Source) -> Result<Option<SignOnConfig>> {
    let (url, id) = (source.text("OPENID_PROVIDER_URL"), source.text("OAUTH_CLIENT_ID"));
    let (url, id) = match (url, id) {
        (Some(url), Some(id)) => (url, id),
        (None, None) => return Ok(None),
        (Some(_), None) => bail!("`OPENID_PROVIDER_URL` is set and `OAUTH_CLIENT_ID` is not"),
        (None, Some(_)) => bail!("`OAUTH_CLIENT_ID` is set and `OPENID_PROVIDER_URL` is not"),
    };
    match source.text_or("OAUTH_CODE_CHALLENGE_METHOD", "S256").as_str() {
        // It is always sent: a provider that does not know it passes over it.
        "S256" => {}
        other => bail!("`OAUTH_CODE_CHALLENGE_METHOD` is `{other}`; use `S256`"),
    }
    let usual = OidcConfig::new(url, id);
    let scopes = source.text_or("OAUTH_SCOPES", "openid email profile");
    let mut claims = usual.claims.clone();
    claims.email = source.text_or("OAUTH_EMAIL_CLAIM", &claims.email);
    claims.name = source.text_or("OAUTH_USERNAME_CLAIM", &claims.name);
    claims.picture = source.text_or("OAUTH_PICTURE_CLAIM", &claims.picture);
    let list = |name, usual: &str| words(Some(&source.text_or(name, usual)), ',');
    let roles = match source.flag_or("ENABLE_OAUTH_ROLE_MANAGEMENT", false)? {
        true => Some(RoleMapping {
            claim: source.text_or("OAUTH_ROLES_CLAIM", "roles"),
            user: list("OAUTH_ALLOWED_ROLES", "user,admin"),
            admin: list("OAUTH_ADMIN_ROLES", "admin"),
        }),
        false => None,
    };
    let groups_claim = match source.flag_or("ENABLE_OAUTH_GROUP_MANAGEMENT", false)? {
        true => {
            let named = source.text_of(&["OAUTH_GROUP_CLAIM", "OAUTH_GROUPS_CLAIM"]);
            Some(named.unwrap_or_else(|| "groups".into()))
        }
        false => None,
    };
    let provider = OidcConfig {
        client_secret: source.secret("OAUTH_CLIENT_SECRET").map(Secret::from),
        scopes: words(Some(&scopes), ' '),
        title: source.text_or("OAUTH_PROVIDER_NAME", "SSO"),
        claims,
        roles,
        groups_claim,
        allowed_domains: list("OAUTH_ALLOWED_DOMAINS", "*"),
        ..usual
    };
    let policy = ExternalPolicy {
        sign_up: source.flag_or("ENABLE_OAUTH_SIGNUP", false)?,
        merge_by_email: source.flag_or("OAUTH_MERGE_ACCOUNTS_BY_EMAIL", false)?,
        create_groups: source.flag_or("ENABLE_OAUTH_GROUP_CREATION", false)?,
        kept_groups: blocked_groups(source)?,
    };
    Ok(Some(SignOnConfig { provider, policy, return_to: source.text("OPENID_REDIRECT_URI") }))
}

/// A list of JSON, as in Open WebUI, or names with commas between.
fn blocked_groups(source: &Source) -> Result<Vec<String>> {
    let text = source.text("OAUTH_BLOCKED_GROUPS").unwrap_or_default();
    match text.trim_start().starts_with('[') {
        true => serde_json::from_str(&text).context("`OAUTH_BLOCKED_GROUPS` is no list of names"),
        false => Ok(words(Some(&text), ',')),
    }
}
