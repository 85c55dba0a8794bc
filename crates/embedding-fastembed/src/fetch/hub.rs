//! Downloads: the model from the hub, the runtime from where the settings say.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use futures_util::StreamExt;

use super::{
    Fetching, RuntimeArchive, brief,
    local::is_library,
    pins::{HUB_REPOSITORY, HUB_REVISION, MAX_BYTES, Wanted},
    target::{Target, Trust, hash_of},
};

/// What is collected before it is written.
const PIECE_BYTES: usize = 1024 * 1024;

pub(super) async fn fetch(fetching: &mut Fetching<'_>) -> Result<(), String> {
    let mut reasons = Vec::new();
    for wanted in fetching.missing.clone() {
        let fetched = if wanted.is_library() {
            match fetching.config.runtime.clone() {
                Some(archive) => runtime(fetching, wanted, archive).await,
                None => Err("no download of the ONNX Runtime is set".to_owned()),
            }
        } else {
            from_hub(fetching, wanted).await
        };
        match fetched {
            Ok(()) => fetching.arrived(&[wanted.name]),
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(told_once(&reasons)) }
}

/// Reasons as one sentence. A hub that cannot be reached fails for every file with the same words, which
/// are said once, for the first of them.
fn told_once(reasons: &[String]) -> String {
    let mut causes: Vec<(&str, &str, usize)> = Vec::new();
    for reason in reasons {
        let (place, cause) = reason.split_once(": ").unwrap_or((reason, ""));
        match causes.iter_mut().find(|(_, known, _)| !cause.is_empty() && *known == cause) {
            Some((_, _, more)) => *more += 1,
            None => causes.push((place, cause, 0)),
        }
    }
    let told = causes.into_iter().map(|(place, cause, more)| match (cause, more) {
        ("", _) => place.to_owned(),
        (cause, 0) => format!("{place}: {cause}"),
        (cause, more) => format!("{place} and {more} more: {cause}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

async fn from_hub(fetching: &Fetching<'_>, wanted: &'static Wanted) -> Result<(), String> {
    let Some(endpoint) = &fetching.config.hub_endpoint else { return Err("no hub is set".to_owned()) };
    let Some(path) = wanted.hub_path else { return Err(format!("it has no `{}`", wanted.name)) };
    let endpoint = endpoint.trim_end_matches('/');
    let url = format!("{endpoint}/{HUB_REPOSITORY}/resolve/{HUB_REVISION}/{path}");
    let part = download(fetching, &url, wanted.name, wanted.max_bytes()).await?;
    let target = fetching.target.clone();
    let place = move || {
        let placed =
            File::open(&part).map_err(brief).and_then(|file| target.place(wanted, file, Trust::Pinned));
        // Whole and right, or whole and wrong: there is nothing to go on with.
        let _ = fs::remove_file(&part);
        placed
    };
    fetching.lane.run(place).await.map_err(brief)?
}

async fn runtime(
    fetching: &Fetching<'_>,
    wanted: &'static Wanted,
    archive: RuntimeArchive,
) -> Result<(), String> {
    let part = download(fetching, &archive.url, "onnxruntime", MAX_BYTES).await?;
    let target = fetching.target.clone();
    let place = move || {
        let placed = check(&part, &archive.sha256).and_then(|()| unpack(&target, wanted, &part));
        let _ = fs::remove_file(&part);
        placed
    };
    fetching.lane.run(place).await.map_err(brief)?
}

fn check(part: &Path, expected: &str) -> Result<(), String> {
    let found = hash_of(part).map_err(brief)?.unwrap_or_default();
    if found.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(format!("the ONNX Runtime download has SHA-256 {found}, not the one from the settings"))
}

/// Place the library, which is the download or in it.
fn unpack(target: &Target, wanted: &Wanted, part: &Path) -> Result<(), String> {
    let mut file = File::open(part).map_err(brief)?;
    let mut start = [0; 2];
    let is_zip = file.read_exact(&mut start).is_ok() && start == *b"PK";
    file.rewind().map_err(brief)?;
    if !is_zip {
        return target.place(wanted, file, Trust::Local);
    }
    place_from_zip(target, wanted, file, Trust::Local, |name| name.rsplit('/').next().is_some_and(is_library))
}

/// Place the first file of an archive whose name will do.
pub(super) fn place_from_zip(
    target: &Target,
    wanted: &Wanted,
    archive: File,
    trust: Trust,
    will_do: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(archive).map_err(brief)?;
    let name = archive.file_names().flatten().find(|name| will_do(name)).map(|name| name.into_owned());
    let name = name.ok_or_else(|| format!("the archive has no `{}`", wanted.file_name()))?;
    let entry = archive.by_name(&name).map_err(brief)?;
    target.place(wanted, entry, trust)
}

/// Download `url` to a file beside the target and answer where. An earlier attempt is gone on with:
/// whether the two halves belong together is shown by the hash of the whole.
async fn download(fetching: &Fetching<'_>, url: &str, name: &str, limit: u64) -> Result<PathBuf, String> {
    let part = fetching.target.incoming(&format!("{name}.part"));
    let opening = part.clone();
    let (mut file, mut at) =
        fetching.lane.run(move || open_part(&opening)).await.map_err(brief)?.map_err(brief)?;
    let shown = without_secrets(url);
    let told = |error| format!("{shown}: {}", brief(error));
    let body = match fetching.download.get(url, at).await {
        // A server refuses to go on behind the end. Then the part is whole, or not what it seemed.
        Err(_) if at > 0 => fetching.download.get(url, 0).await,
        answer => answer,
    };
    let body = body.map_err(told)?;
    if body.starts_at != at && body.starts_at != 0 {
        return Err(format!("{shown}: the server began in the middle"));
    }
    if body.starts_at != at {
        at = 0;
        let empty = move || file.set_len(0).and_then(|()| file.rewind()).map(|()| file);
        file = fetching.lane.run(empty).await.map_err(brief)?.map_err(brief)?;
    }
    let (mut bytes, mut buffer) = (body.bytes, Vec::new());
    loop {
        let piece = bytes.next().await;
        let at_end = piece.is_none();
        let broken = match piece {
            Some(Ok(piece)) => {
                buffer.extend_from_slice(&piece);
                None
            }
            Some(Err(error)) => Some(told(error)),
            None => None,
        };
        if buffer.len() >= PIECE_BYTES || at_end || broken.is_some() {
            at += buffer.len() as u64;
            if at > limit {
                let part = part.clone();
                let _ = fetching.lane.run(move || fs::remove_file(part)).await;
                return Err(format!("{shown}: more than {limit} bytes"));
            }
            let full = std::mem::take(&mut buffer);
            let write = move || file.write_all(&full).map(|()| file);
            file = fetching.lane.run(write).await.map_err(brief)?.map_err(brief)?;
            fetching.target.report(name, at, body.total_bytes);
        }
        match broken {
            Some(reason) => return Err(reason),
            None if at_end => return Ok(part),
            None => {}
        }
    }
}

fn open_part(part: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(part)?;
    let at = file.seek(io::SeekFrom::End(0))?;
    Ok((file, at))
}

/// A URL as it may be shown: the credentials of a mirror and a signed query are left out.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_secrets() {
        for (url, shown) in [
            ("https://user:pass@mirror/a@b?signature=x#y", "https://mirror/a@b"),
            ("https://mirror", "https://mirror"),
            ("mirror/file?key=x", "mirror/file"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn the_same_failure_is_told_once() {
        let reasons = ["http://hub/a: no such host", "http://hub/b: no such host", "no runtime is set"];

        let told = told_once(&reasons.map(str::to_owned));

        assert_eq!(told, "http://hub/a and 1 more: no such host, no runtime is set");
    }
}
