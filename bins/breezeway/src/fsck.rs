//! `breezeway fsck`: whether the data folder is in order.

use anyhow::{Result, bail};
use breezeway::{Breezeway, Embedding, Findings};

use crate::{cli::FsckArgs, config::Settings, folder, telemetry};

/// Look, repair if asked to, and fail if anything is left.
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn run(settings: Settings, args: &FsckArgs) -> Result<()> {
    let _log = telemetry::install("warn", false)?;
    let _folder = folder::take(&settings.gateway.data_folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut config = settings.gateway;
    // Nothing is embedded here, and a model that has to be fetched would not be waited for.
    config.embedding = Embedding::None;
    let left = runtime.block_on(async {
        let breezeway = Breezeway::builder(config).without_sweep().build().await?;
        if args.repair {
            tell("repaired", &breezeway.repair().await?);
        }
        let left = breezeway.check().await?;
        tell(if args.repair { "left" } else { "found" }, &left);
        if args.shrink {
            breezeway.store().shrink().await?;
        }
        anyhow::Ok(left)
    })?;
    match (left.is_empty(), args.repair) {
        (true, _) => println!("clean"),
        (false, true) => bail!("not everything could be repaired"),
        (false, false) => bail!("there are contradictions; `breezeway fsck --repair` repairs what can be"),
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn tell(what: &str, findings: &Findings) {
    let places = [("database", &findings.database), ("bytes", &findings.blobs), ("index", &findings.index)];
    for (place, sentences) in places {
        for sentence in sentences {
            println!("{what} ({place}): {sentence}");
        }
    }
}
