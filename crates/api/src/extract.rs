//! Extractors: typed input from requests, and refusals in this API's shapes.

mod freshness;
mod json;
mod multipart;
mod path;
mod principal;
mod query;
mod trail;

pub(crate) use self::{
    freshness::Fresh,
    json::{AuthJson, Json, JsonObject},
    multipart::UploadForm,
    path::Path,
    principal::{Admin, Human, Optional, SignedIn, Verified},
    query::Query,
    trail::{Trail, shared_with},
};
