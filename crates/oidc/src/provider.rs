//! The provider: sending people off, and finding out who comes back.

use std::fmt;

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use breezeway_auth::{Arrival, Departure, ExternalPerson, IdentityProvider, ProviderError};
use breezeway_core::{Clock, Secret};
use chrono::{DateTime, Utc};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, TokenResponse,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenVerifier,
        CoreJwsSigningAlgorithm as Algorithm, CoreTokenResponse,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    InvalidConfig, OidcConfig,
    claims::{self, Claims},
    discovery::{Discovery, Known},
    http::Http,
};

/// Its word in paths and records.
const ID: &str = "oidc";

/// Signatures that are believed: those with a key of the provider's own. With `HS256` whoever knows the
/// client's secret could sign, and with `none` everybody.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

/// The longest word of a provider's refusal that is passed on.
const MAX_WORD: usize = 64;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A provider that speaks OpenID Connect.
pub struct OidcProvider {
    config: OidcConfig,
    clock: Clock,
    http: Http,
    discovery: Discovery,
}

/// What must come back with somebody who was sent off.
#[derive(Serialize, Deserialize)]
struct Kept {
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
}

impl OidcProvider {
    /// A provider that has not been asked anything yet.
    ///
    /// # Errors
    /// If the configuration makes no sense.
    pub fn new(config: OidcConfig, clock: Clock) -> Result<Self, InvalidConfig> {
        config.check()?;
        Ok(Self {
            http: Http::new(config.timeout),
            discovery: Discovery::new(config.discovery_url.clone(), clock.clone()),
            config,
            clock,
        })
    }

    fn client(&self, known: &Known, return_to: &str) -> Result<Client, ProviderError> {
        let return_to = RedirectUrl::new(return_to.to_owned())
            .map_err(|_| ProviderError::Unavailable("the address to return to is none".into()))?;
        let secret = self.config.client_secret.as_ref();
        let client = CoreClient::from_provider_metadata(
            known.metadata.clone(),
            ClientId::new(self.config.client_id.clone()),
            secret.map(|secret| ClientSecret::new(secret.expose().to_owned())),
        );
        // Without a word about it, a provider takes the secret in the header.
        let methods = known.metadata.token_endpoint_auth_methods_supported();
        let takes = |method| methods.is_none_or(|methods| methods.contains(&method));
        let in_body =
            !takes(CoreClientAuthMethod::ClientSecretBasic) && takes(CoreClientAuthMethod::ClientSecretPost);
        let auth_type = if in_body { AuthType::RequestBody } else { AuthType::BasicAuth };
        Ok(client.set_redirect_uri(return_to).set_auth_type(auth_type))
    }

    async fn exchange(
        &self,
        client: &Client,
        code: &Secret,
        verifier: String,
    ) -> Result<CoreTokenResponse, ProviderError> {
        let request = client
            .exchange_code(AuthorizationCode::new(code.expose().to_owned()))
            .map_err(|_| ProviderError::Unavailable("it has no token endpoint".into()))?
            .set_pkce_verifier(PkceCodeVerifier::new(verifier));
        request.request_async(&self.http).await.map_err(|failure| match failure {
            RequestTokenError::ServerResponse(answer) => refused(answer.error().as_ref()),
            RequestTokenError::Request(why) => ProviderError::Unavailable(why.to_string()),
            // Neither the body nor what is wrong with it: both could be a token.
            RequestTokenError::Parse(..) => {
                ProviderError::Unavailable("it answered with something that is no token".into())
            }
            RequestTokenError::Other(why) => ProviderError::Unavailable(why),
        })
    }

    /// The claims of an ID token, if it is what it says.
    async fn verified(
        &self,
        token: &CoreIdToken,
        nonce: &Nonce,
        known: &Known,
    ) -> Result<Claims, ProviderError> {
        use ClaimsVerificationError::SignatureVerification;

        let checked = match self.check(token, nonce, known) {
            Err(SignatureVerification(SignatureVerificationError::NoMatchingKey)) => {
                let newer = self.discovery.newer_than(known, &self.http).await?;
                self.check(token, nonce, &newer)
            }
            checked => checked,
        };
        checked.map_err(|why| ProviderError::Untrusted(what_is_wrong(&why).to_owned()))?;
        payload(token).ok_or_else(|| ProviderError::Untrusted("its claims cannot be read".into()))
    }

