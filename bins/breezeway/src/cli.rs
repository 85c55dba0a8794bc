//! Arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// An LLM gateway with knowledge: the documented API of Open WebUI in one process.
///
/// Settings come from flags, then the environment (Open WebUI's names), then breezeway.toml.
/// `breezeway config check` prints what is in force and where it came from.
#[derive(Parser)]
#[command(name = "breezeway", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port to listen on [default: 3000]
    #[arg(long, global = true)]
    port: Option<u16>,
    /// Folder that keeps everything [default: ./data]
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Settings file [default: breezeway.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Cli {
    /// The flags as settings by name, and the settings file.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut values = Vec::new();
        let mut push = |name: &'static str, value: Option<String>| {
            values.extend(value.map(|value| (name, value)));
        };
        push("HOST", self.host.clone());
        push("PORT", self.port.map(|port| port.to_string()));
        push("DATA_DIR", self.data_dir.as_ref().map(|folder| folder.display().to_string()));
        Overrides { values, file: self.config.clone() }
    }
}

/// What the flags say.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) values: Vec<(&'static str, String)>,
    pub(crate) file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the gateway (what happens without a command).
    Serve,
    /// Manage accounts while the gateway is not running.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Manage the local embedding model.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Judge the search on folders of questions whose answers are known.
    Eval(EvalArgs),
    /// Look for contradictions in the data folder while the gateway is not running.
    Fsck(FsckArgs),
    /// Read one document in a process that can be killed; the gateway starts it itself.
    #[command(hide = true)]
    ExtractWorker,
}

#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Make an account.
    CreateUser(CreateUser),
    /// Give an account a new password; all its sessions end.
    ResetPassword(ResetPassword),
    /// Make an API key for an account, replacing the one it had, and print it.
    ApiKey(ForAccount),
}

#[derive(Args)]
pub(crate) struct CreateUser {
    /// The address it signs in with.
    #[arg(long)]
    pub(crate) email: String,
    /// Its display name [default: the part of the address before the @]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// admin, user or pending.
    #[arg(long, default_value = "user")]
    pub(crate) role: String,
    /// Its password; without it, one line is read from standard input.
    #[arg(long)]
    pub(crate) password: Option<String>,
}

#[derive(Args)]
pub(crate) struct ResetPassword {
    /// The account's address.
    #[arg(long)]
    pub(crate) email: String,
    /// The new password; without it, one line is read from standard input.
    #[arg(long)]
    pub(crate) password: Option<String>,
}

#[derive(Args)]
pub(crate) struct ForAccount {
    /// The account's address.
    #[arg(long)]
    pub(crate) email: String,
}

/// A folder holds `corpus.jsonl` or `corpus.jsonl.gz`, `queries.jsonl`, `qrels.tsv`, and perhaps
/// `subset.txt` with the ids of the only documents to search.
#[derive(Args)]
pub(crate) struct EvalArgs {
    /// Folders to judge, one row each.
    #[arg(required = true, value_name = "FOLDER")]
    pub(crate) folders: Vec<PathBuf>,
    /// Search by words alone.
    #[arg(long)]
    pub(crate) words: bool,
    /// Search by meaning alone.
    #[arg(long, conflicts_with = "words")]
    pub(crate) meaning: bool,
    /// Weights of meaning to try, each in a row of its own [default: the one of the settings]
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) weight: Vec<f32>,
    /// Keep vectors in this file between runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) vectors: Option<PathBuf>,
    /// Search whole corpora where there is a `subset.txt`, too.
    #[arg(long)]
    pub(crate) whole: bool,
    /// Fail if the mean nDCG@10 over the folders is below this.
    #[arg(long, value_name = "NDCG")]
    pub(crate) floor: Option<f64>,
    /// Print one JSON object a row instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting in force and where it came from; secrets are not shown.
    Check,
}

#[derive(Subcommand)]
pub(crate) enum ModelCommand {
    /// Fetch the embedding model now instead of at the first start.
    Pull,
}

#[derive(Args)]
pub(crate) struct FsckArgs {
    /// Repair what can be repaired.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Give unused space of the database back to the disk as well.
    #[arg(long)]
    pub(crate) shrink: bool,
}
