#![doc = include_str!("../README.md")]

mod error;
mod fetch;
mod files;
mod model;

#[cfg(test)]
mod test_model;

pub use self::{
    error::{Attempt, FetchError, LoadError},
    fetch::{
        Body, ByteStream, Download, DownloadError, FetchConfig, NoDownload, OnProgress, Progress,
        RuntimeArchive, fetch, system_library_folders,
    },
    files::{DEFAULT_MODEL, ModelFiles, library_name},
    model::{FastembedModel, ModelOptions, fingerprint_of},
};
