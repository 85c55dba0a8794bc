//! Signing and checking session tokens (HS256).
//!
//! Nothing of a token is believed before its signature has been checked against one of our secrets
//! with the one algorithm we use; the algorithm that a token names for itself only has to agree.

use std::time::Duration;

use breezeway_core::{Secret, SessionId, UnixTime, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Our tokens have about 500 bytes. Longer ones are refused before anything is decoded.
const MAX_BYTES: usize = 4096;

/// How far the clocks of two servers with one secret may be apart. A token from later than that was not
/// signed by a server in its right mind; Open WebUI does not look, so this refuses more than it does.
const SKEW: Duration = Duration::from_secs(300);

const TYPE: &str = "session";

/// What a token says, under the names that Open WebUI uses.
#[derive(Serialize, Deserialize)]
struct Claims {
    id: String,
    typ: String,
    auth_method: String,
    auth_time: i64,
    session_stamp: String,
    mfa_verified: bool,
    iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// Read and never written.
    #[serde(default, skip_serializing)]
    nbf: Option<i64>,
    jti: String,
}

/// A session as its token describes it.
#[derive(Debug, PartialEq)]
pub(crate) struct SessionToken {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) stamp: String,
    pub(crate) expires_at: Option<UnixTime>,
    /// How the account proved itself when the session began, in a word of the contract.
    pub(crate) method: String,
    /// When that was.
    pub(crate) proved_at: UnixTime,
}

/// Signs with the current secret; checks against it and all earlier ones.
pub(crate) struct Tokens {
    sign: EncodingKey,
    verify: Vec<DecodingKey>,
    validation: Validation,
}

impl Tokens {
    pub(crate) fn new(secret: &Secret, previous: &[Secret]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked below: the library would ask the machine's clock instead of ours.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Self {
            sign: EncodingKey::from_secret(secret.expose().as_bytes()),
            verify: std::iter::once(secret)
                .chain(previous)
                .map(|secret| DecodingKey::from_secret(secret.expose().as_bytes()))
                .collect(),
            validation,
        }
    }

    pub(crate) fn sign(&self, token: SessionToken, now: UnixTime) -> Result<Secret> {
        let claims = Claims {
            id: token.user.as_str().to_owned(),
            typ: TYPE.into(),
            auth_method: token.method,
            auth_time: token.proved_at.seconds(),
            session_stamp: token.stamp,
            mfa_verified: false,
            iat: now.seconds(),
            exp: token.expires_at.map(UnixTime::seconds),
            nbf: None,
            jti: token.session.as_str().to_owned(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .map(Secret::from)
            .map_err(|_| Error::Crypto("signing of a session token"))
    }

    pub(crate) fn verify(&self, token: &str, now: UnixTime) -> Result<SessionToken> {
        if token.len() > MAX_BYTES {
            return Err(Error::InvalidToken);
        }
        let claims = self.claims(token)?;
        let expires_at = claims.exp.map(UnixTime::from_seconds);
        let latest = now.plus(SKEW).seconds();
        let is_early = claims.iat > latest || claims.nbf.is_some_and(|begin| begin > latest);
        if claims.typ != TYPE || is_early || expires_at.is_some_and(|end| end <= now) {
            return Err(Error::InvalidToken);
        }
        Ok(SessionToken {
            user: claims.id.parse().map_err(|_| Error::InvalidToken)?,
            session: claims.jti.parse().map_err(|_| Error::InvalidToken)?,
            stamp: claims.session_stamp,
            expires_at,
            method: claims.auth_method,
            proved_at: UnixTime::from_seconds(claims.auth_time),
        })
    }

    fn claims(&self, token: &str) -> Result<Claims> {
        for key in &self.verify {
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(failure) if *failure.kind() == ErrorKind::InvalidSignature => {}
                Err(_) => break,
            }
        }
        Err(Error::InvalidToken)
    }
}

#[cfg(test)]
mod tests;
