//! The settings of retrieval under the names that clients know.
//!
//! Two kinds of names are shown: those of settings that have an effect here, and those of settings
//! that only Open WebUI has. The latter have one value, and wanting another is refused: accepted and
//! forgotten it would look as if it were in force.

use breezeway_ingest::{chunk::Measure, service::EngineKind};
use breezeway_retrieval::Leg;
use serde_json::{Map, Value, json};

use crate::state::RetrievalSettings;

/// Why a change was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingRefusal {
    /// A value is not of the setting's type.
    #[error("`{name}` must be {wanted}")]
    Type {
        /// The setting.
        name: String,
        /// What it is made of.
        wanted: &'static str,
    },
    /// A value makes no sense, or has no effect here.
    #[error("{0}")]
    Value(String),
    /// The change was not kept.
    #[error(transparent)]
    Store(#[from] breezeway_core::StoreError),
}

type Result<T, E = SettingRefusal> = std::result::Result<T, E>;

/// The most passages of one answer.
const MOST_PASSAGES: u64 = 1000;
/// The longest chunk, in characters.
const LONGEST_CHUNK: u64 = 1_000_000;
/// The longest template, in bytes.
const LONGEST_TEMPLATE: usize = 64 << 10;
/// The weight of words that stands for the measured default.
const DEFAULT_WORDS: f32 = 0.5;
const MEGABYTE: u64 = 1 << 20;

