//! What this machine has already.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{
    Fetching, brief,
    pins::{HUB_REPOSITORY, Wanted},
    show,
    target::{Target, Trust},
};
use crate::{library_name, model::check_library};

/// The most entries of a folder that are looked at.
const ENTRIES: usize = 100_000;

/// Folders in which systems usually keep shared libraries.
pub fn system_library_folders() -> Vec<PathBuf> {
    let folders: &[&str] = if cfg!(target_os = "macos") {
        &["/opt/homebrew/lib", "/usr/local/lib"]
    } else if cfg!(windows) {
        &[]
    } else {
        &[
            "/usr/local/lib",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib64",
            "/usr/lib",
        ]
    };
    folders.iter().map(PathBuf::from).collect()
}

/// Ask the folder that the settings name.
pub(super) async fn folder(fetching: &mut Fetching<'_>) -> Result<(), String> {
    let Some(folder) = fetching.config.folder.clone() else { return Err("none is set".to_owned()) };
    take(
        fetching,
        move |wanted| {
            if wanted.is_library() { libraries(&folder) } else { vec![folder.join(wanted.name)] }
        },
    )
    .await
}

/// Ask the system's library folders and the caches of the model hub.
pub(super) async fn system(fetching: &mut Fetching<'_>) -> Result<(), String> {
    let (paths, caches) = (fetching.config.library_paths.clone(), fetching.config.hub_caches.clone());
    take(fetching, move |wanted| {
        if wanted.is_library() {
            return paths.iter().flat_map(|path| libraries(path)).collect();
        }
        caches.iter().flat_map(|cache| cached(cache, wanted)).collect()
    })
    .await
}

/// Take every missing file from the first of its candidates that will do.
async fn take(
    fetching: &mut Fetching<'_>,
    candidates: impl Fn(&Wanted) -> Vec<PathBuf> + Send + 'static,
) -> Result<(), String> {
    let (missing, target) = (fetching.missing.clone(), fetching.target.clone());
    let work = move || {
        let (mut arrived, mut reasons) = (Vec::new(), Vec::new());
        for wanted in missing {
            let mut reason = format!("`{}` is not there", wanted.file_name());
            for path in candidates(wanted) {
                match take_one(&target, wanted, &path) {
                    Ok(()) => {
                        arrived.push(wanted.name);
                        break;
                    }
                    Err(Some(why)) => reason = why,
                    Err(None) => {}
                }
            }
            if arrived.last() != Some(&wanted.name) {
                reasons.push(reason);
            }
        }
        (arrived, reasons)
    };
    let (arrived, reasons) = fetching.lane.run(work).await.map_err(brief)?;
    fetching.arrived(&arrived);
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join(", ")) }
}

/// Take one file. The reason is `None` if it simply is not there.
fn take_one(target: &Target, wanted: &Wanted, path: &Path) -> Result<(), Option<String>> {
    let Ok(file) = File::open(path) else { return Err(None) };
    if wanted.is_library() {
        check_library(path).map_err(|error| Some(error.to_string()))?;
        return target.place(wanted, file, Trust::Local).map_err(Some);
    }
    target.place(wanted, file, Trust::Pinned).map_err(|reason| Some(format!("{}: {reason}", show(path))))
}

/// The ONNX Runtime libraries at or in `path`, the plain name first, then by falling version.
fn libraries(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = fs::read_dir(path)
        .into_iter()
        .flatten()
        .take(ENTRIES)
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library))
        .collect();
    let plain = library_name();
    found.sort_by_key(|path| (!path.ends_with(&plain), std::cmp::Reverse(path.clone())));
    found
}

/// Whether a file is called like the library, with or without a version.
pub(super) fn is_library(name: &str) -> bool {
    let plain = library_name();
    let (stem, ending) = plain.rsplit_once('.').unwrap_or((&plain, ""));
    name == plain
        || name.strip_prefix(&plain).is_some_and(|version| version.starts_with('.'))
        || name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(ending)).is_some_and(|version| {
            version.len() > 2 && version.bytes().all(|b| b == b'.' || b.is_ascii_digit())
        })
}

/// Where a cache of the hub has a file, in whatever revisions it has.
fn cached(cache: &Path, wanted: &Wanted) -> Vec<PathBuf> {
    let Some(path) = wanted.hub_path else { return Vec::new() };
    let repository = format!("models--{}", HUB_REPOSITORY.replace('/', "--"));
    let revisions =
        fs::read_dir(cache.join(repository).join("snapshots")).into_iter().flatten().take(ENTRIES);
    revisions.flatten().map(|revision| revision.path().join(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_library_is_known_by_its_name_with_or_without_a_version() {
        for (name, expected) in [
            ("libonnxruntime.so", true),
            ("libonnxruntime.so.1.26.0", true),
            ("libonnxruntime.1.26.0.so", true),
            ("libonnxruntime_providers_shared.so", false),
            ("libonnxruntime.so_backup", false),
            ("onnxruntime.dll", false),
        ] {
            assert_eq!(is_library(name), expected, "`{name}`");
        }
    }
}
