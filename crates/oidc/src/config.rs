use std::time::Duration;

use breezeway_core::Secret;
use openidconnect::url::Url;

/// One provider, and what its claims mean here.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// Where its discovery document is, whole: `https://…/.well-known/openid-configuration`.
    pub discovery_url: String,
    /// The name under which it knows this server.
    pub client_id: String,
    /// The secret it shares with this server; `None` for a public client, which PKCE alone protects.
    pub client_secret: Option<Secret>,
    /// What is asked for, beside `openid`.
    pub scopes: Vec<String>,
    /// What people know it as.
    pub title: String,
    /// The longest wait for one answer of it.
    pub timeout: Duration,
    /// Where its claims say who somebody is.
    pub claims: ClaimNames,
    /// How its roles become ours; `None` leaves roles alone.
    pub roles: Option<RoleMapping>,
    /// The claim with somebody's groups; `None` leaves groups alone.
    pub groups_claim: Option<String>,
    /// Domains whose addresses are let in; empty or `*` for all.
    pub allowed_domains: Vec<String>,
}

/// Where claims are. A name with dots (`realm_access.roles`) leads into nested ones, unless there is a
/// claim with that whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// The address.
    pub email: String,
    /// The display name.
    pub name: String,
    /// The picture.
    pub picture: String,
}

/// How a provider's roles become ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMapping {
    /// The claim with the roles.
    pub claim: String,
    /// Roles of which one makes a user.
    pub user: Vec<String>,
    /// Roles of which one makes an admin.
    pub admin: Vec<String>,
}

/// A configuration that no provider can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// Not the address of a document.
    #[error("`{0}` is no address of a provider's document")]
    Url(String),
    /// A provider knows every client by a name.
    #[error("the client id of the provider is empty")]
    ClientId,
}

impl OidcConfig {
    /// A provider whose claims have their usual names: no roles, no groups, every domain.
    pub fn new(discovery_url: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            discovery_url: discovery_url.into(),
            client_id: client_id.into(),
            client_secret: None,
            scopes: vec!["email".into(), "profile".into()],
            title: "SSO".into(),
            timeout: Duration::from_secs(10),
            claims: ClaimNames { email: "email".into(), name: "name".into(), picture: "picture".into() },
            roles: None,
            groups_claim: None,
            allowed_domains: Vec::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidConfig> {
        if self.client_id.is_empty() {
            return Err(InvalidConfig::ClientId);
        }
        let url = Url::parse(&self.discovery_url).ok();
        match url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            Some(_) => Ok(()),
            None => Err(InvalidConfig::Url(self.discovery_url.clone())),
        }
    }

    /// Whether addresses of all domains are let in.
    pub(crate) fn allows_all_domains(&self) -> bool {
        self.allowed_domains.is_empty() || self.allowed_domains.iter().any(|domain| domain == "*")
    }
}
