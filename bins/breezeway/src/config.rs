//! Settings: Open WebUI's names, read once, turned into the plain values the facade takes.

mod documents;
mod fleets;
mod prices;
mod sign_on;
mod source;
mod tools;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use breezeway::{
    Config, Embedding, LocalModelConfig, RerankerConfig, Waits,
    parts::{
        api,
        auth::{AuthSettings, PasswordRule, Permissions},
        chat::{LinkPolicy, QueryGeneration},
        core::Secret,
        embedding_fastembed::{DEFAULT_MODEL, FetchConfig, RuntimeArchive},
        registry::{BadOption, Connection, ConnectionKind},
        retrieval::Leg,
        upstream::EmbedderConfig,
    },
};
use serde_json::{Map, Value};

pub(crate) use self::source::Source;
use crate::{banner, cli::Overrides, secret};

/// Everything the process needs: the gateway's configuration, and what only the binary uses.
pub(crate) struct Settings {
    pub(crate) gateway: Config,
    pub(crate) host: IpAddr,
    pub(crate) port: u16,
    pub(crate) log_level: String,
    pub(crate) log_json: bool,
    pub(crate) max_connections: usize,
    pub(crate) drain: Duration,
    pub(crate) first_admin: Option<FirstAdmin>,
    /// Where the secret came from, for the banner.
    pub(crate) secret_origin: secret::Origin,
    /// What to say about an embedding model that was asked for and is not used.
    pub(crate) ignored_model: Option<String>,
    source: Source,
}

/// The account that a headless start makes.
pub(crate) struct FirstAdmin {
    pub(crate) email: String,
    pub(crate) password: Secret,
    pub(crate) name: String,
}

/// The public address of OpenAI's API, used when there is a key and no address.
const OPENAI_URL: &str = "https://api.openai.com/v1";
/// Where Ollama listens unless told otherwise.
const OLLAMA_URL: &str = "http://127.0.0.1:11434";

impl Settings {
    /// Read flags, environment and file.
    pub(crate) fn read(overrides: Overrides) -> Result<Self> {
        Self::from_source(Source::gather(overrides)?)
    }

    fn from_source(source: Source) -> Result<Self> {
        let folder = PathBuf::from(source.text_or("DATA_DIR", "./data"));
        let (secret, secret_origin) = secret::find(&source, &folder)?;
        let mut gateway = Config::at(folder, secret);
        accounts(&source, &mut gateway)?;
        upstreams(&source, &mut gateway)?;
        chats(&source, &mut gateway)?;
        if let Some(path) = source.text("BREEZEWAY_PRICES") {
            gateway.prices = prices::read(Path::new(&path))?;
        }
        tools::read(&source, &mut gateway)?;
        documents::read(&source, &mut gateway)?;
        embedding(&source, &mut gateway)?;
        http(&source, &mut gateway)?;
        sign_on::read(&source, &mut gateway)?;

        let host = source.text_or("HOST", "127.0.0.1");
        let host = match host.as_str() {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            address => {
                address.parse().with_context(|| format!("`HOST` is `{address}`, which is no IP address"))?
            }
        };
        Ok(Self {
            gateway,
            host,
            port: source.number_or("PORT", 3000)?,
            log_level: source.text_or("GLOBAL_LOG_LEVEL", "INFO"),
            log_json: source.text_or("LOG_FORMAT", "text") == "json",
            max_connections: source.number_or("BREEZEWAY_MAX_CONNECTIONS", 10_000)?,
            drain: Duration::from_secs(source.number_or("BREEZEWAY_DRAIN_SECONDS", 30)?),
            first_admin: first_admin(&source)?,
            secret_origin,
            ignored_model: ignored_model(&source),
            source,
        })
    }
}

