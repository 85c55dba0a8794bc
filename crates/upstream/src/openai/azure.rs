//! Azure OpenAI: OpenAI's dialect at other paths.
//!
//! A deployment has a name of its own, which is the model here, and stands in the path; the version of
//! the API stands in the query, and the key in the header `api-key`.

use breezeway_registry::{Connection, UpstreamError, deployment};
use http::HeaderName;
use serde_json::{Map, Value};

/// Where the key goes.
pub(super) const KEY: HeaderName = HeaderName::from_static("api-key");

/// How the paths of a connection to Azure are made.
#[derive(Clone, Debug)]
pub(super) struct Azure {
    api_version: String,
    /// The name of the one deployment that the address leads to.
    deployment: Option<String>,
}

impl Azure {
    pub(super) fn new(connection: &Connection, api_version: String) -> Self {
        Self { api_version, deployment: deployment(&connection.url).map(str::to_owned) }
    }

    /// The list of models, where the address decides it.
    pub(super) fn only_model(&self) -> Option<Vec<String>> {
        self.deployment.clone().map(|name| vec![name])
    }

    /// The path of an operation below the connection's address.
    ///
    /// # Errors
    /// [`UpstreamError::Malformed`] if no deployment can have the model's name.
    pub(super) fn path(
        &self,
        operation: &str,
        request: &Map<String, Value>,
    ) -> Result<String, UpstreamError> {
        let version = &self.api_version;
        if self.deployment.is_some() {
            return Ok(format!("{operation}?api-version={version}"));
        }
        // Stored answers belong to no deployment.
        if operation == "/responses" || operation.starts_with("/responses/") {
            return Ok(format!("/openai{operation}?api-version={version}"));
        }
        let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if model.is_empty() || !model.bytes().all(is_plain) {
            return Err(UpstreamError::Malformed(format!(
                "no deployment is called `{}`",
                model.escape_debug()
            )));
        }
        Ok(format!("/openai/deployments/{model}{operation}?api-version={version}"))
    }
}