    fn check(
        &self,
        token: &CoreIdToken,
        nonce: &Nonce,
        known: &Known,
    ) -> Result<(), ClaimsVerificationError> {
        let now = DateTime::<Utc>::from_timestamp(self.clock.now().seconds(), 0).unwrap_or_default();
        let client = ClientId::new(self.config.client_id.clone());
        let issuer = known.metadata.issuer().clone();
        let verifier = CoreIdTokenVerifier::new_public_client(client, issuer, known.keys.clone())
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now);
        token.claims(&verifier, nonce).map(drop)
    }

    /// Claims that the ID token leaves out, from the endpoint that knows them.
    async fn fill(
        &self,
        claims: &mut Claims,
        access_token: &str,
        known: &Known,
    ) -> Result<(), ProviderError> {
        let Some(endpoint) = known.metadata.userinfo_endpoint() else { return Ok(()) };
        // Going on without it could take a role away from somebody who has it.
        let body = self.http.get(endpoint.as_str(), Some(access_token)).await;
        let body = body.map_err(|why| ProviderError::Unavailable(format!("its userinfo: {why}")))?;
        let more: Claims = serde_json::from_slice(&body)
            .map_err(|_| ProviderError::Unavailable("its userinfo is no JSON object".into()))?;
        if more.get("sub") != claims.get("sub") {
            return Err(ProviderError::Untrusted("its userinfo is about somebody else".into()));
        }
        for (name, value) in more {
            let said = claims.entry(name).or_insert(Value::Null);
            if said.is_null() {
                *said = value;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl IdentityProvider for OidcProvider {
    fn id(&self) -> &str {
        ID
    }

    fn title(&self) -> &str {
        &self.config.title
    }

    async fn begin(&self, return_to: &str) -> Result<Departure, ProviderError> {
        let known = self.discovery.known(&self.http).await?;
        let client = self.client(&known, return_to)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .set_pkce_challenge(challenge);
        // `openid` is asked for anyway.
        for scope in self.config.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        let kept = Kept {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            return_to: return_to.to_owned(),
        };
        let kept = serde_json::to_string(&kept)
            .map_err(|_| ProviderError::Unavailable("nothing can be kept of a departure".into()))?;
        Ok(Departure { url: url.into(), kept: kept.into() })
    }

    async fn finish(&self, kept: &Secret, arrival: Arrival) -> Result<ExternalPerson, ProviderError> {
        let kept: Kept = serde_json::from_str(kept.expose()).map_err(|_| ProviderError::Mismatch)?;
        if arrival.state.as_ref().map(Secret::expose) != Some(kept.state.as_str()) {
            return Err(ProviderError::Mismatch);
        }
        if let Some(word) = &arrival.error {
            return Err(refused(word));
        }
        let code = arrival.code.ok_or(ProviderError::Mismatch)?;
        let known = self.discovery.known(&self.http).await?;
        let client = self.client(&known, &kept.return_to)?;
        let tokens = self.exchange(&client, &code, kept.verifier).await?;
        let id_token = tokens.id_token().ok_or_else(|| ProviderError::Untrusted("there is none".into()))?;
        let mut claims = self.verified(id_token, &Nonce::new(kept.nonce), &known).await?;
        if claims::lacks_something(&self.config, &claims) {
            self.fill(&mut claims, tokens.access_token().secret(), &known).await?;
        }
        claims::person(&self.config, ID, &claims)
    }
}

impl fmt::Debug for OidcProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcProvider").field("config", &self.config).finish_non_exhaustive()
    }
}

/// All claims of a token that has been verified. The library shows those it has names for; mappings may
/// ask for any.
fn payload(token: &CoreIdToken) -> Option<Claims> {
    let text = token.to_string();
    let payload = text.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// What is wrong with a token, without any of it.
fn what_is_wrong(why: &ClaimsVerificationError) -> &'static str {
    use ClaimsVerificationError as Claims;
    use SignatureVerificationError as Signature;

    match why {
        Claims::Expired(_) => "it has expired",
        Claims::InvalidAudience(_) => "it is meant for somebody else",
        Claims::InvalidIssuer(_) => "it is of another issuer",
        Claims::InvalidNonce(_) => "its nonce belongs to another sign-in",
        Claims::SignatureVerification(Signature::NoSignature) => "it is not signed",
        Claims::SignatureVerification(Signature::NoMatchingKey) => {
            "it is signed with a key that is not published"
        }
        Claims::SignatureVerification(Signature::DisallowedAlg(_)) => {
            "it is signed with an algorithm that is not allowed"
        }
        Claims::SignatureVerification(_) => "its signature is not good",
        _ => "its claims are not good",
    }
}

/// A refusal by its word, as far as it is one: it has come through a browser.
fn refused(word: &str) -> ProviderError {
    let word = word.chars().filter(|sign| sign.is_ascii_alphanumeric() || "_-.".contains(*sign));
    ProviderError::Refused(word.take(MAX_WORD).collect())
}
