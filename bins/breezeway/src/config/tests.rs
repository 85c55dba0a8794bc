use breezeway::parts::ingest::{chunk::Measure, service::EngineKind};

use super::*;

fn settings(environment: &[(&str, &str)]) -> Settings {
    read(environment).expect("the settings make sense")
}

fn read(environment: &[(&str, &str)]) -> Result<Settings> {
    let mut all = vec![("WEBUI_SECRET_KEY", "a secret of a test")];
    all.extend_from_slice(environment);
    Settings::from_source(Source::of(&all))
}

#[test]
fn a_fresh_start_listens_on_this_machine_only() {
    let settings = settings(&[]);

    assert!(settings.host.is_loopback());
    assert_eq!(settings.port, 3000);
    assert!(!settings.gateway.api.docs);
}

#[test]
fn addresses_and_keys_belong_together_by_place() {
    let settings = settings(&[
        ("OPENAI_API_BASE_URLS", "http://one/v1/;http://two/v1"),
        ("OPENAI_API_KEYS", ";sk-two"),
        ("OPENAI_API_CONFIGS", r#"{"1": {"prefix_id": "b", "enable": true, "tags": [{"name": "t"}]}}"#),
        ("ENABLE_OLLAMA_API", "false"),
    ]);

    let [one, two, _ollama] = &settings.gateway.connections[..] else { panic!("three connections") };
    assert_eq!((one.url.as_str(), &one.key, &one.prefix), ("http://one/v1", &None, &None));
    assert_eq!(two.key.as_ref().map(Secret::expose), Some("sk-two"));
    assert_eq!(two.prefix.as_deref(), Some("b"));
    assert!(!settings.gateway.api.ollama_enabled);
}

#[test]
fn connections_have_their_place_in_fleets() {
    let settings = settings(&[
        ("OPENAI_API_BASE_URLS", "http://one/v1"),
        ("OPENAI_API_CONFIGS", r#"{"0": {"priority": 2, "weight": 3, "timeout": 9, "max_in_flight": 7}}"#),
        ("BREEZEWAY_UPSTREAM_ATTEMPTS", "5"),
        ("BREEZEWAY_UPSTREAM_QUEUE_WAIT", "2.5"),
        ("BREEZEWAY_MODEL_ALIASES", r#"{"fast": ["a", "b"]}"#),
    ]);

    let connection = &settings.gateway.connections[0];
    let routing = &connection.routing;
    assert_eq!((routing.priority, routing.weight, routing.max_in_flight), (2, 3, Some(7)));
    assert_eq!(connection.timeout, Some(Duration::from_secs(9)));
    let registry = &settings.gateway.registry;
    assert_eq!((registry.fleet.attempts, registry.fleet.queue_wait), (5, Duration::from_millis(2500)));
    assert_eq!(registry.aliases[0].targets.len(), 2);
}

#[test]
fn a_key_alone_means_the_public_address() {
    let settings = settings(&[("OPENAI_API_KEY", "sk-x")]);

    assert_eq!(settings.gateway.connections[0].url, OPENAI_URL);
}

#[test]
fn older_and_newer_names_of_a_permission_set_the_same_leaf() {
    for name in ["USER_PERMISSIONS_WORKSPACE_KNOWLEDGE_ACCESS", "USER_PERMISSIONS_WORKSPACE_KNOWLEDGE"] {
        let settings = settings(&[(name, "True"), ("USER_PERMISSIONS_FEATURES_API_KEYS", "true")]);

        let tree = &settings.gateway.auth.settings.permissions;
        assert_eq!(tree["workspace"]["knowledge"], true, "{name}");
        assert_eq!(tree["features"]["api_keys"], true);
        assert_eq!(tree["workspace"]["models"], false);
    }
}

#[test]
fn a_mistake_is_named() {
    let told = |environment: &[(&str, &str)]| format!("{:#}", read(environment).err().expect("a mistake"));

    assert!(told(&[("PORT", "many")]).contains("`PORT` is `many`"));
    assert!(told(&[("CHUNK_SIZE", "100"), ("CHUNK_OVERLAP", "100")]).contains("CHUNK_OVERLAP"));
    assert!(told(&[("RAG_EMBEDDING_ENGINE", "magic")]).contains("magic"));
    assert!(told(&[("BREEZEWAY_ADMIN_EMAIL", "a@b.c")]).contains("BREEZEWAY_ADMIN_PASSWORD"));
    assert!(told(&[("OPENAI_API_CONFIGS", "{")]).contains("OPENAI_API_CONFIGS"));
    let options = [("OLLAMA_API_CONFIGS", r#"{"0": {"weight": 0}}"#)];
    assert!(
        told(&options).contains("`OLLAMA_API_CONFIGS` cannot be used for connection 0: `weight` must be")
    );
    assert!(told(&[("BREEZEWAY_MODEL_ALIASES", "fast")]).contains("BREEZEWAY_MODEL_ALIASES"));
    assert!(told(&[("BREEZEWAY_UPSTREAM_ATTEMPTS", "0")]).contains("BREEZEWAY_UPSTREAM_ATTEMPTS"));
}

#[test]
fn a_secret_is_made_once_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = || Source::of(&[]);

    let (first, origin) = secret::find(&source(), folder.path()).unwrap();
    let (again, kept) = secret::find(&source(), folder.path()).unwrap();

    let path = folder.path().join("secret.key");
    assert_eq!((origin, kept), (secret::Origin::Made(path.clone()), secret::Origin::Kept(path.clone())));
    assert!(first == again && first.expose().len() == 64);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_trusted_header_needs_the_addresses_of_the_proxies() {
    let email = ("WEBUI_AUTH_TRUSTED_EMAIL_HEADER", "X-Email");
    let told = |environment: &[(&str, &str)]| format!("{:#}", read(environment).err().expect("a mistake"));

    let alone = told(&[email]);
    let nameless = told(&[("WEBUI_AUTH_TRUSTED_GROUPS_HEADER", "X-Groups")]);
    let whole = settings(&[email, ("BREEZEWAY_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")]);

    assert!(alone.contains("`BREEZEWAY_TRUSTED_PROXIES` is not"), "{alone}");
    assert!(nameless.contains("WEBUI_AUTH_TRUSTED_EMAIL_HEADER"), "{nameless}");
    let headers = whole.gateway.middleware.trusted_headers.unwrap();
    assert_eq!(headers.proxies, ["127.0.0.1", "10.0.0.0/8"]);
    assert_eq!((headers.email.as_str(), headers.groups), ("X-Email", None));
}

#[test]
fn a_provider_is_read_by_the_names_of_open_webui() {
    let url = ("OPENID_PROVIDER_URL", "https://id.example.org/.well-known/openid-configuration");
    let whole = [
        url,
        ("OAUTH_CLIENT_ID", "chat"),
        ("OAUTH_CLIENT_SECRET", "hush"),
        ("OAUTH_PROVIDER_NAME", "Keycloak"),
        ("ENABLE_OAUTH_SIGNUP", "true"),
        ("ENABLE_OAUTH_ROLE_MANAGEMENT", "true"),
        ("OAUTH_ROLES_CLAIM", "realm_access.roles"),
        ("OAUTH_ADMIN_ROLES", "boss,root"),
        ("ENABLE_OAUTH_GROUP_MANAGEMENT", "true"),
        ("OAUTH_BLOCKED_GROUPS", r#"["ours", "it-*"]"#),
        ("OAUTH_ALLOWED_DOMAINS", "example.org, example.com"),
    ];

    let sign_on = settings(&whole).gateway.sign_on.unwrap();

    let provider = sign_on.provider;
    assert_eq!((provider.client_id.as_str(), provider.title.as_str()), ("chat", "Keycloak"));
    assert_eq!(provider.client_secret.as_ref().map(Secret::expose), Some("hush"));
    assert_eq!(provider.scopes, ["openid", "email", "profile"]);
    let roles = provider.roles.unwrap();
    assert_eq!(
        (roles.claim.as_str(), roles.admin),
        ("realm_access.roles", vec!["boss".into(), "root".into()])
    );
    assert_eq!(provider.groups_claim.as_deref(), Some("groups"));
    assert_eq!(provider.allowed_domains, ["example.org", "example.com"]);
    assert_eq!(sign_on.policy.kept_groups, ["ours", "it-*"]);
    assert!(sign_on.policy.sign_up && !sign_on.policy.merge_by_email);
    assert!(settings(&[]).gateway.sign_on.is_none());
    assert!(read(&[url]).is_err());
    assert!(read(&[("OAUTH_CLIENT_ID", "chat")]).is_err());
    assert!(read(&[whole[0], whole[1], ("OAUTH_CODE_CHALLENGE_METHOD", "plain")]).is_err());
}

#[test]
fn documents_are_read_by_whom_the_variables_of_open_webui_say() {
    let docling = settings(&[
        ("CONTENT_EXTRACTION_ENGINE", "docling"),
        ("DOCLING_SERVER_URL", "http://docling.example:5001"),
        ("DOCLING_API_KEY", "a-key"),
        ("DOCLING_PARAMS", r#"{"do_ocr": true}"#),
        ("RAG_TEXT_SPLITTER", "token"),
    ]);

    let engine = docling.gateway.engine;
    assert_eq!((engine.kind, engine.url()), (EngineKind::Docling, "http://docling.example:5001"));
    assert_eq!(engine.docling_params["do_ocr"], true);
    assert_eq!(engine.key.map(|(of, _)| of).as_deref(), Some("http://docling.example:5001"));
    assert_eq!(docling.gateway.chunks.measure, Measure::Tokens);
    assert_eq!(settings(&[]).gateway.engine.kind, EngineKind::Local);
    for wrong in [
        ("CONTENT_EXTRACTION_ENGINE", "external"),
        ("CONTENT_EXTRACTION_ENGINE", "magic"),
        ("DOCLING_PARAMS", "[]"),
        ("RAG_TEXT_SPLITTER", "magic"),
        ("BREEZEWAY_EXTRACTION_TIMEOUT", "soon"),
    ] {
        assert!(read(&[wrong]).is_err(), "{wrong:?}");
    }
}

#[test]
fn text_is_recognised_where_that_is_switched_on_and_there_is_a_program() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tesseract");
    std::fs::write(&program, "").unwrap();
    let path = folder.path().to_str().unwrap();

    let on = settings(&[("BREEZEWAY_OCR", "true"), ("PATH", path), ("BREEZEWAY_OCR_LANGUAGES", "deu")]);
    let missing = settings(&[("BREEZEWAY_OCR", "true"), ("PATH", "/nowhere")]);
    let off = settings(&[("PATH", path)]);

    assert_eq!(on.gateway.ocr.map(|ocr| (ocr.program, ocr.languages)), Some((program, "deu".to_owned())));
    assert!(missing.gateway.ocr.is_none() && off.gateway.ocr.is_none());
    assert!(read(&[("BREEZEWAY_OCR", "true"), ("BREEZEWAY_TESSERACT", "/nowhere/tesseract")]).is_err());
}
