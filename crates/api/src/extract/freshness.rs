//! Whether a kept answer will do.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use breezeway_chat::Freshness;
use http::{header, request::Parts};

/// What `Cache-Control` says: `no-store` wants an answer made anew, and not kept.
pub(crate) struct Fresh(pub(crate) Freshness);

impl<S: Sync> FromRequestParts<S> for Fresh {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::CACHE_CONTROL).iter();
        let mut words = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let no_store = words.any(|word| word.trim().eq_ignore_ascii_case("no-store"));
        Ok(Self(if no_store { Freshness::NoStore } else { Freshness::Any }))
    }
}
