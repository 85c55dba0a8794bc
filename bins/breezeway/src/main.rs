//! The `breezeway` binary: arguments and environment in, a running gateway out.

mod admin;
mod allocator;
mod banner;
mod cli;
mod config;
mod eval;
mod folder;
mod fsck;
mod model;
mod secret;
mod serve;
mod telemetry;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::{
    cli::{Cli, Command, ConfigCommand, ModelCommand},
    config::Settings,
};

#[expect(clippy::print_stderr, reason = "the one place where a failure of the whole program is told")]
fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("breezeway: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    // The worker that reads documents gets nothing: no settings, no secrets, no runtime.
    if let Some(Command::ExtractWorker) = cli.command {
        return Ok(breezeway::parts::ingest::extract::serve_child(std::io::stdin(), std::io::stdout())?);
    }
    let settings = Settings::read(cli.overrides())?;
    match cli.command {
        None | Some(Command::Serve) => serve::run(settings),
        Some(Command::Admin(command)) => admin::run(settings, command),
        Some(Command::Config(ConfigCommand::Check)) => config::print(&settings),
        Some(Command::Model(ModelCommand::Pull)) => model::pull(settings),
        Some(Command::Eval(args)) => eval::run(settings, &args),
        Some(Command::Fsck(args)) => fsck::run(settings, &args),
        Some(Command::ExtractWorker) => unreachable!("answered above"),
    }
}