/// Settings that have one value here, and that value.
fn fixed(settings: &RetrievalSettings) -> [(&'static str, Value); 21] {
    let (url, model) = settings.reranker.as_ref().map_or(("", ""), |(url, model)| (url, model));
    [
        ("BYPASS_EMBEDDING_AND_RETRIEVAL", settings.bypass.into()),
        ("ENABLE_RAG_HYBRID_SEARCH_ENRICHED_TEXTS", false.into()),
        ("TOP_K_RERANKER", 3.into()),
        ("RAG_RERANKING_ENGINE", if url.is_empty() { "" } else { "external" }.into()),
        ("RAG_RERANKING_MODEL", model.into()),
        ("RAG_EXTERNAL_RERANKER_URL", url.into()),
        ("RAG_EXTERNAL_RERANKER_API_KEY", "".into()),
        ("PDF_LOADER_MODE", "page".into()),
        ("EXTERNAL_DOCUMENT_LOADER_API_KEY", "".into()),
        ("DOCLING_API_KEY", "".into()),
        ("DOCUMENT_INTELLIGENCE_ENDPOINT", "".into()),
        ("DOCUMENT_INTELLIGENCE_KEY", "".into()),
        ("MISTRAL_OCR_API_KEY", "".into()),
        ("DATALAB_MARKER_API_KEY", "".into()),
        ("FILE_MAX_COUNT", Value::Null),
        ("FILE_IMAGE_COMPRESSION_WIDTH", Value::Null),
        ("FILE_IMAGE_COMPRESSION_HEIGHT", Value::Null),
        ("ENABLE_GOOGLE_DRIVE_INTEGRATION", false.into()),
        ("ENABLE_ONEDRIVE_INTEGRATION", false.into()),
        ("ENABLE_WEB_SEARCH", false.into()),
        ("web", json!({"ENABLE_WEB_SEARCH": false})),
    ]
}

/// The settings as `GET /api/v1/retrieval/config` shows them.
pub fn retrieval_config(settings: &RetrievalSettings) -> Map<String, Value> {
    let rag = &settings.rag;
    let limited = settings.library.max_upload_bytes != settings.unlimited_upload_bytes;
    let max_size = limited.then_some(settings.library.max_upload_bytes / MEGABYTE);
    let words = rag.dense_weight.map_or(DEFAULT_WORDS, |dense| 1.0 - dense);
    let ours = [
        ("status", true.into()),
        ("RAG_TEMPLATE", settings.chat.rag_template.as_str().into()),
        ("RAG_SYSTEM_CONTEXT", settings.chat.rag_in_system.into()),
        ("RAG_FULL_CONTEXT", rag.full_context.into()),
        ("TOP_K", rag.top_k.into()),
        ("RELEVANCE_THRESHOLD", rounded(rag.relevance_threshold)),
        ("ENABLE_RAG_HYBRID_SEARCH", (rag.legs == Leg::Both).into()),
        ("HYBRID_BM25_WEIGHT", rounded(words)),
        ("CONTENT_EXTRACTION_ENGINE", settings.engine.kind.name().into()),
        ("PDF_EXTRACT_IMAGES", settings.engine.pdf_images.into()),
        ("TIKA_SERVER_URL", settings.engine.tika_url.clone().into()),
        ("DOCLING_SERVER_URL", settings.engine.docling_url.clone().into()),
        ("DOCLING_PARAMS", settings.engine.docling_params.clone().into()),
        ("EXTERNAL_DOCUMENT_LOADER_URL", settings.engine.external_url.clone().into()),
        ("TEXT_SPLITTER", settings.chunks.measure.name().into()),
        ("CHUNK_SIZE", settings.chunks.size.into()),
        ("CHUNK_OVERLAP", settings.chunks.overlap.into()),
        ("CHUNK_MIN_SIZE_TARGET", settings.chunks.min_size.into()),
        ("ENABLE_MARKDOWN_HEADER_TEXT_SPLITTER", settings.chunks.by_heading.into()),
        ("FILE_MAX_SIZE", max_size.into()),
        ("ALLOWED_FILE_EXTENSIONS", settings.library.allowed_extensions.clone().into()),
    ];
    ours.into_iter().chain(fixed(settings)).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The settings after a change: `null` leaves a setting, `""` takes a limit away. Names that nobody
/// knows are passed over where their value says that something is not wanted, and refused otherwise.
///
/// # Errors
/// If a value is of the wrong type, makes no sense, or would have no effect.
pub fn changed(settings: &RetrievalSettings, change: &Map<String, Value>) -> Result<RetrievalSettings> {
    let mut next = settings.clone();
    for (name, value) in change.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "RAG_TEMPLATE" => next.chat.rag_template = template(name, value)?,
            "RAG_SYSTEM_CONTEXT" => next.chat.rag_in_system = flag(name, value)?,
            "RAG_FULL_CONTEXT" => next.rag.full_context = flag(name, value)?,
            "TOP_K" => next.rag.top_k = number(name, value, 1, MOST_PASSAGES)?,
            "RELEVANCE_THRESHOLD" => next.rag.relevance_threshold = share(name, value)?,
            "ENABLE_RAG_HYBRID_SEARCH" => {
                next.rag.legs = if flag(name, value)? { Leg::Both } else { Leg::Dense };
            }
            "HYBRID_BM25_WEIGHT" => {
                let words = share(name, value)?;
                // Who sends back what was shown does not mean to leave the default.
                let is_shown = next.rag.dense_weight.is_none() && words == DEFAULT_WORDS;
                next.rag.dense_weight = if is_shown { None } else { Some(1.0 - words) };
            }
            "CONTENT_EXTRACTION_ENGINE" => {
                let kind = value.as_str().and_then(EngineKind::named);
                next.engine.kind =
                    kind.ok_or_else(|| wrong(name, "`tika`, `docling`, `external` or nothing"))?;
            }
            "PDF_EXTRACT_IMAGES" => next.engine.pdf_images = flag(name, value)?,
            "TIKA_SERVER_URL" => next.engine.tika_url = address(name, value)?,
            "DOCLING_SERVER_URL" => next.engine.docling_url = address(name, value)?,
            "EXTERNAL_DOCUMENT_LOADER_URL" => next.engine.external_url = address(name, value)?,
            "DOCLING_PARAMS" => {
                let params = value.as_object().cloned();
                next.engine.docling_params = params.ok_or_else(|| wrong(name, "an object"))?;
            }
            "TEXT_SPLITTER" => {
                let measure = value.as_str().and_then(Measure::named);
                next.chunks.measure = measure.ok_or_else(|| wrong(name, "`character` or `token`"))?;
            }
            "CHUNK_SIZE" => next.chunks.size = number(name, value, 1, LONGEST_CHUNK)?,
            "CHUNK_OVERLAP" => next.chunks.overlap = number(name, value, 0, LONGEST_CHUNK)?,
            "CHUNK_MIN_SIZE_TARGET" => next.chunks.min_size = number(name, value, 0, LONGEST_CHUNK)?,
            "ENABLE_MARKDOWN_HEADER_TEXT_SPLITTER" => next.chunks.by_heading = flag(name, value)?,
            "FILE_MAX_SIZE" => {
                next.library.max_upload_bytes = match value.as_str().map(str::trim) {
                    Some("") => next.unlimited_upload_bytes,
                    _ => number::<u64>(name, value, 1, u64::MAX / MEGABYTE)? * MEGABYTE,
                };
            }
            "ALLOWED_FILE_EXTENSIONS" => next.library.allowed_extensions = extensions(name, value)?,
            _ => unchanged(settings, name, value)?,
        }
    }
    if next.engine.kind != EngineKind::Local && next.engine.url().is_empty() {
        let kind = next.engine.kind.name();
        return Err(SettingRefusal::Value(format!(
            "`CONTENT_EXTRACTION_ENGINE` is `{kind}`, whose address is missing."
        )));
    }
    if next.chunks.overlap >= next.chunks.size {
        return Err(SettingRefusal::Value(format!(
            "`CHUNK_OVERLAP` ({}) must be smaller than `CHUNK_SIZE` ({}).",
            next.chunks.overlap, next.chunks.size
        )));
    }
    Ok(next)
}

