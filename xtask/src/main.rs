//! The project's own commands: `cargo xtask ci`, `layers`, `tidy`, `openapi`, `bench`, `eval`,
//! `crash`.
//!
//! It builds in seconds because it depends on none of our crates; what it needs to know about
//! them it reads from manifests and files.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a person at a terminal and to the log of a CI run"
)]

mod bench;
mod ci;
mod crash;
mod eval;
mod layers;
mod openapi;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xshell::Shell;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's own commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Ci(ci::Args),
    Layers(layers::Args),
    Tidy(tidy::Args),
    Openapi(openapi::Args),
    Bench(bench::Args),
    Eval(eval::Args),
    Crash(crash::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        // Printed here and not returned: where in xtask a check failed helps nobody.
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.change_dir(workspace::root());
    match command {
        Command::Ci(args) => args.run(&sh),
        Command::Layers(args) => args.run(&sh),
        Command::Tidy(args) => args.run(&sh),
        Command::Openapi(args) => args.run(&sh),
        Command::Bench(args) => args.run(&sh),
        Command::Eval(args) => args.run(&sh),
        Command::Crash(args) => args.run(&sh),
    }
}