/// Print every setting that was looked at and where its value came from.
#[expect(clippy::print_stdout, reason = "printing is what the command is for")]
pub(crate) fn print(settings: &Settings) -> Result<()> {
    let mut seen = BTreeMap::new();
    for read in settings.source.asked() {
        seen.insert(read.name, (read.shown, read.origin));
    }
    for (name, (shown, origin)) in seen {
        println!("{name} = {shown}  ({origin})");
    }
    for connection in &settings.gateway.connections {
        let key = if connection.key.is_some() { "with a key" } else { "without a key" };
        println!("connection {:?} {} {key}", connection.kind, banner::without_password(&connection.url));
    }
    println!("embedding: {}", banner::embedding_line(&settings.gateway.embedding));
    if let Some(warning) = &settings.ignored_model {
        println!("warning: {warning}");
    }
    Ok(())
}

fn first_admin(source: &Source) -> Result<Option<FirstAdmin>> {
    let email = source.text_of(&["BREEZEWAY_ADMIN_EMAIL", "WEBUI_ADMIN_EMAIL"]);
    let password =
        source.secret("BREEZEWAY_ADMIN_PASSWORD").or_else(|| source.secret("WEBUI_ADMIN_PASSWORD"));
    match (email, password) {
        (Some(email), Some(password)) => Ok(Some(FirstAdmin {
            email,
            password: password.into(),
            name: source
                .text_of(&["BREEZEWAY_ADMIN_NAME", "WEBUI_ADMIN_NAME"])
                .unwrap_or_else(|| "Admin".into()),
        })),
        (None, None) => Ok(None),
        (Some(_), None) => bail!("`BREEZEWAY_ADMIN_EMAIL` is set and `BREEZEWAY_ADMIN_PASSWORD` is not"),
        (None, Some(_)) => bail!("`BREEZEWAY_ADMIN_PASSWORD` is set and `BREEZEWAY_ADMIN_EMAIL` is not"),
    }
}

fn accounts(source: &Source, gateway: &mut Config) -> Result<()> {
    gateway.persistent = source.flag_or("ENABLE_PERSISTENT_CONFIG", true)?
        && !source.flag_or("RESET_CONFIG_ON_START", false)?;
    gateway.auth.persistent_settings = gateway.persistent;
    gateway.auth.single_user = !source.flag_or("WEBUI_AUTH", true)?;
    let previous = source.secret("WEBUI_SECRET_KEY_PREVIOUS");
    let earlier = source.secret("BREEZEWAY_PREVIOUS_SECRET_KEYS").unwrap_or_default();
    let earlier = earlier.split(';').map(str::trim).filter(|secret| !secret.is_empty());
    gateway.auth.previous_secrets =
        previous.as_deref().into_iter().chain(earlier).map(Secret::from).collect();

    gateway.auth.password_rule = password_rule(source)?;
    gateway.audit_days = days(source, "BREEZEWAY_AUDIT_DAYS")?;
    gateway.usage_days = days(source, "BREEZEWAY_USAGE_DAYS")?;

    let settings = &mut gateway.auth.settings;
    settings.enable_signup = source.flag_or("ENABLE_SIGNUP", true)?;
    settings.default_user_role = source.text_or("DEFAULT_USER_ROLE", "pending");
    settings.enable_api_keys = match source.flag("ENABLE_API_KEYS")? {
        Some(on) => on,
        None => source.flag_or("ENABLE_API_KEY", true)?,
    };
    settings.restrict_api_key_endpoints = match source.flag("ENABLE_API_KEYS_ENDPOINT_RESTRICTIONS")? {
        Some(on) => on,
        None => source.flag_or("ENABLE_API_KEY_ENDPOINT_RESTRICTIONS", false)?,
    };
    let allowed = source.text_of(&["API_KEYS_ALLOWED_ENDPOINTS", "API_KEY_ALLOWED_ENDPOINTS"]);
    settings.api_keys_allowed_endpoints = words(allowed.as_deref(), ',');
    settings.jwt_expires_in = source.text_or("JWT_EXPIRES_IN", "4w");
    permissions(source, settings)
}

fn password_rule(source: &Source) -> Result<Option<PasswordRule>> {
    let is_on = source.flag_or("ENABLE_PASSWORD_VALIDATION", false)?;
    let pattern = source.text("PASSWORD_VALIDATION_REGEX_PATTERN");
    let hint = source.text_or("PASSWORD_VALIDATION_HINT", "");
    let rule = PasswordRule::new(pattern.as_deref(), &hint).context("`PASSWORD_VALIDATION_REGEX_PATTERN`");
    is_on.then_some(rule).transpose()
}

