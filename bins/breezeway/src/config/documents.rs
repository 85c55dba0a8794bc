//! Settings of documents: uploads, who reads them, and how their texts are cut.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use breezeway::{
    Config,
    parts::{
        core::Secret,
        ingest::{Extraction, chunk::Measure, extract::Ocr, service::EngineKind},
    },
};

use super::{Source, words};

/// Read the settings of uploads: what is accepted, who reads it, and how its text is cut.
pub(super) fn read(source: &Source, gateway: &mut Config) -> Result<()> {
    let chunks = &mut gateway.chunks;
    chunks.size = source.number_or("CHUNK_SIZE", chunks.size)?;
    chunks.overlap = source.number_or("CHUNK_OVERLAP", chunks.overlap)?;
    chunks.min_size = source.number_or("CHUNK_MIN_SIZE_TARGET", chunks.min_size)?;
    chunks.by_heading = source.flag_or("ENABLE_MARKDOWN_HEADER_TEXT_SPLITTER", true)?;
    let splitter = source.text_or("RAG_TEXT_SPLITTER", "");
    chunks.measure = Measure::named(&splitter)
        .with_context(|| format!("`RAG_TEXT_SPLITTER` is `{splitter}`; use `character` or `token`"))?;
    if chunks.size == 0 || chunks.overlap >= chunks.size {
        bail!("`CHUNK_OVERLAP` ({}) must be smaller than `CHUNK_SIZE` ({})", chunks.overlap, chunks.size);
    }
    if let Some(megabytes) = source.number::<u64>("RAG_FILE_MAX_SIZE")? {
        gateway.library.max_upload_bytes = megabytes.saturating_mul(1024 * 1024);
    }
    gateway.api.keep_removed_files = source.flag_or("ENABLE_KNOWLEDGE_FILE_RETENTION", false)?;
    gateway.web.local = match source.flag("ENABLE_LOCAL_WEB_FETCH")? {
        Some(on) => on,
        None => source.flag_or("ENABLE_RAG_LOCAL_WEB_FETCH", false)?,
    };
    // Given hosts come on top: the metadata services of clouds are never asked.
    let filter = source.text_of(&["WEB_FETCH_FILTER_LIST"]);
    gateway.web.filter.extend(words(filter.as_deref(), ','));
    gateway.library.allowed_extensions = words(source.text("RAG_ALLOWED_FILE_EXTENSIONS").as_deref(), ',')
        .into_iter()
        .map(|extension| extension.trim_start_matches('.').to_lowercase())
        .collect();
    engine(source, gateway)?;
    gateway.ocr = ocr(source)?;
    let program = std::env::current_exe().context("the path of this program is unknown")?;
    gateway.extraction = Extraction::Child { program, arguments: vec!["extract-worker".into()] };
    Ok(())
}

/// Who reads documents. The key belongs to the address it was configured with.
fn engine(source: &Source, gateway: &mut Config) -> Result<()> {
    let engine = &mut gateway.engine;
    let name = source.text_or("CONTENT_EXTRACTION_ENGINE", "");
    engine.kind = EngineKind::named(&name).with_context(|| {
        format!("`CONTENT_EXTRACTION_ENGINE` is `{name}`; use `tika`, `docling`, `external`, or nothing to read documents here")
    })?;
    engine.tika_url = source.text_or("TIKA_SERVER_URL", "http://tika:9998");
    engine.docling_url = source.text_or("DOCLING_SERVER_URL", "http://docling:5001");
    engine.external_url = source.text_or("EXTERNAL_DOCUMENT_LOADER_URL", "");
    engine.pdf_images = source.flag_or("PDF_EXTRACT_IMAGES", false)?;
    if let Some(params) = source.text("DOCLING_PARAMS") {
        engine.docling_params =
            serde_json::from_str(&params).context("`DOCLING_PARAMS` is no JSON object")?;
    }
    let key = match engine.kind {
        EngineKind::Docling => source.secret("DOCLING_API_KEY"),
        EngineKind::External => source.secret("EXTERNAL_DOCUMENT_LOADER_API_KEY"),
        EngineKind::Local | EngineKind::Tika => None,
    };
    engine.key = key.filter(|key| !key.is_empty()).map(|key| (engine.url().to_owned(), Secret::from(key)));
    let seconds = source.text_of(&["BREEZEWAY_EXTRACTION_TIMEOUT", "EXTERNAL_DOCUMENT_LOADER_TIMEOUT"]);
    if let Some(seconds) = seconds {
        let seconds: u64 =
            seconds.parse().context("`BREEZEWAY_EXTRACTION_TIMEOUT` is no number of seconds")?;
        engine.timeout = Duration::from_secs(seconds.max(1));
    }
    if engine.kind != EngineKind::Local && engine.url().is_empty() {
        bail!("`CONTENT_EXTRACTION_ENGINE` is `{name}`, whose address is missing");
    }
    Ok(())
}

/// Text recognition, if it is switched on and its program is there.
fn ocr(source: &Source) -> Result<Option<Ocr>> {
    if !source.flag_or("BREEZEWAY_OCR", false)? {
        return Ok(None);
    }
    let named = source.text("BREEZEWAY_TESSERACT").map(PathBuf::from);
    if let Some(missing) = named.as_ref().filter(|named| !named.is_file()) {
        bail!("`BREEZEWAY_TESSERACT` is `{}`, which is no file", missing.display());
    }
    let path = source.text("PATH").unwrap_or_default();
    let found =
        || std::env::split_paths(&path).map(|folder| folder.join("tesseract")).find(|it| it.is_file());
    let Some(program) = named.or_else(found) else { return Ok(None) };
    Ok(Some(Ocr {
        program,
        languages: source.text_or("BREEZEWAY_OCR_LANGUAGES", "eng"),
        data_folder: source.text("TESSDATA_PREFIX").map(PathBuf::from),
        time: Duration::from_secs(60),
    }))
}
