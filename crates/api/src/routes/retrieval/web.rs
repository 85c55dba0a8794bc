//! Reading pages of the web.

use axum::{Json as JsonAnswer, extract::State};
use breezeway_core::Principal;
use breezeway_ingest::extract::Hint;
use breezeway_knowledge::{BlobHash, Collection, File, FileState, Upload};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::process::{finished, material, text_of, to_fill};
use crate::{
    error::{ACCESS_PROHIBITED, ApiError, ApiResult},
    extract::{Json, Query, Verified},
    state::{ApiState, WebPage},
    views::{files, passages::SOURCE_URL},
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(process_web))
        .routes(routes!(process_youtube))
        .routes(routes!(process_url))
        .routes(routes!(search))
}

const UNREADABLE: &str = "[ERROR: Could not read content from URL]";
/// Signs of the hash that names a page's collection: vector stores take 63 at most.
const NAME_SIGNS: usize = 63;

/// An address to read.
#[derive(Deserialize, ToSchema)]
struct UrlForm {
    url: String,
    /// A collection to put it into; named by the address's hash unless given.
    collection_name: Option<String>,
}

#[derive(Deserialize, IntoParams)]
struct WebQuery {
    /// `false` only answers the text and keeps nothing.
    process: Option<bool>,
    /// `false` keeps what was read at this address before.
    overwrite: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
struct UrlQuery {
    /// `false` keeps nothing.
    process: Option<bool>,
}

/// What to look for in the web.
#[derive(Deserialize, ToSchema)]
struct SearchForm {
    #[expect(dead_code, reason = "it is checked to be there, and there is nobody to ask")]
    queries: Vec<String>,
}

/// Read a page of the web and keep it as a file of the caller's, in a collection.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/web", tag = "retrieval", request_body = UrlForm, params(WebQuery),
    responses((status = 200, description = "the collection and the text"), (status = "4XX", description = "refused")),
)]
async fn process_web(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<WebQuery>,
    Json(form): Json<UrlForm>,
) -> ApiResult<JsonAnswer<Value>> {
    read(&state, &principal, query, form).await
}

/// The same under the name that video pages are sent to.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/youtube", tag = "retrieval", request_body = UrlForm, params(WebQuery),
    responses((status = 200, description = "the collection and the text"), (status = "4XX", description = "refused")),
)]
async fn process_youtube(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<WebQuery>,
    Json(form): Json<UrlForm>,
) -> ApiResult<JsonAnswer<Value>> {
    read(&state, &principal, query, form).await
}

/// Read whatever is at an address: a page as `process/web` does, anything else as a file.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/url", tag = "retrieval", request_body = UrlForm, params(UrlQuery),
    responses((status = 200, description = "what it is, and its text or its file"), (status = "4XX", description = "refused")),
)]
async fn process_url(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    Query(query): Query<UrlQuery>,
    Json(form): Json<UrlForm>,
) -> ApiResult<JsonAnswer<Value>> {
    let process = query.process.unwrap_or(true);
    let (name, target) = target(&state, &principal, &form, process).await?;
    let page = fetch(&state, &form.url).await?;
    let kind = match essence(&page.media_type).as_str() {
        image if image.starts_with("image/") => "image",
        "" | "text/html" | "application/xhtml+xml" | "text/plain" => "web",
        _ => "file",
    };
    let mut view = json!({"status": true, "type": kind, "name": form.url, "url": form.url});
    let answer = view.as_object_mut().expect("it was made as an object");
    match target {
        Some(collection) if kind == "web" => {
            let file = keep(&state, &principal, &form.url, page, &collection, true).await?;
            answer.insert("collection_name".into(), name.into());
            answer.insert("content".into(), text_of(&state, &principal, &file.id).await?.into());
        }
        Some(collection) => {
            let mut upload = upload(&form.url, &page, &collection);
            // There is nothing to read in a picture, and it is wanted all the same.
            upload.process = kind != "image";
            upload.into = upload.into.filter(|_| upload.process);
            let file =
                state.library.add_material(&principal, upload, page.bytes).await.map_err(unreadable)?;
            let file = match file.state {
                FileState::Stored => file,
                _ => super::super::files::wait_until_final(&state, &principal, &file.id).await?,
            };
            answer.insert("collection_name".into(), name.into());
            answer.insert("file".into(), files::view(&file, None).into());
        }
        None if kind == "web" => {
            answer.insert("content".into(), text_at(&state, &form.url, page).await?.into());
        }
        None => {}
    }
    Ok(JsonAnswer(view))
}

/// Search the web. There is no search engine to ask.
#[utoipa::path(
    post, path = "/api/v1/retrieval/process/web/search", tag = "retrieval", request_body = SearchForm,
    responses((status = "4XX", description = "refused")),
)]
async fn search(Verified(_): Verified, Json(_): Json<SearchForm>) -> ApiResult<JsonAnswer<Value>> {
    Err(ApiError::new(StatusCode::FORBIDDEN, ACCESS_PROHIBITED))
}

