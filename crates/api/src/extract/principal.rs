//! Who is calling, as each route wants to know it.
//!
//! The credentials layer has looked at the request already and left either a principal or the reason
//! why there is none; these extractors decide whether that is good enough.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use breezeway_core::{Credential, Principal, Role};
use breezeway_middleware::{AuthRefusal, RateRefusal};
use http::request::Parts;

use crate::error::ApiError;

/// Anyone with a valid credential, pending accounts included.
pub(crate) struct SignedIn;

/// An account that is not pending. This is what nearly every route wants.
pub(crate) struct Verified(pub(crate) Principal);

/// An admin.
pub(crate) struct Admin(pub(crate) Principal);

/// A person: a session, not an API key.
pub(crate) struct Human(pub(crate) Principal);

/// Whoever it is; a bad credential counts as none.
pub(crate) struct Optional(pub(crate) Option<Principal>);

fn signed_in(parts: &Parts) -> Result<Principal, ApiError> {
    if let Some(RateRefusal(refusal)) = parts.extensions.get() {
        return Err(refusal.as_ref().into());
    }
    match parts.extensions.get::<Principal>() {
        Some(principal) => Ok(principal.clone()),
        None => Err(match parts.extensions.get::<AuthRefusal>() {
            Some(AuthRefusal(reason)) => reason.as_ref().into(),
            None => breezeway_auth::Error::NoCredential.into(),
        }),
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        signed_in(parts).map(|_| Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Verified {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let principal = signed_in(parts)?;
        match principal.role {
            Role::Admin | Role::User => Ok(Self(principal)),
            Role::Pending => Err(ApiError::prohibited()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let principal = signed_in(parts)?;
        if principal.is_admin() { Ok(Self(principal)) } else { Err(ApiError::prohibited()) }
    }
}

impl<S: Sync> FromRequestParts<S> for Human {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let principal = signed_in(parts)?;
        match principal.credential {
            Credential::ApiKey(_) => Err(breezeway_auth::Error::HumanRequired.into()),
            _ => Ok(Self(principal)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Optional {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Principal>().cloned()))
    }
}
