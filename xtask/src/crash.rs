//! Killing the gateway again and again.
//!
//! The work is a test of the binary, `recovery::what_was_accepted_survives_being_killed_again_and_again`:
//! it starts the real program, uploads, collects, deletes and reads again, kills it at a random moment, has
//! `breezeway fsck` look, and goes on. CI does that a few times; this command as often as it is told.

use std::time::Instant;

use xshell::{Shell, cmd};

/// Kill the gateway at random moments and prove that nothing is lost or left behind.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often it is killed.
    #[arg(long, default_value_t = 20)]
    rounds: u32,
}

impl Args {
    pub(crate) fn run(&self, sh: &Shell) -> anyhow::Result<()> {
        let (began, rounds) = (Instant::now(), self.rounds.to_string());
        let test = "recovery::what_was_accepted_survives_being_killed_again_and_again";
        let _rounds = sh.push_env("BREEZEWAY_CRASH_ROUNDS", &rounds);
        let only = format!("package(breezeway-server) and test(={test})");
        // The whole workspace with all features, as everything that CI compiles, so that nothing is
        // compiled twice.
        cmd!(sh, "cargo nextest run --workspace --all-features --profile crash -E {only}").run()?;
        println!("\nkilled {rounds} times in {:.0} s, and nothing was lost", began.elapsed().as_secs_f64());
        Ok(())
    }
}