/// For how many days something is kept; nothing and `0` are for ever.
fn days(source: &Source, name: &'static str) -> Result<Option<u32>> {
    Ok(Some(source.number_or(name, 0)?).filter(|&days| days > 0))
}

/// `USER_PERMISSIONS_<SECTION>_<NAME>` sets one leaf of the permission tree. Older names end in
/// `_ACCESS` or begin with `ALLOW_`, which the tree's names do not.
fn permissions(source: &Source, settings: &mut AuthSettings) -> Result<()> {
    let mut tree = Permissions::default().into_tree();
    // Keys are what programs come with, so whoever may sign in may have one unless told otherwise.
    tree["features"]["api_keys"] = true.into();
    for (variable, value) in source.starting_with("USER_PERMISSIONS_") {
        let on = match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" | "" => false,
            _ => bail!("`{variable}` is `{value}`; use `true` or `false`"),
        };
        let path = variable["USER_PERMISSIONS_".len()..].to_ascii_lowercase();
        let Some(sections) = tree.as_object_mut() else { continue };
        let leaf = sections.iter_mut().find_map(|(section, leaves)| {
            let rest = path.strip_prefix(section.as_str())?.strip_prefix('_')?;
            let leaves = leaves.as_object_mut()?;
            let short = rest.strip_suffix("_access").unwrap_or(rest);
            let short = short.strip_prefix("allow_").unwrap_or(short);
            let name = [rest, short].into_iter().find(|name| leaves.contains_key(*name))?.to_owned();
            leaves.get_mut(&name)
        });
        if let Some(leaf) = leaf {
            *leaf = on.into();
        }
    }
    settings.permissions = tree;
    Ok(())
}

fn upstreams(source: &Source, gateway: &mut Config) -> Result<()> {
    gateway.api.openai_enabled = source.flag_or("ENABLE_OPENAI_API", true)?;
    gateway.api.ollama_enabled = source.flag_or("ENABLE_OLLAMA_API", true)?;
    gateway.api.openai_passthrough = source.flag_or("ENABLE_OPENAI_API_PASSTHROUGH", false)?;
    gateway.waits = Waits {
        timeout: seconds(source, "AIOHTTP_CLIENT_TIMEOUT")?,
        idle_timeout: seconds(source, "AIOHTTP_CLIENT_STREAM_IDLE_TIMEOUT")?,
    };
    if let Some(timeout) = seconds(source, "AIOHTTP_CLIENT_TIMEOUT_MODEL_LIST")? {
        gateway.registry.catalog_timeout = timeout;
    }
    if let Some(every) = seconds(source, "MODELS_CACHE_TTL")? {
        // It is a background refresh here, so a second, which is common there, would only be noise.
        gateway.registry.refresh_every = every.max(Duration::from_secs(5));
    }
    gateway.registry.open_to_all = source.flag_or("BYPASS_MODEL_ACCESS_CONTROL", false)?;
    gateway.registry.order = order(source.text("MODEL_ORDER_LIST").as_deref());
    fleets::read(source, gateway)?;

    let keys =
        source.secret("OPENAI_API_KEYS").or_else(|| source.secret("OPENAI_API_KEY")).unwrap_or_default();
    let keys: Vec<&str> = keys.split(';').map(str::trim).collect();
    let urls = source.list("OPENAI_API_BASE_URLS", ';').or_else(|| source.list("OPENAI_API_BASE_URL", ';'));
    let urls = urls.unwrap_or_else(|| {
        if keys.iter().any(|key| !key.is_empty()) { vec![OPENAI_URL.to_owned()] } else { Vec::new() }
    });
    let options = options(source, "OPENAI_API_CONFIGS")?;
    for (index, url) in urls.iter().enumerate().filter(|(_, url)| !url.is_empty()) {
        let key = keys.get(index).copied().filter(|key| !key.is_empty()).map(Secret::from);
        let new = connection(ConnectionKind::OpenAi, index, url, key, &options);
        gateway.connections.push(new.with_context(|| bad_connection("OPENAI_API_CONFIGS", index))?);
    }
    let urls = source.list("OLLAMA_BASE_URLS", ';').or_else(|| source.list("OLLAMA_BASE_URL", ';'));
    let urls = urls.unwrap_or_else(|| vec![source.text_or("OLLAMA_BASE_URL", OLLAMA_URL)]);
    let options = self::options(source, "OLLAMA_API_CONFIGS")?;
    for (index, url) in urls.iter().enumerate().filter(|(_, url)| !url.is_empty()) {
        let key = of(&options, index, url).and_then(|options| options.get("key")?.as_str().map(Secret::from));
        let url = url.trim_end_matches('/').trim_end_matches("/api");
        let new = connection(ConnectionKind::Ollama, index, url, key, &options);
        gateway.connections.push(new.with_context(|| bad_connection("OLLAMA_API_CONFIGS", index))?);
    }
    Ok(())
}

