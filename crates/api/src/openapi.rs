//! The OpenAPI document, made from the routes themselves, and the page that shows it.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What the document says before any route is added to it.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Breezeway",
        description = "An LLM gateway with knowledge: the documented API of Open WebUI.",
        license(name = "MIT", identifier = "MIT"),
    ),
    modifiers(&Credentials),
    security(("bearer" = []), ("api_key" = [])),
)]
pub(crate) struct Document;

/// The two ways to say who is calling.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
        components.add_security_scheme("api_key", key);
    }
}
