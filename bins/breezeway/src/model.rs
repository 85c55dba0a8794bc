//! `breezeway model pull`, and the progress that fetching a model shows.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, bail};
use breezeway::{
    Embedding,
    parts::embedding_fastembed::{OnProgress, Progress},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{config::Settings, telemetry};

/// Fetch the embedding model now.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn pull(settings: Settings) -> Result<()> {
    let _log = telemetry::install(&settings.log_level, settings.log_json)?;
    let Embedding::Local(local) = &settings.gateway.embedding else {
        bail!("the settings name a remote embedding model; there is nothing to fetch");
    };
    let folder = local.fetch.target.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(breezeway::fetch_local_model(local, &settings.gateway.client))?;
    println!("the embedding model is in {}", folder.display());
    Ok(())
}

/// Show how far files have come: a bar for a person, log lines for all others.
pub(crate) fn progress() -> OnProgress {
    if std::io::stderr().is_terminal() { bar() } else { lines() }
}

fn bar() -> OnProgress {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("  {msg:<28} [{bar:30}] {bytes}/{total_bytes}");
    bar.set_style(style.expect("the template is right"));
    let current = Mutex::new(String::new());
    Arc::new(move |progress: &Progress| {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != progress.file {
            bar.reset();
            bar.set_message(progress.file.clone());
            current.clone_from(&progress.file);
        }
        if let Some(total) = progress.total_bytes {
            bar.set_length(total);
        }
        bar.set_position(progress.done_bytes);
        if progress.total_bytes == Some(progress.done_bytes) {
            bar.finish_and_clear();
        }
    })
}

fn lines() -> OnProgress {
    let last = Mutex::new((String::new(), 0));
    Arc::new(move |progress: &Progress| {
        // A line for every tenth that is done.
        let tenth = progress.total_bytes.map_or(0, |total| progress.done_bytes * 10 / total.max(1));
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != (progress.file.clone(), tenth) {
            *last = (progress.file.clone(), tenth);
            tracing::info!(model.file = %progress.file, done_bytes = progress.done_bytes, "Fetching `{}`: {} %", progress.file, tenth * 10);
        }
    })
}
