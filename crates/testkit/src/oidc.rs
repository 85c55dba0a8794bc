//! The scripted provider: an OpenID Connect provider that says about people what a test wants.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use serde_json::{Value, json};

use crate::{Reply, ScriptedUpstream};

/// A provider with a document, a key set, a token endpoint and, if wanted, a userinfo endpoint, over a
/// real socket. Nobody signs in at it: a test takes the nonce from the address a browser is sent to and
/// has a token made for it.
pub struct ScriptedProvider {
    upstream: ScriptedUpstream,
    client_id: String,
    key: Mutex<SigningKey>,
}

struct SigningKey {
    id: usize,
    pair: Pair,
    random: SystemRandom,
}

enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(rsa::KeyPair),
}

/// A key of RSA, which cannot be made here as fast as one of a curve. It is good for nothing but tests.
const RSA: &[u8] = include_bytes!("oidc/rsa.pk8");

impl SigningKey {
    fn generate(id: usize) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("the machine has randomness");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("it was just made");
        Self { id, pair: Pair::Ec(pair), random }
    }

    fn of_rsa(id: usize) -> Self {
        let pair = rsa::KeyPair::from_pkcs8(RSA).expect("it was made once and kept");
        Self { id, pair: Pair::Rsa(pair), random: SystemRandom::new() }
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ec(_) => "ES256",
            Pair::Rsa(_) => "RS256",
        }
    }

    fn name(&self) -> String {
        format!("key-{}", self.id)
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&self.random, message.as_bytes()).map(|made| made.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut made = vec![0; pair.public().modulus_len()];
                let (padding, message) = (&RSA_PKCS1_SHA256, message.as_bytes());
                pair.sign(padding, &self.random, message, &mut made).map(|()| made)
            }
        };
        format!("{message}.{}", encoded(signature.expect("any message can be signed")))
    }

    /// The public half as a JSON web key.
    fn published(&self) -> Value {
        match &self.pair {
            Pair::Ec(pair) => {
                // Behind one byte that says so, both coordinates.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.name(),
                       "x": encoded(x), "y": encoded(y)})
            }
            Pair::Rsa(pair) => {
                let parts = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name(),
                       "n": encoded(parts.n), "e": encoded(parts.e)})
            }
        }
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl ScriptedProvider {
    /// Start one that knows this client.
    pub async fn start(client_id: &str) -> Self {
        let provider = Self {
            upstream: ScriptedUpstream::start().await,
            client_id: client_id.to_owned(),
            key: Mutex::new(SigningKey::generate(1)),
        };
        provider.describe(&json!({}));
        provider.publish();
        provider
    }

    /// Its root, which is also its issuer.
    pub fn url(&self) -> String {
        self.upstream.url()
    }

    /// Where its document is.
    pub fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.url())
    }

    /// What it was asked, and a way to have it answer otherwise. Its paths are `/jwks`, `/token`,
    /// `/userinfo`.
    pub fn upstream(&self) -> &ScriptedUpstream {
        &self.upstream
    }

    /// Say something else about itself, beside what has to be said.
    pub fn describe(&self, more: &Value) {
        let url = self.url();
        let mut document = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            document[name] = value.clone();
        }
        self.upstream.always("/.well-known/openid-configuration", Reply::json(200, &document));
    }

    /// Sign with another key from now on, and publish that one only.
    pub fn rotate_key(&self) {
        let next = self.key().id + 1;
        *self.key() = SigningKey::generate(next);
        self.publish();
    }

    /// Sign with RSA from now on (`RS256`, as most providers do), and publish that key only.
    pub fn use_rsa(&self) {
        let next = self.key().id + 1;
        *self.key() = SigningKey::of_rsa(next);
        self.describe(&json!({"id_token_signing_alg_values_supported": ["RS256"]}));
        self.publish();
    }

    /// Claims about `ada@example.org`, whose subject is `ada`, for a token that is good for five minutes
    /// from `now`, in seconds since 1970.
    pub fn claims(&self, nonce: &str, now: i64) -> Value {
        json!({
            "iss": self.url(),
            "aud": self.client_id,
            "sub": "ada",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "ada@example.org",
            "email_verified": true,
            "name": "Ada",
        })
    }

    /// An ID token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let key = self.key();
        key.sign(&json!({"alg": key.algorithm(), "typ": "JWT", "kid": key.name()}), claims)
    }

    /// An ID token with these claims and any header, signed with the key all the same.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        self.key().sign(header, claims)
    }

    /// An ID token that nobody has signed, and says so.
    pub fn unsigned(&self, claims: &Value) -> String {
        format!("{}.{}.", encoded(json!({"alg": "none"}).to_string()), encoded(claims.to_string()))
    }

    /// Answer the next exchange of a code with this ID token.
    pub fn grant(&self, id_token: &str) {
        let tokens = json!({
            "access_token": "scripted-access-token",
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": id_token,
        });
        self.upstream.queue("/token", Reply::json(200, &tokens));
    }

    fn publish(&self) {
        let keys = json!({"keys": [self.key().published()]});
        self.upstream.always("/jwks", Reply::json(200, &keys));
    }

    fn key(&self) -> MutexGuard<'_, SigningKey> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ScriptedProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedProvider").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}
