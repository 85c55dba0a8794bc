//! Documents that are read elsewhere, by a service that its owner runs for that.

use std::time::Duration;

use async_trait::async_trait;
use breezeway_core::Secret;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::extract::{Format, Hint, promised};

/// A service that reads documents.
///
/// # Contract
/// - a call ends in bounded time, and its answer is bounded in size;
/// - an error that may pass by itself is [`ServiceError::Unavailable`]; the file is tried again then;
/// - the parts are in the order of the document.
#[async_trait]
pub trait DocumentService: Send + Sync + 'static {
    /// What its users call it.
    fn name(&self) -> &'static str;

    /// Whether it is to read this file. What it does not take is read here.
    fn takes(&self, hint: &Hint) -> bool;

    /// Read a file.
    async fn read(&self, hint: &Hint, bytes: Bytes) -> Result<Vec<ServicePart>, ServiceError>;
}

/// A piece of a document, as a service answers it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServicePart {
    /// Its text, plain or Markdown.
    pub text: String,
    /// The page it is, from 0, if the service says so.
    pub page: Option<u32>,
    /// What the service says about it.
    pub metadata: Map<String, Value>,
}

/// Why a service did not read a document. The text is shown to the file's owner.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// It looked at the file and refused it.
    #[error("{0}")]
    Refused(String),
    /// It could not be asked, or failed at something else.
    #[error("{0}")]
    Unavailable(String),
}

/// Which service reads documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// None: they are read here.
    #[default]
    Local,
    /// Apache Tika.
    Tika,
    /// Docling Serve.
    Docling,
    /// Any service that speaks Open WebUI's protocol for such.
    External,
}

impl EngineKind {
    /// The kind that users of this API know as `name`. An empty name is the default.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "local" => Some(Self::Local),
            "tika" => Some(Self::Tika),
            "docling" => Some(Self::Docling),
            "external" => Some(Self::External),
            _ => None,
        }
    }

    /// The name that [`Self::named`] finds it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "",
            Self::Tika => "tika",
            Self::Docling => "docling",
            Self::External => "external",
        }
    }
}

/// The services there are, and which of them is used.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The one in use.
    pub kind: EngineKind,
    /// The root of a Tika server.
    pub tika_url: String,
    /// Whether Tika is asked to look into pictures inside of PDFs.
    pub pdf_images: bool,
    /// The root of a Docling server.
    pub docling_url: String,
    /// What is sent beside each file: the server's own options.
    pub docling_params: Map<String, Value>,
    /// The root of an external loader.
    pub external_url: String,
    /// The key of the service, and the address that it is for: it is sent nowhere else.
    pub key: Option<(String, Secret)>,
    /// The longest wait for one document.
    pub timeout: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            kind: EngineKind::Local,
            tika_url: String::new(),
            pdf_images: false,
            docling_url: String::new(),
            docling_params: Map::new(),
            external_url: String::new(),
            key: None,
            // Recognising the text of a scanned book takes a while.
            timeout: Duration::from_secs(600),
        }
    }
}

impl EngineConfig {
    /// The address of the service in use; empty if there is none.
    pub fn url(&self) -> &str {
        match self.kind {
            EngineKind::Local => "",
            EngineKind::Tika => &self.tika_url,
            EngineKind::Docling => &self.docling_url,
            EngineKind::External => &self.external_url,
        }
    }
}

/// Whether a file is text by its name or its media type, so that there is nothing for a service to do.
pub fn is_plain_text(hint: &Hint) -> bool {
    matches!(
        promised(hint),
        Some(
            Format::Text
                | Format::Markdown
                | Format::Code
                | Format::Json
                | Format::Xml
                | Format::Notebook
                | Format::Delimited
        )
    )
}