fn connection(
    kind: ConnectionKind,
    index: usize,
    url: &str,
    key: Option<Secret>,
    options: &Map<String, Value>,
) -> Result<Connection, BadOption> {
    let own = of(options, index, url).cloned().unwrap_or_default();
    api::connection(kind, index, url.trim_end_matches('/').to_owned(), key, own, true)
}

fn bad_connection(setting: &str, index: usize) -> String {
    format!("`{setting}` cannot be used for connection {index}")
}

/// The options of one connection: keyed by its place, or in older settings by its address.
fn of<'a>(options: &'a Map<String, Value>, index: usize, url: &str) -> Option<&'a Map<String, Value>> {
    options.get(&index.to_string()).or_else(|| options.get(url)).and_then(Value::as_object)
}

fn options(source: &Source, name: &'static str) -> Result<Map<String, Value>> {
    match source.secret(name) {
        Some(text) => serde_json::from_str(&text).with_context(|| format!("`{name}` is no JSON object")),
        None => Ok(Map::new()),
    }
}

fn chats(source: &Source, gateway: &mut Config) -> Result<()> {
    gateway.chat.query_generation = match source.text("ENABLE_RETRIEVAL_QUERY_GENERATION").as_deref() {
        None | Some("auto") => QueryGeneration::Auto,
        Some(_) => match source.flag("ENABLE_RETRIEVAL_QUERY_GENERATION")? {
            Some(true) => QueryGeneration::Always,
            _ => QueryGeneration::Never,
        },
    };
    gateway.chat.task_model = source.text_of(&["TASK_MODEL", "TASK_MODEL_EXTERNAL"]);
    let base = source.text("BREEZEWAY_KNOWLEDGE_MODEL").map(|text| text.parse()).transpose();
    gateway.knowledge_model = base.context("`BREEZEWAY_KNOWLEDGE_MODEL` is no name of a model")?;
    gateway.chat.rag_template = source.text("RAG_TEMPLATE").unwrap_or_default();
    gateway.chat.rag_in_system = source.flag_or("RAG_SYSTEM_CONTEXT", false)?;

    let rag = &mut gateway.rag;
    rag.top_k = source.number_or("RAG_TOP_K", rag.top_k)?;
    rag.relevance_threshold = source.number_or("RAG_RELEVANCE_THRESHOLD", rag.relevance_threshold)?;
    rag.file_wait =
        Duration::from_secs(source.number_or("BREEZEWAY_FILE_WAIT", rag.file_wait.as_secs())?.min(600));
    if source.flag("ENABLE_RAG_HYBRID_SEARCH")? == Some(false) {
        rag.legs = Leg::Dense;
    }
    rag.dense_weight =
        source.number::<f32>("RAG_HYBRID_BM25_WEIGHT")?.map(|words| 1.0 - words.clamp(0.0, 1.0));
    rag.context_tokens = source.number_or("RAG_CONTEXT_TOKENS", rag.context_tokens)?;
    gateway.chat.links = links(source)?;
    gateway.reranker = reranker(source)?;
    gateway.bypass_embedding = source.flag_or("BYPASS_EMBEDDING_AND_RETRIEVAL", false)?;
    rag.full_context = source.flag_or("RAG_FULL_CONTEXT", false)? || gateway.bypass_embedding;
    Ok(())
}