/// Refuse another value for a setting that has one.
fn unchanged(settings: &RetrievalSettings, name: &str, value: &Value) -> Result<()> {
    // The answer of the routes has it, and clients send answers back.
    if name == "status" {
        return Ok(());
    }
    let fixed = fixed(settings).into_iter().find(|(known, _)| *known == name);
    let only = fixed.map_or(Value::Null, |(_, only)| only);
    let same = match (&only, value) {
        // Nested settings are sent back in parts.
        (Value::Object(only), Value::Object(wanted)) => wanted.iter().all(|(name, value)| {
            let neutral = only.get(name).map_or_else(|| is_neutral(value), |known| known == value);
            value.is_null() || neutral
        }),
        (only, wanted) => only == wanted || (is_neutral(only) && is_neutral(wanted)),
    };
    if same {
        return Ok(());
    }
    Err(SettingRefusal::Value(match name {
        "BYPASS_EMBEDDING_AND_RETRIEVAL"
        | "DOCLING_API_KEY"
        | "EXTERNAL_DOCUMENT_LOADER_API_KEY"
        | "RAG_RERANKING_ENGINE"
        | "RAG_RERANKING_MODEL"
        | "RAG_EXTERNAL_RERANKER_URL"
        | "RAG_EXTERNAL_RERANKER_API_KEY" => {
            format!("`{name}` is set when the server starts.")
        }
        _ => format!("`{name}` cannot be changed: this server has no such feature."),
    }))
}

/// Whether a value says that something is not wanted.
fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(entries) => entries.values().all(is_neutral),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn wrong(name: &str, wanted: &'static str) -> SettingRefusal {
    SettingRefusal::Type { name: name.to_owned(), wanted }
}

fn flag(name: &str, value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| wrong(name, "true or false"))
}

