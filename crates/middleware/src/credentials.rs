//! Credentials: from headers to a principal.

use std::sync::Arc;

/// Why a request has no principal; shared, because extensions must be cloneable.
#[derive(Clone, Debug)]
pub struct AuthRefusal(pub Arc<breezeway_auth::Error>);