async fn read(
    state: &ApiState,
    principal: &Principal,
    query: WebQuery,
    form: UrlForm,
) -> ApiResult<JsonAnswer<Value>> {
    let process = query.process.unwrap_or(true);
    // Rights first: nobody makes this server fetch what they may not keep.
    let (name, target) = target(state, principal, &form, process).await?;
    let page = fetch(state, &form.url).await?;
    let Some(collection) = target else {
        let content = text_at(state, &form.url, page).await?;
        return Ok(JsonAnswer(json!({"status": true, "filename": form.url, "content": content})));
    };
    let overwrite = query.overwrite.unwrap_or(true);
    let file = keep(state, principal, &form.url, page, &collection, overwrite).await?;
    let content = text_of(state, principal, &file.id).await?;
    Ok(JsonAnswer(json!({
        "status": true,
        "collection_name": name,
        "filename": form.url,
        "content": content,
        "file": {
            "id": file.id.as_str(),
            "data": {"content": content},
            "meta": {"name": form.url, "source": form.url},
        },
    })))
}

/// The collection a page goes into, if it is kept.
async fn target(
    state: &ApiState,
    principal: &Principal,
    form: &UrlForm,
    process: bool,
) -> ApiResult<(String, Option<Collection>)> {
    let given = form.collection_name.as_deref().filter(|name| !name.is_empty());
    let name = given.map_or_else(
        || {
            let mut hash = BlobHash::of(form.url.as_bytes()).to_string();
            hash.truncate(NAME_SIGNS);
            hash
        },
        str::to_owned,
    );
    let collection = match process {
        true => Some(to_fill(state, principal, &name, given.is_none()).await?),
        false => None,
    };
    Ok((name, collection))
}

async fn fetch(state: &ApiState, url: &str) -> ApiResult<WebPage> {
    let page = state.web.fetch(url).await.filter(|page| !page.bytes.is_empty());
    page.ok_or_else(|| ApiError::bad_request(UNREADABLE))
}

/// Keep a page; what was read at the same address before goes, once the new one is there.
async fn keep(
    state: &ApiState,
    principal: &Principal,
    url: &str,
    page: WebPage,
    collection: &Collection,
    overwrite: bool,
) -> ApiResult<File> {
    let former: Vec<_> = match overwrite {
        true => state.library.all_members(principal, &collection.id).await?,
        false => Vec::new(),
    };
    let former: Vec<_> = former
        .into_iter()
        .filter(|file| file.metadata.get(SOURCE_URL).and_then(Value::as_str) == Some(url))
        .map(|file| file.id)
        .collect();
    let upload = upload(url, &page, collection);
    let file = state.library.add_material(principal, upload, page.bytes).await.map_err(unreadable)?;
    let read = finished(state, principal, &file.id).await;
    if let Err(refused) = read {
        // A page without a text is of no use to anyone.
        if refused.status() == StatusCode::BAD_REQUEST {
            state.library.delete_file(principal, &file.id).await?;
            return Err(ApiError::bad_request(UNREADABLE));
        }
        return Err(refused);
    }
    if !former.is_empty() {
        state.library.discard_members(principal, &collection.id, &former).await?;
    }
    read
}

fn upload(url: &str, page: &WebPage, collection: &Collection) -> Upload {
    let mut metadata = Map::new();
    metadata.insert(SOURCE_URL.into(), url.into());
    material(&name_of(url), &essence(&page.media_type), metadata, &collection.id)
}

async fn text_at(state: &ApiState, url: &str, page: WebPage) -> ApiResult<String> {
    let hint = Hint::new(name_of(url), page.media_type);
    match state.ingestor.read_text(hint, page.bytes).await {
        Ok(document) => Ok(document.text),
        Err(error) => {
            tracing::info!(error = %error, "A page of the web cannot be read");
            Err(ApiError::bad_request(UNREADABLE))
        }
    }
}

/// A page that is empty or too large is one that cannot be read.
fn unreadable(error: breezeway_knowledge::Error) -> ApiError {
    match error {
        breezeway_knowledge::Error::EmptyUpload => ApiError::bad_request(UNREADABLE),
        other => other.into(),
    }
}

/// A file name for what is at an address: the last part of its path, or the host.
fn name_of(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let rest = plain.split_once("://").map_or(plain, |(_, rest)| rest);
    rest.split('/').rfind(|part| !part.is_empty()).unwrap_or("page").to_owned()
}

fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_called_by_the_end_of_its_address() {
        assert_eq!(name_of("https://example.org/docs/guide.html?x=1#top"), "guide.html");
        assert_eq!(name_of("https://example.org/docs/"), "docs");
        assert_eq!(name_of("https://example.org"), "example.org");
        assert_eq!(name_of(""), "page");
    }
}
