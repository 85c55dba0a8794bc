//! Signing in through somebody else.

use std::{fmt, sync::Arc};

use breezeway_auth::{ExternalPolicy, IdentityProvider};

/// A provider, and what its people may do here.
#[derive(Clone)]
pub struct SignOn {
    /// The provider.
    pub provider: Arc<dyn IdentityProvider>,
    /// What its people may do.
    pub policy: ExternalPolicy,
    /// The address of ours to which it sends them back (`OPENID_REDIRECT_URI`); `None` for the one that
    /// follows from where this server is reached.
    pub return_to: Option<String>,
}

impl fmt::Debug for SignOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignOn").field("provider", &self.provider.id()).finish_non_exhaustive()
    }
}