/// The root of a service over HTTP, or nothing.
fn address(name: &str, value: &Value) -> Result<String> {
    let text = value.as_str().ok_or_else(|| wrong(name, "a text"))?.trim();
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_address = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
    if text.is_empty() || is_address {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(SettingRefusal::Value(format!("`{name}` is no address that begins with http:// or https://.")))
}

fn template(name: &str, value: &Value) -> Result<String> {
    let text = value.as_str().ok_or_else(|| wrong(name, "a text"))?;
    if text.len() > LONGEST_TEMPLATE {
        return Err(SettingRefusal::Value(format!("`{name}` is longer than {LONGEST_TEMPLATE} bytes.")));
    }
    Ok(text.to_owned())
}

/// A whole number, also as a text, which is how forms send it.
fn number<T: TryFrom<u64>>(name: &str, value: &Value, least: u64, most: u64) -> Result<T> {
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() < 1e15;
    let number = match value {
        Value::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().filter(whole).map(|it| it as i64))
        }
        Value::String(text) => text.trim().parse::<i64>().ok(),
        _ => None,
    };
    let number = number.ok_or_else(|| wrong(name, "a whole number"))?;
    let fitting = u64::try_from(number).ok().filter(|number| (least..=most).contains(number));
    fitting.and_then(|number| T::try_from(number).ok()).ok_or_else(|| {
        SettingRefusal::Value(format!("`{name}` must be between {least} and {most}, and is {number}."))
    })
}

fn share(name: &str, value: &Value) -> Result<f32> {
    let number = value.as_f64().ok_or_else(|| wrong(name, "a number"))? as f32;
    if (0.0..=1.0).contains(&number) {
        return Ok(number);
    }
    Err(SettingRefusal::Value(format!("`{name}` must be between 0 and 1, and is {number}.")))
}

/// A list, or a text with commas.
fn extensions(name: &str, value: &Value) -> Result<Vec<String>> {
    let wanted = || wrong(name, "a list of texts");
    let words: Vec<&str> = match value {
        Value::String(text) => text.split(',').collect(),
        Value::Array(list) => list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wanted)?,
        _ => return Err(wanted()),
    };
    let plain = words.iter().map(|word| word.trim().trim_start_matches('.').to_lowercase());
    Ok(plain.filter(|word| !word.is_empty()).collect())
}

/// The number without the digits that the wider type would make up.
fn rounded(number: f32) -> Value {
    ((f64::from(number) * 1e6).round() / 1e6).into()
}

#[cfg(test)]
mod tests {
    use breezeway_chat::{ChatConfig, QueryGeneration};
    use breezeway_ingest::chunk::ChunkPlan;
    use breezeway_knowledge::LibraryConfig;

    use super::*;
    use crate::state::RagConfig;

    fn settings() -> RetrievalSettings {
        RetrievalSettings {
            rag: RagConfig::default(),
            chat: ChatConfig {
                rag_template: String::new(),
                rag_in_system: false,
                links: None,
                query_generation: QueryGeneration::Auto,
                task_model: None,
            },
            chunks: ChunkPlan::default(),
            engine: breezeway_ingest::service::EngineConfig::default(),
            library: LibraryConfig { max_upload_bytes: 4 << 30, allowed_extensions: Vec::new() },
            unlimited_upload_bytes: 4 << 30,
            bypass: false,
            reranker: None,
        }
    }

    fn change(value: Value) -> Result<RetrievalSettings> {
        changed(&settings(), value.as_object().expect("an object"))
    }

    #[test]
    fn what_is_shown_can_be_sent_back_and_changes_nothing() {
        let shown = retrieval_config(&settings());

        let next = changed(&settings(), &shown).expect("accepted");

        assert_eq!(retrieval_config(&next), shown);
        assert_eq!(next.rag, settings().rag);
    }

    #[test]
    fn every_setting_that_is_no_fixed_one_can_be_changed_and_is_shown_changed() {
        for (name, value) in [
            ("RAG_TEMPLATE", json!("Say: {{CONTEXT}}")),
            ("RAG_SYSTEM_CONTEXT", json!(true)),
            ("RAG_FULL_CONTEXT", json!(true)),
            ("TOP_K", json!(7)),
            ("RELEVANCE_THRESHOLD", json!(0.25)),
            ("ENABLE_RAG_HYBRID_SEARCH", json!(false)),
            ("HYBRID_BM25_WEIGHT", json!(0.3)),
            ("TEXT_SPLITTER", json!("token")),
            ("PDF_EXTRACT_IMAGES", json!(true)),
            ("TIKA_SERVER_URL", json!("http://tika:9998")),
            ("DOCLING_SERVER_URL", json!("https://docling.example/serve")),
            ("DOCLING_PARAMS", json!({"do_ocr": true})),
            ("EXTERNAL_DOCUMENT_LOADER_URL", json!("http://127.0.0.1:9")),
            ("CHUNK_SIZE", json!(500)),
            ("CHUNK_OVERLAP", json!(20)),
            ("CHUNK_MIN_SIZE_TARGET", json!(10)),
            ("ENABLE_MARKDOWN_HEADER_TEXT_SPLITTER", json!(false)),
            ("FILE_MAX_SIZE", json!(3)),
            ("ALLOWED_FILE_EXTENSIONS", json!(["txt", "md"])),
        ] {
            let before = retrieval_config(&settings());

            let after = retrieval_config(&change(json!({ name: value })).expect(name));

            assert_eq!(after[name], value, "{name}");
            for (other, value) in &after {
                assert!(other == name || *value == before[other], "{name} changed {other}");
            }
        }
    }

