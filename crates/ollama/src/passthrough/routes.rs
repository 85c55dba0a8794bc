//! Which routes there are. It is a fixed list: an upstream may have others that nobody here has
//! thought about, and they stay closed.

use http::{Method, request::Parts};

use super::failure::Failure;

/// A route that was found.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) kind: Kind,
    /// The path at the upstream.
    pub(super) path: &'a str,
    /// The connection asked for.
    pub(super) index: Option<usize>,
    pub(super) admins_only: bool,
    sent_as: Option<Method>,
}

impl Found<'_> {
    /// The method to use at the upstream.
    pub(super) fn method(&self, head: &Parts) -> Method {
        self.sent_as.clone().unwrap_or_else(|| head.method.clone())
    }
}

/// What is done on a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The merged list of models.
    Tags,
    /// The same in OpenAI's shape.
    Models,
    /// What is loaded, merged.
    Loaded,
    /// The lowest version.
    Version,
    /// Take a model out of memory, wherever it is loaded.
    Unload,
    /// Hand on to the connection of the model, which is named in the first of these fields that says
    /// something.
    Ask { fields: &'static [&'static str] },
    /// The same, and it changes which models there are.
    Change { fields: &'static [&'static str] },
    /// Hand on without looking inside, to the first connection; whether it may change which models
    /// there are.
    Stream { refreshes: bool },
}

struct Row {
    path: &'static str,
    /// As the `allow` header lists them.
    methods: &'static str,
    kind: Kind,
    admins_only: bool,
}

const fn open(path: &'static str, methods: &'static str, kind: Kind) -> Row {
    Row { path, methods, kind, admins_only: false }
}

const fn admins(path: &'static str, methods: &'static str, kind: Kind) -> Row {
    Row { path, methods, kind, admins_only: true }
}

const MODEL: &[&str] = &["model"];
/// Ollama prefers the first and still reads the second.
const MODEL_OR_NAME: &[&str] = &["model", "name"];

const ROWS: &[Row] = &[
    open("/api/tags", "GET, HEAD", Kind::Tags),
    open("/api/version", "GET, HEAD", Kind::Version),
    open("/api/generate", "POST", Kind::Ask { fields: MODEL }),
    open("/api/chat", "POST", Kind::Ask { fields: MODEL }),
    open("/api/embed", "POST", Kind::Ask { fields: MODEL }),
    open("/api/embeddings", "POST", Kind::Ask { fields: MODEL }),
    open("/api/show", "POST", Kind::Ask { fields: MODEL_OR_NAME }),
    open("/v1/models", "GET, HEAD", Kind::Models),
    open("/v1/chat/completions", "POST", Kind::Ask { fields: MODEL }),
    open("/v1/completions", "POST", Kind::Ask { fields: MODEL }),
    open("/v1/embeddings", "POST", Kind::Ask { fields: MODEL }),
    open("/v1/responses", "POST", Kind::Ask { fields: MODEL }),
    open("/v1/messages", "POST", Kind::Ask { fields: MODEL }),
    admins("/api/ps", "GET, HEAD", Kind::Loaded),
    admins("/api/pull", "POST", Kind::Stream { refreshes: true }),
    admins("/api/create", "POST", Kind::Stream { refreshes: true }),
    // Ollama has it as POST, Open WebUI as DELETE.
    admins("/api/push", "POST, DELETE", Kind::Ask { fields: MODEL_OR_NAME }),
    admins("/api/copy", "POST", Kind::Change { fields: &["source"] }),
    admins("/api/delete", "DELETE", Kind::Change { fields: MODEL_OR_NAME }),
    admins("/api/unload", "POST", Kind::Unload),
];

const BLOBS: Row = admins("/api/blobs/", "HEAD, POST", Kind::Stream { refreshes: false });

/// Whether it is the question that needs no account.
pub(super) fn is_alive(head: &Parts) -> bool {
    matches!(head.uri.path(), "" | "/") && matches!(head.method, Method::GET | Method::HEAD)
}

/// The route of a request.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Failure> {
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    };
    if matches!(path, "" | "/") {
        return Err(Failure::MethodNotAllowed("GET, HEAD"));
    }
    let (plain, index) = split_index(path);
    let (row, path, index) = match ROWS.iter().find(|row| row.path == plain) {
        Some(row) => (row, plain, index),
        None if is_blob(path) => (&BLOBS, path, None),
        None => return Err(Failure::NoSuchPath),
    };
    if !row.methods.split(", ").any(|allowed| allowed == method.as_str()) {
        return Err(Failure::MethodNotAllowed(row.methods));
    }
    let sent_as = (row.path == "/api/push").then_some(Method::POST);
    Ok(Found { kind: row.kind, path, index, admins_only: row.admins_only, sent_as })
}

/// Take a connection's index off the end of a path.
fn split_index(path: &str) -> (&str, Option<usize>) {
    match path.rsplit_once('/') {
        Some((plain, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse() {
            Ok(index) => (plain, Some(index)),
            Err(_) => (path, None),
        },
        _ => (path, None),
    }
}

fn is_blob(path: &str) -> bool {
    let digest = path.strip_prefix(BLOBS.path).unwrap_or_default();
    !digest.is_empty()
        && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_picks_a_connection() {
        let found = find(&Method::POST, "/v1/chat/completions/12").unwrap();

        assert_eq!((found.path, found.index), ("/v1/chat/completions", Some(12)));
        assert_eq!(find(&Method::GET, "/api/tags/").unwrap().index, None);
    }

    #[test]
    fn unknown_paths_and_methods_are_refused() {
        for path in
            ["/api", "/api/generate/x", "/api/blobs/", "/api/blobs/a/b", "/api/blobs/..", "/api/99", "x"]
        {
            assert!(matches!(find(&Method::POST, path), Err(Failure::NoSuchPath)), "{path}");
        }
        for path in ["/api/generate", "/api/tags/99999999999999999999999", "/api/delete", "/"] {
            assert!(find(&Method::PUT, path).is_err(), "{path}");
        }
    }
}
