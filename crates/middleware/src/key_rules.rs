//! What a narrowed API key may call: the rules that are about methods and paths.
//!
//! This is the one place that says which operations read. Everything that is not listed changes
//! something, so that a new route is closed to read-only keys until somebody thinks about it.

use breezeway_auth::Error;
use breezeway_core::Principal;
use http::Method;

/// Operations that are `POST` because of their bodies, and change nothing here.
const READS: [&str; 18] = [
    "/api/chat/completions",
    "/api/v1/chat/completions",
    "/api/v1/messages",
    "/api/v1/messages/count_tokens",
    "/api/message",
    "/api/message/count_tokens",
    "/api/embeddings",
    "/api/v1/embeddings",
    "/openai/chat/completions",
    "/openai/responses",
    "/api/chat/completed",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/messages",
    "/v1/messages/count_tokens",
    // With such a key, no answer is kept.
    "/v1/responses",
    "/api/v1/responses",
];

/// The same with a part that varies behind them.
const READS_BELOW: [&str; 1] = ["/api/v1/retrieval/query/"];

/// The same behind `/ollama`, where an index of a connection may follow.
const OLLAMA_READS: [&str; 10] = [
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/embeddings",
    "/api/show",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
];

/// Where accounts, their roles and their credentials are changed. A key that could do that would make
/// itself an account without its limits.
const ACCOUNTS: [&str; 3] = ["/api/v1/auths/", "/api/v1/users/", "/api/v1/groups/"];

/// What only concerns the caller's own settings, below those.
const OWN: &str = "/api/v1/users/user/";

/// Whether the caller's key, if there is one and it is narrowed, allows the call.
///
/// # Errors
/// [`Error::NarrowedKey`] or [`Error::ReadOnlyKey`].
pub(crate) fn check(principal: &Principal, method: &Method, path: &str) -> Result<(), Error> {
    let Some(rules) = &principal.rules else { return Ok(()) };
    if is_safe(method) {
        return Ok(());
    }
    if ACCOUNTS.iter().any(|prefix| path.starts_with(prefix)) && !path.starts_with(OWN) {
        return Err(Error::NarrowedKey);
    }
    if rules.read_only && !(*method == Method::POST && reads(path)) {
        return Err(Error::ReadOnlyKey);
    }
    Ok(())
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn reads(path: &str) -> bool {
    if READS.contains(&path) || READS_BELOW.iter().any(|prefix| path.starts_with(prefix)) {
        return true;
    }
    let Some(path) = path.strip_prefix("/ollama") else { return false };
    let path = path.strip_suffix('/').unwrap_or(path);
    let plain = match path.rsplit_once('/') {
        Some((plain, index)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => plain,
        _ => path,
    };
    OLLAMA_READS.contains(&plain)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use breezeway_core::{ApiKeyId, Credential, KeyRules, Role, UserId};

    use super::*;

    fn caller(rules: Option<KeyRules>) -> Principal {
        Principal {
            user: UserId::mint(),
            role: Role::Admin,
            name: "ada".into(),
            email: "ada@example.org".into(),
            groups: [].into(),
            credential: Credential::ApiKey(ApiKeyId::mint()),
            rules: rules.map(Arc::new),
        }
    }

    #[test]
    fn a_read_only_key_asks_and_changes_nothing() {
        let only = caller(Some(KeyRules { read_only: true, ..KeyRules::default() }));
        let check = |method: Method, path: &str, allowed: bool| {
            assert_eq!(check(&only, &method, path).is_ok(), allowed, "{method} {path}");
            assert!(super::check(&caller(None), &method, path).is_ok(), "{method} {path}");
        };

        for path in ["/api/models", "/api/v1/files/", "/ollama/api/tags", "/anything"] {
            check(Method::GET, path, true);
            check(Method::HEAD, path, true);
            check(Method::POST, path, false);
            check(Method::DELETE, path, false);
            check(Method::PUT, path, false);
            check(Method::PATCH, path, false);
        }
        for path in [
            "/api/chat/completions",
            "/api/v1/messages",
            "/api/embeddings",
            "/openai/responses",
            "/api/v1/retrieval/query/doc",
            "/api/v1/retrieval/query/collection",
            "/ollama/api/chat",
            "/ollama/api/chat/",
            "/ollama/api/generate/0",
            "/ollama/v1/embeddings/12",
        ] {
            check(Method::POST, path, true);
            check(Method::DELETE, path, false);
        }
        for path in [
            "/api/chat/completions/",
            "/api/v1/retrieval/process/file",
            "/openai/audio/speech",
            "/ollama/api/pull",
            "/ollama/api/chat/x",
            "/ollama",
            "",
        ] {
            check(Method::POST, path, false);
        }
    }

    #[test]
    fn a_narrowed_key_changes_no_accounts_and_may_change_other_things() {
        let narrowed = caller(Some(KeyRules { models: Some(Vec::new()), ..KeyRules::default() }));
        let refused = |method: Method, path: &str| check(&narrowed, &method, path).is_err();

        assert!(refused(Method::POST, "/api/v1/auths/add"));
        assert!(refused(Method::POST, "/api/v1/users/7/update"));
        assert!(refused(Method::DELETE, "/api/v1/users/7"));
        assert!(refused(Method::POST, "/api/v1/groups/id/7/users/add"));
        assert!(!refused(Method::GET, "/api/v1/users/"));
        assert!(!refused(Method::POST, "/api/v1/users/user/settings/update"));
        assert!(!refused(Method::POST, "/api/v1/files/"));
    }
}
