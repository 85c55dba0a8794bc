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