    #[test]
    fn a_limit_is_left_by_null_and_taken_away_by_an_empty_text() {
        let limited = change(json!({"FILE_MAX_SIZE": "2", "ALLOWED_FILE_EXTENSIONS": ".TXT, md"})).unwrap();
        assert_eq!(limited.library.max_upload_bytes, 2 << 20);
        assert_eq!(limited.library.allowed_extensions, ["txt", "md"]);

        let nothing = json!({"FILE_MAX_SIZE": null, "ALLOWED_FILE_EXTENSIONS": null});
        let left = changed(&limited, nothing.as_object().unwrap()).unwrap();
        assert_eq!(left.library.max_upload_bytes, 2 << 20);

        let cleared = json!({"FILE_MAX_SIZE": "", "ALLOWED_FILE_EXTENSIONS": ""});
        let free = changed(&limited, cleared.as_object().unwrap()).unwrap();
        assert_eq!(retrieval_config(&free)["FILE_MAX_SIZE"], Value::Null);
        assert!(free.library.allowed_extensions.is_empty());
    }

    #[test]
    fn nonsense_and_other_types_are_told_apart() {
        for wrong in [
            json!({"TOP_K": "many"}),
            json!({"TOP_K": 1.5}),
            json!({"CHUNK_SIZE": true}),
            json!({"RAG_FULL_CONTEXT": "yes"}),
            json!({"RAG_TEMPLATE": 1}),
            json!({"ALLOWED_FILE_EXTENSIONS": [1]}),
        ] {
            assert!(matches!(change(wrong.clone()), Err(SettingRefusal::Type { .. })), "{wrong}");
        }
        for nonsense in [
            json!({"TOP_K": 0}),
            json!({"TOP_K": -1}),
            json!({"CHUNK_SIZE": 100, "CHUNK_OVERLAP": 100}),
            json!({"CHUNK_OVERLAP": 1000}),
            json!({"RELEVANCE_THRESHOLD": 1.5}),
            json!({"HYBRID_BM25_WEIGHT": -0.1}),
            json!({"FILE_MAX_SIZE": 0}),
        ] {
            assert!(matches!(change(nonsense.clone()), Err(SettingRefusal::Value(_))), "{nonsense}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused_by_name() {
        for (name, value) in [
            ("RAG_RERANKING_MODEL", json!("a/cross-encoder")),
            ("CONTENT_EXTRACTION_ENGINE", json!("mistral_ocr")),
            ("DOCLING_API_KEY", json!("a-key")),
            ("FILE_MAX_COUNT", json!(3)),
            ("BYPASS_EMBEDDING_AND_RETRIEVAL", json!(true)),
            ("web", json!({"ENABLE_WEB_SEARCH": true})),
        ] {
            let refused = change(json!({ name: value })).expect_err(name);

            assert!(refused.to_string().contains(name), "{refused}");
        }
        assert!(change(json!({"web": {"ENABLE_WEB_SEARCH": false, "WEB_SEARCH_ENGINE": ""}})).is_ok());
        assert!(change(json!({"SOMETHING_NEW": false})).is_ok());
        assert!(change(json!({"TOPK": 3})).is_err());
    }
}
