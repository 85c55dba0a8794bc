//! What a person sees when the gateway starts: what is in force, and what to type next.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use breezeway::{Breezeway, Embedding};
use tracing::{info, warn};

use crate::{config::Settings, secret};

/// Print the banner on standard error, or one log line where logs are read by machines.
#[expect(clippy::print_stderr, reason = "the banner is for the person at the terminal")]
pub(crate) fn print(settings: &Settings, breezeway: &Breezeway, address: SocketAddr, took: Duration) {
    if settings.log_json {
        info!(address = %address, duration_ms = took.as_millis() as u64, "Listening on http://{address}");
        if let Some(warning) = exposure(settings, breezeway) {
            warn!("{warning}");
        }
        if let Some(warning) = &settings.ignored_model {
            warn!("{warning}");
        }
        return;
    }
    eprintln!("{}", text(settings, breezeway, address, took));
}

fn text(settings: &Settings, breezeway: &Breezeway, address: SocketAddr, took: Duration) -> String {
    let mut text = String::new();
    let config = &settings.gateway;
    let url = format!("http://{address}");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    line("listening", format!("{url}   (started in {} ms)", took.as_millis()));
    line("data", config.data_folder.display().to_string());
    line("secret", secret_line(&settings.secret_origin));
    line("accounts", accounts_line(settings, breezeway));
    line("upstreams", upstreams_line(settings));
    line("embedding", embedding_line(&config.embedding));
    line("docs", if config.api.docs { format!("{url}/docs") } else { "off (ENV=dev serves them)".into() });
    if let Some(warning) = exposure(settings, breezeway) {
        line("warning", warning.into());
    }
    if let Some(warning) = &settings.ignored_model {
        line("warning", warning.clone());
    }
    format!("\nBreezeway {}\n{text}\n{}", env!("CARGO_PKG_VERSION"), next(settings, breezeway, &url))
}

/// What somebody else on the network could do who ought not to.
fn exposure(settings: &Settings, breezeway: &Breezeway) -> Option<&'static str> {
    if settings.host.is_loopback() {
        return None;
    }
    if settings.gateway.auth.single_user {
        return Some("Whoever reaches this address is admin: WEBUI_AUTH=false asks nobody for a key");
    }
    breezeway.auth().is_empty().then_some("Whoever reaches this address first can sign up and become admin")
}

fn secret_line(origin: &secret::Origin) -> String {
    match origin {
        secret::Origin::Given => "from WEBUI_SECRET_KEY".into(),
        secret::Origin::Kept(path) => format!("from {}", path.display()),
        secret::Origin::Made(path) => {
            format!("made and kept in {} (back it up: it opens the API keys)", path.display())
        }
    }
}

fn accounts_line(settings: &Settings, breezeway: &Breezeway) -> String {
    if settings.gateway.auth.single_user {
        return "single user: no key is asked for (WEBUI_AUTH=false)".into();
    }
    match breezeway.auth().accounts().len() {
        0 => "none yet: the first to sign up becomes admin".into(),
        1 => "1".into(),
        several => several.to_string(),
    }
}

fn upstreams_line(settings: &Settings) -> String {
    let urls: Vec<String> =
        settings.gateway.connections.iter().map(|connection| without_password(&connection.url)).collect();
    match urls.as_slice() {
        [] => "none: set OPENAI_API_BASE_URLS or OLLAMA_BASE_URLS".into(),
        urls => urls.join(", "),
    }
}

/// An address without what may be secret in it: name and password before the host, and the query.
pub(crate) fn without_password(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

pub(crate) fn embedding_line(embedding: &Embedding) -> String {
    match embedding {
        Embedding::None => "none: search goes by words alone".into(),
        Embedding::Local(local) => format!("all-MiniLM-L6-v2, in {}", local.fetch.target.display()),
        Embedding::OpenAi(remote) | Embedding::Ollama(remote) => {
            format!("{} at {}", remote.model, without_password(&remote.url))
        }
        Embedding::Model(model) => model.fingerprint().to_string(),
    }
}

/// What to type next.
fn next(settings: &Settings, breezeway: &Breezeway, url: &str) -> String {
    if settings.gateway.auth.single_user {
        return format!("Try it:\n\n  curl {url}/api/models\n");
    }
    if breezeway.auth().is_empty() {
        return format!(
            "Sign up, and keep the token:\n\n  curl -s {url}/api/v1/auths/signup -H 'Content-Type: application/json' \\\n    \
             -d '{{\"name\":\"Ada\",\"email\":\"ada@example.org\",\"password\":\"choose-one\"}}'\n"
        );
    }
    format!("Try it with your key:\n\n  curl -H \"Authorization: Bearer $KEY\" {url}/api/models\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
            ("https://name:secret@host/v1", "https://host/v1"),
            ("https://name:sec@ret@host:8/v1?key=secret", "https://host:8/v1"),
            ("host/v1", "host/v1"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