/// Which hosts answers over sources may link to: with `RAG_NEUTRALIZE_LINKS`, this server's own and those
/// of `RAG_LINK_HOSTS`.
fn links(source: &Source) -> Result<Option<LinkPolicy>> {
    if !source.flag_or("RAG_NEUTRALIZE_LINKS", false)? {
        return Ok(None);
    }
    let given = source.text_or("RAG_LINK_HOSTS", "");
    let own = source.text_or("WEBUI_URL", "");
    let own = own.split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    let hosts = given.split(',').chain([own]).map(|host| host.trim().to_lowercase());
    Ok(Some(LinkPolicy { hosts: hosts.filter(|host| !host.is_empty()).collect() }))
}

fn reranker(source: &Source) -> Result<Option<RerankerConfig>> {
    let Some(url) = source.text("RAG_EXTERNAL_RERANKER_URL").filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let engine = source.text_or("RAG_RERANKING_ENGINE", "external");
    if !matches!(engine.as_str(), "" | "external") {
        bail!("`RAG_RERANKING_ENGINE` is `{engine}`; use `external` or nothing");
    }
    Ok(Some(RerankerConfig {
        url,
        key: source.secret("RAG_EXTERNAL_RERANKER_API_KEY").filter(|key| !key.is_empty()).map(Secret::from),
        model: source.text_or("RAG_RERANKING_MODEL", ""),
    }))
}

fn embedding(source: &Source, gateway: &mut Config) -> Result<()> {
    if gateway.bypass_embedding {
        gateway.embedding = Embedding::None;
        return Ok(());
    }
    let service = &mut gateway.embedding_service;
    service.query_prefix = source.text("RAG_EMBEDDING_QUERY_PREFIX").unwrap_or_default();
    service.passage_prefix = source.text("RAG_EMBEDDING_CONTENT_PREFIX").unwrap_or_default();
    service.batch = source.number_or("RAG_EMBEDDING_BATCH_SIZE", service.batch)?.max(1);
    let model = source.text("RAG_EMBEDDING_MODEL");
    let remote = |url: String, key: Option<String>| -> Result<EmbedderConfig> {
        let model =
            model.clone().context("`RAG_EMBEDDING_MODEL` must name the model of the embedding service")?;
        let key = key.filter(|key| !key.is_empty()).map(Secret::from);
        Ok(EmbedderConfig { url, key, model, ..gateway.embedding_service.clone() })
    };
    let first = |kind: ConnectionKind| gateway.connections.iter().find(|connection| connection.kind == kind);
    let local = local_model(source, gateway)?;
    gateway.embedding = match source.text_or("RAG_EMBEDDING_ENGINE", "").as_str() {
        "" => Embedding::Local(local.clone()),
        "openai" => {
            let own = first(ConnectionKind::OpenAi);
            let url = source.text("RAG_OPENAI_API_BASE_URL").or_else(|| own.map(|own| own.url.clone()));
            let key =
                source.secret("RAG_OPENAI_API_KEY").or_else(|| Some(own?.key.as_ref()?.expose().to_owned()));
            Embedding::OpenAi(remote(url.unwrap_or_else(|| OPENAI_URL.into()), key)?)
        }
        "ollama" => {
            let own = first(ConnectionKind::Ollama);
            let url = source.text("RAG_OLLAMA_BASE_URL").or_else(|| own.map(|own| own.url.clone()));
            let key = source.secret("RAG_OLLAMA_API_KEY");
            Embedding::Ollama(remote(url.unwrap_or_else(|| OLLAMA_URL.into()), key)?)
        }
        other => bail!(
            "`RAG_EMBEDDING_ENGINE` is `{other}`; use `openai`, `ollama`, or nothing for the local model"
        ),
    };
    gateway.local_model = Some(local);
    Ok(())
}

