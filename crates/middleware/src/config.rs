//! What a deployment may decide about the layers.

use crate::TrustedHeaders;

/// Settings of the layers. They are checked when the layers are made from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiddlewareConfig {
    /// The header an API key may come in where `Authorization` is taken by a proxy.
    pub api_key_header: String,
    /// Origins whose pages may call with their credentials; `*` for all of them.
    pub cors_origins: Vec<String>,
    /// Whether answers are compressed for clients that ask for it.
    pub compression: bool,
    /// Headers set on every answer that does not have them, by name and value.
    pub security_headers: Vec<(String, String)>,
    /// Addresses and networks (`10.0.0.0/8`) of the proxies in front, of which it is believed where a
    /// request came from.
    pub proxies: Vec<String>,
    /// Headers in which a proxy says whom it has signed in, if one does.
    pub trusted_headers: Option<TrustedHeaders>,
}

impl Default for MiddlewareConfig {
    /// What Open WebUI does, and the one security header that no deployment can object to.
    fn default() -> Self {
        Self {
            api_key_header: "x-api-key".into(),
            cors_origins: vec!["*".into()],
            compression: true,
            security_headers: vec![("x-content-type-options".into(), "nosniff".into())],
            proxies: Vec::new(),
            trusted_headers: None,
        }
    }
}

/// A setting of the layers that no layer can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// Not the name of a header.
    #[error("`{0}` is no name of a header")]
    HeaderName(String),
    /// Not a value that a header can have.
    #[error("the header `{0}` cannot have the value it is given")]
    HeaderValue(String),
    /// Not an address or network.
    #[error("`{0}` is no address and no network; write it like `10.0.0.2` or `10.0.0.0/8`")]
    Network(String),
    /// Headers that anybody could send would be believed of nobody.
    #[error("headers of a proxy are to be trusted, and no address of a proxy is given")]
    NoProxies,
    /// Not an origin.
    #[error("`{0}` is no origin; write it like `https://chat.example.org`")]
    Origin(String),
}
