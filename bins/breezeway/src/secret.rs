//! The server's secret: given, or made once and kept in a file that only its owner can read.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use breezeway::parts::core::Secret;

use crate::config::Source;

/// Where the secret came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `WEBUI_SECRET_KEY`.
    Given,
    /// A file that was there.
    Kept(PathBuf),
    /// A file made just now.
    Made(PathBuf),
}

/// The secret of `WEBUI_SECRET_KEY`, of the data folder's file, or a new one.
pub(crate) fn find(source: &Source, folder: &Path) -> Result<(Secret, Origin)> {
    if let Some(given) = source.secret("WEBUI_SECRET_KEY") {
        return Ok((given.into(), Origin::Given));
    }
    let path = folder.join("secret.key");
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => return Ok((text.trim().into(), Origin::Kept(path))),
        Ok(_) => bail!("`{}` holds no secret; remove it to have a new one made", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("`{}` cannot be read", path.display())),
    }
    let secret = random()?;
    breezeway::private_folder(folder)
        .with_context(|| format!("the data folder `{}` cannot be made", folder.display()))?;
    match keep(&secret, &path) {
        Ok(()) => Ok((secret.into(), Origin::Made(path))),
        // Another process was quicker; its secret is the one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text =
                fs::read_to_string(&path).with_context(|| format!("`{}` cannot be read", path.display()))?;
            Ok((text.trim().into(), Origin::Kept(path)))
        }
        Err(error) => Err(error).with_context(|| format!("`{}` cannot be written", path.display())),
    }
}

/// Write the secret beside its place and link it there when it is whole: whoever finds the file finds
/// all of it, whenever this process is killed, and of two processes that make one the first wins.
fn keep(secret: &str, path: &Path) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let kept = options.open(&beside).and_then(|mut file| {
        file.write_all(secret.as_bytes())?;
        file.sync_all()?;
        fs::hard_link(&beside, path)
    });
    let removed = fs::remove_file(&beside);
    kept.and(removed)
}

/// 32 random bytes in hexadecimal.
fn random() -> Result<String> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("the machine has no randomness to give")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