/// The local model, in use or not: an admin may go over to it.
fn local_model(source: &Source, gateway: &Config) -> Result<LocalModelConfig> {
    let mut fetch = FetchConfig::new(gateway.data_folder.join("models").join(DEFAULT_MODEL));
    let model = source.text("RAG_EMBEDDING_MODEL");
    fetch.folder = model.filter(|model| Path::new(model).is_dir()).map(PathBuf::from);
    fetch.offline = source.flag_or("OFFLINE_MODE", false)? || source.flag("HF_HUB_OFFLINE")?.unwrap_or(false);
    fetch.hub_endpoint = Some(source.text_or("HF_ENDPOINT", "https://huggingface.co"));
    fetch.hub_caches = hub_cache(source).into_iter().collect();
    fetch.library_paths.splice(0..0, source.text("ORT_DYLIB_PATH").map(PathBuf::from));
    fetch.runtime = match (source.text("BREEZEWAY_RUNTIME_URL"), source.text("BREEZEWAY_RUNTIME_SHA256")) {
        (Some(url), Some(sha256)) => Some(RuntimeArchive { url, sha256 }),
        (None, None) => None,
        _ => bail!("`BREEZEWAY_RUNTIME_URL` and `BREEZEWAY_RUNTIME_SHA256` go together"),
    };
    Ok(LocalModelConfig { fetch, progress: crate::model::progress() })
}

/// Settings written for another program may name a local model that is not here. Refusing to start would
/// help nobody more than a model that works, but it must be said.
fn ignored_model(source: &Source) -> Option<String> {
    let model = source.text("RAG_EMBEDDING_MODEL")?;
    let is_local = source.text_or("RAG_EMBEDDING_ENGINE", "").is_empty();
    let name = model.rsplit('/').next().unwrap_or_default();
    (is_local && name != DEFAULT_MODEL && !Path::new(&model).is_dir()).then(|| {
        format!(
            "RAG_EMBEDDING_MODEL names `{model}`, and the only local model is {DEFAULT_MODEL}, which is \
             used instead; RAG_EMBEDDING_ENGINE=openai or ollama asks a service that has it"
        )
    })
}

/// Where the model hub's own tools keep what they have fetched.
fn hub_cache(source: &Source) -> Option<PathBuf> {
    let home = || Some(PathBuf::from(source.text("HOME")?).join(".cache/huggingface"));
    source
        .text("HF_HUB_CACHE")
        .map(PathBuf::from)
        .or_else(|| source.text("HF_HOME").map(PathBuf::from).or_else(home).map(|home| home.join("hub")))
}

fn http(source: &Source, gateway: &mut Config) -> Result<()> {
    gateway.api.name = source.text_or("WEBUI_NAME", "Breezeway");
    gateway.api.docs = source.text_or("ENV", "prod") == "dev";
    gateway.api.secure_cookies = source.flag_or("WEBUI_SESSION_COOKIE_SECURE", false)?;
    let megabytes: usize = source.number_or("BREEZEWAY_MAX_BODY_MB", 64)?;
    gateway.api.max_body_bytes = megabytes.saturating_mul(1024 * 1024);
    gateway.middleware.api_key_header = source.text_or("CUSTOM_API_KEY_HEADER", "x-api-key");
    gateway.middleware.cors_origins =
        source.list("CORS_ALLOW_ORIGIN", ';').unwrap_or_else(|| vec!["*".to_owned()]);
    gateway.middleware.compression = source.flag_or("ENABLE_COMPRESSION_MIDDLEWARE", true)?;
    Ok(())
}

/// A time in seconds; nothing and zero mean no limit.
fn seconds(source: &Source, name: &'static str) -> Result<Option<Duration>> {
    let Some(seconds) = source.number::<f64>(name)? else { return Ok(None) };
    if seconds <= 0.0 {
        return Ok(None);
    }
    Duration::try_from_secs_f64(seconds).map(Some).with_context(|| format!("`{name}` is no time in seconds"))
}

/// `MODEL_ORDER_LIST`: a JSON list, or ids separated by commas.
fn order(text: Option<&str>) -> Vec<String> {
    let text = text.unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|_| words(Some(text), ','))
}

fn words(text: Option<&str>, separator: char) -> Vec<String> {
    let words = text.unwrap_or_default().split(separator).map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
