//! What a model consists of on disk.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::{Path, PathBuf},
};

/// The model that is fetched: 384 dimensions, 256 tokens, English.
pub const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";

/// The weights and the graph.
pub(crate) const ONNX: &str = "model.onnx";

/// What the tokenizer is made of.
pub(crate) const TOKENIZER: [&str; 4] =
    ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// What the ONNX Runtime library is called on this system, without a version.
pub fn library_name() -> String {
    format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}")
}

/// A model on disk and the library that runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// The model's name; part of its fingerprint.
    pub name: String,
    /// The folder with `model.onnx` and the four tokenizer files.
    pub folder: PathBuf,
    /// The ONNX Runtime library.
    pub library: PathBuf,
}

impl ModelFiles {
    /// A model whose library is in its folder, which is how [`crate::fetch`] leaves it.
    pub fn in_folder(name: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { name: name.into(), library: folder.join(library_name()), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The paths that must exist.
    pub(crate) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let library: &Path = &self.library;
        let files = TOKENIZER.into_iter().chain([ONNX]).map(|name| self.path(name));
        files.chain([library.to_owned()])
    }
}
